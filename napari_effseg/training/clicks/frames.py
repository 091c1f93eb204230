"""Random framing: which part of an image the network is shown, how large, and turned which way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...engine.session.frames import Framing
from ...types import BoolArray

__all__ = ["draw_cut", "draw_framing"]

_LEAST_SIDE = 24.0
_HOLDS = 1.15
"""Least side of a frame that holds an object, as a multiple of the object's longer side."""
_CUTS = (0.12, 1.1)
"""Least and greatest side of a frame that cuts an object, likewise."""


def draw_framing(target: BoolArray, whole: float, widest: float, random: np.random.Generator) -> Framing:
    """Draw a framing: the whole image, or a part that holds the object.

    Parameters
    ----------
    target : ndarray of bool, shape (I, J)
    whole : float
        Chance of the whole image.
    widest : float
        Greatest side of the part, as a multiple of the object's longer side.
    random : numpy.random.Generator
    """
    sides = np.asarray(target.shape, float)
    turn, flip = _draw_turn(random)
    if random.random() < whole:
        return Framing(tuple((sides - 1) / 2), float(sides.max() * random.uniform(1.0, 1.1)), turn, flip)
    low, high = _extent(target)
    size = float((high - low).max())
    side = size * np.exp(random.uniform(np.log(_HOLDS), np.log(widest)))
    side = float(np.clip(side, _LEAST_SIDE, 1.1 * sides.max()))
    slack = max(0.0, 0.5 * (side - 1.1 * size))
    centre = (low + high - 1) / 2 + random.uniform(-slack, slack, 2)
    return Framing((float(centre[0]), float(centre[1])), side, turn, flip)


def draw_cut(target: BoolArray, random: np.random.Generator) -> Framing:
    """Draw a framing that shows a part of an object, as a look does that is too close.

    Parameters
    ----------
    target : ndarray of bool, shape (I, J)
    random : numpy.random.Generator
    """
    turn, flip = _draw_turn(random)
    low, high = _extent(target)
    side = float((high - low).max() * np.exp(random.uniform(*np.log(_CUTS))))
    places = np.argwhere(target)
    centre = places[random.integers(len(places))] + random.uniform(-0.2, 0.2, 2) * side
    return Framing((float(centre[0]), float(centre[1])), max(_LEAST_SIDE, side), turn, flip)


def _draw_turn(random: np.random.Generator) -> tuple[float, bool]:
    turn = random.uniform(-0.4, 0.4) if random.random() < 0.5 else 0.0
    turn += np.pi / 2 * random.integers(4)
    return turn, bool(random.random() < 0.5)


def _extent(target: BoolArray) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """First pixel of an object along both axes, and the one after its last."""
    places = np.argwhere(target)
    return places.min(axis=0), places.max(axis=0) + 1
