"""The early-fusion network as a body: the whole slice first, then closer, and out again where that cuts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ...nets.click_unet import ClickUNet
from .body import Hypothesis, PlanePrompt, SliceImage
from .frames import Framing, normalised, put_back, show
from .maps import MAPS, blank_maps, stamp

__all__ = ["FusionBody"]

_PREVIOUS, _POSITIVE, _NEGATIVE, _REGION, _LOCKED = range(len(MAPS))
_AROUND = 1.7
"""Side of a closer look, as a multiple of the longer side of mask and prompts."""
_LEAST_SIDE = 32.0
"""Pixels; a closer look is never closer."""
_WORTHWHILE = 0.75
"""A closer look must be narrower than this fraction of the slice."""
_WIDER = 1.6
_LOOKS = 3
"""Looks at most, each wider than the one before, while the mask touches the frame."""


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

    def answer(
        self,
        image: SliceImage,
        prompts: Sequence[PlanePrompt],
        previous: Tensor | None,
        locked: Tensor | None,
    ) -> tuple[Hypothesis, ...]:
        """See `SliceBody.answer`."""
        sides = (image.pixels.shape[1], image.pixels.shape[2])
        framing = self._first_frame(sides, prompts, previous)
        for _ in range(_LOOKS):
            found = self._look(image.pixels, prompts, previous, locked, framing)
            if framing.side >= max(sides) or not _touches(found[0].logits, framing):
                break
            framing = _held(Framing(framing.centre, framing.side * _WIDER), sides)
        return found

    def _first_frame(
        self, sides: tuple[int, int], prompts: Sequence[PlanePrompt], previous: Tensor | None
    ) -> Framing:
        """Look closer where there is evidence: a box, or an answer that was corrected."""
        whole = Framing.whole(sides)
        if len(prompts) < 2 and not any(prompt.region is not None for prompt in prompts):
            return whole
        extent = _extent(prompts, previous)
        if extent is None:
            return whole
        low, high = extent
        side = max(_LEAST_SIDE, _AROUND * float((high - low).max() + 1))
        if side > _WORTHWHILE * max(sides):
            return whole
        middle = (low + high) / 2
        return _held(Framing((float(middle[0]), float(middle[1])), side), sides)

    @torch.inference_mode()
    def _look(
        self,
        pixels: Tensor,
        prompts: Sequence[PlanePrompt],
        previous: Tensor | None,
        locked: Tensor | None,
        framing: Framing,
    ) -> tuple[Hypothesis, ...]:
        """Answer within one frame."""
        inside = show(torch.ones(1, *pixels.shape[1:]), framing, self._size, "nearest")
        image = normalised(show(pixels, framing, self._size), inside)
        maps = blank_maps(1, self._size)[0]
        if previous is not None:
            maps[_PREVIOUS] = show(previous.sigmoid()[None], framing, self._size)[0]
        if locked is not None:
            maps[_LOCKED] = (show(locked[None], framing, self._size)[0] > 0.5).float()
        for prompt in prompts:
            self._draw(maps, prompt, framing)
        given = torch.cat([image, maps])[None].to(self._device)
        logits, scores = self._network.ranked(given.contiguous(memory_format=torch.channels_last))
        back = put_back(logits[0].float().cpu(), framing, (pixels.shape[1], pixels.shape[2]))
        return _ranked(back, scores[0].sigmoid().cpu(), several=len(prompts) < 2)

    def _draw(self, maps: Tensor, prompt: PlanePrompt, framing: Framing) -> None:
        if prompt.region is not None:
            shown = (show(prompt.region[None], framing, self._size)[0] > 0.5).float()
            place = _REGION if prompt.positive else _NEGATIVE
            maps[place] = torch.maximum(maps[place], shown)
        if prompt.places is not None:
            scale = self._size / framing.side
            seen = (prompt.places - framing.centre) * scale + (self._size - 1) / 2
            for row, column in np.unique(np.rint(seen), axis=0):
                stamp(maps[_POSITIVE if prompt.positive else _NEGATIVE], (float(row), float(column)))


def _ranked(logits: Tensor, scores: Tensor, several: bool) -> tuple[Hypothesis, ...]:
    """Several masks, the best score first, or the first mask alone, which answers corrections."""
    order = scores.argsort(descending=True).tolist() if several else [0]
    return tuple(Hypothesis(logits[which], float(scores[which])) for which in order)


def _extent(prompts: Sequence[PlanePrompt], previous: Tensor | None) -> tuple[np.ndarray, np.ndarray] | None:
    """First and last pixel of the answer so far and of what was pointed at as the object."""
    found = [prompt.places for prompt in prompts if prompt.places is not None and prompt.positive]
    regions = [prompt.region for prompt in prompts if prompt.region is not None and prompt.positive]
    masks = [region > 0.5 for region in regions] + ([] if previous is None else [previous > 0])
    for mask in masks:
        places = torch.nonzero(mask)
        if len(places):
            ends = torch.stack([places.min(dim=0).values, places.max(dim=0).values])
            found.append(ends.numpy().astype(float))
    if not found:
        return None
    every = np.concatenate(found)
    return every.min(axis=0), every.max(axis=0)


def _touches(logits: Tensor, framing: Framing) -> bool:
    """Whether the mask reaches the border of the frame where the image goes on."""
    half = framing.side / 2
    for axis, (centre, length) in enumerate(zip(framing.centre, logits.shape, strict=True)):
        low, high = int(np.ceil(centre - half)), int(np.floor(centre + half))
        for edge, beyond in ((low, low - 1), (high, high + 1)):
            if 0 <= beyond < length and bool((logits.select(axis, min(max(edge, 0), length - 1)) > 0).any()):
                return True
    return False


def _held(framing: Framing, sides: tuple[int, int]) -> Framing:
    """Shift a frame so that it shows as little as possible of what lies beyond the image."""
    if framing.side >= max(sides):
        return Framing.whole(sides)
    centre = []
    for place, length in zip(framing.centre, sides, strict=True):
        half = min(framing.side, length) / 2
        centre.append(float(np.clip(place, half - 0.5, length - 0.5 - half)))
    return Framing((centre[0], centre[1]), framing.side)
