"""NIfTI-1 and NIfTI-2 files (.nii, .nii.gz).

nibabel parses the header; what it means for us is decided here. The voxels are read with memory bounded by
what the file really holds. An uncompressed file without scaling is memory-mapped, so that a program can
read it region by region; on Windows such a file cannot be replaced while its Volume is in use.
"""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import AffineError, ExportError
from ..types import Affine
from ..volume import Grid, LabelMap, Volume, as_affine, same_grid
from . import _stream
from ._arrange import Choice, arrange, pick_frame
from ._labels import labels_from
from ._nifti_header import AXIS_ROLES, NiftiHeader, read_header
from .label_table import read_table

__all__ = ["form_code", "read", "read_grid", "read_labels", "write"]

_QFORM_TOLERANCE_MM = 1e-3  # a quaternion in float32 can be this far off; beyond, it is left out
_VECTOR_INTENT = 1007  # NIFTI_INTENT_VECTOR
_BYTES_OF_FLOAT = 4  # that slope and intercept give
_SCANNER_CODE = 1  # NIFTI_XFORM_SCANNER_ANAT
_LABEL_COMPRESSION, _IMAGE_COMPRESSION = 6, 1  # labels shrink fast at any level, images hardly at all


def read(path: Path, choice: Choice) -> Volume:
    """Read an image; see `napari_effseg.io.load`."""
    header = read_header(path)
    stored, roles, left, warnings = _stored_voxels(path, header, choice)
    warnings = header.warnings + warnings
    if stored.dtype.names:
        stored, dropped = _split_colours(stored)
        roles, warnings = "c" + roles, warnings + dropped
    data, chosen = arrange(stored, roles, left, path)
    if header.is_scaled:
        data = _scaled(data, header)
    return Volume(data, header.affine, warnings=warnings + chosen)


def read_labels(path: Path) -> LabelMap:
    """Read a segmentation; names come from the table beside it."""
    return labels_from(read(path, Choice()), read_table(path), path)


def read_grid(path: Path) -> Grid:
    """Grid of the image, from its header alone."""
    header = read_header(path)
    i, j, k = (*header.shape[:3], 1, 1)[:3]
    return Grid((i, j, k), header.affine)


def form_code(path: Path) -> int:
    """Return the code of the world that the file's affine maps to: 1 scanner, 2 aligned, ..., 0 none."""
    return read_header(path).form


# --- voxels ---


def _stored_voxels(
    path: Path, header: NiftiHeader, choice: Choice
) -> tuple[NDArray[Any], str, Choice, tuple[str, ...]]:
    """Voxels as stored, the roles of their axes, what is left to choose, and what was odd.

    Of a compressed file with time points only the chosen one is kept in memory.
    """
    compressed = _stream.first_bytes(path, 2) == _stream.GZIP_MAGIC
    warnings = _misnamed(path, compressed)
    shape, roles = header.shape, AXIS_ROLES[: len(header.shape)]
    if not compressed:
        return _mapped(path, header), roles, choice, warnings
    if len(shape) == 4 and choice.channel is None:
        frame, taken = pick_frame(shape[3], choice, path)
        return _unpacked(path, header, shape[:3], frame), roles[:3], Choice(), warnings + taken
    return _unpacked(path, header, shape, 0), roles, choice, warnings


def _mapped(path: Path, header: NiftiHeader) -> NDArray[Any]:
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


def _unpacked(path: Path, header: NiftiHeader, shape: tuple[int, ...], index: int) -> NDArray[Any]:
    """Unpack the `index`-th block of this shape, and read past the others, so that a cut is noticed."""
    wanted = math.prod(shape) * header.dtype.itemsize
    before = wanted * index
    after = header.bytes_needed - before - wanted
    scaled = _BYTES_OF_FLOAT * math.prod(shape) if header.is_scaled else 0
    _stream.require_memory(path, wanted + scaled, header.claim)
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


def _scaled(data: NDArray[Any], header: NiftiHeader) -> NDArray[np.float32]:
    """Apply slope and intercept, in float32."""
    scaled = np.asarray(data).astype(np.float32)
    scaled *= np.float32(header.slope)
    scaled += np.float32(header.intercept)
    return scaled


# --- writing ---


def write(thing: LabelMap | Volume, path: Path, form: int = _SCANNER_CODE) -> None:
    """Write a file; qform and sform both hold the affine, in mm.

    NIfTI-1, as every program reads it; NIfTI-2, which programs built on ITK do not read, only where the
    float32 affine of NIfTI-1 would move a corner by more than the grid tolerance (origins metres away).
    The qform is left out where its quaternion cannot hold the affine (sheared, or turned by nearly 180
    degrees). No text of any source header is kept.

    Parameters
    ----------
    thing : LabelMap or Volume
    path : Path
        Its ending says whether to compress.
    form : int
        NIfTI code of the world that the affine maps to: 1 scanner, 2 aligned, ... With 0 neither form is
        written, as befits labels of an image that has none: every program then guesses the same for both.
    """
    image = _nifti_image(thing, form)
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

    data = np.asarray(thing.data)
    if data.ndim == 4:
        data = np.moveaxis(data, 0, -1)[:, :, :, np.newaxis, :]  # the fifth axis is NIfTI's for vectors
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


def _holds_affine(grid: Grid, dtype: type[np.floating[Any]]) -> bool:
    return same_grid(grid, Grid(grid.shape, grid.affine.astype(dtype)))


def _decoded_qform(image: Any) -> Affine:
    try:
        return as_affine(image.header.get_qform())
    except (AffineError, ValueError) as err:
        raise ExportError(f"the affine cannot be written as a NIfTI transform ({err})") from err
