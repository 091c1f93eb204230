"""`effseg distill`: a network learns from another one."""

from __future__ import annotations

from pathlib import Path

import click

from ._console import Console, speaks
from ._interrupt import Interrupt
from ._options import FILE, device_option

__all__ = ["distill"]


@click.command(epilog="Example: effseg distill weights/configs/hrmedsegsam.toml -o runs/hrmedsegsam --resume")
@click.argument("config", type=FILE)
@click.option("-o", "--output", type=FILE, help="Run folder; default runs/NAME, the name from CONFIG.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in the run folder.")
@device_option
@click.pass_obj
@speaks
def distill(
    interrupt: Interrupt, config: Path, output: Path | None, resume: bool, device: str, console: Console
) -> None:
    """Train a model that answers clicks from a larger or better one, as the file CONFIG says.

    Its table [distill] names the teacher, which must be installed (effseg models add takes checkpoints of
    SAM and its like), and what is learned: its answers to the same clicks, or the features of its image
    encoder. Run folder and interruption are those of effseg train.
    """
    if not config.is_file():
        raise click.UsageError(f"there is no configuration {config}; give a TOML file")
    from ..training import read_config, run_training

    if read_config(config).distill is None:
        raise click.UsageError(f"{config} has no table [distill]; effseg train takes it")
    with interrupt.between_steps(), console.progress() as progress:
        folder = run_training(
            config, output=output, resume=resume, device=device, progress=progress, cancel=interrupt.cancel
        )
    console.result(f"wrote {folder}")
