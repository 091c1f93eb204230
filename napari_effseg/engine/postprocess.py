"""Tidy a label map as its card asks: components, holes, specks.

This runs on the input's grid, region by region: what a card promises ("one component", "no specks below
20 mm3") is then true of the label map that the user gets, and a structure of one region never competes with
the same structure of another (left and right hippocampus, each in its own box).
Components hang together by faces, edges or corners; holes are closed by faces only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..types import BoolArray, IntArray
from ..zoo.card import Postprocess

__all__ = ["count_pieces", "tidy"]

_EVERY_NEIGHBOUR = np.ones((3, 3, 3), dtype=bool)


def tidy(labels: IntArray, rules: Postprocess, voxel_mm3: float, flat_axis: int | None = None) -> None:
    """Apply the card's rules to a label map, in place.

    Parameters
    ----------
    labels : (I, J, K), integer
        Changed in place.
    rules : Postprocess
        What to do; of numbered objects, holes and sizes are left to `number_objects`.
    voxel_mm3 : float
        Volume of a voxel.
    flat_axis : int or None
        The axis across the slices of a 2D card: holes are then filled slice by slice.
    """
    if rules.connect_all:
        _keep_largest_of_all(labels)
    for label in rules.keep_largest:
        _keep_largest(labels, label)
    if rules.instances is not None:
        return  # holes and sizes are then those of objects
    if rules.fill_holes:
        for label in _present(labels):
            _fill_holes(labels, label, flat_axis)
    if rules.minimum_mm3 > 0:
        for label in _present(labels):
            _drop_specks(labels, label, rules.minimum_mm3 / voxel_mm3)


def count_pieces(labels: IntArray, label: int) -> int:
    """Count the components of a label."""
    from scipy import ndimage

    box = _box_of(labels, label)
    if box is None:
        return 0
    _, count = ndimage.label(labels[box] == label, structure=_EVERY_NEIGHBOUR)
    return int(count)


def _present(labels: IntArray) -> list[int]:
    """Label ids that occur, without 0."""
    return [index + 1 for index, box in enumerate(_boxes(labels, 0)) if box is not None]


def _box_of(labels: IntArray, label: int) -> tuple[slice, ...] | None:
    """Smallest box that holds a label, or None; work and memory then follow the structure, not the image."""
    boxes = _boxes(labels, label)
    return boxes[label - 1] if len(boxes) >= label else None


def _boxes(labels: IntArray, highest: int) -> list[tuple[slice, ...] | None]:
    """Smallest box of each label from 1 to `highest` (0: to the highest that occurs)."""
    from scipy import ndimage

    return list(ndimage.find_objects(labels, highest))


def _components(mask: BoolArray) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Component number of each voxel, and voxels of each component (0: outside the mask)."""
    from scipy import ndimage

    numbered = np.empty(mask.shape, dtype=np.int32)
    count = ndimage.label(mask, structure=_EVERY_NEIGHBOUR, output=numbered)
    sizes = np.zeros(count + 1, dtype=np.int64)
    for rows in numbered:  # row by row: bincount makes an int64 copy of what it is given
        sizes += np.bincount(rows.ravel(), minlength=count + 1)
    sizes[0] = 0
    return numbered, sizes


def _keep_largest(labels: IntArray, label: int) -> None:
    box = _box_of(labels, label)
    if box is None:
        return
    part = labels[box]
    mask = part == label
    numbered, sizes = _components(mask)
    part[mask & (numbered != sizes.argmax())] = 0


def _keep_largest_of_all(labels: IntArray) -> None:
    box = _box_of((labels > 0).view(np.uint8), 1)
    if box is None:
        return
    part = labels[box]
    mask = part > 0
    numbered, sizes = _components(mask)
    part[mask & (numbered != sizes.argmax())] = 0


def _fill_holes(labels: IntArray, label: int, flat_axis: int | None) -> None:
    from scipy import ndimage

    box = _box_of(labels, label)
    if box is None:
        return
    part = labels[box]
    neighbours = ndimage.generate_binary_structure(3, 1)
    if flat_axis is not None:
        # Without neighbours across the slices, a slice's background never leaks into the next.
        across = [1, 1, 1]
        across[flat_axis] = slice(None, None, 2)  # type: ignore[call-overload]
        neighbours[tuple(across)] = False
    filled = ndimage.binary_fill_holes(part == label, structure=neighbours)
    part[filled & (part == 0)] = label


def _drop_specks(labels: IntArray, label: int, least_voxels: float) -> None:
    box = _box_of(labels, label)
    if box is None:
        return
    part = labels[box]
    numbered, sizes = _components(part == label)
    small = sizes < least_voxels
    small[0] = False
    part[small[numbered]] = 0
