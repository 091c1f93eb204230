"""Draws examples: an object of a real image, a superpixel of one, or a shape of a synthetic image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ...engine.session.frames import Framing, show
from ...types import BoolArray
from .appearance import change_appearance, synthetic
from .cases import ObjectCase, squared
from .composed import composed_object, painted
from .config import ClickConfig
from .frames import draw_cut, draw_framing
from .neighbours import Bend, followed_object
from .superpixels import superpixel_labels
from .targets import choose_target, finished_neighbours

__all__ = ["Before", "Example", "ExampleSampler"]

_TRIES = 20
_KINDS = ("synthetic", "superpixel", "composed", "object")
_LEAST_PIXELS = 6
_NEARLY_ALL = 0.95
_PAINTED = 0.6
"""Chance that a composed object looks like nothing else around it."""
_FOLLOWED = 0.6
"""Chance that an object is followed through a volume rather than made to move in a single image."""
_SUPERPIXELS = 0.5
"""Chance that superpixels are the other objects of an image."""
_WIDEST_CARRIED = 5.0
_WHOLE_CARRIED = 0.1
"""Chance of the whole image where an object is followed: in use it is always looked at closely."""


@dataclass(frozen=True)
class Before:
    """The slice before that of an example.

    Attributes
    ----------
    mask : Tensor, shape (S, S), float32
        Probabilities of the object.
    image : Tensor, shape (3, S, S), float32
        Values in about [0, 1].
    """

    mask: Tensor
    image: Tensor


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
    before : Before or None
        The slice before, where that asks for the object instead of a prompt.
    hidden : float
        Area of the object beyond what is shown, in pixels of the frame.
    others : Tensor, shape (S, S), int32, or None
        Numbers of other objects that may be asked for, 0 for none.
    composed : bool
        Whether one click cannot tell what is meant.
    """

    image: Tensor
    target: Tensor
    weight: float
    locked: Tensor | None = None
    inside: Tensor | None = None
    before: Before | None = None
    hidden: float = 0.0
    others: Tensor | None = None
    composed: bool = False


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
        self._kinds = np.cumsum([config.synthetic, config.superpixels, config.composed])
        followed = [[case for case in cases if case.before is not None] for cases in self._sets]
        self._followed = [cases for cases in followed if cases]

    def example(self, number: int) -> Example:
        """Return the example of this number."""
        random = np.random.default_rng((self._seed, number))
        for _ in range(_TRIES):
            draw = random.random()
            kind = int(np.searchsorted(self._kinds, draw, side="right"))
            found = self._synthetic(random) if kind == 0 else self._real(random, _KINDS[kind])
            if found is not None:
                return found
        return self._synthetic(random) or self.example(number + 1)

    def _synthetic(self, random: np.random.Generator) -> Example | None:
        if random.random() < self._config.carried:
            return self._synthetic_carried(random)
        ((image, labels),) = synthetic(self._config.size, random)
        target = choose_target(_synthetic_case(image, labels), random)
        if target is None or target.mean() > 0.7:
            return None
        changed = change_appearance(image, random)
        others = labels if self._config.others else None
        return Example(changed, torch.from_numpy(target), self._config.pseudo_weight, others=others)

    def _synthetic_carried(self, random: np.random.Generator) -> Example | None:
        (there, before), (here, labels) = synthetic(self._config.size, random, random.uniform(0.02, 0.4))
        case = replace(_synthetic_case(here, labels), before=_synthetic_case(there, before))
        followed = followed_object(case, random)
        if followed is None or followed[0].mean() > 0.7:
            return None
        asked, target = (torch.from_numpy(mask) for mask in followed)
        soft = Bend.draw(asked, random, strength=float(random.uniform(0, 0.3))).mask(asked, random)
        here, there = _both_changed(here, there, random)
        return Example(here, target, self._config.pseudo_weight, before=Before(soft, there))

    def _real(self, random: np.random.Generator, kind: str) -> Example | None:
        cases = self._sets[random.choice(len(self._sets), p=self._chances)]
        case = cases[random.integers(len(cases))]
        if self._config.squared and random.random() < self._config.squared:
            case = squared(case)
        pseudo = kind != "object"
        if not pseudo and random.random() < self._config.carried:
            if self._followed and random.random() < _FOLLOWED:
                cases = self._followed[random.integers(len(self._followed))]
                case = cases[random.integers(len(cases))]
            return self._carried(case, random)
        if kind == "superpixel":
            case = ObjectCase(case.name, case.image, superpixel_labels(case.image, random), instances=True)
        composed = kind == "composed"
        target = composed_object(case, random) if composed else choose_target(case, random)
        if target is None:
            return None
        if composed and random.random() < _PAINTED:
            case = replace(case, image=painted(case.image, target, random))
        cut = random.random() < self._config.cut
        if cut:
            framing = draw_cut(target, random)
        else:
            framing = draw_framing(target, self._config.whole, self._config.widest, random)
        shown = self._shown(target, framing)
        if _is_too_small(shown, nearly_all=1.0 if cut else _NEARLY_ALL):
            return None
        locked = None
        if random.random() < self._config.locked:
            locked = self._shown(finished_neighbours(case, target, random), framing)
        image, inside = self._image(case, framing, random)
        weight = self._config.pseudo_weight if pseudo else 1.0
        pixels = float(target.sum()) * (self._config.size / framing.side) ** 2
        hidden = max(0.0, pixels - float(shown.sum()))
        others = self._others(case, framing, image, random) if self._config.others else None
        return Example(image, shown, weight, locked, inside, None, hidden, others, composed)

    def _others(
        self, case: ObjectCase, framing: Framing, image: Tensor, random: np.random.Generator
    ) -> Tensor:
        """Give numbers to the objects in a frame: those of the case, or superpixels of what is shown."""
        if random.random() < _SUPERPIXELS:
            return superpixel_labels((255 * image.clamp(0, 1)).to(torch.uint8), random)
        return show(case.labels[None].float(), framing, self._config.size, "nearest")[0].int()

    def _carried(self, case: ObjectCase, random: np.random.Generator) -> Example | None:
        """Ask by the object of the slice before, or by what that might have been."""
        followed = followed_object(case, random)
        target = choose_target(case, random) if followed is None else followed[1]
        if target is None:
            return None
        known = target if followed is None else followed[0]
        framing = draw_framing(known, _WHOLE_CARRIED, _WIDEST_CARRIED, random)
        asked = self._shown(known, framing)
        if _is_too_small(asked):
            return None
        bend = Bend.draw(asked, random, 1.0 if followed is None else float(random.uniform(0, 0.3)))
        soft, shown = bend.mask(asked, random), self._shown(target, framing)
        here, inside = self._seen(case, framing)
        if case.before is None or followed is None:
            there = bend.image(here)
        else:
            there, _ = self._seen(case.before, framing)
        here, there = _both_changed(here, there, random)
        return Example(here * inside, shown, 1.0, None, inside, Before(soft, there * inside))

    def _shown(self, mask: BoolArray, framing: Framing) -> Tensor:
        return show(torch.from_numpy(mask)[None].float(), framing, self._config.size)[0] > 0.5

    def _image(
        self, case: ObjectCase, framing: Framing, random: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return what a frame shows of an image, changed at random, and where it is inside the image."""
        image, inside = self._seen(case, framing)
        return change_appearance(image, random) * inside, inside

    def _seen(self, case: ObjectCase, framing: Framing) -> tuple[Tensor, Tensor]:
        size = self._config.size
        image = show(case.image.float() / 255, framing, size).expand(3, -1, -1)
        return image, show(torch.ones(1, *case.image.shape[1:]), framing, size, "nearest")


def _synthetic_case(image: Tensor, labels: Tensor) -> ObjectCase:
    return ObjectCase("synthetic", (255 * image).to(torch.uint8), labels, instances=False)


def _both_changed(here: Tensor, there: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Change the appearance of two slices as of one image."""
    both = change_appearance(torch.cat([here, there], dim=1), random)
    return both[:, : here.shape[1]], both[:, here.shape[1] :]


def _is_too_small(shown: Tensor, nearly_all: float = _NEARLY_ALL) -> bool:
    """Whether too little of an object is shown, or hardly anything but it."""
    return bool(shown.sum() < _LEAST_PIXELS or shown.float().mean() > nearly_all)
