"""Percentiles of an image that is read piece by piece: exact, by counting 16 bits of each value at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["percentiles_of"]

_DIGIT = 16  # bits
_SIDES = 2**_DIGIT

Pieces = Callable[[], Iterable[NDArray[Any]]]
"""Reads all values anew, piece by piece: finite numbers of one type, of at most 64 bits."""


def percentiles_of(
    pieces: Pieces, dtype: np.dtype[Any], count: int, percentiles: Sequence[float]
) -> tuple[float, ...]:
    """Percentiles between neighbouring values, as ``numpy.percentile`` of all values together.

    The values are read once for each 16 bits of their type: once for integers of up to 16 bits, twice for
    float32, four times for float64. No more than a piece is held at a time.

    Parameters
    ----------
    pieces : callable
        ``pieces()`` -> arrays that together hold `count` values of `dtype`, byte order of the machine.
    dtype : numpy.dtype
    count : int
        At least 1.
    percentiles : sequence of float
        0 to 100.
    """
    places = [(count - 1) * (percentile / 100) for percentile in percentiles]
    ranks = sorted({min(math.floor(place) + step, count - 1) for place in places for step in (0, 1)})
    values = dict(zip(ranks, _values_at(pieces, dtype, ranks), strict=True))
    return tuple(_between(values, place, count - 1) for place in places)


def _between(values: dict[int, float], place: float, last: int) -> float:
    """Value at a place between two ranks, rounded as numpy does it."""
    rank = math.floor(place)
    low, high, share = values[rank], values[min(rank + 1, last)], place - rank
    return high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share


def _values_at(pieces: Pieces, dtype: np.dtype[Any], ranks: Sequence[int]) -> list[float]:
    """Values that have these ranks among all, counted from 0."""
    places = [(0, rank) for rank in ranks]  # leading bits, and the rank among the values that share them
    for shift in range(max(8 * dtype.itemsize - _DIGIT, 0), -1, -_DIGIT):
        counts = _count_digits(pieces, shift, {leading for leading, _ in places})
        places = [_next_digit(counts[leading], leading, rank) for leading, rank in places]
    return [_value(leading, dtype) for leading, _ in places]


def _count_digits(pieces: Pieces, shift: int, leadings: set[int]) -> dict[int, NDArray[np.int64]]:
    """Count, among the values with the same leading bits, how often each digit comes next."""
    counts = {leading: np.zeros(_SIDES, np.int64) for leading in leadings}
    for piece in pieces():
        has_leading = shift + _DIGIT < 8 * piece.dtype.itemsize
        digits = _keys(piece) >> shift
        for leading, count in counts.items():
            inside = digits[digits // _SIDES == leading] if has_leading else digits
            count += np.bincount((inside % _SIDES).astype(np.intp), minlength=_SIDES)
    return counts


def _next_digit(count: NDArray[np.int64], leading: int, rank: int) -> tuple[int, int]:
    """Find the digit that holds a rank; leading bits with it, and the rank among the values that share it."""
    totals = np.cumsum(count)
    digit = int(np.searchsorted(totals, rank, side="right"))
    return leading * _SIDES + digit, rank - int(totals[digit] - count[digit])


def _keys(values: NDArray[Any]) -> NDArray[Any]:
    """Unsigned integers in the order of the values, at least 32 bits wide."""
    bits = np.ascontiguousarray(values).ravel().view(f"u{values.dtype.itemsize}")
    sign = bits.dtype.type(1 << (8 * bits.itemsize - 1))
    if values.dtype.kind == "i":
        bits = bits ^ sign
    elif values.dtype.kind == "f":  # the bits of a negative number fall as it rises
        bits = np.where(bits & sign, ~bits, bits | sign)
    return bits.astype(np.promote_types(bits.dtype, np.uint32), copy=False)


def _value(key: int, dtype: np.dtype[Any]) -> float:
    """Invert `_keys` for one value."""
    sign = 1 << (8 * dtype.itemsize - 1)
    if dtype.kind == "i":
        key ^= sign
    elif dtype.kind == "f":
        key = key ^ sign if key & sign else ~key & (2 * sign - 1)
    return float(np.array([key], f"u{dtype.itemsize}").view(dtype)[0])
