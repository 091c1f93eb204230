"""Random framing: which part of an image the network is shown, how large, and turned which way."""

from __future__ import annotations

import numpy as np

from ...engine.session.frames import Framing
from ...types import BoolArray

__all__ = ["draw_framing"]

_LEAST_SIDE = 24.0
_HOLDS = 1.1
"""A frame whose side is this multiple of the object's holds it; a smaller one shows any part of it."""


def draw_framing(
    target: BoolArray, whole: float, widths: tuple[float, float], random: np.random.Generator
) -> Framing:
    """Draw a framing: the whole image, or a part around the object, or of it.

    Parameters
    ----------
    target : ndarray of bool, shape (I, J)
    whole : float
        Chance of the whole image.
    widths : (float, float)
        Least and greatest side of the part, as a multiple of the object's longer side.
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
    side = size * np.exp(random.uniform(*np.log(widths)))
    side = float(np.clip(side, _LEAST_SIDE, 1.1 * sides.max()))
    if side < _HOLDS * size:
        centre = places[random.integers(len(places))] + random.uniform(-0.25, 0.25, 2) * side
    else:
        slack = max(0.0, 0.5 * (side - 1.1 * size))
        centre = (low + high - 1) / 2 + random.uniform(-slack, slack, 2)
    return Framing((float(centre[0]), float(centre[1])), side, turn, flip)
