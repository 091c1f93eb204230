"""The learning curves of a run as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .._extras import require
from .state import HistoryPoint

__all__ = ["draw_curves"]


def draw_curves(
    history: Sequence[HistoryPoint], path: Path, title: str, before: Mapping[str, float] | None = None
) -> None:
    """Draw training loss and validation Dice against the step.

    Parameters
    ----------
    history : sequence of HistoryPoint
    path : Path
        PNG to write; an older one is replaced.
    title : str
    before : mapping of str to float, optional
        Dice of each label before the first step, drawn as a dotted level.

    Raises
    ------
    MissingExtra
        If matplotlib is not installed.
    """
    figures = require("matplotlib.figure", "train", "the learning curves")
    figure = figures.Figure(figsize=(7, 4), layout="constrained")
    losses = figure.add_subplot()
    scores = losses.twinx()
    steps = [point.step for point in history]
    losses.plot(steps, [point.loss for point in history], color="tab:grey", label="training loss")
    for name in history[-1].dice if history else ():
        (line,) = scores.plot(steps, [point.dice[name] for point in history], label=name)
        if before and name in before:
            scores.axhline(before[name], color=line.get_color(), linestyle=":", label=f"{name}, before")
    losses.set(xlabel="step", ylabel="training loss", title=title)
    scores.set(ylabel="validation Dice", ylim=(0, 1))
    figure.legend(loc="outside lower center", ncols=2 if before else 4, frameon=False)
    figure.savefig(path, dpi=120)
