"""NumPy files (.npy, .npz), never pickled.

An array of two axes is a picture with rows first, (J, I); one of three or four is (I, J, K) or (C, I, J, K)
as in this package. An .npz may hold "affine" (4 x 4, RAS mm) or "spacing" (mm along I, J, K) beside it.
"""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import AffineError, ImageReadError
from ..types import Affine
from ..volume import LabelMap, Volume, as_affine
from . import _stream
from ._arrange import Choice, arrange
from ._labels import labels_from
from .label_table import read_table
from .pictures import NO_PIXEL_SIZE, picture_affine

__all__ = ["read", "read_labels"]

_NPY_MAGIC, _ZIP_MAGIC = b"\x93NUMPY", b"PK"
_LARGEST_DEFLATE_RATIO = 1032
_LIBRARY_ERRORS = (
    EOFError,
    LookupError,
    OSError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,  # numpy's headers are Python literals
    zipfile.BadZipFile,
    zlib.error,
)
_GEOMETRY = ("affine", "spacing")
_ROLES = {2: "ji", 3: "ijk", 4: "cijk"}


def read(path: Path, choice: Choice) -> Volume:
    """Read an array; see `napari_effseg.io.load`."""
    geometry: dict[str, NDArray[Any]] = {}
    head = _stream.first_bytes(path, len(_NPY_MAGIC))
    try:
        if head == _NPY_MAGIC:
            # mapping the file refuses one that is shorter than its header says; "c" never writes to it
            array = np.load(path, mmap_mode="c", allow_pickle=False)
        elif head[:2] == _ZIP_MAGIC:
            array, geometry = _from_npz(path)
        else:
            raise ImageReadError(
                f"{path}: is not a NumPy file, whatever its name says; it starts with {head!r}"
            )
    except ImageReadError:
        raise
    except _LIBRARY_ERRORS as err:
        raise ImageReadError(f"{path}: cannot be read as a NumPy array ({err})") from err
    if array.ndim not in _ROLES or array.dtype.kind not in "biuf" or 0 in array.shape:
        raise ImageReadError(
            f"{path}: holds an array of shape {array.shape} and type {array.dtype}; "
            "expected numbers as (J, I), (I, J, K) or (C, I, J, K)"
        )
    data, warnings = arrange(array, _ROLES[array.ndim], choice, path)
    affine, said = _affine(geometry, is_picture=array.ndim == 2, path=path)
    return Volume(data, affine, warnings=warnings + said)


def read_labels(path: Path) -> LabelMap:
    """Read a segmentation; names come from the table beside it."""
    return labels_from(read(path, Choice()), read_table(path), path)


def _from_npz(path: Path) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """Return the one array of an archive (or the one named "data"), and its geometry."""
    _refuse_bomb(path)
    with np.load(path, allow_pickle=False) as archive:
        images = [name for name in archive.files if name not in _GEOMETRY]
        if len(images) != 1 and "data" not in images:
            found = ", ".join(images) or "no array"
            raise ImageReadError(f"{path}: holds {found}; expected one array, or one named data")
        array = archive["data" if "data" in images else images[0]]
        return array, {name: archive[name] for name in _GEOMETRY if name in archive.files}


def _refuse_bomb(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            _stream.require_memory(path, entry.file_size, f"{entry.filename} of {entry.file_size:,} bytes")
            if entry.file_size > entry.compress_size * _LARGEST_DEFLATE_RATIO + 1024:
                raise ImageReadError(f"{path}: {entry.filename} cannot be as large as the archive claims")


def _affine(
    geometry: dict[str, NDArray[Any]], *, is_picture: bool, path: Path
) -> tuple[Affine, tuple[str, ...]]:
    try:
        if "affine" in geometry:
            return as_affine(geometry["affine"]), ()
        if "spacing" in geometry:
            sx, sy, sz = (float(size) for size in geometry["spacing"])
            return as_affine(np.diag([sx, sy, sz, 1.0])), ("no orientation is stored: R-A-S is taken",)
    except (AffineError, ValueError, TypeError) as err:
        raise AffineError(f"{path}: its affine or spacing cannot be used ({err})") from err
    if is_picture:
        return picture_affine(1, 1), (NO_PIXEL_SIZE,)
    return np.eye(4), ("neither voxel size nor orientation is stored: 1 mm and R-A-S are taken",)
