"""Hills of a height map: where every voxel climbs to, and which hills have a waist between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..types import FloatArray

__all__ = ["number_hills"]

_Indices = NDArray[np.int64]


def number_hills(height: FloatArray, steps: Sequence[int], waist: float) -> NDArray[np.int32]:
    """Give numbers to the hills of a flattened height map; hills without a waist between them are one.

    Two hills stay apart if the pass between them is lower than `waist` times the lower of their tops: a
    watershed whose shallow basins are joined, the highest pass first.

    Parameters
    ----------
    height : (N,), float
        Minus infinity outside, which surrounds everything.
    steps : sequence of int
        From an index to each neighbour that comes later.
    waist : float
        In (0, 1].

    Returns
    -------
    (N,), int32
        1, 2, ... for each hill, 0 outside.
    """
    inside = np.flatnonzero(height > -np.inf)
    summit = _summits(height, inside, steps)
    tops = np.unique(summit[inside])
    parent = _joined(height[tops], _passes(height, summit, inside, tops, steps), waist)
    _, numbers = np.unique(parent, return_inverse=True)
    hills = np.zeros(height.shape, dtype=np.int32)
    hills[inside] = numbers[np.searchsorted(tops, summit[inside])] + 1
    return hills


def _summits(height: FloatArray, inside: _Indices, steps: Sequence[int]) -> _Indices:
    """Where each index ends that goes to its highest neighbour as long as that is higher."""
    best, target = height[inside], inside.copy()
    for step in (sign * step for step in steps for sign in (-1, 1)):
        there = height[inside + step]
        higher = there > best
        best = np.where(higher, there, best)
        target[higher] = inside[higher] + step
    summit = np.arange(height.size)
    summit[inside] = target
    while not np.array_equal(further := summit[target], target):
        target = further
        summit[inside] = target
    return summit


def _passes(
    height: FloatArray, summit: _Indices, inside: _Indices, tops: _Indices, steps: Sequence[int]
) -> list[tuple[int, int, float]]:
    """Highest pass between every two hills that touch, as places in `tops`, the highest pass first."""
    found: dict[tuple[int, int], float] = {}
    for step in steps:
        here = inside[(height[inside + step] > -np.inf) & (summit[inside + step] != summit[inside])]
        ends = np.sort(np.searchsorted(tops, np.stack([summit[here], summit[here + step]])), axis=0)
        level = np.minimum(height[here], height[here + step])
        for one, other, high in zip(*ends.tolist(), level.tolist(), strict=True):
            found[one, other] = max(found.get((one, other), -np.inf), high)
    return sorted(((one, other, high) for (one, other), high in found.items()), key=lambda pair: -pair[2])


def _joined(tops: FloatArray, passes: Sequence[tuple[int, int, float]], waist: float) -> _Indices:
    """Which hill each hill belongs to; of joined ones the highest stands for all."""
    parent = list(range(len(tops)))

    def leader(hill: int) -> int:
        while parent[hill] != hill:
            parent[hill] = parent[parent[hill]]
            hill = parent[hill]
        return hill

    for one, other, level in passes:
        low, high = sorted((leader(one), leader(other)), key=lambda hill: tops[hill])
        if low != high and level >= waist * tops[low]:
            parent[low] = high
    return np.asarray([leader(hill) for hill in range(len(tops))], dtype=np.int64)
