"""From logits to labels, and how much each voxel's label is to be doubted.

Doubt is 0 where the network is sure and 1 where the best class is no likelier than the others:

- softmax: the entropy of the class probabilities, divided by that of equal probabilities;
- sigmoid and regions: the largest binary entropy over the channels, in bits.

Logits are divided by the card's temperature first, so that doubt is calibrated where the card was.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import WeightsError
from ..zoo.card import Card, OutputSpec

_NEGLIGIBLE = -80.0
"""Logits this far below the highest count as this: further, exp is a denormal number, and 50 times slower."""

__all__ = ["channels_of", "check_channels", "decide_labels", "doubt_of", "softmax_doubt"]


def channels_of(card: Card) -> int:
    """Count the output channels that the card's labels and activation ask for."""
    highest = max(label.id for label in card.labels)
    if card.output.activation == "softmax":
        return highest + 1
    if card.output.activation == "sigmoid":
        return highest
    return max(region.channel for region in card.output.regions) + 1


def check_channels(card: Card, channels: int) -> None:
    """Refuse a network whose output does not fit the card's labels.

    Raises
    ------
    WeightsError
        If it has more or fewer channels than the labels ask for.
    """
    expected = channels_of(card)
    # Regions may leave out channels of the network, the highest too.
    if channels != expected and not (card.output.activation == "regions" and channels > expected):
        raise WeightsError(
            f"the network of {card.name} gives {channels} channels, but its labels with "
            f"{card.output.activation} ask for {expected}; the card and the weights do not belong together"
        )


def decide_labels(logits: Tensor, output: OutputSpec) -> Tensor:
    """Label of each voxel.

    Parameters
    ----------
    logits : Tensor, shape (C, ...)
        Before softmax or sigmoid.
    output : OutputSpec
        Activation and, for regions, their rule.

    Returns
    -------
    Tensor, shape (...), int32
        Softmax: the likeliest channel. Sigmoid: the likeliest channel plus 1, 0 where none reaches 0.5.
        Regions: each region that reaches 0.5 writes its label over the earlier ones.
    """
    decide: dict[str, Callable[[Tensor, OutputSpec], Tensor]] = {
        "softmax": lambda values, _: _likeliest(values)[1],
        "sigmoid": _decide_sigmoid,
        "regions": _decide_regions,
    }
    return decide[output.activation](logits, output)


def _decide_sigmoid(logits: Tensor, _: OutputSpec) -> Tensor:
    best, channel = _likeliest(logits)
    return (channel + 1).masked_fill_(best <= 0, 0)


def _likeliest(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Find the highest logit and its channel (int32), the first of equals; torch's own is 30 times slower."""
    best = logits[0].clone()
    channel = torch.zeros(best.shape, dtype=torch.int32, device=logits.device)
    for index in range(1, logits.shape[0]):
        channel.masked_fill_(logits[index] > best, index)
        torch.maximum(best, logits[index], out=best)
    return best, channel


def _decide_regions(logits: Tensor, output: OutputSpec) -> Tensor:
    labels = torch.zeros(logits.shape[1:], dtype=torch.int32, device=logits.device)
    for region in output.regions:
        labels[logits[region.channel] > 0] = region.label
    return labels


def doubt_of(logits: Tensor, output: OutputSpec) -> Tensor:
    """Doubt of each voxel in [0, 1].

    Parameters
    ----------
    logits : Tensor, shape (C, ...)
        Before softmax or sigmoid.
    output : OutputSpec
        Activation and temperature.

    Returns
    -------
    Tensor, shape (...), float32
        NaN where a logit is NaN.
    """
    tempered = logits.float() / output.doubt_temperature
    if output.activation == "softmax":
        return softmax_doubt(tempered)
    # Binary entropy falls with the distance from 0, so the largest entropy is that of the nearest logit.
    nearest = tempered.abs().amin(dim=0)
    return softmax_doubt(torch.stack([nearest, torch.zeros_like(nearest)]))


def softmax_doubt(logits: Tensor) -> Tensor:
    """Entropy of softmax(logits) over the first axis, divided by its largest value, log C.

    Parameters
    ----------
    logits : Tensor, shape (C, ...)

    Returns
    -------
    Tensor, shape (...), float32 in [0, 1]

    Examples
    --------
    >>> softmax_doubt(torch.zeros(3, 1))
    tensor([1.])
    """
    if logits.shape[0] < 2:
        return torch.zeros(logits.shape[1:])
    # With m = max and s = sum(exp(x - m)):  H = log s - sum((x - m) exp(x - m)) / s.  Class by class, so that
    # two arrays of the result's size are held and not two for each class.
    top = logits.amax(dim=0)
    total = torch.zeros_like(top)
    weighted = torch.zeros_like(top)
    for values in logits:
        below = (values - top).clamp_(min=_NEGLIGIBLE)
        share = below.exp()
        total += share
        weighted += share * below
    entropy = total.log() - weighted / total
    return (entropy / math.log(logits.shape[0])).clamp_(0.0, 1.0)
