"""The segmentation loss: soft Dice with cross entropy or focal loss, by MONAI."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from .._extras import require
from .config import OptimiserConfig

__all__ = ["Loss", "segmentation_loss"]

Loss = Callable[[Tensor, Tensor], Tensor]
"""Logits (B, C, *S) and targets (B, 1, *S) in, one number out."""


def segmentation_loss(options: OptimiserConfig) -> Loss:
    """Weighted sum of soft Dice over the batch, without the background, and a second loss, after softmax.

    Parameters
    ----------
    options : OptimiserConfig
        Its `loss` and `dice_weight` are used.

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
    common = {"to_onehot_y": True, "softmax": True, "batch": True, "lambda_dice": options.dice_weight}
    rest = 1 - options.dice_weight
    if options.loss == "dice_focal":  # MONAI's focal loss would leave the background out, too
        both = losses.DiceFocalLoss(include_background=True, lambda_focal=rest, **common)
    else:
        both = losses.DiceCELoss(include_background=False, lambda_ce=rest, **common)

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        value: Tensor = both(logits.float(), targets.long())
        return value

    return loss
