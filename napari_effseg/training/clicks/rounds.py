"""Rounds of a simulated user: prompt, answer, correction, answer, ..."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...engine.session.body import PlanePrompt
from ...engine.session.frames import Scaling
from ...engine.session.maps import MAPS, blank_maps, border_strength, stamp, strengths
from ...engine.simulate import box_around, lasso_around, next_click, scribble_from
from ...nets.click_unet import ClickUNet
from ...nets.geodesic import Contrast
from .asking import ask, embed, embeds
from .neighbours import Bend
from .sampler import Before, Example

__all__ = ["Rounds"]

_PREVIOUS, _POSITIVE, _NEGATIVE, _REGION, _LOCKED = range(len(MAPS))
_JITTER = 0.12
_BENT = (0.5, 3.0)
"""How strongly an object is bent that stands for an answer, as of `Bend.draw`."""


class Rounds:
    """A batch of examples with the prompts that each has been given so far.

    Parameters
    ----------
    examples : sequence of Example
    random : numpy.random.Generator or None
        None: every click deepest in the error, every box exact.

    Attributes
    ----------
    images : Tensor, shape (B, 3, S, S)
    inside : Tensor, shape (B, 1, S, S)
    targets : Tensor, shape (B, S, S), bool
    weights : Tensor, shape (B,)
    hidden : Tensor, shape (B,)
        Area of each object beyond the image, in pixels.
    maps : Tensor, shape (B, len(MAPS), S, S)
        Prompts and last answers as images.
    asked : list of list of PlanePrompt
        The prompts of each example.
    answered : set of int
        Examples whose last answer is remembered.
    """

    def __init__(self, examples: Sequence[Example], random: np.random.Generator | None) -> None:
        self.images = torch.stack([example.image for example in examples])
        self.targets = torch.stack([example.target for example in examples])
        self.weights = torch.tensor([example.weight for example in examples])
        self.hidden = torch.tensor([example.hidden for example in examples])
        self.inside = torch.ones(len(examples), 1, *self.images.shape[2:])
        self.maps = blank_maps(len(examples), self.images.shape[-1])
        for which, example in enumerate(examples):
            if example.locked is not None:
                self.maps[which, _LOCKED] = example.locked.float()
            if example.inside is not None:
                self.inside[which] = example.inside
        self.asked: list[list[PlanePrompt]] = [[] for _ in examples]
        self.answered: set[int] = set()
        self._random = random
        self._views: dict[int, tuple[Tensor, Contrast, Tensor, Scaling]] = {}
        self._before: dict[int, Before] = {}
        self._embedded: tuple[nn.Module, Tensor] | None = None
        for which, example in enumerate(examples):
            if example.before is not None:
                self._before[which] = example.before

    @property
    def prompts(self) -> np.ndarray[tuple[int], np.dtype[np.int_]]:
        """How many prompts each example has been given, shape (B,)."""
        return np.asarray([len(asked) for asked in self.asked])

    def is_first_click(self, which: int) -> bool:
        """Whether an example was asked for by one click, and by nothing else; no answer was there before."""
        asked = self.asked[which]
        return len(asked) == 1 and asked[0].region is None and which not in self.answered

    def draw_box(self, which: int) -> None:
        """Draw a box around an example's object."""
        box = box_around(self.targets[which].numpy(), self._random, _JITTER)
        if box is None:
            return
        (top, left), (bottom, right) = box
        region = torch.zeros(self.maps.shape[2:])
        region[top:bottom, left:right] = 1
        self._add(which, PlanePrompt(True, None, region, (top, left, bottom, right)))

    def draw_lasso(self, which: int) -> None:
        """Enclose an example's object."""
        if self._random is None:
            region = self.targets[which].float()
        else:
            region = torch.from_numpy(lasso_around(self.targets[which].numpy(), self._random)).float()
        if region.any():
            self._add(which, PlanePrompt(True, None, region))

    def click(self, which: int, mask: Tensor | None, scribble: bool = False) -> bool:
        """Click, or scribble, where an example's answer is most wrong; returns whether anything was."""
        truth = self.targets[which].numpy()
        answer = None if mask is None else mask.numpy()
        click = next_click(truth, answer, self._random)
        if click is None:
            return False
        places = np.asarray([click.index])
        if scribble and self._random is not None:
            wanted = truth if click.positive else ~truth
            wrong = wanted if answer is None else wanted & (answer != truth)
            places = scribble_from(click.index, wrong, self._random)
        self._add(which, PlanePrompt(click.positive, places.astype(float)))
        return True

    def correct_bent(self, which: int, random: np.random.Generator) -> None:
        """Let the bent object be the answer so far, and click where that is wrong."""
        target = self.targets[which]
        bent = Bend.draw(target, random, float(random.uniform(*_BENT))).mask(target, random)
        self.remember(which, bent)
        if not self.click(which, bent > 0.5):
            self.click(which, None)

    def remember(self, which: int, probabilities: Tensor) -> None:
        """Keep an answer for the next round, in which the slice before is forgotten."""
        self._before.pop(which, None)
        self.maps[which, _PREVIOUS] = probabilities
        self.answered.add(which)

    def seen(self, which: int) -> Tensor:
        """Return what an early-fusion network sees of an example: image and maps, (channels, S, S)."""
        if which not in self._views:
            self._views[which] = self._view(which)
        image, contrast, border, scaling = self._views[which]
        maps, before = self.maps[which], torch.zeros(2, *image.shape[1:])
        if which in self._before:
            grey = self._before[which].image.mean(dim=0, keepdim=True)
            before = torch.cat([scaling.apply(grey, self.inside[which]), self._before[which].mask[None]])
        return torch.cat([image, maps, strengths(contrast, maps, border, before[1]), before])

    def _view(self, which: int) -> tuple[Tensor, Contrast, Tensor, Scaling]:
        """Image as it is seen, its contrast, the strength of its border, and what scaled it."""
        inside = self.inside[which]
        scaling = Scaling.of(self.images[which], inside)
        image = scaling.apply(self.images[which], inside)
        contrast = Contrast.of(image)
        return image, contrast, border_strength(contrast, inside), scaling

    @torch.inference_mode()
    def answers(
        self, network: nn.Module, which: Sequence[int] | None = None, embedding: Tensor | None = None
    ) -> Tensor:
        """Probabilities of the answers that a user would be shown, shape (B, S, S).

        That is the first mask; of networks of SAM's layout after one prompt that with the best score. Of the
        examples `which` alone, in that order, if it is given; `embedding` is that of their images, if it is
        known.
        """
        chosen = list(range(len(self.asked)) if which is None else which)
        if embedding is None:
            every = self._embedding(network)
            embedding = None if every is None else every[chosen]
        logits, scores = (found.cpu() for found in ask(network, self, chosen, embedding))
        settled = torch.from_numpy(self.prompts[chosen] > 1) | isinstance(network, ClickUNet)
        best = scores.argmax(dim=1).masked_fill(settled, 0)
        return logits[torch.arange(len(best)), best].sigmoid()

    def _embedding(self, network: nn.Module) -> Tensor | None:
        """Embeddings of all images by a network that embeds; kept, for its weights stay as they are here."""
        if not embeds(network):
            return None
        if self._embedded is None or self._embedded[0] is not network:
            self._embedded = (network, embed(network, self, range(len(self.asked))))
        return self._embedded[1]

    def at(self, size: int) -> Rounds:
        """Return the same rounds with images of another side."""
        before = self.images.shape[-1]
        if size == before:
            return self
        locked = resized(self.maps[:, _LOCKED], size) > 0.5
        targets, inside = resized(self.targets.float(), size) > 0.5, resized(self.inside, size).round()
        other = Rounds(
            [
                Example(
                    image,
                    targets[n],
                    float(self.weights[n]),
                    locked[n],
                    inside[n],
                    hidden=float(self.hidden[n]) * (size / before) ** 2,
                )
                for n, image in enumerate(resized(self.images, size))
            ],
            self._random,
        )
        for n, asked in enumerate(self.asked):
            for prompt in asked:
                other._add(n, _scaled(prompt, size / before, size))
            if n in self.answered:
                other.remember(n, resized(self.maps[n, _PREVIOUS], size))
        return other

    def _add(self, which: int, prompt: PlanePrompt) -> None:
        """Note a prompt, and draw it into the maps."""
        if prompt.region is not None:
            plane = self.maps[which, _REGION]
            plane.copy_(torch.maximum(plane, prompt.region))
        if prompt.places is not None:
            stamp(self.maps[which, _POSITIVE if prompt.positive else _NEGATIVE], prompt.places)
        self.asked[which].append(prompt)


def resized(image: Tensor, size: int) -> Tensor:
    """Bring images, shape (..., I, J), to another side."""
    flat = image.reshape(-1, 1, *image.shape[-2:])
    found = F.interpolate(flat, (size, size), mode="bilinear", antialias=size < image.shape[-1])
    return found.reshape(*image.shape[:-2], size, size)


def _scaled(prompt: PlanePrompt, scale: float, size: int) -> PlanePrompt:
    """Return a prompt as it lies in an image of another side."""
    places = None if prompt.places is None else (prompt.places + 0.5) * scale - 0.5
    region = None if prompt.region is None else resized(prompt.region, size)
    if prompt.box is None:
        return PlanePrompt(prompt.positive, places, region)
    top, left, bottom, right = (side * scale for side in prompt.box)
    return PlanePrompt(prompt.positive, places, region, (top, left, bottom, right))
