"""Rounds of a simulated user: prompt, answer, correction, answer, ..."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ...engine.session.maps import MAPS, blank_maps, stamp
from ...engine.simulate import box_around, lasso_around, next_click, scribble_from
from ...nets.click_unet import ClickUNet
from .sampler import Example

__all__ = ["Rounds"]

_PREVIOUS, _POSITIVE, _NEGATIVE, _REGION, _LOCKED = range(len(MAPS))
_JITTER = 0.12


class Rounds:
    """A batch of examples with the prompts that each has been given so far.

    Parameters
    ----------
    examples : sequence of Example
    random : numpy.random.Generator or None
        None: every click deepest in the error, every box exact.
    """

    def __init__(self, examples: Sequence[Example], random: np.random.Generator | None) -> None:
        self.images = torch.stack([example.image for example in examples])
        self.targets = torch.stack([example.target for example in examples])
        self.weights = torch.tensor([example.weight for example in examples])
        self.maps = blank_maps(len(examples), self.images.shape[-1])
        for which, example in enumerate(examples):
            if example.locked is not None:
                self.maps[which, _LOCKED] = example.locked.float()
        self.prompts = np.zeros(len(examples), int)
        self._random = random

    @property
    def inputs(self) -> Tensor:
        """What the network is given, shape (B, 3 + maps, S, S)."""
        return torch.cat([self.images, self.maps], dim=1)

    def draw_box(self, which: int) -> None:
        """Draw a box around an example's object."""
        box = box_around(self.targets[which].numpy(), self._random, _JITTER)
        if box is None:
            return
        (top, left), (bottom, right) = box
        self.maps[which, _REGION, top:bottom, left:right] = 1
        self.prompts[which] += 1

    def draw_lasso(self, which: int) -> None:
        """Enclose an example's object."""
        if self._random is None:
            self.maps[which, _REGION] = self.targets[which].float()
        else:
            drawn = lasso_around(self.targets[which].numpy(), self._random)
            self.maps[which, _REGION] = torch.from_numpy(drawn).float()
        self.prompts[which] += 1

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
        for row, column in places:
            stamp(self.maps[which, _POSITIVE if click.positive else _NEGATIVE], (float(row), float(column)))
        self.prompts[which] += 1
        return True

    def remember(self, which: int, probabilities: Tensor) -> None:
        """Keep an answer for the next round."""
        self.maps[which, _PREVIOUS] = probabilities

    @torch.inference_mode()
    def answers(self, network: ClickUNet, device: torch.device, which: Sequence[int] | None = None) -> Tensor:
        """Probabilities of the answers that a user would be shown, shape (B, S, S).

        After one prompt the hypothesis with the best score; later the first. Of the examples `which` alone,
        in that order, if it is given.
        """
        chosen = list(range(len(self.prompts)) if which is None else which)
        inputs = self.inputs[chosen].to(device).contiguous(memory_format=torch.channels_last)
        logits, scores = (found.cpu() for found in network.ranked(inputs))
        settled = torch.from_numpy(self.prompts[chosen] > 1)
        scores = torch.where(settled[:, None], torch.full_like(scores, -torch.inf), scores)
        scores[settled, 0] = 0
        best = scores.argmax(dim=1)
        return logits[torch.arange(len(best)), best].sigmoid()
