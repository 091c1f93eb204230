"""The segmentation loss: soft Dice with cross entropy or focal loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .._extras import require
from ..errors import ConfigError
from ..zoo.card import Card
from .config import OptimiserConfig

__all__ = ["Activation", "Loss", "activation_of", "segmentation_loss"]

Activation = Literal["softmax", "sigmoid"]
Loss = Callable[[Tensor, Tensor], Tensor]
"""Logits (B, C, *S) and targets (B, 1, *S) in, one number out."""


def activation_of(card: Card) -> Activation:
    """Return how a card's network is trained.

    Raises
    ------
    ConfigError
        If training does not know the card's activation.
    """
    found = card.output.activation
    if found not in ("softmax", "sigmoid"):
        raise ConfigError(
            f'training knows the activations "softmax" and "sigmoid"; {card.name} has "{found}"'
        )
    return found


def segmentation_loss(options: OptimiserConfig, activation: Activation = "softmax") -> Loss:
    """Weighted sum of soft Dice of the labels, over the batch, and cross entropy or focal loss.

    Parameters
    ----------
    options : OptimiserConfig
        Its `loss`, `dice_weight` and `dice_squared` are used.
    activation : {"softmax", "sigmoid"}
        Whether channel 0 is the background and channel n the label n, or channel n the label n + 1.

    Returns
    -------
    callable
        ``loss(logits, targets)``: (B, C, *S) float and (B, 1, *S) integer labels to a scalar tensor.

    Raises
    ------
    MissingExtra
        If MONAI is not installed.
    """
    losses = require("monai.losses", "train", "training")
    soft = activation == "softmax"
    dice = losses.DiceLoss(
        include_background=not soft,
        softmax=soft,
        sigmoid=not soft,
        squared_pred=options.dice_squared,
        batch=True,
    )
    focal = losses.FocalLoss(use_softmax=soft) if options.loss == "dice_focal" else None

    def cross_entropy(logits: Tensor, masks: Tensor) -> Tensor:
        if soft:
            return F.cross_entropy(logits, masks)
        return F.binary_cross_entropy_with_logits(logits, masks)

    second = focal or cross_entropy

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        logits = logits.float()
        masks = _masks(targets, logits.shape[1], 0 if soft else 1)
        value: Tensor = options.dice_weight * dice(logits, masks)
        return value + (1 - options.dice_weight) * second(logits, masks)

    return loss


def _masks(targets: Tensor, channels: int, first: int) -> Tensor:
    """(B, 1, *S) labels -> (B, channels, *S): 1 where a channel's label, of `first` on, is; else 0."""
    numbers = torch.arange(first, first + channels, device=targets.device)
    return (targets == numbers.view(1, -1, *(1 for _ in targets.shape[2:]))).float()
