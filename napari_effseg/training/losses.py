"""The segmentation loss: soft Dice and cross entropy, by MONAI."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor

from .._extras import require

__all__ = ["Loss", "segmentation_loss"]

Loss = Callable[[Tensor, Tensor], Tensor]
"""Logits (B, C, *S) and targets (B, 1, *S) in, one number out."""


def segmentation_loss(activation: Literal["softmax", "sigmoid"], dice_weight: float) -> Loss:
    """Weighted sum of soft Dice over the batch and cross entropy.

    Parameters
    ----------
    activation : {"softmax", "sigmoid"}
        As the card's output says; softmax leaves the background out of Dice.
    dice_weight : float
        In [0, 1]; cross entropy has the rest.

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
    softmax = activation == "softmax"
    both = losses.DiceCELoss(
        include_background=not softmax,
        to_onehot_y=softmax,
        softmax=softmax,
        sigmoid=not softmax,
        batch=True,
        lambda_dice=dice_weight,
        lambda_ce=1 - dice_weight,
    )

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        value: Tensor = both(logits.float(), targets.long() if softmax else targets.float())
        return value

    return loss
