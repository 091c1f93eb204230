"""`effseg evaluate` for models that answer clicks: its options, its tables and its JSON."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from ._console import ProgressBar, table
from ._interrupt import Interrupt
from ._memory import memory_in_words

if TYPE_CHECKING:
    from ..evaluation.clicks import ClickEvaluation, ClickOptions, ObjectClicks, SetClicks, Subject, Summary

__all__ = [
    "ByClicks",
    "answers_clicks",
    "click_options",
    "clicks_as_json",
    "clicks_as_table",
    "evaluate_by_clicks",
]

P = ParamSpec("P")
R = TypeVar("R")
_BASELINES = ("random-walker", "grow-cut", "flood-fill")
_OPTIONS = {
    "baselines": "baseline",
    "groups": "group",
    "objects": "objects",
    "clicks": "clicks",
    "whole": "whole",
    "left_out": "leave-out",
}


@dataclass(frozen=True)
class ByClicks:
    """Options that only models that answer clicks have; None or empty where they were not given."""

    baselines: tuple[str, ...]
    groups: tuple[tuple[str, Path], ...]
    objects: int | None
    clicks: int | None
    whole: bool
    left_out: tuple[str, ...]

    def refuse(self) -> None:
        """Refuse them for a model that segments by itself.

        Raises
        ------
        click.UsageError
            Naming the first that was given.
        """
        for name, option in _OPTIONS.items():
            if getattr(self, name) not in ((), None, False):
                raise click.UsageError(f"--{option} is for models that answer clicks; leave it out")


def click_options(command: Callable[P, R]) -> Callable[P, R]:
    """Add the options, which the command gets as one: `by_clicks`."""

    @click.option(
        "--baseline",
        "baselines",
        multiple=True,
        type=click.Choice(_BASELINES),
        help="By clicks: measure this method without learning beside MODEL; may be repeated.",
    )
    @click.option(
        "--group",
        "groups",
        multiple=True,
        callback=_parse_groups,
        metavar="NAME=DATASET",
        help="By clicks: a data set that belongs to a group, of which a mean is given; may be repeated.",
    )
    @click.option(
        "--objects",
        type=click.IntRange(min=1),
        metavar="N",
        help="By clicks: objects of each image at most, drawn by --seed and the case's name.  [default: 4]",
    )
    @click.option(
        "--clicks",
        type=click.IntRange(min=5),
        metavar="N",
        help="By clicks: so many on each object.  [default: 10]",
    )
    @click.option(
        "--whole",
        is_flag=True,
        help="By clicks: also whole objects of volumes: a click, carried on, and three corrections.",
    )
    @click.option(
        "--leave-out",
        "left_out",
        multiple=True,
        metavar="CASE",
        help="By clicks: a case that is not measured, by its name; may be repeated.",
    )
    @wraps(command)
    def gathered(*args: P.args, **kwargs: P.kwargs) -> R:
        kwargs["by_clicks"] = ByClicks(**{name: kwargs.pop(name) for name in _OPTIONS})  # type: ignore[arg-type]  # click's values
        return command(*args, **kwargs)

    return gathered


def answers_clicks(model: str) -> bool:
    """Whether a name is that of a baseline, or of a card that answers clicks.

    Raises
    ------
    UnknownModel
        If it is neither, nor any other card.
    """
    from ..zoo import find_card

    return model in _BASELINES or find_card(model).task == "promptable"


def evaluate_by_clicks(
    model: str,
    datasets: Sequence[Path],
    given: ByClicks,
    base: ClickOptions,
    device: str,
    progress: ProgressBar,
    interrupt: Interrupt,
) -> list[ClickEvaluation]:
    """Measure a model, and each baseline that was asked for.

    Parameters
    ----------
    model : str
    datasets : sequence of Path
        Without a group.
    given : ByClicks
    base : ClickOptions
        What does not come from `given`.
    device : str
    progress, interrupt
        Of the command.
    """
    from ..engine import part_of
    from ..evaluation.clicks import evaluate_clicks

    every = [*(("", folder) for folder in datasets), *given.groups]
    options = dataclasses.replace(
        base,
        objects=given.objects or base.objects,
        clicks=given.clicks or base.clicks,
        solids=given.whole,
        left_out=given.left_out,
    )
    names = dict.fromkeys((model, *given.baselines))
    subjects = [_subject(name, device) for name in names]
    found = []
    with memory_in_words():
        for done, subject in enumerate(subjects):
            share = part_of(progress, done, len(subjects), subject.name)
            found.append(evaluate_clicks(subject, every, options, share, interrupt.cancel))
    return found


def clicks_as_json(found: ClickEvaluation) -> dict[str, Any]:
    """Return every number under the names that docs/json.md lists."""
    from ..evaluation.clicks import mean_of_sets

    options = found.options
    return {
        "model": found.subject.name,
        "weights_sha256": found.subject.weights_sha256,
        "split": options.split,
        "seed": options.seed,
        "limit": options.limit,
        "objects_per_image": options.objects,
        "clicks": options.clicks,
        "left_out": list(options.left_out),
        "sets": [_set_as_json(one) for one in found.sets],
        "means": [
            {"name": name, **dataclasses.asdict(mean)} for name, mean in mean_of_sets(found.sets).items()
        ],
    }


def clicks_as_table(every: Sequence[ClickEvaluation]) -> str:
    """Lay out a table for each model: sets, their tasks, and means over sets."""
    return "\n\n".join(_table(found) for found in every)


def _parse_groups(
    context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, Path], ...]:
    found = []
    for value in values:
        name, equals, folder = value.partition("=")
        if not (name.strip() and equals and folder):
            raise click.BadParameter(
                f"{value!r}; expected NAME=DATASET, such as seen=data/hearts", context, option
            )
        found.append((name.strip(), Path(folder)))
    return tuple(found)


def _subject(name: str, device: str) -> Subject:
    from .. import sessions
    from ..evaluation.baselines import open_baseline
    from ..evaluation.clicks import Subject

    if name in _BASELINES:
        return Subject(name, lambda volume: open_baseline(name, volume))
    card = sessions.promptable_card(name)
    return Subject(card.name, lambda volume: sessions.open_session(volume, card, device), card.weights.sha256)


def _set_as_json(one: SetClicks) -> dict[str, Any]:
    return {
        "dataset": one.dataset,
        "folder": one.folder,
        "group": one.group,
        "dimensions": one.dimensions,
        "cases": one.cases,
        "warnings": list(one.warnings),
        "summary": dataclasses.asdict(one.summary),
        "tasks": [{"task": task, **dataclasses.asdict(mean)} for task, mean in one.tasks.items()],
        "objects": [_object_as_json(asked) for asked in one.objects],
        "solids": [{**dataclasses.asdict(solid), "dice": list(solid.dice)} for solid in one.solids],
    }


def _object_as_json(one: ObjectClicks) -> dict[str, Any]:
    return {
        "case": one.case,
        "task": one.task,
        "label": one.label,
        "axis": one.axis,
        "index": one.index,
        "pixels": one.pixels,
        "dice_clicks": list(one.asked.clicks),
        "dice_box": list(one.asked.box),
        "clicks_to_90": one.clicks_to_enough,
        "seconds": round(statistics.median(one.asked.seconds), 4),
    }


def _table(found: ClickEvaluation) -> str:
    from ..evaluation.clicks import ENOUGH, mean_of_sets

    cap = found.options.clicks
    columns = {
        "clicks_1": "1 click",
        "clicks_3": "3 clicks",
        "clicks_5": "5 clicks",
        "box": "box",
        "box_3": "box + 3",
        "box_5": "box + 5",
        "auc_5": "AUC 1-5",
        "auc_10": "AUC 1-10",
        "clicks_to_90": f"clicks to {ENOUGH:.2f}",
        "reached_90": "reached",
        "solid": "3D: 1 click",
        "solid_3": "3D: + 3",
    }
    means = mean_of_sets(found.sets)
    last = means["all sets"]
    columns = {name: head for name, head in columns.items() if getattr(last, name) is not None}

    def row(name: str, objects: str, summary: Summary) -> list[str]:
        return [name, objects, *(_cell(name, getattr(summary, name)) for name in columns)]

    rows = [["set", "objects", *columns.values()]]
    for one in found.sets:
        group = f"{one.group}: " if one.group else ""
        rows.append(row(group + one.folder, str(len(one.objects)), one.summary))
        tasks = one.tasks if len(one.tasks) > 1 else {}
        for task, summary in tasks.items():
            count = sum(asked.task == task for asked in one.objects)
            rows.append(row(f"  {task}", str(count), summary))
    if len(found.sets) > 1:
        rows += [row(f"mean, {name}", "", summary) for name, summary in means.items()]
    seconds = [second for one in found.sets for asked in one.objects for second in asked.asked.seconds]
    title = (
        f"{found.subject.name}, {found.options.split}: Dice by simulated prompts, at most {cap} clicks, "
        f"median {statistics.median(seconds):.2f} s an answer"
    )
    return "\n".join([title, table(rows, right=range(1, len(rows[0])))])


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return (
        f"{value:.1f}"
        if name == "clicks_to_90"
        else f"{value:.0%}"
        if name == "reached_90"
        else f"{value:.3f}"
    )
