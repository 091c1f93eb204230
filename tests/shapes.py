"""Shapes that several rooms' tests need."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def packed_discs(shape: tuple[int, int] = (64, 72), seed: int = 0, count: int = 14) -> NDArray[np.int32]:
    """Number discs of several sizes that touch but never enclose each other: (I, J, 1)."""
    random = np.random.default_rng(seed)
    objects = np.zeros((*shape, 1), np.int32)
    i, j = np.indices(shape)
    number = 0
    for _ in range(20 * count):
        radius = random.uniform(4, 9)
        centre = [random.uniform(0, side) for side in shape]
        disc = np.hypot(i - centre[0], j - centre[1]) <= radius
        if number < count and disc.sum() > 30 and not objects[disc].any():
            number += 1
            objects[disc] = number
    return objects
