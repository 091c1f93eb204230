"""The segmentation loss: soft Dice and cross entropy, by MONAI."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from .._extras import require

__all__ = ["Loss", "segmentation_loss"]

Loss = Callable[[Tensor, Tensor], Tensor]
"""Logits (B, C, *S) and targets (B, 1, *S) in, one number out."""


def segmentation_loss(dice_weight: float) -> Loss:
    """Weighted sum of soft Dice over the batch, without the background, and cross entropy, after softmax.

    Parameters
    ----------
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
    both = losses.DiceCELoss(
        include_background=False,
        to_onehot_y=True,
        softmax=True,
        batch=True,
        lambda_dice=dice_weight,
        lambda_ce=1 - dice_weight,
    )

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        value: Tensor = both(logits.float(), targets.long())
        return value

    return loss
