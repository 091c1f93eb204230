"""Bring what is to be saved into the form that files have: plain types, first axis fastest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import ExportError
from ..volume import LabelMap, LazyView, Volume, blocks_of, view_of
from ._labels import smallest_integers, value_range

__all__ = ["as_stored"]

_Thing = TypeVar("_Thing", bound=LabelMap | Volume)
_BLOCK = 16  # voxels a side; a block of both orders fits into the processor's cache
_READ_VOXELS = 2**22  # read at a time


def as_stored(thing: _Thing) -> _Thing:
    """Return the same content as files hold it.

    Labels in the smallest integer type that holds them; images as integers, float32 or float64; a single
    channel without an axis; the first spatial axis fastest in memory, so that writing and comparing run
    through memory in order. An image that is read when it is needed is read here, whole.

    Raises
    ------
    ExportError
        If a label is negative, or there is no memory for an image that has to be read.
    """
    data = view_of(thing.data)
    if data.ndim == 4 and data.shape[0] == 1:
        data = data[0]
    kind = _stored_type(thing)
    if isinstance(data, LazyView):
        return replace(thing, data=_read(data, kind))
    return replace(thing, data=_column_major(data.astype(kind, copy=False)))


def _read(view: LazyView, kind: np.dtype[Any]) -> NDArray[Any]:
    """Read an image block by block, the first spatial axis fastest."""
    import psutil

    needed, free = view.size * kind.itemsize, psutil.virtual_memory().available
    if needed > free:
        size = " x ".join(map(str, view.shape))
        raise ExportError(
            f"the image has {size} voxels, which take {needed / 1e9:.1f} GB of memory to be written; "
            f"{free / 1e9:.1f} GB are free: crop it, or take a coarser level"
        )
    ordered = _empty_column_major(view.shape, kind)
    for block in blocks_of(view, _READ_VOXELS):
        ordered[block] = view[block]
    return ordered


def _stored_type(thing: LabelMap | Volume) -> np.dtype[Any]:
    if isinstance(thing, LabelMap):
        low, high = value_range(thing.data)
        if low < 0:
            raise ExportError(f"the label {low} is negative; labels are integers from 0")
        return np.dtype(smallest_integers(int(high)))
    given = thing.data.dtype
    if given.kind == "f":
        return np.dtype(np.float64 if given.itemsize > 4 else np.float32)
    return np.dtype(np.uint8) if given.kind == "b" else given


def _column_major(data: NDArray[Any]) -> NDArray[Any]:
    """Copy, block by block, so that the first spatial axis is fastest; no copy where it is already."""
    if data[(0,) * (data.ndim - 3)].flags.f_contiguous:
        return data
    ordered = _empty_column_major(data.shape, data.dtype)
    for first in range(0, data.shape[-3], _BLOCK):
        for last in range(0, data.shape[-1], _BLOCK):
            block = (..., slice(first, first + _BLOCK), slice(None), slice(last, last + _BLOCK))
            ordered[block] = data[block]
    return ordered


def _empty_column_major(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    i, j, k = shape[-3:]
    return np.moveaxis(np.empty((*shape[:-3], k, j, i), dtype), (-3, -2, -1), (-1, -2, -3))
