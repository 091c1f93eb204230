"""The models of a bench as a picture: accuracy against time, memory as area."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .._extras import require
from ..errors import ConfigError
from ..zoo import Card
from .comparison import BenchReport, BenchRow

__all__ = ["dice_scores", "draw_dice_against_time"]

DiceScores = dict[tuple[str, str], float]
"""Mean Dice on the test split, by data set and card."""

_AREA_A_MB = 1.0  # square points
_SMALLEST_AREA = 4.0


def dice_scores(cards: Sequence[Card]) -> DiceScores:
    """Look up each card's mean Dice on a test split, for a picture that can then be drawn.

    Parameters
    ----------
    cards : sequence of Card
        Those without a measured mean Dice are left out.

    Raises
    ------
    ConfigError
        If no card names a measured mean Dice.
    MissingExtra
        If matplotlib is not installed.
    """
    scores = {
        (found.dataset, card.name): found.mean
        for card in cards
        for found in card.accuracy
        if (found.metric, found.label, found.split) == ("dice", "mean", "test")
    }
    if not scores:
        raise ConfigError("no model's card names a mean Dice on a test split; there is nothing to draw")
    _figures()
    return scores


def draw_dice_against_time(report: BenchReport, scores: DiceScores, path: Path) -> None:
    """Draw each card's test Dice against its time for a window, one chart a data set.

    Parameters
    ----------
    report : BenchReport
        With a row for each card.
    scores : dict
        From `dice_scores`.
    path : Path
        PNG to write.
    """
    rows = {row.name: row for row in report.rows}
    datasets = sorted({dataset for dataset, _ in scores})
    figure = _figures().Figure(figsize=(6 * len(datasets), 4.5), layout="constrained")
    for place, dataset in enumerate(datasets, start=1):
        axes = figure.add_subplot(1, len(datasets), place)
        _fill(axes, {name: dice for (of, name), dice in scores.items() if of == dataset}, rows)
        axes.set(xscale="log", xlabel="seconds a window", ylabel="mean Dice, test split", title=dataset)
        axes.margins(x=0.5, y=0.3)
    figure.supxlabel(f"{report.device.description}; area: peak memory of a pass", fontsize="small")
    figure.savefig(path, dpi=120, format="png")


def _fill(axes: Any, scores: dict[str, float], rows: dict[str, BenchRow]) -> None:
    """Put a disc for each card that was measured."""
    for name, dice in scores.items():
        if name in rows:
            row = rows[name]
            area = max(_AREA_A_MB * row.peak_memory_bytes / 1e6, _SMALLEST_AREA)
            axes.scatter(row.seconds, dice, s=area, alpha=0.6)
            axes.annotate(name, (row.seconds, dice), textcoords="offset points", xytext=(0, 12), ha="center")


def _figures() -> Any:
    return require("matplotlib.figure", "train", "the picture")
