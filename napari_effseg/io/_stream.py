"""Read bytes from files that may be short, damaged or hostile, with memory bounded by what is there.

A header's promise is never trusted with an allocation: buffers grow with the bytes that really come, and
stop at the bytes that were promised, so that neither a lie nor a decompression bomb can exhaust memory.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from ..errors import ImageReadError

__all__ = [
    "GZIP_MAGIC",
    "Readable",
    "check_file",
    "drain",
    "first_bytes",
    "opened",
    "read_up_to",
    "require_memory",
    "skip",
    "too_short",
]

GZIP_MAGIC = b"\x1f\x8b"
# "https:/", as a path writes it; a drive is one letter.
_REMOTE = re.compile(r"[a-z][a-z0-9+.-]+:[/\\]", re.IGNORECASE)
_CHUNK = 1 << 22
_DRAIN_LIMIT = 1 << 26  # bytes after the voxels that are read only to reach gzip's checksum


def check_file(path: Path) -> None:
    """Refuse what is no file with bytes in it.

    Raises
    ------
    ImageReadError
        If the path is missing, a folder, empty or cannot be opened.
    """
    if path.is_dir():
        raise ImageReadError(f"{path}: is a folder; expected an image file")
    if not path.exists():
        if _REMOTE.match(str(path)):
            raise ImageReadError(f"{path}: lies on a server; nothing is fetched, download it first")
        raise ImageReadError(f"{path}: there is no such file; check the name and the folder")
    if not path.is_file():
        raise ImageReadError(f"{path}: is not a regular file; expected an image file")
    if path.stat().st_size == 0:
        raise ImageReadError(f"{path}: the file is empty (0 bytes); expected an image")
    try:
        path.open("rb").close()
    except OSError as err:
        raise ImageReadError(f"{path}: the file cannot be opened: {err.strerror}") from err


def first_bytes(path: Path, count: int) -> bytes:
    """Return up to `count` bytes from the start of the file as it is stored."""
    with path.open("rb") as file:
        return file.read(count)


def require_memory(path: Path, needed: int, what: str) -> None:
    """Refuse an image that would need more memory than the machine has free.

    Parameters
    ----------
    path : Path
    needed : int
        Bytes.
    what : str
        What the header claims, such as "30000 x 30000 x 30000 voxels".

    Raises
    ------
    ImageReadError
        If it does not fit.
    """
    import psutil

    available = psutil.virtual_memory().available
    if needed > available:
        raise ImageReadError(
            f"{path}: the header claims {what}, which need {needed / 1e9:.1f} GB of memory; "
            f"{available / 1e9:.1f} GB are free"
        )


class Readable(Protocol):
    """A file or an unpacking one."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end."""
        ...


@contextmanager
def opened(path: Path) -> Iterator[Readable]:
    """Open a file for reading, unpacking gzip where its first bytes say so; the name does not matter.

    Raises
    ------
    ImageReadError
        From inside the block: when a gzip stream turns out cut off or damaged.
    """
    with path.open("rb") as file:
        if file.read(2) != GZIP_MAGIC:
            file.seek(0)
            yield file
            return
        file.seek(0)
        with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
            try:
                yield unpacked
            except EOFError as err:
                raise ImageReadError(f"{path}: the compressed data are cut off before their end") from err
            except (gzip.BadGzipFile, zlib.error) as err:
                raise ImageReadError(f"{path}: the compressed data are damaged ({err})") from err


def read_up_to(stream: Readable, count: int) -> bytearray:
    """Read `count` bytes, or as many as there are."""
    buffer = bytearray()
    while len(buffer) < count and (chunk := stream.read(min(_CHUNK, count - len(buffer)))):
        buffer += chunk
    return buffer


def skip(stream: Readable, count: int) -> int:
    """Read and drop `count` bytes, or as many as there are; return how many."""
    left = count
    while left > 0 and (chunk := stream.read(min(_CHUNK, left))):
        left -= len(chunk)
    return count - left


def drain(stream: Readable) -> None:
    """Read on to the end of a gzip stream, within bounds, so that its checksum is verified."""
    skip(stream, _DRAIN_LIMIT)


def too_short(path: Path, what: str, needed: int, found: int) -> ImageReadError:
    """Build the error for a file that holds fewer bytes than its header promises."""
    return ImageReadError(
        f"{path}: the header promises {what} ({needed:,} bytes), but the file holds {found:,} bytes of them; "
        "it is cut off or its header is wrong"
    )
