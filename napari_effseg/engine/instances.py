"""Number the objects of a label map as its card says: pieces parted at waists, and grown into borders.

Objects hang together by faces, edges or corners.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..types import BoolArray, IntArray
from ..zoo.card import Instances, Postprocess
from .hills import number_hills

__all__ = ["ObjectGrid", "each_slice", "number_objects"]

_Numbers = NDArray[np.int32]


@dataclass(frozen=True)
class ObjectGrid:
    """What numbering must know of a grid.

    Attributes
    ----------
    spacing : (mm, mm, mm)
        Millimetres a voxel along each axis.
    flat_axis : int or None
        The axis across the slices of a 2D card, whose objects lie in one slice each.
    """

    spacing: Sequence[float]
    flat_axis: int | None = None

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel."""
        return float(np.prod(self.spacing))

    @property
    def in_slice(self) -> tuple[float, ...]:
        """Spacing along the axes in which an object reaches."""
        return tuple(side for axis, side in enumerate(self.spacing) if axis != self.flat_axis)


def number_objects(labels: IntArray, rules: Postprocess, grid: ObjectGrid) -> IntArray:
    """Give numbers to the objects of a label map, 1 to N, in the order of the array.

    Parameters
    ----------
    labels : (I, J, K), integer
        A card's labels.
    rules : Postprocess
        Its `instances` are used, and for each object `fill_holes` and `minimum_mm3`.
    grid : ObjectGrid

    Returns
    -------
    (I, J, K), the smallest unsigned type that holds N
    """
    instances = rules.instances
    assert instances is not None
    numbered = np.zeros(labels.shape, dtype=np.int32)
    least = max(instances.smallest, rules.minimum_mm3 / grid.voxel_mm3)
    count = 0
    for here in each_slice(labels.shape, grid.flat_axis):
        found = _in_box(labels[here], instances, grid.in_slice)
        if found is None:
            continue
        box, objects = found
        if rules.fill_holes:
            _fill_holes(objects)
        kept = _renumbered(objects, least)
        numbered[here][box] = np.where(kept > 0, kept + count, 0)
        count += int(kept.max())
    return numbered.astype(np.min_scalar_type(count))


def each_slice(shape: Sequence[int], flat_axis: int | None) -> Iterator[tuple[Any, ...]]:
    """Index of each slice across an axis, or of the whole array without one."""
    if flat_axis is None:
        yield (slice(None),) * len(shape)
        return
    for place in range(shape[flat_axis]):
        yield (*(slice(None),) * flat_axis, place)


def _in_box(
    labels: IntArray, rules: Instances, spacing: Sequence[float]
) -> tuple[tuple[slice, ...], _Numbers] | None:
    """Find the objects of one slice or volume, in the smallest box that holds them."""
    from scipy import ndimage

    core = labels == rules.label
    whole = core if rules.border is None else core | (labels == rules.border)
    boxes = ndimage.find_objects(whole.view(np.uint8))
    if not boxes:
        return None
    box = boxes[0]
    cores = _split(core[box], rules, spacing) if rules.waist else _components(core[box])
    return box, cores if rules.border is None else _grown(cores, whole[box])


def _grown(cores: _Numbers, whole: BoolArray) -> _Numbers:
    """Grow each core inside `whole`, step by step; what no core reaches is an object too."""
    from scipy import ndimage

    numbers, count = cores.copy(), int(cores.max())
    empty = whole & (numbers == 0)
    while True:
        reached = ndimage.maximum_filter(numbers, size=3)
        fresh = empty & (reached > 0)
        if not fresh.any():
            break
        numbers[fresh] = reached[fresh]
        empty &= ~fresh
    numbers[empty] = _components(empty)[empty] + count
    return numbers


def _split(mask: BoolArray, rules: Instances, spacing: Sequence[float]) -> _Numbers:
    """Part a mask into its hills of distance from the edge, and join those without a waist between them."""
    from scipy import ndimage

    if mask.all():
        return np.ones(mask.shape, dtype=np.int32)
    depth = ndimage.distance_transform_edt(mask, sampling=spacing)
    smooth = ndimage.gaussian_filter(depth, rules.smoothing) if rules.smoothing else depth
    padded = np.pad(np.where(mask, smooth, -np.inf), 1, constant_values=-np.inf)
    hills = number_hills(padded.ravel(), _steps(padded.shape), rules.waist)
    inside = (slice(1, -1),) * mask.ndim
    return hills.reshape(padded.shape)[inside].copy()


def _steps(shape: Sequence[int]) -> list[int]:
    """Distance in the flattened array to each neighbour that comes later."""
    strides = [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
    ways = itertools.product((-1, 0, 1), repeat=len(shape))
    steps = (sum(part * stride for part, stride in zip(way, strides, strict=True)) for way in ways)
    return sorted(step for step in steps if step > 0)


def _components(mask: BoolArray) -> _Numbers:
    from scipy import ndimage

    numbers = np.empty(mask.shape, dtype=np.int32)
    ndimage.label(mask, structure=np.ones((3,) * mask.ndim), output=numbers)
    return numbers


def _fill_holes(objects: _Numbers) -> None:
    """Fill the holes of each object, where nothing else is, in place."""
    from scipy import ndimage

    for number, box in enumerate(ndimage.find_objects(objects), start=1):
        if box is not None:
            part = objects[box]
            part[ndimage.binary_fill_holes(part == number) & (part == 0)] = number


def _renumbered(objects: _Numbers, least: float) -> _Numbers:
    """Leave out objects of fewer voxels, and number the others without gaps, as they come in the array."""
    present, first, sizes = np.unique(objects, return_index=True, return_counts=True)
    kept = (present > 0) & (sizes >= least)
    table = np.zeros(int(objects.max(initial=0)) + 1, dtype=np.int32)
    table[present[kept][np.argsort(first[kept])]] = np.arange(1, int(kept.sum()) + 1)
    return table[objects]
