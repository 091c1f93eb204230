"""What a NIfTI header means for us: shape, type, scaling, and the affine among its several transforms.

nibabel parses the bytes; nothing is trusted before it is checked.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import AffineError, ImageReadError
from ..types import Affine
from ..volume import Grid, as_affine
from . import _stream

__all__ = ["AXIS_ROLES", "NiftiHeader", "read_header"]

_HEADER_SIZES = {348: 352, 540: 544}  # bytes of the header -> of header and extension flag
_MAGICS = {348: (b"n+1\0", 344), 540: (b"n+2\0", 4)}
AXIS_ROLES = "ijktc"
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # NIFTI_UNITS unknown, metre, mm, micron
_FORMS_APART_MM = 0.5  # beyond, a qform and an sform that claim the same world contradict each other


@dataclass(frozen=True)
class NiftiHeader:
    """What we need of a header, checked.

    Parameters
    ----------
    shape : tuple of int
        1 to 5 axes, fastest first.
    dtype : numpy dtype
        As stored, also ("R", "G", "B") records.
    offset : int
        Bytes before the voxels.
    slope, intercept : float
        1 and 0 where the header gives none.
    affine : ndarray, shape (4, 4)
    form : int
        Code of the transform that the affine comes from, 0 where there is none.
    warnings : tuple of str
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    slope: float
    intercept: float
    affine: Affine
    form: int
    warnings: tuple[str, ...]

    @property
    def is_scaled(self) -> bool:
        """Whether slope and intercept change the stored numbers."""
        return (self.slope, self.intercept) != (1.0, 0.0)

    @property
    def bytes_needed(self) -> int:
        """Bytes that the voxels take as stored."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def claim(self) -> str:
        """What the header promises, in words."""
        return " x ".join(str(side) for side in self.shape) + f" voxels of {self.dtype.itemsize} bytes"


def read_header(path: Path) -> NiftiHeader:
    """Read and check the header of a NIfTI file.

    Raises
    ------
    ImageReadError
        If the file is no single NIfTI file, or its header is damaged.
    AffineError
        If no transform of the header can be inverted.
    """
    from nibabel.spatialimages import HeaderDataError

    raw = _raw_header(path)
    try:
        shape = _shape(raw, path)
        dtype = raw.get_data_dtype()
        slope, intercept = raw.get_slope_inter()
        offset = int(raw["vox_offset"]) or _HEADER_SIZES[int(raw["sizeof_hdr"])]
    except (HeaderDataError, KeyError, ValueError, OverflowError) as err:
        raise ImageReadError(f"{path}: its NIfTI header is damaged ({err})") from err
    if offset < _HEADER_SIZES[int(raw["sizeof_hdr"])]:
        raise ImageReadError(f"{path}: its NIfTI header puts the voxels at byte {offset}, inside the header")
    if not (dtype.names or dtype.kind in "biuf"):
        raise ImageReadError(
            f"{path}: its voxels are of type {dtype}; expected real numbers "
            "(of complex ones, save the magnitude)"
        )
    affine, form, warnings = _affine(raw, path)
    return NiftiHeader(shape, dtype, offset, float(slope or 1), float(intercept or 0), affine, form, warnings)


def _raw_header(path: Path) -> Any:
    """Nibabel's header object, after a look at the first bytes."""
    import nibabel

    with _stream.opened(path) as stream:
        block = bytes(_stream.read_up_to(stream, 540))
    order, size = _byte_order(block, path)
    magic, at = _MAGICS[size]
    if block[at : at + 4] != magic and not (size == 540 and block[4:12] == b"n+2\0\r\n\x1a\n"):
        raise ImageReadError(
            f"{path}: its first bytes are those of an Analyze header or of half a .hdr/.img pair, "
            "not of a single NIfTI file; convert it to .nii.gz"
        )
    if len(block) < size:
        raise ImageReadError(f"{path}: the file ends inside its NIfTI header")
    kind = nibabel.Nifti1Header if size == 348 else nibabel.Nifti2Header
    return kind(binaryblock=block[:size], endianness=order, check=False)


def _byte_order(block: bytes, path: Path) -> tuple[str, int]:
    for order in "<>":
        if len(block) >= 4 and (size := struct.unpack(f"{order}i", block[:4])[0]) in _HEADER_SIZES:
            return order, size
    raise ImageReadError(
        f"{path}: is not a NIfTI file, whatever its name says; its first bytes are {block[:8]!r}"
    )


def _shape(raw: Any, path: Path) -> tuple[int, ...]:
    """Up to five axes; axes of one voxel at the end, and any beyond the fifth, are dropped."""
    axes = int(raw["dim"][0])
    if not 1 <= axes <= 7:
        raise ImageReadError(f"{path}: its NIfTI header names {axes} axes; expected 1 to 7")
    shape = [int(side) for side in raw["dim"][1 : axes + 1]]
    if min(shape) < 1:
        raise ImageReadError(f"{path}: its NIfTI header gives the shape {shape}; expected at least 1 a side")
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    if len(shape) > len(AXIS_ROLES):
        raise ImageReadError(f"{path}: has {len(shape)} axes; expected space, time and channels at most")
    return tuple(shape)


def _affine(raw: Any, path: Path) -> tuple[Affine, int, tuple[str, ...]]:
    """Affine to RAS mm, the code of the form it is from, and what was odd."""
    warnings: list[str] = []
    if not raw["sform_code"] > 0:
        _mend_voxel_sizes(raw, warnings)
    affine, form = _chosen_form(raw, path, warnings)
    unit = int(raw["xyzt_units"]) & 7
    scale = _MM_PER_UNIT.get(unit, 1.0)
    if scale != 1.0:
        affine = np.diag([scale, scale, scale, 1.0]) @ affine
        warnings.append(f"the file counts in {'metres' if unit == 1 else 'micrometres'}: turned into mm")
    return affine, form, tuple(warnings)


def _mend_voxel_sizes(raw: Any, warnings: list[str]) -> None:
    """Make pixdim usable as nibabel does: sizes of 0 become 1 mm, negative ones positive."""
    if raw["pixdim"][0] not in (-1, 1):
        raw["pixdim"][0] = 1
    sizes = raw["pixdim"][1:4]
    bad = ~np.isfinite(sizes) | (sizes == 0)
    if bad[: int(raw["dim"][0])].any():
        warnings.append("the file gives a voxel size of 0: 1 mm is taken")
    raw["pixdim"][1:4] = np.where(bad, 1, np.abs(sizes))


def _chosen_form(raw: Any, path: Path, warnings: list[str]) -> tuple[Affine, int]:
    from nibabel.spatialimages import HeaderDataError

    try:
        if raw["sform_code"] > 0:
            sform = _sform(raw, warnings)
            _compare_forms(raw, sform, warnings)
            return sform, int(raw["sform_code"])
        if raw["qform_code"] > 0:
            return as_affine(raw.get_qform()), int(raw["qform_code"])
        warnings.append(
            "the file has no form code, so left and right, front and back are a guess: "
            "taken as L-A-S around the centre, as nibabel does"
        )
        return as_affine(raw.get_base_affine()), 0
    except AffineError as err:
        raise AffineError(f"{path}: {err}") from err
    except (HeaderDataError, ValueError) as err:
        raise AffineError(f"{path}: the file's orientation cannot be read ({err})") from err


def _compare_forms(raw: Any, sform: Affine, warnings: list[str]) -> None:
    """Warn when the two transforms claim the same world and place the voxels differently."""
    from nibabel.spatialimages import HeaderDataError

    if raw["sform_code"] != raw["qform_code"]:
        return
    try:
        qform = as_affine(raw.get_qform())
    except (HeaderDataError, ValueError):
        return  # it is not needed
    i, j, k = (max(1, int(side)) for side in raw["dim"][1:4])
    apart = Grid((i, j, k), sform).corners_ras - Grid((i, j, k), qform).corners_ras
    distance = float(np.linalg.norm(apart, axis=1).max())
    if distance > _FORMS_APART_MM:
        warnings.append(
            f"the file's sform and qform are up to {distance:.1f} mm apart: the sform is taken, as nibabel "
            "does; other programs may take the qform"
        )


def _sform(raw: Any, warnings: list[str]) -> Affine:
    try:
        return as_affine(raw.get_sform())
    except AffineError:
        if not raw["qform_code"] > 0:
            raise
    _mend_voxel_sizes(raw, warnings)
    warnings.append("the file's sform cannot be inverted: its qform is taken")
    return as_affine(raw.get_qform())
