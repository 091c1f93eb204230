"""Scores on the validation split while training: whole volumes through the engine's own windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ..engine.doubt import decide_labels
from ..engine.frame import window_shape
from ..engine.network import on_windows
from ..engine.windows import Tiling, blend
from ..metrics import dice
from ..zoo.card import Card
from .data import TrainingCase

__all__ = ["validation_dice", "whole_volume_logits"]


@torch.inference_mode()
def validation_dice(
    net: nn.Module, cases: Sequence[TrainingCase], card: Card, device: torch.device
) -> Mapping[str, float]:
    """Mean Dice of each label over whole cases, on the network's grid and without postprocessing.

    Returns
    -------
    mapping of str to float
        Label name to mean Dice; a label that a case lacks and the network leaves out counts as 1. Of a card
        that numbers objects, the border counts with their label, and by itself too.
    """
    wanted = _numbers(card)
    scores: dict[str, list[float]] = {name: [] for name in wanted}
    for case in cases:
        found = decide_labels(whole_volume_logits(net, case.image, card, device), card.output).numpy()
        truth = case.target[0].numpy()
        for name, numbers in wanted.items():
            scores[name].append(dice(np.isin(truth, numbers), np.isin(found, numbers)))
    return {name: float(np.mean(values)) for name, values in scores.items()}


def _numbers(card: Card) -> dict[str, list[int]]:
    """Return the numbers that count together under each label's name."""
    numbers = {label.name: [label.id] for label in card.labels}
    rules = card.postprocess.instances
    if rules is not None and rules.border is not None:
        numbers[card.label_names[rules.label]].append(rules.border)
    return numbers


def whole_volume_logits(net: nn.Module, image: Tensor, card: Card, device: torch.device) -> Tensor:
    """Blend logits over an image of any size: (C, I, J, K) -> (classes, I, J, K), on the CPU."""
    i, j, k = image.shape[1:]
    apply = on_windows(net, card)
    rows = blend(
        lambda start, stop: image[:, start:stop],
        lambda windows: apply(windows.to(device)).float(),
        Tiling.over((i, j, k), window_shape(card), card.window.overlap),
    )
    return torch.cat([found.values for found in rows], dim=1)
