"""`effseg train`: from a configuration to a run folder."""

from __future__ import annotations

from pathlib import Path

import click

from ._console import Console, speaks
from ._interrupt import Interrupt
from ._options import FILE, device_option

__all__ = ["train"]


@click.command(epilog="Example: effseg train hippocampus.toml -o runs/hippocampus --resume")
@click.argument("config", type=FILE)
@click.option("-o", "--output", type=FILE, help="Run folder; default runs/NAME, the name from CONFIG.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in the run folder.")
@device_option
@click.pass_obj
@speaks
def train(
    interrupt: Interrupt, config: Path, output: Path | None, resume: bool, device: str, console: Console
) -> None:
    """Train a model as the file CONFIG says.

    The run folder gets the configuration, a log, curves as a picture, checkpoints, and at the end weights and
    a card that `effseg segment -m` takes. Ctrl-C keeps the last checkpoint; --resume goes on from it.

    Several devices train together by torch's own launcher, and share each batch:
    torchrun --standalone --nproc-per-node 2 --no-python effseg train CONFIG.
    """
    if not config.is_file():
        raise click.UsageError(f"there is no configuration {config}; give a TOML file")
    from ..training import run_training
    from ..training.ranks import ranks_of_environment

    with interrupt.between_steps(), console.progress() as progress:
        folder = run_training(
            config, output=output, resume=resume, device=device, progress=progress, cancel=interrupt.cancel
        )
    if ranks_of_environment().is_first:
        console.result(f"wrote {folder}")
