"""Other objects of the same images, asked for by a prompt or two: cheap where an image is embedded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from ...types import BoolArray, IntArray
from .rounds import Rounds
from .sampler import Example

__all__ = ["correct_others", "other_objects"]

_LEAST_PIXELS = 24
_NEARLY_ALL = 0.7
"""Largest part of an image that an object may take."""
_CORRECTED = 0.5
"""Chance that an answer is corrected by a click."""


def other_objects(
    examples: Sequence[Example], most: int, weight: float, box: float, random: np.random.Generator
) -> tuple[Rounds, list[int]] | None:
    """Ask for other objects of the examples' images, by one prompt each.

    Parameters
    ----------
    examples : sequence of Example
    most : int
        Objects of each image.
    weight : float
        Of each, in the loss.
    box : float
        Chance of a box, for a click.
    random : numpy.random.Generator

    Returns
    -------
    rounds : Rounds
    images : list of int
        Numbers of the examples that they belong to.
    None
        If there are no others.
    """
    asked, images = [], []
    for number, example in enumerate(examples):
        if example.others is None:
            continue
        labels: IntArray = example.others.numpy()
        for piece in _pieces(labels, most, random):
            target = torch.from_numpy(piece)
            asked.append(replace(example, target=target, weight=weight, locked=None, hidden=0.0))
            images.append(number)
    if not asked:
        return None
    rounds = Rounds(asked, random)
    for which in range(len(asked)):
        if random.random() < box:
            rounds.draw_box(which)
        else:
            rounds.click(which, None)
    return rounds, images


def correct_others(
    network: nn.Module, rounds: Rounds, embedding: Tensor, random: np.random.Generator
) -> None:
    """Correct some of the answers to first prompts by a click each.

    Parameters
    ----------
    network : Module
        Embeds images; left in evaluation mode.
    rounds : Rounds
        Of one prompt each.
    embedding : Tensor
        Of their images.
    random : numpy.random.Generator
    """
    chosen = [which for which in range(len(rounds.asked)) if random.random() < _CORRECTED]
    if not chosen:
        return
    network.eval()
    answers = rounds.answers(network, chosen, embedding[chosen].detach())
    for which, answer in zip(chosen, answers, strict=True):
        if rounds.click(which, answer > 0.5):
            rounds.remember(which, answer)


def _pieces(labels: IntArray, most: int, random: np.random.Generator) -> list[BoolArray]:
    """Draw connected pieces, of as many different labels as there are."""
    present = np.unique(labels[labels > 0])
    found = []
    for label in random.permutation(present)[:most]:
        numbered, _ = ndimage.label(labels == label)
        places = np.argwhere(numbered)
        piece: BoolArray = numbered == numbered[tuple(places[random.integers(len(places))])]
        if piece.sum() >= _LEAST_PIXELS and piece.mean() <= _NEARLY_ALL:
            found.append(piece)
    return found
