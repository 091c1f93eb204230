"""Choose the settings of the baselines without learning: one at a time, the best of a few values.

    python docs/_choose_baselines.py NAME DATASET [DATASET ...]

NAME is random-walker, grow-cut or flood-fill. What counts is the mean over the sets of the mean of Dice after
1, 3 and 5 clicks, a box, box + 3 and box + 5 clicks, on a few cases from all lists of each set: give it
the sets that models are chosen by, and no others. Prints every setting with its score, and the best at the
end, to be written into napari_effseg/evaluation/baselines/bodies.py.
"""

from __future__ import annotations

import statistics
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_effseg.engine.session.local import LocalSession
from napari_effseg.evaluation.baselines import BASELINES, BaselineBody
from napari_effseg.evaluation.clicks import ClickOptions, Subject, evaluate_clicks, mean_of_sets

CASES = 3
OBJECTS = 2
COLUMNS = ("clicks_1", "clicks_3", "clicks_5", "box", "box_3", "box_5")
OWN: dict[str, dict[str, tuple[float, ...]]] = {
    "random-walker": {"beta": (1000.0, 3000.0)},
    "grow-cut": {"step": (0.0003, 0.001, 0.003)},
    "flood-fill": {"tolerance": (0.05, 0.07, 0.1)},
}
MARKS: dict[str, tuple[float, ...]] = {
    "reach": (1.0, 0.4, 0.25, 0.15),
    "core": (0.35, 0.5, 0.65),
    "core_stays": (True, False),
    "radius": (2.0, 3.0, 4.0),
    "smooth": (0.0, 0.7),
    "side": (96, 128, 192),
}
"""Values that are tried: of each method's own setting, and of how prompts become seeds."""


def score(method: Any, datasets: list[Path]) -> float:
    """Measure a method in one setting."""
    subject = Subject("baseline", lambda volume: LocalSession(volume, BaselineBody(method)))
    options = ClickOptions("all", limit=CASES, objects=OBJECTS, clicks=5)
    found = evaluate_clicks(subject, [("", folder) for folder in datasets], options)
    means = mean_of_sets(found.sets)["all sets"]
    return statistics.fmean(getattr(means, name) for name in COLUMNS)


def changed(method: Any, name: str, value: float) -> Any:
    """Return a method with another value of one setting."""
    if name in MARKS:
        return replace(method, marks=replace(method.marks, **{name: value}))
    return replace(method, **{name: value})


def main(name: str, datasets: list[Path]) -> None:
    """Go through the settings once, keeping the best value of each."""
    best = BASELINES[name]
    best_score = score(best, datasets)
    say(f"{best_score:.4f}  {best}")
    for setting, values in (OWN[name] | MARKS).items():
        for value in values:
            tried = changed(best, setting, value)
            if tried == best:
                continue
            found = score(tried, datasets)
            say(f"{found:.4f}  {setting} = {value}")
            if found > best_score:
                best, best_score = tried, found
    say(f"best: {best_score:.4f}  {best}")


def say(line: str) -> None:
    """Print at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in BASELINES:
        sys.exit(__doc__)
    main(sys.argv[1], [Path(folder) for folder in sys.argv[2:]])
