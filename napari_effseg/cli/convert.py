"""`effseg convert`: an official checkpoint to safetensors."""

from __future__ import annotations

from pathlib import Path

import click

from ._console import Console, speaks
from ._interrupt import Interrupt
from ._options import FILE
from ._outputs import StagedFiles, check_output

__all__ = ["convert"]

_ENDING = ".safetensors"


@click.command(
    epilog="Example: effseg convert checkpoint_final.pth -m lightm-unet -o lightm-unet.safetensors"
)
@click.argument("checkpoint", type=FILE)
@click.option("-m", "--model", required=True, metavar="NETWORK|CARD", help="The network that it must fit.")
@click.option("--config", type=FILE, help="TOML or JSON with the network's constructor arguments.")
@click.option("-o", "--output", type=FILE, required=True, help=f"File to write, ending in {_ENDING}.")
@click.pass_obj
@speaks
def convert(
    interrupt: Interrupt, checkpoint: Path, model: str, config: Path | None, output: Path, console: Console
) -> None:
    """Turn CHECKPOINT (.pth, .pt) into safetensors without running any code that is in it."""
    if output.suffix.lower() != _ENDING:
        raise click.UsageError(f"the output {output} should end in {_ENDING}")
    check_output(output, [checkpoint])
    with StagedFiles([output], interrupt) as staged:
        from ..zoo import convert_checkpoint

        made = convert_checkpoint(checkpoint, model, staged.place_for(output), config=config)
        staged.commit()
    console.result(f"wrote {output}: {made.network}, {made.tensors} tensors, {made.values:,} values")
    console.result(f"SHA-256 {made.sha256}")
