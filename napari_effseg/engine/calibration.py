"""Fit a card's doubt temperature, so that doubt means what it says on cases the network has not seen."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from ..errors import VolumeError
from ..zoo.card import OutputSpec

__all__ = ["fit_temperature"]

LOWEST, HIGHEST = 0.05, 20.0
"""Temperatures outside these mean that something else is wrong with a network."""
_TOLERANCE = 1e-3  # of the temperature's logarithm
_GOLDEN = (math.sqrt(5) - 1) / 2


def fit_temperature(logits: Tensor, truth: Tensor, output: OutputSpec) -> float:
    """Temperature at which the network's probabilities fit the truth best.

    Labels do not change: dividing all logits by one number keeps their order.

    Parameters
    ----------
    logits : Tensor, shape (C, N)
        Of voxels that the network was not trained on, such as those of the validation split, before softmax
        or sigmoid.
    truth : Tensor, shape (N,)
        Their true labels.
    output : OutputSpec
        Activation and, for regions, their rule. With regions, a voxel belongs to its own label's channel and
        to those of the regions that come before it: nested regions, as in brain tumours.

    Returns
    -------
    float
        In [0.05, 20]; above 1 for a network that is too sure of itself. For `OutputSpec.doubt_temperature`.

    Raises
    ------
    VolumeError
        If there is no voxel, or logits and truth do not fit together.

    References
    ----------
    C. Guo et al., On calibration of modern neural networks, ICML 2017 (temperature scaling).
    """
    if logits.ndim != 2 or truth.shape != logits.shape[1:] or truth.numel() == 0:
        raise VolumeError(
            f"logits of shape {tuple(logits.shape)} and labels of shape {tuple(truth.shape)} were given; "
            "expected (C, N) and (N,) with at least one voxel"
        )
    loss = _loss(logits.double(), truth.long(), output)
    return math.exp(_minimum(lambda power: loss(math.exp(power)), math.log(LOWEST), math.log(HIGHEST)))


def _loss(logits: Tensor, truth: Tensor, output: OutputSpec) -> Callable[[float], float]:
    if output.activation == "softmax":
        return lambda temperature: float(cross_entropy(logits.T / temperature, truth))
    wanted = _channel_targets(truth, logits.shape[0], output)
    return lambda temperature: float(binary_cross_entropy_with_logits(logits / temperature, wanted))


def _channel_targets(truth: Tensor, channels: int, output: OutputSpec) -> Tensor:
    """Which sigmoid channels are on at each voxel: (C, N), 0 or 1."""
    targets = torch.zeros((channels, truth.numel()), dtype=torch.float64)
    if output.activation == "sigmoid":
        for channel in range(channels):
            targets[channel] = truth == channel + 1
        return targets
    rest = torch.zeros_like(truth, dtype=torch.bool)
    for region in reversed(output.regions):
        rest |= truth == region.label
        targets[region.channel] = rest
    return targets


def _minimum(function: Callable[[float], float], low: float, high: float) -> float:
    """Golden-section search; the loss is convex in 1 / temperature, so that there is one minimum."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > _TOLERANCE:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = function(right)
    return (low + high) / 2
