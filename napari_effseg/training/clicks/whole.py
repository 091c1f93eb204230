"""Examples to choose weights by: whole images, upright, one object of each, the same every time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ...engine.session.frames import Framing, show
from ...types import BoolArray
from .cases import ObjectCase, squared
from .config import ClickConfig
from .sampler import Example
from .targets import choose_target

__all__ = ["whole_examples"]

_LEAST_PIXELS = 6
_AROUND, _LEAST_SIDE, _WORTHWHILE = 2.0, 32.0, 0.6
"""Side of a closer look: times that of the object, at least in pixels, at most as a share of the image."""


def whole_examples(cases: Sequence[ObjectCase], config: ClickConfig, most: int) -> list[Example]:
    """Show each image as a whole, an object of it asked for; with ``clicks.first`` what is around the object.

    Parameters
    ----------
    cases : sequence of ObjectCase
    config : ClickConfig
    most : int
        So many examples at most, spread over the cases.
    """
    found = []
    step = max(1, int(np.ceil(len(cases) / most)))
    for number, found_case in enumerate(cases[::step]):
        case = squared(found_case) if config.squared else found_case
        target = choose_target(case, np.random.default_rng(number))
        if target is None:
            continue
        sides = target.shape
        framing = _around(target) if config.first else Framing.whole((sides[0], sides[1]))
        shown = show(torch.from_numpy(target)[None].float(), framing, config.size)[0] > 0.5
        if shown.sum() < _LEAST_PIXELS:
            continue
        image = show(case.image.float() / 255, framing, config.size).expand(3, -1, -1)
        inside = show(torch.ones(1, *sides), framing, config.size, "nearest")
        found.append(Example(image, shown, 1.0, None, inside))
    return found


def _around(target: BoolArray) -> Framing:
    """Frame of a closer look at an object, as sessions take it after the first click."""
    whole = Framing.whole((target.shape[0], target.shape[1]))
    places = np.argwhere(target)
    low, high = places.min(axis=0), places.max(axis=0)
    side = max(_LEAST_SIDE, _AROUND * float((high - low).max() + 1))
    if side > _WORTHWHILE * whole.side:
        return whole
    row, column = ((low + high) / 2).tolist()
    return Framing((row, column), side)
