"""Bring what is to be saved into the form that files have: plain types, first axis fastest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import ExportError
from ..volume import LabelMap, Volume
from ._labels import smallest_integers, value_range

__all__ = ["as_stored"]

_Thing = TypeVar("_Thing", bound=LabelMap | Volume)
_BLOCK = 16  # voxels a side; a block of both orders fits into the processor's cache


def as_stored(thing: _Thing) -> _Thing:
    """Return the same content as files hold it.

    Labels in the smallest integer type that holds them; images as integers, float32 or float64; a single
    channel without an axis; the first spatial axis fastest in memory, so that writing and comparing run
    through memory in order.

    Raises
    ------
    ExportError
        If a label is negative.
    """
    data = thing.data
    if data.ndim == 4 and data.shape[0] == 1:
        data = data[0]
    return replace(thing, data=_column_major(data.astype(_stored_type(thing), copy=False)))


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
    lead, (i, j, k) = data.shape[:-3], data.shape[-3:]
    ordered = np.moveaxis(np.empty((*lead, k, j, i), data.dtype), (-3, -2, -1), (-1, -2, -3))
    for first in range(0, i, _BLOCK):
        for last in range(0, k, _BLOCK):
            block = (..., slice(first, first + _BLOCK), slice(None), slice(last, last + _BLOCK))
            ordered[block] = data[block]
    return ordered
