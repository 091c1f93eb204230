"""`effseg finetune`: a model made better on a few labelled cases of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ..errors import Cancelled
from ._console import Console, speaks, table
from ._interrupt import Interrupt
from ._options import FILE, as_json, device_option, held_back_option, label_option
from ._outputs import StagedFiles, check_output

if TYPE_CHECKING:
    from ..training.finetune import FinetuneOptions, FinetuneResult, Finetuning

__all__ = ["finetune", "finetuning_as_json"]


@click.command(
    epilog="Example: effseg finetune hippocampus-lightm-unet cases -o runs/mine, where cases holds images/ "
    "and labels/ of equal names; then effseg segment scan.nii.gz -m runs/mine/card.toml"
)
@click.argument("model")
@click.argument("dataset", type=FILE)
@click.option("-o", "--output", type=FILE, help="Run folder; default runs/NAME.")
@click.option("--name", help="Name of the new model; default MODEL-finetuned.")
@click.option(
    "--steps", default=300, show_default=True, help="Most steps; fewer, when nothing gets better any more."
)
@click.option(
    "--minutes",
    type=float,
    metavar="N",
    help="About how long it may take on this machine, instead of --steps: as many as fit.",
)
@click.option(
    "--freeze",
    type=click.Choice(["none", "encoder", "all-but-head"]),
    default="none",
    show_default=True,
    help="What keeps the weights it has; more frozen is faster, needs less memory, and can learn less.",
)
@click.option(
    "--learning-rate", default=1e-3, show_default=True, help="Of the first steps; it falls to zero."
)
@held_back_option
@label_option
@click.option("--new-labels", is_flag=True, help="Names near the model's own mean other structures.")
@click.option("--seed", default=0, show_default=True, help="Of everything that is drawn.")
@click.option("--resume", is_flag=True, help="Go on with the run in the run folder.")
@click.option("--json", "json_file", type=FILE, metavar="FILE", help="Write the scores (docs/json.md).")
@device_option
@click.pass_obj
@speaks
def finetune(
    interrupt: Interrupt,
    model: str,
    dataset: Path,
    output: Path | None,
    name: str | None,
    steps: int,
    minutes: float | None,
    freeze: str,
    learning_rate: float,
    held_back: float | None,
    labels: dict[int, str],
    new_labels: bool,
    seed: int,
    resume: bool,
    json_file: Path | None,
    device: str,
    console: Console,
) -> None:
    """Finetune MODEL on the labelled cases of DATASET.

    DATASET is a folder with a dataset.json as in the Decathlon, or with images/ and labels/ (or imagesTr/ and
    labelsTr/) of equal names. A part of the cases is held back: the model is scored on it before and after,
    and the new weights are kept only if they are better. A test list is never looked at. Ctrl-C keeps the
    last checkpoint; the same command with --resume goes on from it.
    """
    given = click.get_current_context().get_parameter_source("steps")
    if minutes is not None and given is ParameterSource.COMMANDLINE:
        raise click.UsageError("--minutes and --steps say the same in two ways; give one of them")
    if json_file is not None:
        check_output(json_file)
    with StagedFiles([json_file] if json_file else [], interrupt) as staged:
        from ..training.finetune import FinetuneOptions

        options = FinetuneOptions(
            output=output,
            name=name,
            steps=steps,
            minutes=minutes,
            freeze=freeze,  # type: ignore[arg-type]  # click has checked it
            learning_rate=learning_rate,
            held_back=held_back,
            names=labels,
            new_labels=new_labels,
            device=device,
            seed=seed,
            resume=resume,
        )
        job, result = _finetune(model, dataset, options, console, interrupt)
        if json_file is not None:
            document = finetuning_as_json(job, result)
            staged.place_for(json_file).write_text(as_json(document), encoding="utf-8")
        staged.commit()
    _say(result, console)


def _finetune(
    model: str, dataset: Path, options: FinetuneOptions, console: Console, interrupt: Interrupt
) -> tuple[Finetuning, FinetuneResult]:
    from ..training.finetune import prepare_finetuning
    from ..training.ranks import ranks_of_environment

    if ranks_of_environment().count > 1:
        raise click.UsageError("a finetuning is the work of one process; start it without torchrun")
    with interrupt.between_steps(), console.progress() as progress:
        job = prepare_finetuning(model, dataset, options, progress, interrupt.cancel)
    for line in job.plan.describe():
        console.note(line)
    with interrupt.between_steps(), console.progress() as progress:
        try:
            return job, job.run(progress, interrupt.cancel)
        except Cancelled as stopped:
            console.note(f"{stopped}; the checkpoint is in {job.folder}")
            raise


def finetuning_as_json(job: Finetuning, result: FinetuneResult) -> dict[str, Any]:
    """Return what was done and what came out, under the names that docs/json.md lists."""
    made, plan = job.material, job.plan
    return {
        "model": plan.base,
        "weights_sha256": made.base.weights.sha256,
        "name": plan.name,
        "folder": str(result.folder),
        "card": None if result.card is None else str(result.card.path),
        "dataset": plan.dataset,
        "training_cases": list(plan.training),
        "held_back_cases": list(plan.held_back),
        "freeze": plan.freeze,
        "learning": plan.learning,
        "device": plan.device.name,
        "steps": result.steps,
        "seconds": round(result.seconds, 3),
        "estimated_seconds": round(plan.seconds, 1),
        "estimated_memory_bytes": plan.memory_bytes,
        "mean": {"before": result.before.mean, "after": None if result.after is None else result.after.mean},
        "labels": [
            {
                "label": label,
                "name": name,
                "known": label in made.match.kept,
                "before": result.before.by_label[name],
                "after": None if result.after is None else result.after.by_label[name],
            }
            for label, name in made.match.names.items()
        ],
        "licence": plan.licence,
        "warnings": [*plan.notes, *result.warnings],
    }


def _say(result: FinetuneResult, console: Console) -> None:
    for warning in result.warnings:
        console.warn(warning)
    console.result(_as_table(result))
    if result.card is None:
        console.warn(
            f"the new weights are not better on the held-back cases, so no card was written; log and curves "
            f"are in {result.folder}"
        )
        return
    console.result(f"wrote {result.card.path}; use it with: effseg segment IMAGE -m {result.card.path}")


def _as_table(result: FinetuneResult) -> str:
    after = result.after
    rows = [
        (name, f"{dice:.4f}", "-" if after is None else f"{after.by_label[name]:.4f}")
        for name, dice in result.before.by_label.items()
    ]
    mean = ("mean", f"{result.before.mean:.4f}", "-" if after is None else f"{after.mean:.4f}")
    title = f"Dice of {len(result.before.dice)} held-back cases, after {result.steps} steps:"
    return "\n".join([title, table([("structure", "before", "after"), *rows, mean], right=[1, 2])])
