"""How good the answers are after 1, 3 and 5 clicks, on whole images of sets that are not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import nn

from .rounds import Rounds
from .sampler import Example

__all__ = ["click_dice"]

CLICKS = (1, 3, 5)
_BATCH = 8


def click_dice(network: nn.Module, sets: Mapping[str, Sequence[Example]]) -> dict[str, float]:
    """Mean over the sets of the mean Dice of their examples, after 1, 3 and 5 clicks.

    Returns
    -------
    dict of str to float
        "1 click", "3 clicks", "5 clicks".
    """
    of_sets = [_set_dice(network, examples) for examples in sets.values()]
    means = np.mean(of_sets, axis=0)
    return {f"{n} click{'s' * (n > 1)}": float(value) for n, value in zip(CLICKS, means, strict=True)}


def _set_dice(network: nn.Module, examples: Sequence[Example]) -> list[float]:
    found = [
        _batch_dice(network, examples[start : start + _BATCH]) for start in range(0, len(examples), _BATCH)
    ]
    return [float(value) for value in np.concatenate(found, axis=1).mean(axis=1)]


def _batch_dice(network: nn.Module, examples: Sequence[Example]) -> list[list[float]]:
    """Dice of each example after each number of clicks."""
    network.eval()
    rounds = Rounds(examples, None)
    answers, scores = None, []
    for number in range(1, max(CLICKS) + 1):
        for which in range(len(examples)):
            rounds.click(which, None if answers is None else answers[which] > 0.5)
        answers = rounds.answers(network)
        for which in range(len(examples)):
            rounds.remember(which, answers[which])
        if number in CLICKS:
            masks = answers > 0.5
            shared = (masks & rounds.targets).sum(dim=(1, 2)).float()
            total = masks.sum(dim=(1, 2)) + rounds.targets.sum(dim=(1, 2))
            scores.append((2 * shared / total.clamp_min(1)).tolist())
    return scores
