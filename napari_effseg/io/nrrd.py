"""NRRD files (.nrrd, .nhdr) and Slicer's segmentations in them (.seg.nrrd).

pynrrd parses headers; voxels are read with memory bounded by what the file really holds. As in ITK, a file
that names no space, or "scanner-xyz", is taken for LPS.

References
----------
Slicer, Docs/developer_guide/modules/segmentations.md, "Segmentation labelmap file format".
"""

from __future__ import annotations

import bz2
import gzip
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import AffineError, ImageReadError
from ..types import Affine
from ..volume import LabelMap, Volume, as_affine, lps_to_ras, ras_to_lps
from . import _stream
from ._arrange import Choice, arrange
from ._labels import as_label_array, labels_from
from .label_table import LabelTable
from .slicer_segments import flatten_layers, is_segmentation, segment_fields

__all__ = ["read", "read_labels", "write"]

_MAGIC = b"NRRD"
_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": (
        "longlong",
        "long long",
        "long long int",
        "signed long long",
        "signed long long int",
        "int64",
        "int64_t",
    ),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),  # the last name is the one that we write
    "f8": ("double",),
}
_DTYPE_OF = {name: dtype for dtype, names in _TYPES.items() for name in names}
_GZIP, _BZIP2 = ("gzip", "gz"), ("bzip2", "bz2")
_TO_LPS = {  # of the spaces that NRRD names, as factors on x, y, z
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
    "scanner-xyz": (1, 1, 1),
}
_REQUIRED = ("type", "dimension", "sizes", "encoding")
_HEADER_LIMIT = 1 << 24  # bytes
_COMPRESSION = 6
_TIME_KINDS = ("time",)
_SPACE_KINDS = ("domain", "space")


@dataclass(frozen=True)
class _Header:
    """What we need of a header.

    Parameters
    ----------
    fields : mapping
        As pynrrd gives them.
    shape : tuple of int
        Fastest axis first.
    roles : str
        A letter for each axis: i, j, k space; c channels; t time.
    dtype : numpy dtype
    data_start : int
        Where the voxels start in `data_path`.
    data_path : Path
        The file itself, or the one that a detached header names.
    affine : ndarray, shape (4, 4)
    warnings : tuple of str
    """

    fields: Mapping[str, Any]
    shape: tuple[int, ...]
    roles: str
    dtype: np.dtype[Any]
    data_start: int
    data_path: Path
    affine: Affine
    warnings: tuple[str, ...]

    @property
    def bytes_needed(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def claim(self) -> str:
        return " x ".join(str(side) for side in self.shape) + f" voxels of {self.dtype.itemsize} bytes"


def read(path: Path, choice: Choice) -> Volume:
    """Read an image; see `napari_effseg.io.load`."""
    header = _read_header(path)
    data, warnings = arrange(_voxels(path, header), header.roles, choice, path)
    return Volume(data, header.affine, warnings=header.warnings + warnings)


def read_labels(path: Path) -> LabelMap:
    """Read a segmentation; names, colours and codes come from Slicer's fields where the file has them.

    Layers of segments that overlap are laid over each other, later segments above, with a warning.
    """
    header = _read_header(path)
    data, warnings = arrange(_voxels(path, header), header.roles, Choice(), path)
    table = LabelTable()
    if is_segmentation(header.fields):
        data, table = flatten_layers(data, header.fields, path)
    volume = Volume(data, header.affine, warnings=header.warnings + warnings)
    return labels_from(volume, table, path)


# --- header ---


def _read_header(path: Path) -> _Header:
    import nrrd

    if _stream.first_bytes(path, 4) != _MAGIC:
        raise ImageReadError(
            f"{path}: is not an NRRD file, whatever its name says; "
            f"its first bytes are {_stream.first_bytes(path, 8)!r}"
        )
    lines, end = _header_lines(path)
    try:
        fields = nrrd.read_header(lines)
    except (nrrd.NRRDError, ValueError, TypeError, KeyError, IndexError) as err:
        raise ImageReadError(f"{path}: its NRRD header is damaged ({err})") from err
    if missing := [name for name in _REQUIRED if name not in fields]:
        raise ImageReadError(f"{path}: its NRRD header lacks {' and '.join(missing)}")
    shape = tuple(int(side) for side in fields["sizes"])
    if not shape or min(shape) < 1 or len(shape) != int(fields["dimension"]):
        raise ImageReadError(f"{path}: its NRRD header gives the sizes {shape}; expected sides of at least 1")
    roles = _roles(fields, shape, path)
    affine, warnings = _affine(fields, roles, path)
    data_path, start = _data_file(fields, path, end)
    return _Header(fields, shape, roles, _dtype(fields, path), start, data_path, affine, warnings)


def _header_lines(path: Path) -> tuple[list[str], int]:
    """Lines of the header, and the byte after the blank line that ends it (or after a detached header)."""
    lines: list[str] = []
    with path.open("rb") as file:
        while file.tell() < _HEADER_LIMIT and (line := file.readline(_HEADER_LIMIT)):
            lines.append(line.decode("utf-8", errors="replace"))  # pynrrd itself would drop all but ASCII
            if not line.strip():
                break
        return lines, file.tell()


def _dtype(fields: Mapping[str, Any], path: Path) -> np.dtype[Any]:
    if fields["type"] not in _DTYPE_OF:
        raise ImageReadError(f"{path}: its voxels are of NRRD type {fields['type']!r}; expected numbers")
    order = ">" if fields.get("endian") == "big" else "<"
    return np.dtype(order + _DTYPE_OF[fields["type"]])


def _data_file(fields: Mapping[str, Any], path: Path, end: int) -> tuple[Path, int]:
    """Where the voxels are: after the header, or in the one file that a detached header names."""
    named = fields.get("data file", fields.get("datafile"))
    if named is None:
        return path, end
    if "LIST" in named or "%" in named:
        raise ImageReadError(
            f"{path}: its voxels are spread over several files ({named}); save them as one .nrrd"
        )
    data_path = path.parent / named
    if not data_path.is_file():
        raise ImageReadError(f"{path}: its voxels should be in {named}, which is not beside it")
    return data_path, 0


def _roles(fields: Mapping[str, Any], shape: tuple[int, ...], path: Path) -> str:
    """Give a letter to each axis, from its direction, its kind, or its place."""
    kinds = [str(kind).lower() for kind in fields.get("kinds", ["???"] * len(shape))]
    directions = _directions(fields)
    if directions is not None:
        spatial = [bool(np.isfinite(row).all()) for row in directions]
    elif any(kind in _SPACE_KINDS for kind in kinds):
        spatial = [kind in _SPACE_KINDS for kind in kinds]
    else:
        spatial = [axis < 3 for axis in range(len(shape))]
    roles, letters = "", iter("ijk")
    for is_space, kind in zip(spatial, kinds, strict=True):
        other = "t" if kind in _TIME_KINDS or kind in (*_SPACE_KINDS, "???", "none") else "c"
        roles += next(letters, other) if is_space else other
    if len(set(roles)) < len(roles) or not 1 <= sum(spatial) <= 3:
        raise ImageReadError(f"{path}: its {len(shape)} axes of kind {', '.join(kinds)} cannot be told apart")
    return roles


def _directions(fields: Mapping[str, Any]) -> NDArray[np.float64] | None:
    """(axes, space) with NaN rows for axes outside space; None where the file has no directions."""
    given = fields.get("space directions")
    if given is None:
        return None
    rows = [np.full(0, np.nan) if row is None else np.asarray(row, dtype=float) for row in given]
    width = max(len(row) for row in rows)
    return np.stack([row if len(row) == width else np.full(width, np.nan) for row in rows])


def _affine(fields: Mapping[str, Any], roles: str, path: Path) -> tuple[Affine, tuple[str, ...]]:
    lps = np.eye(4)
    axes = [axis for axis, role in enumerate(roles) if role in "ijk"]
    directions = _directions(fields)
    warnings: tuple[str, ...] = ()
    if directions is not None:
        columns = directions[axes].T
        lps[: columns.shape[0], : columns.shape[1]] = columns
        if columns.shape == (3, 2):  # one slice: its third axis is the normal
            lps[:3, 2] = np.cross(*(column / np.linalg.norm(column) for column in columns.T))
    else:
        spacings = [float(fields["spacings"][axis]) for axis in axes] if "spacings" in fields else [1.0]
        lps[range(len(spacings)), range(len(spacings))] = spacings
        lacking = "orientation: the axes" if "spacings" in fields else "voxel size: 1 mm and the axes"
        warnings = (f"the file gives no {lacking} of LPS are taken, as ITK does",)
    origin = fields.get("space origin")
    if origin is not None:
        lps[: len(origin), 3] = origin
    space = str(fields.get("space", "left-posterior-superior")).lower().removesuffix("-time")
    if space not in _TO_LPS and "space" in fields:
        warnings += (f"the file's space {space!r} is unknown here: taken for LPS, as ITK does",)
    lps = np.diag([*_TO_LPS.get(space, (1, 1, 1)), 1.0]) @ lps
    try:
        return as_affine(lps_to_ras(lps)), warnings
    except AffineError as err:
        raise AffineError(f"{path}: {err}") from err


# --- voxels ---


def _voxels(path: Path, header: _Header) -> NDArray[Any]:
    """Voxels as stored, shape `header.shape`, read only as far as the file really goes."""
    encoding = str(header.fields["encoding"]).lower()
    _stream.require_memory(path, header.bytes_needed, header.claim)
    with header.data_path.open("rb") as file:
        file.seek(header.data_start)
        for _ in range(int(header.fields.get("line skip", header.fields.get("lineskip", 0)))):
            file.readline()
        byte_skip = int(header.fields.get("byte skip", header.fields.get("byteskip", 0)))
        if encoding == "raw":
            buffer = _read_raw(file, header, byte_skip)
        elif encoding in _GZIP + _BZIP2:
            buffer = _read_packed(file, path, header, byte_skip, encoding)
        elif encoding in ("ascii", "text", "txt"):
            return _read_text(file, path, header)
        else:
            raise ImageReadError(f"{path}: is encoded as {encoding!r}; expected raw, gzip, bzip2 or ascii")
    if len(buffer) < header.bytes_needed:
        raise _stream.too_short(path, header.claim, header.bytes_needed, len(buffer))
    return np.frombuffer(buffer, header.dtype).reshape(header.shape, order="F")


def _read_raw(file: BinaryIO, header: _Header, byte_skip: int) -> bytearray:
    if byte_skip == -1:  # NRRD's way to say: the last bytes of the file
        file.seek(max(0, header.data_path.stat().st_size - header.bytes_needed))
    else:
        file.seek(byte_skip, 1)
    return _stream.read_up_to(file, header.bytes_needed)


def _read_packed(file: BinaryIO, path: Path, header: _Header, byte_skip: int, encoding: str) -> bytearray:
    packed_as: Any = gzip if encoding in _GZIP else bz2
    try:
        with packed_as.open(file, "rb") as unpacked:
            _stream.skip(unpacked, max(0, byte_skip))
            buffer = _stream.read_up_to(unpacked, header.bytes_needed)
            if len(buffer) == header.bytes_needed:
                _stream.drain(unpacked)
            return buffer
    except EOFError as err:
        raise ImageReadError(f"{path}: the compressed data are cut off before their end") from err
    except (OSError, zlib.error) as err:
        raise ImageReadError(f"{path}: the compressed data are damaged ({err})") from err


def _read_text(file: BinaryIO, path: Path, header: _Header) -> NDArray[Any]:
    words = file.read().split()
    count = math.prod(header.shape)
    if len(words) < count:
        raise ImageReadError(f"{path}: the header promises {count} numbers, the file holds {len(words)}")
    try:
        return np.array(words[:count]).astype(header.dtype).reshape(header.shape, order="F")
    except ValueError as err:
        raise ImageReadError(f"{path}: holds text where numbers are expected ({err})") from err


# --- writing ---


def write(thing: LabelMap | Volume, path: Path) -> None:
    """Write an NRRD file in LPS, compressed; a LabelMap with Slicer's fields for its segments.

    The header is ours, not pynrrd's, which cannot write names beyond ASCII and puts the time into it: the
    same result is the same file.

    Parameters
    ----------
    thing : LabelMap or Volume
        Channels become a first axis of kind "vector".
    path : Path
    """
    data = as_label_array(thing.data) if isinstance(thing, LabelMap) else _image_array(thing)
    data = data.astype(data.dtype.newbyteorder("<"), copy=False)
    text = _header_text(thing, data)
    with path.open("wb") as file:
        file.write(text.encode("utf-8"))
        with gzip.GzipFile("", "wb", _COMPRESSION, file, mtime=0) as packed:
            for index in range(data.shape[-1]):
                packed.write(data[..., index].tobytes(order="F"))


def _header_text(thing: LabelMap | Volume, data: NDArray[Any]) -> str:
    lps = ras_to_lps(thing.affine)
    directions, kinds = [_vector(column) for column in lps[:3, :3].T], ["domain"] * 3
    if data.ndim == 4:
        directions, kinds = ["none", *directions], ["vector", *kinds]
    fields = {
        "type": _TYPES[data.dtype.str[1:]][-1],
        "dimension": data.ndim,
        "space": "left-posterior-superior",
        "sizes": " ".join(str(side) for side in data.shape),
        "space directions": " ".join(directions),
        "kinds": " ".join(kinds),
        "endian": "little",
        "encoding": "gzip",
        "space origin": _vector(lps[:3, 3]),
    }
    lines = ["NRRD0005", *(f"{key}: {value}" for key, value in fields.items())]
    if isinstance(thing, LabelMap):
        segments = segment_fields(thing, data)
        lines += [f"{key}:={value}".replace("\\", "\\\\") for key, value in segments.items()]
    return "\n".join(lines) + "\n\n"


def _vector(numbers: NDArray[np.float64]) -> str:
    return "(" + ",".join(repr(float(number)) for number in numbers) + ")"


def _image_array(volume: Volume) -> NDArray[Any]:
    if volume.data.dtype == bool:
        return volume.data.astype(np.uint8)
    return volume.data.astype(np.float32) if volume.data.dtype == np.float16 else volume.data
