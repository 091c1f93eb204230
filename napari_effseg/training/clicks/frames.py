"""Random framing: which part of an image the network is shown, how large, and turned which way."""

from __future__ import annotations

import numpy as np

from ...engine.session.frames import Framing
from ...types import BoolArray

__all__ = ["draw_framing"]


def draw_framing(target: BoolArray, whole: float, random: np.random.Generator) -> Framing:
    """Draw a framing: the whole image, or a part in which the object fills a fifth to nearly all of a side.

    Parameters
    ----------
    target : ndarray of bool, shape (I, J)
    whole : float
        Chance of the whole image.
    random : numpy.random.Generator
    """
    sides = np.asarray(target.shape, float)
    turn = random.uniform(-0.4, 0.4) if random.random() < 0.5 else 0.0
    turn += np.pi / 2 * random.integers(4)
    flip = bool(random.random() < 0.5)
    if random.random() < whole:
        return Framing(tuple((sides - 1) / 2), float(sides.max() * random.uniform(1.0, 1.1)), turn, flip)
    places = np.argwhere(target)
    low, high = places.min(axis=0), places.max(axis=0) + 1
    size = float((high - low).max())
    side = size * np.exp(random.uniform(np.log(1.15), np.log(5.0)))
    side = float(np.clip(side, 24.0, 1.1 * sides.max()))
    slack = max(0.0, 0.5 * (side - 1.1 * size))
    centre = (low + high - 1) / 2 + random.uniform(-slack, slack, 2)
    return Framing((float(centre[0]), float(centre[1])), side, turn, flip)
