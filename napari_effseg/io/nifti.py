"""NIfTI-1 and NIfTI-2 files (.nii, .nii.gz).

nibabel parses the header; what it means for us is decided here. The voxels are read with memory bounded by
what the file really holds. An uncompressed file without scaling is memory-mapped, so that a program can
read it region by region; on Windows such a file cannot be replaced while its Volume is in use.
"""

from __future__ import annotations

import gzip
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import AffineError, ExportError, ImageReadError
from ..types import Affine
from ..volume import Grid, LabelMap, Volume, as_affine, same_grid
from . import _stream
from ._arrange import Choice, arrange, pick_frame
from ._labels import as_label_array, labels_from
from .label_table import read_table

__all__ = ["form_code", "read", "read_grid", "read_labels", "write"]

_HEADER_SIZES = {348: 352, 540: 544}  # bytes of the header -> of header and extension flag
_MAGICS = {348: (b"n+1\0", 344), 540: (b"n+2\0", 4)}
_ROLES = "ijktc"
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # NIFTI_UNITS unknown, metre, mm, micron
_SHEAR_COSINE = 1e-3  # between two axes; float32 headers of right-angled images stay below 1e-5
_QFORM_TOLERANCE_MM = 1e-3  # a quaternion in float32 can be this far off; beyond, it is left out
_VECTOR_INTENT = 1007  # NIFTI_INTENT_VECTOR
_SCANNER_CODE = 1  # NIFTI_XFORM_SCANNER_ANAT
_LABEL_COMPRESSION, _IMAGE_COMPRESSION = 6, 1  # labels shrink fast at any level, images hardly at all


@dataclass(frozen=True)
class _Header:
    """What we need of a header.

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
        return (self.slope, self.intercept) != (1.0, 0.0)

    @property
    def bytes_needed(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def claim(self) -> str:
        return " x ".join(str(side) for side in self.shape) + f" voxels of {self.dtype.itemsize} bytes"


def read(path: Path, choice: Choice) -> Volume:
    """Read an image; see `napari_effseg.io.load`."""
    header = _read_header(path)
    stored, roles, warnings = _stored_voxels(path, header, choice)
    warnings = header.warnings + warnings
    if stored.dtype.names:
        stored, dropped = _split_colours(stored)
        roles, warnings = "c" + roles, warnings + dropped
    data, chosen = arrange(stored, roles, choice, path)
    if header.is_scaled:
        data = _scaled(data, header)
    return Volume(data, header.affine, warnings=warnings + chosen)


def read_labels(path: Path) -> LabelMap:
    """Read a segmentation; names come from the table beside it."""
    return labels_from(read(path, Choice()), read_table(path), path)


def read_grid(path: Path) -> Grid:
    """Grid of the image, from its header alone."""
    header = _read_header(path)
    i, j, k = (*header.shape[:3], 1, 1)[:3]
    return Grid((i, j, k), header.affine)


def form_code(path: Path) -> int:
    """Code of the world that the file's affine maps to (1 scanner, 2 aligned, ...), 0 for none."""
    return _read_header(path).form


# --- header ---


def _read_header(path: Path) -> _Header:
    from nibabel.spatialimages import HeaderDataError

    raw = _raw_header(path)
    try:
        shape = _shape(raw, path)
        dtype = raw.get_data_dtype()
        slope, intercept = raw.get_slope_inter()
        offset = int(raw["vox_offset"]) or _HEADER_SIZES[int(raw["sizeof_hdr"])]
    except (HeaderDataError, ValueError, OverflowError) as err:
        raise ImageReadError(f"{path}: its NIfTI header is damaged ({err})") from err
    if offset < _HEADER_SIZES[int(raw["sizeof_hdr"])]:
        raise ImageReadError(f"{path}: its NIfTI header puts the voxels at byte {offset}, inside the header")
    if not (dtype.names or dtype.kind in "biuf"):
        raise ImageReadError(
            f"{path}: its voxels are of type {dtype}; expected real numbers "
            "(of complex ones, save the magnitude)"
        )
    affine, form, warnings = _affine(raw, path)
    return _Header(shape, dtype, offset, float(slope or 1), float(intercept or 0), affine, form, warnings)


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
    if len(shape) > len(_ROLES):
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
    direction = Grid((1, 1, 1), affine).direction
    if np.abs(direction.T @ direction - np.eye(3)).max() > _SHEAR_COSINE:
        warnings.append("the affine is sheared: its axes are not at right angles; it is kept as it is")
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
            return _sform(raw, warnings), int(raw["sform_code"])
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


def _sform(raw: Any, warnings: list[str]) -> Affine:
    try:
        return as_affine(raw.get_sform())
    except AffineError:
        if not raw["qform_code"] > 0:
            raise
    _mend_voxel_sizes(raw, warnings)
    warnings.append("the file's sform cannot be inverted: its qform is taken")
    return as_affine(raw.get_qform())


# --- voxels ---


def _stored_voxels(path: Path, header: _Header, choice: Choice) -> tuple[NDArray[Any], str, tuple[str, ...]]:
    """Voxels as stored, the roles of their axes, and what was odd.

    Of a compressed file with time points only the chosen one is kept in memory.
    """
    compressed = _stream.first_bytes(path, 2) == _stream.GZIP_MAGIC
    warnings = _misnamed(path, compressed)
    shape, roles = header.shape, _ROLES[: len(header.shape)]
    if not compressed:
        return _mapped(path, header), roles, warnings
    if len(shape) == 4 and choice.channel is None:
        frame, taken = pick_frame(shape[3], choice, path)
        return _unpacked(path, header, shape[:3], frame), roles[:3], warnings + taken
    return _unpacked(path, header, shape, 0), roles, warnings


def _mapped(path: Path, header: _Header) -> NDArray[Any]:
    held = path.stat().st_size - header.offset
    if held < header.bytes_needed:
        raise _stream.too_short(path, header.claim, header.bytes_needed, max(held, 0))
    # "c": writing to the array changes memory, never the file
    return np.memmap(path, header.dtype, "c", header.offset, header.shape, order="F")


def _misnamed(path: Path, compressed: bool) -> tuple[str, ...]:
    if compressed == path.name.lower().endswith(".gz"):
        return ()
    state = "compressed" if compressed else "not compressed"
    return (f"the file is {state} although its name ends in {''.join(path.suffixes[-2:])}",)


def _unpacked(path: Path, header: _Header, shape: tuple[int, ...], index: int) -> NDArray[Any]:
    """Unpack the `index`-th block of this shape, and read past the others, so that a cut is noticed."""
    wanted = math.prod(shape) * header.dtype.itemsize
    before = wanted * index
    after = header.bytes_needed - before - wanted
    _stream.require_memory(path, wanted, header.claim)
    with _stream.opened(path) as stream:
        found = _stream.skip(stream, header.offset + before) - header.offset
        buffer = _stream.read_up_to(stream, wanted)
        found += len(buffer) + _stream.skip(stream, after)
        if found < header.bytes_needed:
            raise _stream.too_short(path, header.claim, header.bytes_needed, max(found, 0))
        _stream.drain(stream)
    return np.frombuffer(buffer, header.dtype).reshape(shape, order="F")


def _split_colours(records: NDArray[Any]) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Split rgb24 or rgba32 voxels into a first axis of three colours."""
    warnings = ("the alpha channel was dropped",) if "A" in (records.dtype.names or ()) else ()
    return np.stack([records[colour] for colour in "RGB"]), warnings


def _scaled(data: NDArray[Any], header: _Header) -> NDArray[np.float32]:
    """Apply slope and intercept, in float32."""
    scaled = np.asarray(data).astype(np.float32)
    scaled *= np.float32(header.slope)
    scaled += np.float32(header.intercept)
    return scaled


# --- writing ---


def write(thing: LabelMap | Volume, path: Path, form: int = _SCANNER_CODE) -> None:
    """Write a file; qform and sform both hold the affine, in mm.

    NIfTI-1, as every program reads it; NIfTI-2 where the float32 affine of NIfTI-1 would move a corner by
    more than the grid tolerance (origins some thousand mm away). The qform is left out where its quaternion
    cannot hold the affine (sheared, or turned by nearly 180 degrees). No text of any source header is kept.

    Parameters
    ----------
    thing : LabelMap or Volume
    path : Path
        Its ending says whether to compress.
    form : int
        NIfTI code of the world that the affine maps to; 0 is taken for 1 (scanner).
    """
    image = _nifti_image(thing, form or _SCANNER_CODE)
    if not path.name.lower().endswith(".gz"):
        with path.open("wb") as file:
            image.to_stream(file)
        return
    level = _LABEL_COMPRESSION if isinstance(thing, LabelMap) else _IMAGE_COMPRESSION
    # neither a time nor a name in the gzip header: the same result is the same file
    with path.open("wb") as file, gzip.GzipFile("", "wb", level, file, mtime=0) as packed:
        image.to_stream(packed)


def _nifti_image(thing: LabelMap | Volume, form: int) -> Any:
    import nibabel

    data = _writable(thing)
    kind: Any = nibabel.Nifti1Image
    if max(data.shape) > np.iinfo(np.int16).max or not _holds_affine(thing.grid, np.float32):
        kind = nibabel.Nifti2Image
    image = kind(data, thing.affine, dtype=data.dtype)
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(thing.affine, form)
    image.set_qform(thing.affine, form, strip_shears=True)
    if not same_grid(thing.grid, Grid(thing.shape, _decoded_qform(image)), _QFORM_TOLERANCE_MM):
        image.header["qform_code"] = 0
    if isinstance(thing, Volume) and thing.channels > 1:
        image.header["intent_code"] = _VECTOR_INTENT
    return image


def _writable(thing: LabelMap | Volume) -> NDArray[Any]:
    if isinstance(thing, LabelMap):
        return as_label_array(thing.data)
    data = thing.data
    if data.dtype == bool:
        data = data.astype(np.uint8)
    elif data.dtype.kind == "f" and data.dtype.itemsize not in (4, 8):
        data = data.astype(np.float32)
    if data.ndim == 4:
        return np.moveaxis(data, 0, -1)[:, :, :, np.newaxis, :]  # the fifth axis is NIfTI's for vectors
    return data


def _holds_affine(grid: Grid, dtype: type[np.floating[Any]]) -> bool:
    return same_grid(grid, Grid(grid.shape, grid.affine.astype(dtype)))


def _decoded_qform(image: Any) -> Affine:
    try:
        return as_affine(image.header.get_qform())
    except (AffineError, ValueError) as err:
        raise ExportError(f"the affine cannot be written as a NIfTI transform ({err})") from err
