"""The loss of several ranked masks: the best of them learns, all learn how good they are."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["hypotheses_loss", "imitation_loss"]

_OTHERS = 0.05
"""Weight of the masks that are not the best, so that none falls asleep."""
_SCORE = 1.0


def hypotheses_loss(
    logits: Tensor, scores: Tensor, targets: Tensor, first: Tensor, weights: Tensor, hidden: Tensor
) -> Tensor:
    """Mean loss of a batch.

    After the first prompt the best of all masks learns, and the first one, which answers from the second
    prompt on; after that only the first one does.

    Parameters
    ----------
    logits : Tensor, shape (B, H, S, S)
    scores : Tensor, shape (B, H)
        The intersection over union that each is thought to have.
    targets : Tensor, shape (B, S, S), bool
    first : Tensor, shape (B,), bool
        Whether an example has one prompt so far.
    weights : Tensor, shape (B,)
    hidden : Tensor, shape (B,)
        Area of each object beyond the image, in pixels: an answer that shows a part of an object is no good
        answer, however well it shows that part.
    """
    truth = targets.float()[:, None].expand_as(logits)
    each = _mask_loss(logits, truth)
    ambiguous = each.min(dim=1).values + _OTHERS * each.mean(dim=1) + 0.5 * each[:, 0]
    plain = each[:, 0] + _OTHERS * each.mean(dim=1)
    overlap = _overlap(logits.detach() > 0, targets[:, None], hidden[:, None])
    ranking = F.mse_loss(scores, overlap, reduction="none").mean(dim=1)
    loss = torch.where(first, ambiguous, plain) + _SCORE * ranking
    return (loss * weights).sum() / weights.sum()


def imitation_loss(logits: Tensor, taught: Tensor) -> Tensor:
    """Mean loss of masks against a teacher's probabilities.

    Parameters
    ----------
    logits, taught : Tensor, shape (B, S, S)
    """
    return _mask_loss(logits[:, None], taught[:, None]).mean()


def _mask_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Soft Dice and cross entropy of each mask, shape (B, H)."""
    probabilities = logits.sigmoid()
    shared = (probabilities * truth).sum(dim=(2, 3))
    total = probabilities.sum(dim=(2, 3)) + truth.sum(dim=(2, 3))
    dice = 1 - (2 * shared + 1) / (total + 1)
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(dim=(2, 3))
    return dice + entropy


def _overlap(masks: Tensor, targets: Tensor, hidden: Tensor) -> Tensor:
    both = (masks & targets).sum(dim=(2, 3)).float()
    either = (masks | targets).sum(dim=(2, 3)) + hidden
    return torch.where(either == 0, 1.0, both / either.clamp_min(1))  # nothing is found where nothing is
