"""Scores of the held-back cases, before and after: whole volumes, as `effseg segment` would label them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ...engine import fit_temperature, segment_with
from ...metrics import dice
from ...types import CancelCheck, Progress
from ...volume import LabelMap
from ...zoo.card import Accuracy, Card
from ..data import TrainingCase
from ..validate import whole_volume_logits

__all__ = ["Scores", "fitted_temperature", "score", "score_of_nothing", "share_of"]

_MOST_VOXELS = 2**20  # of a case, for the temperature of doubt


@dataclass(frozen=True)
class Scores:
    """Dice of each structure in each case.

    Attributes
    ----------
    dice : tuple of dict of str to float
        One dict a case; a structure that both lack has 1, one that a single side has 0.
    warnings : tuple of str
        What the engine said of these cases.
    """

    dice: tuple[Mapping[str, float], ...]
    warnings: tuple[str, ...]

    @property
    def mean(self) -> float:
        """Mean over the cases of each case's mean over its structures."""
        return statistics.fmean(statistics.fmean(case.values()) for case in self.dice)

    @property
    def by_label(self) -> dict[str, float]:
        """Mean Dice of each structure over the cases."""
        return {name: statistics.fmean(case[name] for case in self.dice) for name in self.dice[0]}

    def as_accuracy(self, dataset: str, command: str) -> tuple[Accuracy, ...]:
        """Return rows of a card."""
        rows = {"mean": [statistics.fmean(case.values()) for case in self.dice]}
        rows |= {name: [case[name] for case in self.dice] for name in self.dice[0]}
        return tuple(
            Accuracy(
                dataset=dataset,
                split="validation",
                cases=len(values),
                metric="dice",
                label=name,
                mean=round(statistics.fmean(values), 4),
                std=round(statistics.stdev(values) if len(values) > 1 else 0.0, 4),
                command=command,
            )
            for name, values in rows.items()
        )


def score(
    network: nn.Module,
    card: Card,
    cases: Sequence[TrainingCase],
    wanted: Mapping[str, tuple[int, int | None]],
    device: str,
    progress: Progress,
    cancel: CancelCheck | None,
) -> Scores:
    """Segment whole cases and compare each structure with the reference.

    Parameters
    ----------
    network : torch.nn.Module
    card : Card
        How to apply it.
    cases : sequence of TrainingCase
    wanted : mapping of str to (int, int or None)
        Structure -> its label in the reference, and in what the network finds; None where it knows none.
    device : str
    progress : callable
    cancel : callable or None

    Raises
    ------
    VolumeError, OutOfMemory, Cancelled
        As `segment` says.
    """
    rows, warnings = [], dict[str, None]()
    for done, case in enumerate(cases):
        part = share_of(progress, done / len(cases), (done + 1) / len(cases))
        result = segment_with(network, case.volume, card, device, progress=part, cancel=cancel)
        rows.append(_dice_of(result.labels, case.labels, wanted))
        warnings |= {f"{case.name}: {text}": None for text in result.report.warnings}
    return Scores(tuple(rows), tuple(warnings))


def score_of_nothing(cases: Sequence[TrainingCase], wanted: Mapping[str, tuple[int, int | None]]) -> Scores:
    """Score a model that knows none of the structures."""
    return Scores(tuple(_dice_of(case.labels, case.labels, wanted) for case in cases), ())


def fitted_temperature(
    network: nn.Module, card: Card, cases: Sequence[TrainingCase], device: torch.device
) -> float:
    """Temperature at which doubt fits the held-back cases best."""
    logits, truth = [], []
    for case in cases:
        with torch.inference_mode():
            found = whole_volume_logits(network, case.image, card, device).flatten(1)
        step = max(1, found.shape[1] // _MOST_VOXELS)
        logits.append(found[:, ::step])
        truth.append(case.target.flatten()[::step])
    return round(fit_temperature(torch.cat(logits, dim=1), torch.cat(truth), card.output), 2)


def share_of(progress: Progress | None, low: float, high: float) -> Progress:
    """Report the progress of a part as a part of the whole."""

    def report(fraction: float, message: str) -> None:
        if progress is not None:
            progress(low + (high - low) * fraction, message)

    return report


def _dice_of(
    found: LabelMap, truth: LabelMap, wanted: Mapping[str, tuple[int, int | None]]
) -> dict[str, float]:
    nothing = np.zeros(truth.shape, bool)
    return {
        name: dice(truth.data == theirs, nothing if ours is None else found.data == ours)
        for name, (theirs, ours) in wanted.items()
    }
