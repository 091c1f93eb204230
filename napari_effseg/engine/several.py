"""Several models on one image: their results as one, and what all of them cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..types import Progress
from ..volume import LabelMap, MergedLabels, merge_labels
from ..zoo.brief import duration_words, memory_words
from .plan import Plan
from .report import Report, Result

__all__ = ["Combined", "combine", "part_of", "together"]


@dataclass(frozen=True, eq=False)
class Combined:
    """Results of several models on one image, as one.

    Attributes
    ----------
    labels : LabelMap
        With the labels of all models, no two of one number or name.
    doubt : (I, J, K), float32
        Of the model whose label a voxel has; where there is none, the largest of all.
    reports : tuple of Report
        One for each model, in their order.
    numbers : tuple of dict of int to int
        For each model, its own labels -> their numbers in `labels`.
    later_wins : bool
        Whether later models replaced labels of earlier ones.
    """

    labels: LabelMap
    doubt: NDArray[np.float32]
    reports: tuple[Report, ...]
    numbers: tuple[Mapping[int, int], ...]
    later_wins: bool = False

    @property
    def seconds(self) -> float:
        """Time of all runs."""
        return sum(report.seconds for report in self.reports)

    @property
    def device(self) -> str:
        """Where the networks ran."""
        return ", ".join(dict.fromkeys(report.device for report in self.reports))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What all reports warn of; which model it is about comes first, where there are several."""
        if len(self.reports) == 1:
            return self.reports[0].warnings
        return tuple(f"{report.model}: {text}" for report in self.reports for text in report.warnings)

    def to_json(self) -> dict[str, Any]:
        """Plain values that the json module takes: those of the only report, or of all together and each."""
        if len(self.reports) == 1:
            return self.reports[0].to_json()
        first = self.reports[0]
        each = [
            {**report.to_json(), "numbers": [[old, new] for old, new in table.items()]}
            for report, table in zip(self.reports, self.numbers, strict=True)
        ]
        return {
            **dict.fromkeys(first.to_json()),  # what only one model can say is null
            "model": " + ".join(report.model for report in self.reports),
            "device": self.device,
            "precision": ", ".join(dict.fromkeys(report.precision for report in self.reports)),
            "seconds": round(self.seconds, 3),
            "peak_memory_bytes": max(report.peak_memory_bytes for report in self.reports),
            "windows": sum(report.windows for report in self.reports),
            "plan": "; ".join(report.plan for report in self.reports),
            "versions": dict(first.versions),
            "warnings": list(self.warnings),
            "later_wins": self.later_wins,
            "models": each,
        }


def combine(results: Sequence[Result], later_wins: bool = False) -> Combined:
    """Make one result of those of several models.

    Where models overlap, the label of the earlier one stays, unless the later ones are to win.

    Parameters
    ----------
    results : sequence of Result
        On one grid, at least one.
    later_wins : bool

    Raises
    ------
    VolumeError
        As `merge_labels`.
    """
    reports = tuple(result.report for result in results)
    if len(results) == 1:
        only = results[0].labels
        return Combined(only, results[0].doubt, reports, ({label: label for label in only.described},))
    merged = merge_labels(
        [result.labels for result in results], [report.model for report in reports], later_wins
    )
    doubt = _doubt(results, merged)
    return Combined(merged.labels, doubt, reports, merged.numbers, later_wins)


def together(plans: Sequence[Plan]) -> str:
    """Say in one line what several runs cost, one after the other; "" for a single one."""
    if len(plans) < 2:
        return ""
    peak = max(plan.peak_memory_bytes for plan in plans)
    on_device = max(plan.device_memory_bytes for plan in plans)
    time = duration_words(sum(plan.seconds for plan in plans))
    memory = memory_words(peak, on_device)
    return f"{len(plans)} models one after the other: about {time} in all, and at most {memory}"


def part_of(progress: Progress | None, at: int, count: int, name: str) -> Progress:
    """Report the progress of one of several runs as a part of all."""

    def report(fraction: float, message: str) -> None:
        if progress is not None:
            said = f"{at + 1} of {count}, {name}: {message}" if count > 1 else message
            progress((at + fraction) / count, said)

    return report


def _doubt(results: Sequence[Result], merged: MergedLabels) -> NDArray[np.float32]:
    """Doubt of each voxel's owner, else the largest; slab by slab, since most of a large image is empty."""
    found = np.zeros(merged.labels.shape, np.float32)
    axis = int(np.argmax(np.abs(found.strides)))
    slabs, owners = np.moveaxis(found, axis, 0), np.moveaxis(merged.owner, axis, 0)
    for mark, result in enumerate(results, start=1):
        theirs = np.moveaxis(result.doubt, axis, 0)
        for slab, owner, doubt in zip(slabs, owners, theirs, strict=True):
            if doubt.any():
                np.maximum(slab, doubt, out=slab, where=owner == 0)
            mine = owner == mark
            if mine.any():
                slab[mine] = doubt[mine]
    return found
