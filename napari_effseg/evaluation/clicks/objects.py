"""What a simulated user asks for: objects of a label map, and the slices in which they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ...types import BoolArray, IntArray, Spacing

__all__ = ["Solid", "Target", "solids_of", "targets_of"]

_LEAST_PIXELS = 12
"""Objects that are smaller than this in a slice are not asked for; so it is in training."""
_LEAST_SIDE = 2
"""Pixels; of a thinner object no box in the slice can be told from one across it."""
_LONG = 3.0
"""Planes whose pixels are longer than this many of their widths are not asked for: nobody draws in them."""


@dataclass(frozen=True, eq=False)
class Solid:
    """An object of an image.

    Attributes
    ----------
    label : int
        Its number in the label map.
    task : str
        Name of the structure.
    voxels : ndarray of bool, shape (I, J, K)
    """

    label: int
    task: str
    voxels: BoolArray


@dataclass(frozen=True, eq=False)
class Target:
    """An object in a slice.

    Attributes
    ----------
    label, task
        As of `Solid`.
    axis, index : int
        The slice.
    truth : ndarray of bool
        Without the axis across the slice.
    """

    label: int
    task: str
    axis: int
    index: int
    truth: BoolArray


def solids_of(
    labels: IntArray, names: Mapping[int, str], instances: bool, most: int, random: np.random.Generator
) -> list[Solid]:
    """Choose objects of a label map: numbered ones, or connected pieces of its structures.

    The structures take turns, in random order; of each, larger pieces are drawn more often (by the square
    root of their sizes), none twice.

    Parameters
    ----------
    labels : ndarray of int, shape (I, J, K)
    names : mapping of int to str
        Of the structures.
    instances : bool
        Whether each number is an object, all of them of one structure.
    most : int
    random : numpy.random.Generator
    """
    if instances:
        name = names.get(1, "object")
        return [Solid(number, name, labels == number) for number in _drawn(labels, random, most)]
    boxes = ndimage.find_objects(labels)
    present = np.flatnonzero(np.bincount(labels.ravel().astype(np.int64))[1:]) + 1
    queues = []
    for label in random.permutation(present).tolist():
        box = boxes[label - 1]
        pieces, _ = ndimage.label(labels[box] == label, structure=np.ones((3, 3, 3)))
        queues.append((label, box, pieces, _drawn(pieces, random, most)))
    found: list[Solid] = []
    for turn in range(most):
        for label, box, pieces, order in queues:
            if turn < len(order) and len(found) < most:
                voxels = np.zeros(labels.shape, bool)
                voxels[box] = pieces == order[turn]
                found.append(Solid(label, names.get(label, str(label)), voxels))
    return found


def targets_of(solid: Solid, spacing: Spacing) -> Iterator[Target]:
    """Take an object's fullest slice of each plane with reasonable pixels: there its largest piece.

    Parameters
    ----------
    solid : Solid
    spacing : (float, float, float)
        Of the image, in mm.
    """
    for axis in _axes(solid.voxels.shape, spacing):
        others = tuple(other for other in range(3) if other != axis)
        index = int(solid.voxels.sum(axis=others).argmax())
        truth = _largest_piece(np.take(solid.voxels, index, axis))
        sides = [int(truth.any(axis=1 - side).sum()) for side in range(2)]
        if truth.sum() >= _LEAST_PIXELS and min(sides) >= _LEAST_SIDE:
            yield Target(solid.label, solid.task, axis, index, truth)


def _axes(shape: tuple[int, ...], spacing: Spacing) -> list[int]:
    if shape[2] == 1:
        return [2]
    sides = [[spacing[other] for other in range(3) if other != axis] for axis in range(3)]
    return [axis for axis in range(3) if max(sides[axis]) <= _LONG * min(sides[axis])]


def _drawn(numbered: IntArray, random: np.random.Generator, most: int) -> list[int]:
    """Numbers of some objects that are large enough, in the order in which they were drawn."""
    sizes = np.bincount(numbered.ravel().astype(np.int64))
    sizes[:1] = 0
    numbers = np.flatnonzero(sizes >= _LEAST_PIXELS)
    if not numbers.size:
        return []
    chance = np.sqrt(sizes[numbers])
    chosen = random.choice(numbers, min(most, numbers.size), replace=False, p=chance / chance.sum())
    return [int(number) for number in chosen]


def _largest_piece(mask: BoolArray) -> BoolArray:
    pieces, count = ndimage.label(mask, structure=np.ones((3, 3)))
    if count < 2:
        return mask
    largest: BoolArray = pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax())
    return largest
