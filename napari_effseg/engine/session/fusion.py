"""The early-fusion network as a body: the whole slice first, then closer, and out again where that cuts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...nets.click_unet import ClickUNet
from ...nets.geodesic import Contrast
from .body import Hypothesis, PlanePrompt, SliceImage
from .following import followed, looks_other
from .frames import OUTSIDE, Framing, Scaling, inside_of, put_back, show
from .maps import MAPS, blank_maps, border_strength, stamp, strengths

__all__ = ["FusionBody"]

_PREVIOUS, _POSITIVE, _NEGATIVE, _REGION, _LOCKED = range(len(MAPS))
_AROUND_REGION = 1.7
"""Side of a closer look at what a box or a lasso encloses, as a multiple of its longer side."""
_AROUND_CLICKS = 2.2
"""The same of an answer with its clicks, which are vaguer."""
_AROUND_BEFORE = 2.2
"""The same of the object in the slice before."""
_LEAST_SIDE = 32.0
"""Pixels; a closer look is never closer."""
_WORTHWHILE = 0.6
"""A closer look must be narrower than this fraction of the slice."""
_WIDER = 1.6
_FROM_AFAR = 4
"""Looks at a first click, at most."""
_CLOSER = 2.0
"""Each of them is so much closer than the one before."""
_COSTS = 0.02
"""What each closer look costs."""
_AGREES = 0.2
"""What full agreement with the next closer look is worth; both were chosen on choice sets and validation
lists of sets that were trained on."""
_OFFERED = 4
"""Different answers to a first click, at most."""
_COMPARED = 8
"""The best so many answers are compared."""
_SAME = 0.85
"""Answers whose intersection over union is at least this are one."""
_LOOKS = 3
"""Looks at most, each wider than the one before, while the mask touches the frame."""


_KEPT_VIEWS = 8


@dataclass(frozen=True, eq=False)
class _Question:
    """What is asked of a slice."""

    image: SliceImage
    prompts: Sequence[PlanePrompt]
    previous: Tensor | None
    locked: Tensor | None

    @property
    def sides(self) -> tuple[int, int]:
        return self.image.pixels.shape[1], self.image.pixels.shape[2]

    @property
    def first_click(self) -> NDArray[np.float64] | None:
        """Where the object was clicked, or scribbled, if that is all that is known; else None."""
        prompt = self.prompts[0]
        alone = len(self.prompts) == 1 and prompt.positive and prompt.region is None
        return prompt.places if alone and self.previous is None else None


@dataclass(frozen=True, eq=False)
class _View:
    """What a frame shows of a slice.

    Attributes
    ----------
    pixels : Tensor, shape (3, S, S), float32
        Normalised.
    inside : Tensor, shape (1, S, S), float32
        1 inside the slice, 0 beyond.
    contrast : Contrast
        Of the pixels.
    """

    pixels: Tensor
    inside: Tensor
    contrast: Contrast

    @classmethod
    def of(cls, pixels: Tensor, framing: Framing, size: int) -> _View:
        inside = inside_of(framing, (pixels.shape[1], pixels.shape[2]), size)
        seen = show(pixels, framing, size)
        shown = Scaling.of(seen, inside).apply(seen, inside)
        return cls(shown, inside, Contrast.of(shown))

    @cached_property
    def border(self) -> Tensor:
        """How strongly the border reaches each pixel, shape (S, S)."""
        return border_strength(self.contrast, self.inside)


class FusionBody:
    """Answers with a `ClickUNet`.

    Parameters
    ----------
    network : ClickUNet
        In evaluation mode.
    size : int
        Side of the frame that it sees, in pixels.
    device : torch.device
    """

    def __init__(self, network: ClickUNet, size: int, device: torch.device) -> None:
        self._network, self._size, self._device = network, size, device
        self._views: OrderedDict[tuple[object, ...], _View] = OrderedDict()
        self._warm_up()

    def _warm_up(self) -> None:
        """Answer once about nothing: nobody shall wait at the first click for what is compiled or set up."""
        nothing = SliceImage((), torch.zeros(3, 8, 8))
        point = PlanePrompt(positive=True, places=np.zeros((1, 2)))
        for prompts in ((point,), (point, point)):
            self._look(_Question(nothing, prompts, None, None), Framing.whole((8, 8)))
        self._views.clear()

    def answer(
        self,
        image: SliceImage,
        prompts: Sequence[PlanePrompt],
        previous: Tensor | None,
        locked: Tensor | None,
    ) -> tuple[Hypothesis, ...]:
        """See `SliceBody.answer`.

        The first click may mean anything from a nucleus to a lung: it is looked at from afar and ever more
        closely, and the answer counts that is thought to be the best, and that a closer look confirms. A box
        or a lasso is answered by a closer look at it, later clicks by a closer look at them and at the
        answer so far.
        """
        asked = _Question(image, prompts, previous, locked)
        whole = Framing.whole(asked.sides)
        if any(prompt.region is not None and prompt.positive for prompt in prompts):
            hints = [prompt for prompt in prompts if prompt.positive]
            extent = _extent(hints, previous if len(prompts) > 1 else None)
            return self._closer(asked, _frame(extent, _AROUND_REGION, whole) or whole, whole)
        if asked.first_click is not None:
            return self._from_afar(asked, asked.first_click, whole)
        return self._closer(asked, _frame(_extent(prompts, previous), _AROUND_CLICKS, whole) or whole, whole)

    def carry(self, image: SliceImage, before: Tensor, last: SliceImage, locked: Tensor | None) -> Hypothesis:
        """See `SliceBody.carry`; the network is not asked: paths of least contrast follow better so far."""
        sides = (image.pixels.shape[1], image.pixels.shape[2])
        frame = _frame(_extent((), before), _AROUND_BEFORE, Framing.whole(sides)) or Framing.whole(sides)
        mask = show(before.sigmoid()[None], frame, self._size)[0] > 0.5
        if not mask.any():
            return Hypothesis(torch.full(sides, OUTSIDE), 0.0)
        found = put_back(followed(self._view(image, frame).contrast, mask)[None], frame, sides)[0]
        if locked is not None:
            found = torch.where(locked > 0.5, OUTSIDE, found)
        if (found > 0).any() and looks_other(last, before > 0, image, found > 0):
            return Hypothesis(torch.full(sides, OUTSIDE), 0.0)
        return Hypothesis(found, 1.0)

    def _closer(self, asked: _Question, frame: Framing, whole: Framing) -> tuple[Hypothesis, ...]:
        """Look closer, and wider again while the mask touches the frame."""
        for _ in range(_LOOKS):
            found = self._look(asked, frame)
            if frame.side >= whole.side or not _touches(found[0].logits, frame):
                break
            frame = _held(Framing(frame.centre, frame.side * _WIDER), whole)
        return found

    def _from_afar(self, asked: _Question, places: np.ndarray, whole: Framing) -> tuple[Hypothesis, ...]:
        """Look at the whole slice and ever more closely at a click.

        Returns
        -------
        tuple of Hypothesis
            Different ones. First the best: by its score, less a little for each closer look, more if the
            next closer look shows nearly the same.
        """
        frames = _ever_closer(places, whole)
        if len(frames) == 1:  # the first mask, which learns most, is better than the scores can tell
            return self._look(asked, whole)
        logits, scores = self._ask(asked, frames)
        worth = scores - _COSTS * torch.arange(len(frames))[:, None]
        for wide in range(len(frames) - 1):
            worth[wide] += _AGREES * _agreement(logits[wide : wide + 2], frames[wide], frames[wide + 1])
        order = worth.flatten().argsort(descending=True)[:_COMPARED].tolist()
        ranked = [divmod(place, logits.shape[1]) for place in order]
        return _different(
            Hypothesis(
                put_back(logits[look, mask][None], frames[look], asked.sides)[0], float(scores[look, mask])
            )
            for look, mask in ranked
        )

    def _look(self, asked: _Question, framing: Framing) -> tuple[Hypothesis, ...]:
        """Answer within one frame."""
        most = None if len(asked.prompts) == 1 else 1  # corrections are answered by the first mask alone
        (logits,), (scores,) = self._ask(asked, [framing], most)
        return _ranked(put_back(logits, framing, asked.sides), scores)

    @torch.inference_mode()
    def _ask(
        self, asked: _Question, frames: Sequence[Framing], most: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Ask the network about each frame: logits, shape (N, H, S, S), and scores, shape (N, H).

        With `most` only the first so many masks, for H.
        """
        given = torch.stack([self._given(asked, framing) for framing in frames]).to(self._device)
        given = given.contiguous(memory_format=torch.channels_last)
        at_once = len(given) if self._device.type != "cpu" else 1  # a CPU's cache holds one of them
        parts = [given[first : first + at_once] for first in range(0, len(given), at_once)]
        further = asked.first_click is None
        found = [self._network.ranked(part, most, further=further) for part in parts]
        logits, scores = (torch.cat(both).float().cpu() for both in zip(*found, strict=True))
        return logits, scores.sigmoid()

    def _given(self, asked: _Question, framing: Framing) -> Tensor:
        """Return what the network is given of a frame, shape (C, S, S)."""
        view = self._view(asked.image, framing)
        maps = self._maps(asked, framing)
        before = torch.zeros(2, self._size, self._size)  # no object is followed from the slice before
        reached = strengths(view.contrast, maps, view.border, before[1])
        return torch.cat([view.pixels, maps, reached, before])

    def _maps(self, asked: _Question, framing: Framing) -> Tensor:
        maps = blank_maps(1, self._size)[0]
        if asked.previous is not None:
            maps[_PREVIOUS] = show(asked.previous.sigmoid()[None], framing, self._size)[0]
        if asked.locked is not None:
            maps[_LOCKED] = (show(asked.locked[None], framing, self._size)[0] > 0.5).float()
        for prompt in asked.prompts:
            self._draw(maps, prompt, framing)
        return maps

    def _view(self, slice_: SliceImage, framing: Framing) -> _View:
        """Return what a frame shows of a slice; the last few are kept, for the next click."""
        key = (slice_.key, framing)
        found = self._views.pop(key, None) or _View.of(slice_.pixels, framing, self._size)
        self._views[key] = found
        while len(self._views) > _KEPT_VIEWS:
            self._views.popitem(last=False)
        return found

    def _draw(self, maps: Tensor, prompt: PlanePrompt, framing: Framing) -> None:
        if prompt.region is not None:
            shown = (show(prompt.region[None], framing, self._size)[0] > 0.5).float()
            place = _REGION if prompt.positive else _NEGATIVE
            maps[place] = torch.maximum(maps[place], shown)
        if prompt.places is not None:
            scale = self._size / framing.side
            seen = (prompt.places - framing.centre) * scale + (self._size - 1) / 2
            stamp(maps[_POSITIVE if prompt.positive else _NEGATIVE], seen)


def _agreement(masks: Tensor, wide: Framing, close: Framing) -> Tensor:
    """Return how well each mask of a look agrees with that of the closer one that is most like it.

    Parameters
    ----------
    masks : Tensor, shape (2, H, S, S)
        Logits of the wider look and of the closer one.

    Returns
    -------
    Tensor, shape (H,)
        Intersection over union.
    """
    size = masks.shape[-1]
    scale = size / wide.side
    row, column = (
        (to - of) * scale + (size - 1) / 2 for to, of in zip(close.centre, wide.centre, strict=True)
    )
    far = (show((masks[0] > 0).float(), Framing((row, column), close.side * scale), size) > 0.5).flatten(1)
    near = (masks[1] > 0).flatten(1)
    shared = far.float() @ near.float().T
    areas = (masks[0] > 0).flatten(1).sum(dim=1) * (wide.side / close.side) ** 2
    either = areas[:, None] + near.sum(dim=1) - shared
    found: Tensor = (shared / either.clamp_min(1)).max(dim=1).values
    return found


def _different(ranked: Iterable[Hypothesis]) -> tuple[Hypothesis, ...]:
    """Leave out hypotheses that are nearly the same as one before."""
    kept: list[Hypothesis] = []
    for one in ranked:
        if len(kept) < _OFFERED and all(_overlap(one.logits > 0, other.logits > 0) < _SAME for other in kept):
            kept.append(one)
    return tuple(kept)


def _overlap(one: Tensor, other: Tensor) -> float:
    """Intersection over union."""
    return float((one & other).sum() / (one | other).sum().clamp_min(1))


def _ranked(logits: Tensor, scores: Tensor) -> tuple[Hypothesis, ...]:
    """Rank masks: the first, which always learns, then the alternatives to it by their scores."""
    order = [0, *(1 + which for which in scores[1:].argsort(descending=True).tolist())]
    return tuple(Hypothesis(logits[which], float(scores[which])) for which in order)


def _extent(prompts: Sequence[PlanePrompt], previous: Tensor | None) -> tuple[np.ndarray, np.ndarray] | None:
    """First and last pixel of the answer so far, of all clicks, and of the regions that are the object's.

    Clicks that are not on the object were made near it, where the answer was wrong.
    """
    found = [prompt.places for prompt in prompts if prompt.places is not None]
    regions = [prompt.region for prompt in prompts if prompt.region is not None and prompt.positive]
    masks = [region > 0.5 for region in regions] + ([] if previous is None else [previous > 0])
    for mask in masks:
        rows, columns = torch.nonzero(mask.any(dim=1)), torch.nonzero(mask.any(dim=0))
        if len(rows):
            found.append(np.asarray([[rows[0], columns[0]], [rows[-1], columns[-1]]], float).reshape(2, 2))
    if not found:
        return None
    every = np.concatenate(found)
    return every.min(axis=0), every.max(axis=0)


def _frame(extent: tuple[np.ndarray, np.ndarray] | None, around: float, whole: Framing) -> Framing | None:
    """Return a frame around an extent; None if it would be hardly closer than the whole slice."""
    if extent is None:
        return None
    low, high = extent
    side = max(_LEAST_SIDE, around * float((high - low).max() + 1))
    if side > _WORTHWHILE * whole.side:
        return None
    middle = (low + high) / 2
    return _held(Framing((float(middle[0]), float(middle[1])), side), whole)


def _ever_closer(places: np.ndarray, whole: Framing) -> list[Framing]:
    """Frames around marks, from the whole slice on."""
    low, high = places.min(axis=0), places.max(axis=0)
    least = max(_LEAST_SIDE, _AROUND_CLICKS * float((high - low).max() + 1))
    middle = (float(low[0] + high[0]) / 2, float(low[1] + high[1]) / 2)
    frames = [whole]
    while len(frames) < _FROM_AFAR and frames[-1].side / _CLOSER >= least:
        frames.append(_held(Framing(middle, frames[-1].side / _CLOSER), whole))
    return frames


def _touches(logits: Tensor, framing: Framing) -> bool:
    """Whether the mask reaches the border of the frame where the image goes on."""
    half = framing.side / 2
    for axis, (centre, length) in enumerate(zip(framing.centre, logits.shape, strict=True)):
        low, high = int(np.ceil(centre - half)), int(np.floor(centre + half))
        for edge, beyond in ((low, low - 1), (high, high + 1)):
            if 0 <= beyond < length and bool((logits.select(axis, min(max(edge, 0), length - 1)) > 0).any()):
                return True
    return False


def _held(framing: Framing, whole: Framing) -> Framing:
    """Shift a frame so that it shows as little as possible of what lies beyond the image."""
    if framing.side >= whole.side:
        return whole
    centre = []
    for place, middle in zip(framing.centre, whole.centre, strict=True):
        length = 2 * middle + 1
        half = min(framing.side, length) / 2
        centre.append(float(np.clip(place, half - 0.5, length - 0.5 - half)))
    return Framing((centre[0], centre[1]), framing.side)
