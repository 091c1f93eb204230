"""The wire format: messages of JSON and typed arrays, read piece by piece within limits; no torch, no pickle.

::

    4 bytes      "EFS1"
    4 bytes      length of the header, unsigned, little-endian
    header       a JSON object; its entry "arrays" describes what follows
    arrays       one after the other

    {"volume": {"affine": [...], ...},
     "arrays": [{"dtype": "int16", "shape": [64, 64, 32], "axes": [2, 1, 0], "encoding": "zlib", "bytes": 9}]}

Numbers are little-endian. ``axes`` says how an array lies in memory, the slowest axis first, so that it comes
back just as it was. `reader` compares what a header claims with the limits, and with what its bytes can
unpack to, before anything is allocated.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import VolumeError

__all__ = [
    "DTYPES",
    "MAGIC",
    "MEDIA_TYPE",
    "MOST_AXES",
    "PROTOCOL",
    "Limits",
    "Malformed",
    "Message",
    "TooLarge",
    "encode",
    "list_of",
    "strict_json",
    "whole",
]

PROTOCOL = (1, 0)
"""Major and minor version: a server answers every client of its major version."""
MEDIA_TYPE = "application/x-effseg"
MAGIC = b"EFS1"
DTYPES = frozenset(
    ["bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))]
    + [f"float{bits}" for bits in (16, 32, 64)]
)
MOST_AXES = 4
_STEP = 2**20
_COMPRESSION = 1
"""zlib's quickest: a network of 1 Gbit/s is faster than the slower levels."""


_WORTH_IT = 0.9


class Malformed(ValueError):
    """Bytes that are no message, or not the one that was expected."""


class TooLarge(Malformed):
    """A message that claims or holds more than it may."""


@dataclass(frozen=True)
class Limits:
    """What a message may hold at most.

    Attributes
    ----------
    header : int
        Bytes of the JSON.
    arrays : int
        How many arrays.
    bytes : int
        Of all arrays together, unpacked.
    side : int
        Length of an array along any axis.
    """

    header: int = 2**20
    arrays: int = 16
    bytes: int = 2**32
    side: int = 2**31


@dataclass(frozen=True, eq=False)
class Message:
    """A header and its arrays."""

    header: Mapping[str, Any]
    arrays: tuple[NDArray[Any], ...] = ()

    def read(self, number: int, dtype: type[np.generic], most: int) -> NDArray[Any]:
        """Return an array of a type, of at most so many bytes; see `session_json.ArraySource`.

        Raises
        ------
        Malformed
            If there is none, or it is of another type or larger.
        """
        found = self.arrays[whole(number, 0, len(self.arrays) - 1, "number of an array")]
        if found.dtype != np.dtype(dtype) or found.nbytes > most:
            raise Malformed(f"array {number} is {found.dtype} {found.shape}; not what belongs there")
        return found


def encode(
    header: Mapping[str, Any], arrays: Sequence[NDArray[Any]] = (), *, compress: bool = True
) -> list[bytes | memoryview]:
    """Lay out a message as pieces to be sent one after the other.

    Parameters
    ----------
    header : mapping
        JSON, without an entry "arrays".
    arrays : sequence of ndarray
    compress : bool
        Whether arrays are packed with zlib; what would not become smaller is not.

    Raises
    ------
    VolumeError
        If an array is of a type that does not travel.
    """
    described, bodies = [], []
    for array in arrays:
        axes = _axes_of(array)
        laid = np.ascontiguousarray(_little_endian(array).transpose(axes))
        flat = laid.reshape(-1).view(np.uint8).data if laid.size else memoryview(b"")
        body = _packed(flat) if compress else flat
        encoding = "raw" if body is flat else "zlib"
        about = {"dtype": array.dtype.name, "shape": list(array.shape), "axes": list(axes)}
        described.append({**about, "encoding": encoding, "bytes": len(body)})
        bodies.append(body)
    text = json.dumps({**header, "arrays": described}, allow_nan=False).encode()
    return [MAGIC + len(text).to_bytes(4, "little") + text, *bodies]


def strict_json(content: bytes) -> Any:
    """Read JSON, without NaN and infinity.

    Raises
    ------
    Malformed
        If it is none.
    """
    try:
        return json.loads(content.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as err:
        raise Malformed(f"this is no JSON ({err})") from err


def _axes_of(array: NDArray[Any]) -> tuple[int, ...]:
    """Axes from the slowest to the fastest, as the array lies in memory."""
    order = sorted(range(array.ndim), key=lambda axis: (-abs(array.strides[axis]), axis))
    return tuple(order) if array.size > 1 else tuple(range(array.ndim))


def _little_endian(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.name not in DTYPES or not 1 <= array.ndim <= MOST_AXES:
        raise VolumeError(f"an array of {array.dtype} {array.shape} cannot be sent to a server")
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def _packed(flat: memoryview) -> bytes | memoryview:
    """Pack with zlib, if a sample of it says that this makes it much smaller."""
    sample = flat[len(flat) // 2 :][:_STEP]  # images begin with background
    if len(zlib.compress(sample, _COMPRESSION)) > _WORTH_IT * len(sample):
        return flat
    pack = zlib.compressobj(_COMPRESSION)
    found = b"".join(_packing(pack, flat))
    return found if len(found) < len(flat) else flat


def _packing(pack: Any, flat: memoryview) -> Iterator[bytes]:
    for at in range(0, len(flat), _STEP):
        yield pack.compress(flat[at : at + _STEP])
    yield pack.flush()


def _refuse(name: str) -> None:
    raise Malformed(f"{name} is no number that travels")


def list_of(value: object) -> list[Any]:
    """Check that a value is a list."""
    if not isinstance(value, list):
        raise Malformed(f"a list was expected, not {str(value)[:40]!r}")
    return value


def whole(value: object, low: int, high: int, name: str) -> int:
    """Check that a value is a whole number in a range, both ends included."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Malformed(f"{name}: {str(value)[:40]} was given; expected a whole number from {low} to {high}")
    return value
