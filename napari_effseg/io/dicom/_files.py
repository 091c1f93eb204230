"""Find DICOM files, and read their headers without trusting them."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ImageReadError
from .. import _stream
from .._sniff import SNIFFED, is_dicom_start, looks_like_dicom
from ._silence import hushed, library_errors
from ._values import tag_of

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["DEFLATED", "Header", "PixelPlace", "files_in", "looks_like_dicom", "open_file", "read_header"]

_META_AT = 132  # after the preamble and "DICM"
DEFLATED = "1.2.840.10008.1.2.1.99"
_LARGE_READ = 1 << 20
_UNDEFINED_LENGTH = 0xFFFFFFFF
_LONG_LENGTHS = (b"OB", b"OW", b"OF", b"OD", b"OV", b"OL", b"UN")  # VRs with a length of four bytes
_PIXEL_TAGS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
_IMPLICIT_LITTLE, _EXPLICIT_LITTLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
_EXPLICIT_BIG = "1.2.840.10008.1.2.2"


# --- finding ---


def files_in(folder: Path) -> Iterator[Path]:
    """Yield the regular files of a folder and its sub-folders in the order of their names.

    Links to folders are not followed, so that a folder that links to itself ends.
    """
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_file():
                yield path


# --- headers ---


@dataclass(frozen=True, slots=True)
class PixelPlace:
    """Where the pixels of a file lie.

    Parameters
    ----------
    keyword : str
        "PixelData", "FloatPixelData" or "DoubleFloatPixelData".
    start, length : int
        Where the value starts and how many bytes of it the file has; what it claims to have where that is
        less. For a deflated file both count in the inflated bytes.
    representation : str
        Value representation, "OW" where the file does not name it.
    is_encapsulated : bool
        Whether the pixels come in fragments: their length is not defined.
    """

    keyword: str
    start: int
    length: int
    representation: str = "OW"
    is_encapsulated: bool = False


@dataclass(frozen=True)
class Header:
    """A data set without its pixels.

    Parameters
    ----------
    path : Path
    dataset : Dataset
        The tags that were asked for. To be looked into inside `hushed` only.
    syntax : str
        UID of the transfer syntax; derived from the first element where the file does not name it.
    pixels : PixelPlace or None
        None for an object without pixels.
    """

    path: Path
    dataset: Dataset
    syntax: str
    pixels: PixelPlace | None


class _ClippedFile(io.BufferedReader):
    """A file that never allocates more for a read than it has bytes left."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _LARGE_READ:
            size = min(size, max(0, self._size - self.tell()))
        return super().read(size)


def open_file(path: Path) -> io.BufferedReader:
    """Open a file for pydicom, which asks for as many bytes as a header claims."""
    return _ClippedFile(path)


def read_header(path: Path, tags: Iterable[str] | None) -> Header:
    """Read a header up to the pixels.

    Parameters
    ----------
    path : Path
    tags : iterable of str or None
        Keywords of the elements that are wanted; None for all.

    Raises
    ------
    ImageReadError
        If the file is no DICOM file or its header is damaged.
    """
    import pydicom

    _stream.check_file(path)
    start = _stream.first_bytes(path, SNIFFED)
    if not is_dicom_start(start):
        raise ImageReadError(
            f"{path}: is not a DICOM file, whatever its name says; its first bytes are {start[:8]!r}"
        )
    if DEFLATED.encode() in start:
        _refuse_bomb(path)
    wanted = None if tags is None else [tag_of(keyword) for keyword in tags]
    # not raised from pydicom's error, which may repeat a value of the header
    with hushed(), contextlib.suppress(*library_errors()), open_file(path) as file:
        dataset = pydicom.dcmread(file, force=True, stop_before_pixels=True, specific_tags=wanted)
        return _header(path, dataset, file)
    raise ImageReadError(f"{path}: its DICOM header is cut off or damaged")


def _header(path: Path, dataset: Dataset, file: io.BufferedReader) -> Header:
    syntax = _syntax(dataset)
    if syntax == DEFLATED:
        return Header(path, dataset, syntax, _inflated_place(path))
    implicit, little = dataset.original_encoding
    return Header(path, dataset, syntax, _pixel_place(file, bool(implicit), bool(little)))


def _inflated_place(path: Path) -> PixelPlace | None:
    """Find the pixels of a deflated file by reading it whole; its size was looked at before."""
    import pydicom

    whole = pydicom.dcmread(path, force=True)
    for keyword in _PIXEL_TAGS.values():
        if keyword in whole:
            element = whole[keyword]
            return PixelPlace(keyword, 0, len(element.value), str(element.VR))
    return None


def _syntax(dataset: Dataset) -> str:
    named = dataset.file_meta.get("TransferSyntaxUID")
    if named:
        return str(named)
    implicit, little = dataset.original_encoding
    if not little:
        return _EXPLICIT_BIG
    return _IMPLICIT_LITTLE if implicit else _EXPLICIT_LITTLE


def _pixel_place(file: io.BufferedReader, implicit: bool, little: bool) -> PixelPlace | None:
    """Read the start of the element that the file stands at, if it holds pixels."""
    order = "<" if little else ">"
    head = file.read(8)
    if len(head) < 8:
        return None
    group, element = struct.unpack(f"{order}HH", head[:4])
    keyword = _PIXEL_TAGS.get(group << 16 | element)
    if keyword is None:
        return None
    representation = "OW"
    length_bytes = head[4:]
    if not implicit and head[4:6] in _LONG_LENGTHS:
        representation, length_bytes = head[4:6].decode(), file.read(4)
    (claimed,) = struct.unpack(f"{order}I", length_bytes)
    start = file.tell()
    left = max(0, os.fstat(file.fileno()).st_size - start)
    is_open = claimed == _UNDEFINED_LENGTH
    return PixelPlace(keyword, start, left if is_open else min(left, claimed), representation, is_open)


def _refuse_bomb(path: Path) -> None:
    """Count what a deflated file inflates to, without keeping it, and compare with the memory."""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    found = 0
    with open_file(path) as file:
        _to_end_of_meta(file)
        try:
            while packed := file.read(_LARGE_READ):
                while packed:
                    found += len(unpacker.decompress(packed, _LARGE_READ))
                    packed = unpacker.unconsumed_tail
                _stream.require_memory(path, 3 * found, f"{found:,} bytes or more once it is inflated")
        except zlib.error as err:
            raise ImageReadError(f"{path}: the compressed data are damaged ({err})") from err


def _to_end_of_meta(file: io.BufferedReader) -> None:
    """Go to the first byte after the meta information, by its group length."""
    file.seek(_META_AT)
    head = file.read(12)
    if head[:6] == b"\x02\x00\x00\x00UL" and len(head) == 12:
        file.seek(struct.unpack("<I", head[8:])[0], os.SEEK_CUR)
