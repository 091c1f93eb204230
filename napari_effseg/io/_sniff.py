"""Tell DICOM files by their first bytes, and Zarr folders by the files in them; names tell too little."""

from __future__ import annotations

import struct
from pathlib import Path

from . import _stream

__all__ = ["SNIFFED", "is_dicom_start", "looks_like_dicom", "looks_like_zarr"]

SNIFFED = 1024
"""Bytes that are looked at; the transfer syntax is named within them."""

_MAGIC = b"DICM"
_MAGIC_AT = 128
_LOW_GROUPS = (0x0002, 0x0008)  # a data set without preamble starts with one of them
_HIGHEST_FIRST_ELEMENT = 0x0120


def looks_like_zarr(folder: Path) -> bool:
    """Whether a folder is a group or array of Zarr 2 or 3."""
    return any((folder / name).is_file() for name in ("zarr.json", ".zgroup", ".zattrs", ".zarray"))


def looks_like_dicom(path: Path) -> bool:
    """Whether the first bytes are those of a DICOM file, with or without its preamble."""
    try:
        return is_dicom_start(_stream.first_bytes(path, SNIFFED))
    except OSError:
        return False


def is_dicom_start(start: bytes) -> bool:
    """Whether a file that starts with these `SNIFFED` bytes is DICOM."""
    if start[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC:
        return True
    if len(start) < 8:
        return False
    for order in "<>":
        group, element = struct.unpack(f"{order}HH", start[:4])
        if group in _LOW_GROUPS and element <= _HIGHEST_FIRST_ELEMENT:
            (length,) = struct.unpack(f"{order}I", start[4:8])
            return start[4:6].isalpha() or length < SNIFFED
    return False
