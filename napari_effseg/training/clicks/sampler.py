"""Draws examples: an object of a real image, a superpixel of one, or a shape of a synthetic image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...engine.session.frames import Framing, show
from ...types import BoolArray
from .appearance import change_appearance, synthetic
from .cases import ObjectCase
from .config import ClickConfig
from .frames import draw_framing
from .neighbours import deformed, followed_object
from .superpixels import superpixel_labels
from .targets import choose_target, finished_neighbours

__all__ = ["Example", "ExampleSampler"]

_TRIES = 20
_LEAST_PIXELS = 6
_WHOLE_CARRIED = 0.1
"""Chance of the whole image where an object is followed: in use it is always looked at closely."""


@dataclass(frozen=True)
class Example:
    """What is shown of one image, before any prompt.

    Attributes
    ----------
    image : Tensor, shape (3, S, S), float32
        Values in about [0, 1], 0 outside the image.
    target : Tensor, shape (S, S), bool
    weight : float
        In the loss: less for what nobody drew.
    locked : Tensor, shape (S, S), bool, or None
        Objects that are finished.
    inside : Tensor, shape (1, S, S), float32, or None
        1 inside the image, 0 in the margin around it; None: there is no margin.
    before : Tensor, shape (S, S), float32, or None
        Probabilities of the object in the slice before, where that asks for it instead of a prompt.
    """

    image: Tensor
    target: Tensor
    weight: float
    locked: Tensor | None = None
    inside: Tensor | None = None
    before: Tensor | None = None


class ExampleSampler:
    """Draw examples reproducibly: each is a function of the seed and of its number alone.

    Parameters
    ----------
    sets : sequence of sequence of ObjectCase
        The cases of each data set; a set is drawn by the square root of its cases.
    config : ClickConfig
    seed : int
    """

    def __init__(self, sets: Sequence[Sequence[ObjectCase]], config: ClickConfig, seed: int) -> None:
        self._sets = [list(cases) for cases in sets if cases]
        weights = np.sqrt([len(cases) for cases in self._sets])
        self._chances = weights / weights.sum()
        self._config, self._seed = config, seed

    def example(self, number: int) -> Example:
        """Return the example of this number."""
        random = np.random.default_rng((self._seed, number))
        for _ in range(_TRIES):
            draw = random.random()
            if draw < self._config.synthetic:
                found = self._synthetic(random)
            else:
                found = self._real(random, draw < self._config.synthetic + self._config.superpixels)
            if found is not None:
                return found
        return self._synthetic(random) or self.example(number + 1)

    def _synthetic(self, random: np.random.Generator) -> Example | None:
        image, labels = synthetic(self._config.size, random)
        case = ObjectCase("synthetic", (255 * image).to(torch.uint8), labels, instances=False)
        target = choose_target(case, random)
        if target is None or target.mean() > 0.7:
            return None
        changed = change_appearance(image, random)
        wanted = torch.from_numpy(target)
        before = deformed(wanted, random) if random.random() < self._config.carried else None
        return Example(changed, wanted, self._config.pseudo_weight, before=before)

    def _real(self, random: np.random.Generator, pseudo: bool) -> Example | None:
        cases = self._sets[random.choice(len(self._sets), p=self._chances)]
        case = cases[random.integers(len(cases))]
        if not pseudo and random.random() < self._config.carried:
            return self._carried(case, random)
        if pseudo:
            case = ObjectCase(case.name, case.image, superpixel_labels(case.image, random), instances=True)
        target = choose_target(case, random)
        if target is None:
            return None
        framing = draw_framing(target, self._config.whole, random)
        shown = self._shown(target, framing)
        if _is_too_small(shown):
            return None
        locked = None
        if random.random() < self._config.locked:
            locked = self._shown(finished_neighbours(case, target, random), framing)
        image, inside = self._image(case, framing, random)
        return Example(image, shown, self._config.pseudo_weight if pseudo else 1.0, locked, inside)

    def _carried(self, case: ObjectCase, random: np.random.Generator) -> Example | None:
        """Ask by the object of the slice before, or by what that might have been."""
        followed = followed_object(case, random)
        target = choose_target(case, random) if followed is None else followed[1]
        if target is None:
            return None
        there = target if followed is None else followed[0]
        framing = draw_framing(there, _WHOLE_CARRIED, random)
        asked = self._shown(there, framing)
        if _is_too_small(asked):
            return None
        asked = deformed(asked, random, 1.0 if followed is None else float(random.uniform(0, 0.5)))
        shown = self._shown(target, framing)
        image, inside = self._image(case, framing, random)
        return Example(image, shown, 1.0, None, inside, asked)

    def _shown(self, mask: BoolArray, framing: Framing) -> Tensor:
        return show(torch.from_numpy(mask)[None].float(), framing, self._config.size)[0] > 0.5

    def _image(
        self, case: ObjectCase, framing: Framing, random: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return what a frame shows of an image, changed at random, and where it is inside the image."""
        size = self._config.size
        image = show(case.image.float() / 255, framing, size).expand(3, -1, -1)
        inside = show(torch.ones(1, *case.image.shape[1:]), framing, size, "nearest")
        return change_appearance(image, random) * inside, inside


def _is_too_small(shown: Tensor) -> bool:
    """Whether too little of an object is shown, or nothing but it."""
    return bool(shown.sum() < _LEAST_PIXELS or shown.float().mean() > 0.95)
