"""In which pieces an array is read, so that memory is bounded and chunks are unpacked once."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .lazy import LazyView, Voxels, view_of

__all__ = ["RowReader", "blocks_of"]

_LARGEST_BLOCK = 2**24  # voxels; a chunk larger than this is read in parts, and unpacked for each of them


def blocks_of(array: Voxels, voxels: int) -> Iterator[tuple[slice, ...]]:
    """Boxes that together cover an array once, of about `voxels` voxels each.

    Of an array that is stored in chunks the boxes follow the chunks, so that each chunk is unpacked once
    where it is not much larger than `voxels`. Otherwise they are rows of the first axis.
    """
    view = view_of(array)
    if isinstance(view, np.ndarray) or view.chunks is None:
        rows = max(voxels // max(math.prod(view.shape[1:]), 1), 1)
        cuts = [_cuts(view.shape[0], rows), *((slice(0, side),) for side in view.shape[1:])]
    else:
        sides = _block_sides(view.shape, view.chunks, voxels)
        cuts = [_cuts(view.shape[axis], side, view.first_border(axis)) for axis, side in enumerate(sides)]
    yield from itertools.product(*cuts)


class RowReader:
    """Rows of an array's first axis; of a chunked one, a chunk's depth is read at a time and kept.

    Reading slice by slice would otherwise unpack each chunk once for every slice that it touches.

    Parameters
    ----------
    array : ndarray or LazyView
    most_bytes : int
        Rows are read ahead as long as they take no more than this.
    """

    def __init__(self, array: NDArray[Any] | LazyView, most_bytes: int = 64 * 2**20) -> None:
        self._array = array
        self._most_rows = most_bytes // max(math.prod(array.shape[1:]) * array.dtype.itemsize, 1)
        self._held = np.empty((0, *array.shape[1:]), array.dtype)
        self._first = 0

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Rows ``start`` to ``stop``; not to be written to."""
        if isinstance(self._array, np.ndarray):
            return self._array[start:stop]
        if not self._first <= start <= stop <= self._first + len(self._held):
            kept = self._held[start - self._first :] if start >= self._first else self._held[:0]
            fresh = np.asarray(self._array[start + len(kept) : self._reach(self._array, start, stop)])
            self._held, self._first = np.concatenate([kept, fresh]) if len(kept) else fresh, start
        return self._held[start - self._first : stop - self._first]

    def _reach(self, view: LazyView, start: int, stop: int) -> int:
        """End of the chunk that row ``stop - 1`` lies in, if the rows up to there may be held."""
        if view.chunks is None:
            return stop
        side = view.chunks[0]
        end = stop + (view.first_border(0) - stop) % side
        return max(stop, min(end, start + self._most_rows))


def _block_sides(shape: Sequence[int], chunks: Sequence[int], voxels: int) -> list[int]:
    """Sides of about `voxels` voxels: whole chunks, or parts of one that is too large."""
    sides = [min(chunk, side) for chunk, side in zip(chunks, shape, strict=True)]
    while math.prod(sides) > _LARGEST_BLOCK:
        longest = max(range(len(sides)), key=sides.__getitem__)
        sides[longest] = math.ceil(sides[longest] / 2)
    while growing := [axis for axis, side in enumerate(sides) if side < shape[axis]]:
        axis = min(growing, key=sides.__getitem__)
        if 2 * math.prod(sides) > voxels:
            break
        sides[axis] *= 2
    return sides


def _cuts(length: int, side: int, border: int = 0) -> tuple[slice, ...]:
    """Cut an axis every `side` voxels, so that `border` is one of the cuts."""
    first = border % side if border < length else 0
    ends = [*range(first or side, length, side), length]
    return tuple(slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True))
