"""Which object of an image is asked for."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ...types import BoolArray, IntArray
from .cases import ObjectCase

__all__ = ["choose_target", "drawn_by_size", "finished_neighbours"]

_PIECE = 0.5
"""Chance of one piece of a class, where it has several; else all of them are meant."""
_SEVERAL = 0.1
"""Chance that two classes together are meant, where there are more."""
_LEAST_PIXELS = 12


def choose_target(case: ObjectCase, random: np.random.Generator) -> BoolArray | None:
    """Draw an object: an instance; a class or one of its pieces; now and then two classes together.

    Parameters
    ----------
    case : ObjectCase
    random : numpy.random.Generator

    Returns
    -------
    ndarray of bool, shape (I, J), or None
        None if the draw is too small to be asked for.
    """
    labels: IntArray = case.labels.numpy()
    present = np.unique(labels)
    present = present[present > 0]
    if len(present) == 0:
        return None
    if case.instances:
        return _large_enough(labels == drawn_by_size(labels, present, random))
    chosen = labels == random.choice(present)
    if len(present) > 1 and random.random() < _SEVERAL:
        chosen |= labels == random.choice(present)
    elif random.random() < _PIECE:
        chosen = _piece(chosen, random)
    return _large_enough(chosen)


def finished_neighbours(case: ObjectCase, target: BoolArray, random: np.random.Generator) -> BoolArray:
    """Draw some of the other objects, as if they had been finished before.

    Parameters
    ----------
    case : ObjectCase
    target : ndarray of bool, shape (I, J)
        The object that is asked for.
    random : numpy.random.Generator
    """
    labels: IntArray = case.labels.numpy()
    others = np.setdiff1d(np.unique(labels), [0])
    kept = others[random.random(len(others)) < random.uniform(0.3, 1.0)]
    neighbours: BoolArray = np.isin(labels, kept) & ~target
    return neighbours


def drawn_by_size(labels: IntArray, present: IntArray, random: np.random.Generator) -> int:
    """Draw an object, larger ones more often: by the square root of their sizes."""
    sizes = np.bincount(labels.ravel(), minlength=int(present[-1]) + 1)[present]
    weights = np.sqrt(sizes)
    return int(random.choice(present, p=weights / weights.sum()))


def _piece(mask: BoolArray, random: np.random.Generator) -> BoolArray:
    """Draw one connected piece, larger ones more often."""
    numbered, count = ndimage.label(mask, structure=np.ones((3, 3)))
    if count < 2:
        return mask
    chosen: BoolArray = numbered == drawn_by_size(numbered, np.arange(1, count + 1), random)
    return chosen


def _large_enough(mask: BoolArray) -> BoolArray | None:
    return mask if mask.sum() >= _LEAST_PIXELS else None
