"""`effseg sample`: list the sample cases, or write one."""

from __future__ import annotations

from pathlib import Path

import click

from ._console import Console, speaks, table
from ._interrupt import Interrupt
from ._options import FILE
from ._outputs import StagedFiles, check_output

__all__ = ["sample"]

_ENDING = ".nii.gz"


@click.command(epilog="Example: effseg sample hippocampus scan.nii.gz")
@click.argument("name", required=False)
@click.argument("file", required=False, type=FILE)
@click.option("--reference", type=FILE, help="Write the reference segmentation to this file, too.")
@click.pass_obj
@speaks
def sample(
    interrupt: Interrupt, name: str | None, file: Path | None, reference: Path | None, console: Console
) -> None:
    """List the sample cases, or write the one called NAME to FILE (default NAME.nii.gz).

    Real cases that travel in the package; mni152 needs the extra [demo].
    """
    from ..samples import find_sample, sample_cases, write_sample

    if name is None:
        rows = [("name", "what", "licence", "comes with")]
        rows += [
            (c.name, c.title, c.licence, f"[{c.extra}]" if c.extra else "the package") for c in sample_cases()
        ]
        console.data(table(rows))
        return
    case = find_sample(name)
    image = file or Path(f"{case.name}{_ENDING}")
    outputs = [image] + ([reference] if reference else [])
    for output in outputs:
        _check_ending(output)
        check_output(output, may_replace=file is not None)
    with StagedFiles(outputs, interrupt) as staged:
        write_sample(case, staged.place_for(image), staged.place_for(reference) if reference else None)
        for written in staged.commit():
            console.result(f"wrote {written}")
    console.note(f"{case.title}; licence: {case.licence}; cite: {case.citation}")


def _check_ending(output: Path) -> None:
    if not output.name.lower().endswith(_ENDING):
        raise click.UsageError(f"the sample cases are NIfTI; {output} should end in {_ENDING}")
