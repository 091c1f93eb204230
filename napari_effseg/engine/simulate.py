"""Simulated users: where somebody who sees the truth would click next, and what box they would draw.

Used to train promptable networks and to measure any of them in the same way. Works on pictures, slices and
volumes alike: arrays of any number of axes.

References
----------
The next click lies deepest inside the larger error: Xu et al., Deep Interactive Object Selection,
arXiv:1603.04042; Sofiiuk et al., RITM, arXiv:2102.06583.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..types import BoolArray

__all__ = ["Click", "box_around", "lasso_around", "next_click", "scribble_from"]

_DEEP = 0.5
"""A random click falls on voxels at least this fraction as deep in the error as the deepest one."""


@dataclass(frozen=True)
class Click:
    """A click.

    Attributes
    ----------
    index : tuple of int
        Voxel, one number an axis.
    positive : bool
        On what is missing, or on what is too much.
    """

    index: tuple[int, ...]
    positive: bool


def next_click(
    truth: BoolArray, mask: BoolArray | None, random: np.random.Generator | None = None
) -> Click | None:
    """Click where the mask is most wrong.

    Parameters
    ----------
    truth : ndarray of bool, shape S
    mask : ndarray of bool, shape S, or None
        The answer so far; None before the first click.
    random : numpy.random.Generator, optional
        Without it the deepest voxel is taken; with it any of those that lie about as deep.

    Returns
    -------
    Click or None
        None where nothing is wrong.
    """
    wanted = truth if mask is None else truth & ~mask
    missing = _depth(wanted)
    surplus = None if mask is None else _depth(mask & ~truth)
    positive = surplus is None or missing.max() >= surplus.max()
    depth = missing if surplus is None or positive else surplus
    if depth.max() <= 0:
        return None
    if random is None:
        place = int(depth.argmax())
    else:
        deep = np.flatnonzero(depth >= _DEEP * depth.max())
        place = int(deep[random.integers(len(deep))])
    return Click(tuple(int(n) for n in np.unravel_index(place, depth.shape)), bool(positive))


def box_around(
    truth: BoolArray, random: np.random.Generator | None = None, jitter: float = 0.1
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Box that somebody would draw around an object.

    Parameters
    ----------
    truth : ndarray of bool, shape S
    random : numpy.random.Generator, optional
        Without it the box is exact.
    jitter : float
        Largest shift of each side, as a fraction of the object's size along its axis.

    Returns
    -------
    (low, high) or None
        Half-open; None if there is no object.
    """
    if not truth.any():
        return None
    low, high = [], []
    for axis in range(truth.ndim):
        others = tuple(other for other in range(truth.ndim) if other != axis)
        found = np.flatnonzero(truth.any(axis=others))
        first, last = int(found[0]), int(found[-1]) + 1
        if random is not None:
            reach = jitter * (last - first)
            first += round(random.uniform(-reach, reach))
            last += round(random.uniform(-reach, reach))
        first = min(max(first, 0), truth.shape[axis] - 1)
        low.append(first)
        high.append(min(max(last, first + 1), truth.shape[axis]))
    return tuple(low), tuple(high)


def scribble_from(
    start: tuple[int, ...], region: BoolArray, random: np.random.Generator, strokes: int = 3
) -> NDArray[np.int_]:
    """Draw a line through a region, from a voxel of it towards others, as far as the region goes.

    Parameters
    ----------
    start : tuple of int
        Inside the region.
    region : ndarray of bool, shape S
        What is to be marked, such as an error.
    random : numpy.random.Generator
    strokes : int
        Straight pieces.

    Returns
    -------
    ndarray of int, shape (N, len(S))
        Voxels of the line, all of them in the region.
    """
    places, here = [np.asarray([start])], np.asarray(start, float)
    inside = np.argwhere(region)
    for _ in range(strokes):
        there = inside[random.integers(len(inside))]
        steps = int(np.abs(there - here).max()) + 1
        line = np.rint(here + np.linspace(0, 1, steps + 1)[:, None] * (there - here)).astype(int)
        within = region[tuple(line.T)]
        length = len(line) if within.all() else int(np.argmin(within))
        places.append(line[:length])
        here = line[max(length - 1, 0)].astype(float)
    return np.unique(np.concatenate(places), axis=0)


def lasso_around(truth: BoolArray, random: np.random.Generator, reach: float = 0.08) -> BoolArray:
    """Enclose an object with an unsteady hand: a little too wide here, too tight there.

    Parameters
    ----------
    truth : ndarray of bool, shape S
    random : numpy.random.Generator
    reach : float
        Largest error of the outline, as a fraction of the object's size.

    Returns
    -------
    ndarray of bool, shape S
    """
    from scipy import ndimage

    outside = ndimage.distance_transform_edt(~truth)
    signed = outside - ndimage.distance_transform_edt(truth)
    size = float(truth.sum()) ** (1 / truth.ndim)
    wobble = ndimage.gaussian_filter(random.standard_normal(truth.shape), max(1.0, size / 4))
    wobble *= reach * size / max(float(np.abs(wobble).max()), 1e-6)
    drawn: BoolArray = signed < wobble + reach * size / 2
    return drawn


def _depth(region: BoolArray) -> NDArray[np.float32]:
    """Distance of each voxel to the nearest one outside the region; the array's edge counts as outside."""
    from scipy import ndimage

    if not region.any():
        return np.zeros(region.shape, np.float32)
    padded = np.pad(region, 1)
    inner = (slice(1, -1),) * region.ndim
    depth: NDArray[np.float32] = ndimage.distance_transform_edt(padded)[inner].astype(np.float32)
    return depth
