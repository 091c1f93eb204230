"""`effseg evaluate`: a model against the references of data sets."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._clicks import (
    ByClicks,
    answers_clicks,
    click_options,
    clicks_as_json,
    clicks_as_table,
    evaluate_by_clicks,
)
from ._console import Console, ProgressBar, speaks, table
from ._interrupt import Interrupt
from ._options import FILE, as_json, device_option, held_back_option, label_option
from ._outputs import StagedFiles, check_output

if TYPE_CHECKING:
    from ..evaluation import Evaluation, EvaluationOptions, Spread
    from ..evaluation.clicks import ClickOptions

__all__ = ["evaluate", "evaluation_as_json"]

_METRICS = (("dice", "dice"), ("hausdorff95_mm", "hd95_mm"), ("surface_dice", "nsd"))
"""Attribute of a score, and its name in tables and JSON."""
_TOLERANCE_MM = 1.0


@click.command(
    epilog="Example: effseg evaluate hippocampus-lightm-unet data/msd_hippocampus --json scores.json; "
    "effseg evaluate prompt-unet data/hearts data/lungs --baseline grow-cut"
)
@click.argument("model")
@click.argument("datasets", nargs=-1, type=FILE, metavar="DATASET...")
@click.option(
    "--split",
    default="test",
    show_default=True,
    help="training, validation or test; by clicks also all, which is every list together.",
)
@click.option(
    "--transform",
    default="none",
    show_default=True,
    metavar="none|mirror|reorient|oblique|resample",
    help="Give the model each case in another guise and score the result where the case was: swapped sides, "
    "array axes in random order and direction, a tilted affine, another spacing.",
)
@click.option(
    "--corrupt",
    "corrupted",
    is_flag=True,
    help="Score the images as they are, and again noisy, blurred, unevenly lit and coarse: one table.",
)
@click.option("--seed", default=0, show_default=True, help="Of transforms and corruptions that draw numbers.")
@click.option(
    "--tolerance", default=_TOLERANCE_MM, show_default=True, metavar="MM", help="Of the surface Dice (NSD)."
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Only N cases of each set: the first, or by clicks some all over its list.",
)
@held_back_option
@label_option
@click_options
@click.option("--json", "json_file", type=FILE, metavar="FILE", help="Write every score (docs/json.md).")
@device_option
@click.pass_obj
@speaks
def evaluate(
    interrupt: Interrupt,
    model: str,
    datasets: tuple[Path, ...],
    split: str,
    transform: str,
    corrupted: bool,
    seed: int,
    tolerance: float,
    limit: int | None,
    held_back: float | None,
    labels: dict[int, str],
    by_clicks: ByClicks,
    json_file: Path | None,
    device: str,
    console: Console,
) -> None:
    """Score MODEL on the whole images of each DATASET.

    DATASET is a folder with a dataset.json as in the Decathlon, or with images/ and labels/ (or imagesTr/ and
    labelsTr/) of equal names, all of them in the split "training".

    Of a model that segments by itself: Dice, the 95 % Hausdorff distance in mm and the surface Dice a
    structure; a structure that was missed counts with Dice 0 and the diagonal of the image.

    Of a model that answers clicks: Dice after 1, 3 and 5 simulated clicks, a box, box + 3 and box + 5 clicks,
    and the clicks until Dice is 0.90. MODEL may then be a baseline without learning: random-walker, grow-cut
    or flood-fill.
    """
    if json_file is not None:
        check_output(json_file)
    if not datasets and not by_clicks.groups:
        raise click.UsageError("no data set was given; give a folder with a dataset.json")
    with StagedFiles([json_file] if json_file else [], interrupt) as staged:
        if answers_clicks(model):
            automatic = {"transform": transform != "none", "corrupt": corrupted, "held-back": held_back}
            _refuse(automatic | {"label": labels, "tolerance": tolerance != _TOLERANCE_MM})
            from ..evaluation.clicks import ClickOptions

            asked = ClickOptions(split, limit, seed=seed)
            with interrupt.between_steps(), console.progress() as progress:
                said = _by_clicks(model, datasets, by_clicks, asked, device, progress, interrupt)
        else:
            by_clicks.refuse()
            from ..evaluation import EvaluationOptions

            options = EvaluationOptions(split, device, transform, tolerance, seed, limit, held_back, labels)
            with interrupt.between_steps(), console.progress() as progress:
                said = _automatic(model, datasets, corrupted, options, progress, interrupt)
        if json_file is not None:
            staged.place_for(json_file).write_text(as_json(said.document), encoding="utf-8")
        staged.commit()
    for warning in dict.fromkeys(said.warnings):
        console.warn(warning)
    console.result(said.table)


@dataclasses.dataclass(frozen=True)
class _Said:
    """What is told of an evaluation: numbers for programs, a table for people, and warnings."""

    documents: list[dict[str, Any]]
    table: str
    warnings: list[str]

    @property
    def document(self) -> dict[str, Any]:
        return {"evaluations": self.documents} if len(self.documents) > 1 else self.documents[0]


def _by_clicks(
    model: str,
    datasets: Sequence[Path],
    by_clicks: ByClicks,
    options: ClickOptions,
    device: str,
    progress: ProgressBar,
    interrupt: Interrupt,
) -> _Said:
    found = evaluate_by_clicks(model, datasets, by_clicks, options, device, progress, interrupt)
    warnings = [warning for one in found[0].sets for warning in one.warnings]
    return _Said([clicks_as_json(one) for one in found], clicks_as_table(found), warnings)


def _automatic(
    model: str,
    datasets: Sequence[Path],
    corrupted: bool,
    options: EvaluationOptions,
    progress: ProgressBar,
    interrupt: Interrupt,
) -> _Said:
    sets = _evaluate_sets(model, datasets, corrupted, options, progress, interrupt)
    documents = [evaluation_as_json(one) for every in sets for one in every]
    tables = [_as_table_of_corruptions(one) if corrupted else _as_table(one[0]) for one in sets]
    warnings = [warning for every in sets for warning in every[0].warnings]
    return _Said(documents, "\n\n".join(tables), warnings)


def _evaluate_sets(
    model: str,
    datasets: Sequence[Path],
    corrupted: bool,
    options: EvaluationOptions,
    progress: ProgressBar,
    interrupt: Interrupt,
) -> list[tuple[Evaluation, ...]]:
    """Score a model that segments by itself on the images of each set, or on those and their corruptions."""
    from ..engine import part_of
    from ..evaluation import evaluate, evaluate_corrupted

    found: list[tuple[Evaluation, ...]] = []
    for done, folder in enumerate(datasets):
        share = part_of(progress, done, len(datasets), folder.name)
        if corrupted:
            found.append(evaluate_corrupted(model, folder, options, share, interrupt.cancel))
        else:
            found.append((evaluate(model, folder, options, share, interrupt.cancel),))
    return found


def _refuse(given: Mapping[str, object]) -> None:
    """Refuse options that models that answer clicks do not have."""
    for option, value in given.items():
        if value:
            raise click.UsageError(f"--{option} is for models that segment by themselves; leave it out")


def evaluation_as_json(found: Evaluation) -> dict[str, Any]:
    """Return every score under the names that docs/json.md lists."""
    options = found.options
    return {
        "model": found.model,
        "weights_sha256": found.weights_sha256,
        "dataset": found.dataset,
        "split": options.split,
        "held_back": options.held_back,
        "transform": options.transform,
        "corruption": options.corruption,
        "seed": options.seed,
        "tolerance_mm": options.tolerance_mm,
        "device": options.device,
        "warnings": list(found.warnings),
        "summary": _summary(found),
        "cases": [
            {
                "case": case.case,
                "seconds": round(case.seconds, 3),
                "warnings": list(case.warnings),
                "labels": [
                    {
                        "label": score.label,
                        "name": score.name,
                        **{short: getattr(score, metric) for metric, short in _METRICS},
                        "truth_ml": score.truth_ml,
                        "result_ml": score.result_ml,
                        "missed": score.missed,
                    }
                    for score in case.scores
                ],
                "objects": None
                if case.objects is None
                else {"ap50": case.objects.ap50, **dataclasses.asdict(case.objects)},
            }
            for case in found.cases
        ],
    }


def _summary(found: Evaluation) -> dict[str, Any]:
    def spread(of: Spread) -> dict[str, float]:
        return {"mean": of.mean, "std": of.std}

    def metrics(label: int | None) -> dict[str, Any]:
        return {short: spread(found.over_cases(metric, label)) for metric, short in _METRICS}

    return {
        "cases": len(found.cases),
        "median_seconds": round(found.median_seconds, 3),
        "mean": metrics(None),
        "ap50": None if found.ap50 is None else spread(found.ap50),
        "labels": [
            {"label": label, "name": name, "missed": found.missed(label), **metrics(label)}
            for label, name in found.labels.items()
        ],
    }


def _cells(found: Evaluation, label: int | None) -> list[str]:
    spreads = [found.over_cases(metric, label) for metric, _ in _METRICS]
    return [
        f"{of.mean:.{digits}f} +- {of.std:.{digits}f}" for of, digits in zip(spreads, (4, 2, 4), strict=True)
    ]


def _as_table_of_corruptions(every: tuple[Evaluation, ...]) -> str:
    """Write a row for each corruption: means over cases and structures, and what it costs."""
    first = every[0]
    whole = first.over_cases("dice").mean
    head = ["images", "Dice", "HD95 mm", f"NSD at {first.options.tolerance_mm:g} mm", "missed", "Dice lost"]
    head += [] if first.ap50 is None else ["AP50"]
    rows = [
        [
            "as they are" if found is first else found.options.corruption,
            *_cells(found, None),
            str(sum(found.missed(label) for label in found.labels)),
            "" if found is first else f"{whole - found.over_cases('dice').mean:.4f}",
            *([] if found.ap50 is None else [f"{found.ap50.mean:.4f}"]),
        ]
        for found in every
    ]
    title = f"{first.model} on {first.dataset}, {first.options.split}: {len(first.cases)} cases"
    return "\n".join([title, table([head, *rows], right=[*range(1, len(head))])])


def _as_table(found: Evaluation) -> str:
    options = found.options
    head = ("structure", "Dice", "HD95 mm", f"NSD at {options.tolerance_mm:g} mm", "missed")
    rows = [[name, *_cells(found, label), str(found.missed(label))] for label, name in found.labels.items()]
    title = (
        f"{found.model} on {found.dataset}, {options.split}: {len(found.cases)} cases, "
        f"transform {options.transform}, median {found.median_seconds:.2f} s a case"
    )
    scores = table([head, *rows, ["mean", *_cells(found, None), ""]], right=[1, 2, 3, 4])
    return "\n".join([title, scores, *_objects_line(found)])


def _objects_line(found: Evaluation) -> list[str]:
    """Return what is said of numbered objects, in one line if any."""
    if found.ap50 is None:
        return []
    scores = [case.objects for case in found.cases if case.objects is not None]
    matched, missed, extra = (
        sum(getattr(score, name) for score in scores) for name in ("matched", "missed", "extra")
    )
    return [
        f"objects: AP50 {found.ap50.mean:.4f} +- {found.ap50.std:.4f}; "
        f"{matched} matched, {missed} missed, {extra} that are none"
    ]
