"""Messages read as their bytes come in; nothing is allocated that the limits do not allow."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .wire import DTYPES, MAGIC, MOST_AXES, Limits, Malformed, Message, TooLarge, list_of, strict_json, whole

__all__ = ["MessageReader", "decode"]

_DENSEST = 1032
"""zlib packs at most so many bytes into one."""
_STEP = 2**20


def decode(content: bytes, limits: Limits | None = None) -> Message:
    """Read a whole message.

    Raises
    ------
    Malformed
        If it is none, or holds more than it may.
    """
    reader = MessageReader(limits or Limits(), len(content))
    reader.feed(content)
    return reader.finish()


class MessageReader:
    """Reads a message as its bytes come in; nothing is allocated that the limits do not allow.

    Parameters
    ----------
    limits : Limits
    length : int or None
        Bytes that the whole message has, where that is known.
    """

    def __init__(self, limits: Limits, length: int | None = None) -> None:
        self._limits, self._length = limits, length
        self._head = bytearray()
        self._header: dict[str, Any] | None = None
        self._parts: list[_Described] = []
        self._done: list[NDArray[Any]] = []
        self._filler: _Filler | None = None

    @property
    def claimed(self) -> int | None:
        """Bytes that the arrays will take, once the header is here."""
        return None if self._header is None else sum(part.size for part in self._parts)

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises
        ------
        Malformed
            If they cannot belong to a message within the limits.
        """
        rest = memoryview(chunk)
        if self._header is None:
            rest = self._feed_head(rest)
        while len(rest):
            if self._filler is None:
                raise Malformed("bytes follow after the end of the message")
            rest = self._filler.feed(rest)
            self._next()

    def finish(self) -> Message:
        """Return the message.

        Raises
        ------
        Malformed
            If its end is missing.
        """
        if self._header is None or self._filler is not None:
            raise Malformed("the message ends too early")
        return Message(self._header, tuple(self._done))

    def _feed_head(self, chunk: memoryview) -> memoryview:
        """Collect the header; return what comes after it."""
        wanted = 8
        if len(self._head) >= 8:
            wanted += self._header_length()
        taken = min(wanted - len(self._head), len(chunk))
        self._head += chunk[:taken]
        rest = chunk[taken:]
        if not MAGIC.startswith(self._head[:4]):
            raise Malformed("this is no effseg message")
        if len(self._head) < wanted:
            return rest
        if len(self._head) == 8 and self._header_length():
            return self._feed_head(rest)
        self._begin()
        return rest

    def _header_length(self) -> int:
        length = int.from_bytes(self._head[4:8], "little")
        if length > self._limits.header:
            raise TooLarge(f"a header of {length} bytes was announced; at most {self._limits.header}")
        return length

    def _begin(self) -> None:
        header = strict_json(bytes(self._head[8:]))
        if not isinstance(header, dict):
            raise Malformed("the header is no JSON object")
        listed = header.pop("arrays", [])
        if not isinstance(listed, list) or len(listed) > self._limits.arrays:
            raise Malformed(f"expected a list of at most {self._limits.arrays} arrays")
        self._parts = [_described(entry, self._limits) for entry in listed]
        total = sum(part.size for part in self._parts)
        if total > self._limits.bytes:
            raise TooLarge(f"arrays of {total} bytes were announced; at most {self._limits.bytes}")
        body = sum(part.length for part in self._parts)
        if self._length is not None and self._length != len(self._head) + body:
            raise Malformed(f"the header announces {len(self._head) + body} bytes, not {self._length}")
        self._header = header
        self._next()

    def _next(self) -> None:
        """Keep an array that is complete, and begin the next one."""
        while True:
            if self._filler is not None:
                if not self._filler.is_full:
                    return
                self._done.append(self._filler.finish())
                self._filler = None
            if len(self._done) == len(self._parts):
                return
            self._filler = _Filler(self._parts[len(self._done)])


class _Filler:
    """Fills one array."""

    def __init__(self, part: _Described) -> None:
        self._part, self._left = part, part.length
        self._array: NDArray[Any] | None = None
        self._at = 0
        self._unpack = zlib.decompressobj() if part.is_packed else None

    @property
    def is_full(self) -> bool:
        return self._left == 0

    def feed(self, chunk: memoryview) -> memoryview:
        mine, rest = chunk[: self._left], chunk[self._left :]
        self._left -= len(mine)
        if self._unpack is None:
            self._write(mine)
            return rest
        pending: bytes | memoryview = mine
        while len(pending):
            try:
                found = self._unpack.decompress(pending, min(_STEP, self._part.size - self._at + 1))
            except zlib.error as err:
                raise Malformed(f"an array cannot be unpacked ({err})") from err
            self._write(found)
            if self._unpack.unused_data or (not found and self._unpack.unconsumed_tail == pending):
                raise Malformed("an array has bytes behind its end")
            pending = self._unpack.unconsumed_tail
        return rest

    def finish(self) -> NDArray[Any]:
        if self._unpack is not None and not self._unpack.eof:
            self._drain()
        if self._at != self._part.size or (self._unpack is not None and not self._unpack.eof):
            raise Malformed(f"an array has {self._at} bytes; {self._part.size} were announced")
        return self._part.finished(self._laid())

    def _drain(self) -> None:
        assert self._unpack is not None
        while found := self._unpack.decompress(self._unpack.unconsumed_tail, _STEP):
            self._write(found)

    def _laid(self) -> NDArray[Any]:
        if self._array is None:
            self._array = self._part.empty()
        return self._array

    def _write(self, found: bytes | memoryview) -> None:
        if not len(found):
            return
        if self._at + len(found) > self._part.size:
            raise Malformed(f"an array unpacks to more than the {self._part.size} bytes that it announced")
        flat = self._laid().reshape(-1).view(np.uint8)
        flat[self._at : self._at + len(found)] = np.frombuffer(found, np.uint8)
        self._at += len(found)


@dataclass(frozen=True)
class _Described:
    """What a header says of an array."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    is_packed: bool
    length: int

    @property
    def size(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def empty(self) -> NDArray[Any]:
        """Allocate the array as it lies in memory, axes from the slowest to the fastest."""
        return np.empty([self.shape[axis] for axis in self.axes], self.dtype)

    def finished(self, laid: NDArray[Any]) -> NDArray[Any]:
        if self.dtype == np.bool_ and laid.size and laid.view(np.uint8).max() > 1:
            raise Malformed("an array of booleans holds other bytes than 0 and 1")
        native = laid.astype(laid.dtype.newbyteorder("="), copy=False)
        return native.transpose([self.axes.index(axis) for axis in range(len(self.axes))])


def _described(entry: object, limits: Limits) -> _Described:
    if not isinstance(entry, Mapping):
        raise Malformed("an array is described by something that is no JSON object")
    name, shape, length = entry.get("dtype"), entry.get("shape"), entry.get("bytes")
    if not isinstance(name, str) or name not in DTYPES:
        raise Malformed(f"arrays of {str(name)[:40]!r} do not travel; expected {', '.join(sorted(DTYPES))}")
    sides = [whole(side, 0, limits.side, "a side of an array") for side in list_of(shape)]
    if not 1 <= len(sides) <= MOST_AXES:
        raise Malformed(f"an array of {len(sides)} axes was announced; expected 1 to {MOST_AXES}")
    axes = [
        whole(axis, 0, len(sides) - 1, "an axis")
        for axis in list_of(entry.get("axes", list(range(len(sides)))))
    ]
    if sorted(axes) != list(range(len(sides))):
        raise Malformed(f"the axes {axes} are none of an array of {len(sides)}")
    encoding = entry.get("encoding", "raw")
    if encoding not in ("raw", "zlib"):
        raise Malformed(f"the encoding {str(encoding)[:40]!r} is unknown; expected raw or zlib")
    dtype = np.dtype(name).newbyteorder("<")
    part = _Described(dtype, tuple(sides), tuple(axes), encoding == "zlib", whole(length, 0, 2**48, "bytes"))
    if part.size > limits.bytes:
        raise TooLarge(f"an array of {part.size} bytes was announced; at most {limits.bytes}")
    most = part.length * _DENSEST if part.is_packed else part.length
    if part.size > most or (not part.is_packed and part.size != part.length):
        raise Malformed(f"an array of {part.size} bytes cannot come of {part.length}")
    return part
