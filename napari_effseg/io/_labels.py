"""From an image's numbers to labels: integers from 0, in the smallest type that holds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageReadError
from ..volume import LabelMap, Volume
from .label_table import LabelTable

__all__ = ["free_numbers", "labels_from", "slabs_of", "smallest_integers", "value_range"]

# Signed before unsigned at 32 bits: more programs read it.
_LABEL_TYPES = (np.uint8, np.uint16, np.int32, np.uint32, np.int64, np.uint64)


def labels_from(volume: Volume, table: LabelTable, path: object) -> LabelMap:
    """Take an image's voxels for labels.

    Parameters
    ----------
    volume : Volume
        One channel; integers, or floats with integer values.
    table : LabelTable
        Names, colours and codes.
    path : path-like
        For messages.

    Raises
    ------
    ImageReadError
        If there are several channels, fractions, NaN, or negative numbers.
    """
    if volume.channels > 1:
        raise ImageReadError(f"{path}: has {volume.channels} channels; a segmentation has one number a voxel")
    data = np.asanyarray(volume.data).reshape(volume.shape)
    if data.dtype.kind == "f":
        _refuse_fractions(data, path)
    low, high = value_range(data)
    if low < 0 or high > np.iinfo(np.uint64).max:
        wrong = low if low < 0 else high
        raise ImageReadError(f"{path}: holds the number {wrong:g}; labels are integers from 0")
    if data.dtype.kind == "f":
        data = data.astype(smallest_integers(int(high)))
    return LabelMap(
        data,
        volume.affine,
        table.names,
        table.colours,
        table.codes,
        warnings=volume.warnings + table.warnings,
    )


def smallest_integers(highest: int) -> type[np.integer[Any]]:
    """Smallest integer type that holds 0 to `highest`, among those that segmentation programs read."""
    return next(kind for kind in _LABEL_TYPES if highest <= np.iinfo(kind).max)


def free_numbers(wanted: Sequence[int]) -> list[int]:
    """Give each the number that it wants where that is still free, else the next above all.

    Examples
    --------
    >>> free_numbers([3, 1, 3])
    [3, 1, 4]
    """
    given: dict[int, None] = {}
    unused = max(wanted, default=0) + 1
    for number in wanted:
        if number in given:
            number, unused = unused, unused + 1
        given[number] = None
    return list(given)


def value_range(data: NDArray[Any]) -> tuple[float, float]:
    """Smallest and largest value, without a temporary as large as the data."""
    ranges = [(slab.min(), slab.max()) for slab in slabs_of(data)]
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def slabs_of(data: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield views along the axis that lies slowest in memory, one at a time."""
    slowest = int(np.argmax(np.abs(data.strides)))
    yield from np.moveaxis(data, slowest, 0)


def _refuse_fractions(data: NDArray[Any], path: object) -> None:
    for slab in slabs_of(data):
        wrong = ~np.isfinite(slab) | (slab != np.rint(slab))
        if wrong.any():
            raise ImageReadError(
                f"{path}: holds the value {slab[wrong][0]:g}; labels are integers. "
                "Is this an image or a probability map rather than a segmentation?"
            )
