"""How good the answers are after 1, 3 and 5 clicks, on images of sets that are not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import nn

from .rounds import Rounds
from .sampler import Example

__all__ = ["click_dice"]

CLICKS = (1, 3, 5)
_BATCH = 8


def click_dice(
    network: nn.Module, sets: Mapping[str, Sequence[Example]], first: nn.Module | None = None
) -> dict[str, float]:
    """Mean over the sets of the mean Dice of their examples, after 1, 3 and 5 clicks.

    Parameters
    ----------
    network : Module
    sets : mapping of str to sequence of Example
    first : Module or None
        What answers first clicks. If there is such, a box, and three clicks more, count as well, the first
        click does not.

    Returns
    -------
    dict of str to float
        "1 click", "3 clicks", "5 clicks", "box", "box + 3 clicks".
    """
    found = _mean_dice(network, sets, first, box=False)
    named = {f"{n} click{'s' * (n > 1)}": found[n] for n in CLICKS}
    if first is None:
        return named
    after_box = _mean_dice(network, sets, first, box=True)
    return {name: value for name, value in named.items() if name != "1 click"} | {
        "box": after_box[1],
        "box + 3 clicks": after_box[4],
    }


def _mean_dice(
    network: nn.Module, sets: Mapping[str, Sequence[Example]], first: nn.Module | None, box: bool
) -> dict[int, float]:
    """Mean Dice after so many prompts."""
    prompts = (1, 4) if box else CLICKS
    of_sets = []
    for examples in sets.values():
        found = [
            _batch_dice(network, examples[start : start + _BATCH], first, box, prompts)
            for start in range(0, len(examples), _BATCH)
        ]
        of_sets.append(np.concatenate(found, axis=1).mean(axis=1))
    return {n: float(value) for n, value in zip(prompts, np.mean(of_sets, axis=0), strict=True)}


def _batch_dice(
    network: nn.Module,
    examples: Sequence[Example],
    first: nn.Module | None,
    box: bool,
    prompts: Sequence[int],
) -> list[list[float]]:
    """Dice of each example after each number of prompts, of which the first one may be a box."""
    network.eval()
    rounds = Rounds(examples, None)
    answers, scores = None, []
    for number in range(1, max(prompts) + 1):
        for which in range(len(examples)):
            if box and number == 1:
                rounds.draw_box(which)
            else:
                rounds.click(which, None if answers is None else answers[which] > 0.5)
        asked = network if first is None or box or number > 1 else first
        answers = rounds.answers(asked)
        for which in range(len(examples)):
            rounds.remember(which, answers[which])
        if number in prompts:
            masks = answers > 0.5
            shared = (masks & rounds.targets).sum(dim=(1, 2)).float()
            total = masks.sum(dim=(1, 2)) + rounds.targets.sum(dim=(1, 2))
            scores.append((2 * shared / total.clamp_min(1)).tolist())
    return scores
