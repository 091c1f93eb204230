"""Arrays that are read when they are needed: zarr, dask, HDF5, and views of them.

A Volume may hold any array with a shape, a dtype and items that can be sliced. Such an array is never read
whole: `LazyView` turns, flips and cuts it without reading, and `numpy.asarray` of a view reads that view and
no more. Memory-mapped arrays are numpy's own, and need none of this.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeAlias, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..errors import VolumeError

__all__ = [
    "LazyArray",
    "LazyView",
    "Voxels",
    "chunk_sides",
    "is_lazy",
    "storage_order",
    "view_of",
]


class LazyArray(Protocol):
    """What an array must have to be read region by region; numpy, zarr, dask and h5py have it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each axis."""
        ...

    @property
    def ndim(self) -> int:
        """Number of axes."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the voxels."""
        ...

    def __getitem__(self, key: Any, /) -> Any:
        """Return what `numpy.asarray` takes, for a tuple of whole numbers and forward slices."""
        ...


Voxels: TypeAlias = NDArray[Any] | LazyArray
"""Voxels in memory, memory-mapped, or read when they are needed."""


def is_lazy(array: object) -> bool:
    """Whether an array is read when it is needed, and is not numpy's own."""
    if isinstance(array, (np.ndarray, np.generic)):
        return False
    has = all(hasattr(array, name) for name in ("shape", "ndim", "__getitem__"))
    return has and isinstance(getattr(array, "dtype", None), np.dtype)


@overload
def view_of(array: NDArray[Any]) -> NDArray[Any]: ...
@overload
def view_of(array: LazyArray) -> NDArray[Any] | LazyView: ...
def view_of(array: Voxels) -> NDArray[Any] | LazyView:
    """Return an array that can be transposed, flipped and cut without being read or copied."""
    return array if isinstance(array, (np.ndarray, LazyView)) else LazyView(array)


class LazyView:
    """Another order, direction and extent of an array's axes; nothing is read until numpy asks.

    Indexing with whole numbers, slices, ``...`` and ``None`` gives another view, as numpy does; so does
    `transpose`. ``numpy.asarray(view)`` reads exactly the voxels of the view. The array underneath is only
    asked for whole numbers and forward slices, which is what zarr and HDF5 can do.

    Parameters
    ----------
    source : LazyArray
        Read from, never written to.

    Examples
    --------
    >>> view = LazyView(np.arange(24).reshape(2, 3, 4))
    >>> np.asarray(view.transpose(2, 1, 0)[::-1, 0, :])
    array([[ 3, 15],
           [ 2, 14],
           [ 1, 13],
           [ 0, 12]])
    """

    def __init__(self, source: LazyArray) -> None:
        self._source = source
        # Of each axis of the source: the indices that are seen, or the one.
        self._picks: tuple[range | int, ...] = tuple(range(int(side)) for side in source.shape)
        # Axis of the source behind each axis of the view; None for an added one of one voxel.
        self._axes: tuple[int | None, ...] = tuple(range(len(self._picks)))

    def _with(self, picks: Sequence[range | int], axes: Sequence[int | None]) -> LazyView:
        view = LazyView.__new__(LazyView)
        view._source, view._picks, view._axes = self._source, tuple(picks), tuple(axes)
        return view

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each axis."""
        return tuple(1 if axis is None else len(self._seen(axis)) for axis in self._axes)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._axes)

    @property
    def size(self) -> int:
        """Number of voxels."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the voxels."""
        return np.dtype(self._source.dtype)

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Voxels that are stored together, along each axis, or None if the source does not say."""
        sides = chunk_sides(self._source)
        if sides is None:
            return None
        return tuple(
            1 if axis is None else max(1, sides[axis] // abs(self._seen(axis).step)) for axis in self._axes
        )

    def first_border(self, axis: int) -> int:
        """Where, along an axis of the view, the second chunk begins, if chunks are whole from there on."""
        place, sides = self._axes[axis], chunk_sides(self._source)
        if place is None or sides is None:
            return 0
        seen, side = self._seen(place), sides[place]
        if seen.step == 1:
            return -seen.start % side
        return (seen.start + 1) % side if seen.step == -1 else 0

    def __len__(self) -> int:
        """Voxels along the first axis."""
        if not self._axes:
            raise TypeError("a single voxel has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[LazyView]:
        """Give views along the first axis."""
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        """Say what it is a view of."""
        return f"LazyView({type(self._source).__name__}, shape={self.shape}, dtype={self.dtype})"

    def transpose(self, *axes: int) -> LazyView:
        """Return a view with its axes in another order; without arguments, in the opposite one."""
        order = axes or tuple(reversed(range(self.ndim)))
        if sorted(order) != list(range(self.ndim)):
            raise ValueError(f"the axes {order} were given; expected each of 0 to {self.ndim - 1} once")
        return self._with(self._picks, [self._axes[axis] for axis in order])

    def __getitem__(self, key: Any, /) -> LazyView:
        """Return a view of a part; indices beyond the array and arrays of indices raise IndexError."""
        picks, axes = list(self._picks), list[int | None]()
        places = iter(self._axes)
        for part in _full_key(key, self.ndim):
            place = None if part is None else next(places)
            if place is None:
                _check_added(part)
            else:
                picks[place] = _picked(self._seen(place), part)
            if part is None or isinstance(part, slice):
                axes.append(place)
        return self._with(picks, axes)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Read the voxels of the view."""
        if copy is False:
            raise ValueError("the voxels have to be read, which makes a copy of them")
        values = self._read()
        return values.astype(dtype or self.dtype.newbyteorder("="), copy=False)

    def _read(self) -> NDArray[Any]:
        if 0 in self.shape:
            return np.empty(self.shape, self.dtype)
        kept = [axis for axis, pick in enumerate(self._picks) if isinstance(pick, range)]
        values = np.asarray(self._source[tuple(_forward(pick) for pick in self._picks)])
        expected = tuple(len(self._seen(axis)) for axis in kept)
        if values.shape != expected or not np.can_cast(values.dtype, self.dtype, "same_kind"):
            raise VolumeError(
                f"an array that says it holds {self.dtype} gave {values.dtype} of shape {values.shape} where "
                f"{expected} was asked for; read it first, with numpy.asarray"
            )
        steps: tuple[Any, ...] = tuple(
            slice(None, None, 1 if self._seen(axis).step > 0 else -1) for axis in kept
        )
        turned = values[(..., *steps)].transpose([kept.index(a) for a in self._axes if a is not None])
        return turned.reshape(self.shape)  # adds the axes of one voxel

    def _seen(self, axis: int) -> range:
        pick = self._picks[axis]
        return pick if isinstance(pick, range) else range(pick, pick + 1)

    @property
    def _places(self) -> tuple[int, ...]:
        """Axis of the source behind each axis of the view; added ones come last."""
        return tuple(len(self._picks) if axis is None else axis for axis in self._axes)


def storage_order(array: NDArray[Any] | LazyView) -> tuple[int, ...]:
    """Return the axes from the one whose voxels lie furthest apart in memory or file to the nearest."""
    if isinstance(array, LazyView):
        return tuple(np.argsort(array._places, kind="stable").tolist())
    return tuple(np.argsort(-np.abs(array.strides), kind="stable").tolist())


# --- indices ---


def _full_key(key: Any, axes: int) -> tuple[Any, ...]:
    """Spell out an index: one part for each axis, and a None for each added one."""
    parts = key if isinstance(key, tuple) else (key,)
    given = sum(part is not None and part is not Ellipsis for part in parts)
    dots = [place for place, part in enumerate(parts) if part is Ellipsis]
    if given > axes or len(dots) > 1:
        raise IndexError(f"an index of {given} parts was given for {axes} axes")
    at = dots[0] if dots else len(parts)
    return parts[:at] + (slice(None),) * (axes - given) + parts[at + 1 :]


def _picked(seen: range, part: Any) -> range | int:
    if isinstance(part, slice):
        return seen[part]
    try:
        return seen[operator.index(part)]
    except TypeError as err:
        raise IndexError(
            f"an index of type {type(part).__name__} was given for an array that is not in memory; expected "
            "whole numbers and slices. Read the part that you need first, with numpy.asarray"
        ) from err


def _check_added(part: Any) -> None:
    """Refuse an index that leaves nothing of an axis that was added."""
    if part is not None and _picked(range(1), part) not in (0, range(1)):
        raise IndexError("an axis of one voxel cannot be cut to none")


def _forward(pick: range | int) -> slice | int:
    if isinstance(pick, int):
        return pick
    up = pick if pick.step > 0 else pick[::-1]
    return slice(up.start, up.stop) if up.step == 1 else slice(up.start, up[-1] + 1, up.step)


def chunk_sides(source: LazyArray) -> tuple[int, ...] | None:
    """Largest chunk of an array along each axis, or None where it does not say."""
    chunks = getattr(source, "chunks", None)
    if not isinstance(chunks, tuple) or len(chunks) != source.ndim:
        return None
    sides = [max(side) if isinstance(side, tuple) and side else side for side in chunks]  # dask's are uneven
    if not all(isinstance(side, (int, np.integer)) and side > 0 for side in sides):
        return None
    return tuple(int(side) for side in sides)
