"""What an NRRD header means for us: shape, the role of each axis, the affine, and where the voxels are.

pynrrd parses the lines. As in ITK, a file that names no space, or "scanner-xyz", is taken for LPS.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import AffineError, ImageReadError
from ..types import Affine
from ..volume import as_affine, lps_to_ras
from . import _stream

__all__ = ["NrrdHeader", "read_header", "type_name"]

_MAGIC = b"NRRD"
_TYPES = {  # the first name is the one that we write
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("unsigned char", "uchar", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("unsigned short", "ushort", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("unsigned int", "uint", "uint32", "uint32_t"),
    "i8": (
        "long long",
        "longlong",
        "long long int",
        "signed long long",
        "signed long long int",
        "int64",
        "int64_t",
    ),
    "u8": ("unsigned long long", "ulonglong", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_DTYPE_OF = {name: dtype for dtype, names in _TYPES.items() for name in names}
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
_TIME_KINDS = ("time",)
_SPACE_KINDS = ("domain", "space")


@dataclass(frozen=True)
class NrrdHeader:
    """What we need of a header, checked.

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
        """Bytes that the voxels take once unpacked."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def claim(self) -> str:
        """What the header promises, in words."""
        return " x ".join(str(side) for side in self.shape) + f" voxels of {self.dtype.itemsize} bytes"


def read_header(path: Path) -> NrrdHeader:
    """Read and check the header of an NRRD file.

    Raises
    ------
    ImageReadError
        If the file is no NRRD file, or its header is damaged or of a kind that is not read.
    AffineError
        If its directions cannot be inverted.
    """
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
    return NrrdHeader(fields, shape, roles, _dtype(fields, path), start, data_path, affine, warnings)


def type_name(dtype: np.dtype[Any]) -> str:
    """NRRD's name of a numpy type."""
    return _TYPES[dtype.str[1:]][0]


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
    if not len(kinds) == len(spatial) == len(shape):
        raise ImageReadError(f"{path}: its NRRD header does not describe each of its {len(shape)} axes")
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
