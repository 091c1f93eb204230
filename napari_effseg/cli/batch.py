"""`effseg batch`: many cases, one after the other or side by side; one bad case, and the rest is done."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import _faults
from ._case import parse_region
from ._console import Console, speaks, table
from ._interrupt import Interrupt
from ._options import FILE, device_option

if TYPE_CHECKING:
    from ..batch import BatchResult, CaseResult, Found
    from ..types import IndexBox

__all__ = ["batch"]

_MOST_ROWS = 40
"""Cases that are listed one by one at the end; of more, those that failed."""


@click.command(
    epilog="Example: effseg batch scans -m hippocampus-slim-unetr -o results --workers 2 --overlay"
)
@click.argument("source", type=FILE, metavar="FOLDER|CSV")
@click.option("-m", "--model", help="A card's name or file; a table may name one on each line instead.")
@click.option("-o", "--output", type=FILE, required=True, metavar="OUTDIR", help="Folder of results.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes on this machine, which share its cores; default 1.",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="A dask scheduler (tcp://...) or its file: its workers do the cases.",
)
@click.option(
    "--pattern", metavar="GLOB", help="Which files of FOLDER, such as '*_ct.nii.gz' or 'p*/ct.nrrd'."
)
@click.option("--bids-suffix", metavar="SUFFIX", help="Which images of a BIDS data set, such as T1w.")
@click.option(
    "--suffix", default=".nii.gz", show_default=True, help="Ending of the label maps, which picks the format."
)
@click.option(
    "--roi",
    multiple=True,
    callback=parse_region,
    metavar="I0,J0,K0:I1,J1,K1",
    help="Region to label in every case, as `effseg segment` takes it; may be repeated.",
)
@click.option(
    "--frame", type=click.IntRange(min=0), metavar="N", help="Which time point of every image, from 0."
)
@click.option("--overlay", is_flag=True, help="Draw a picture of each result over its image.")
@click.option(
    "--retries",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="How often a case is tried again when memory ran out or its worker ended.",
)
@click.option("--dry-run", is_flag=True, help="List the cases and do nothing.")
@device_option
@click.pass_obj
@speaks
def batch(
    interrupt: Interrupt,
    source: Path,
    model: str | None,
    output: Path,
    workers: int | None,
    scheduler: str | None,
    pattern: str | None,
    bids_suffix: str | None,
    suffix: str,
    roi: tuple[IndexBox, ...],
    frame: int | None,
    overlay: bool,
    retries: int,
    dry_run: bool,
    device: str,
    console: Console,
) -> int:
    """Segment every case of FOLDER, or of a table, and write the label maps to OUTDIR.

    Cases are the images in FOLDER and its folders, folders with a DICOM series, nnU-Net's files name_0000,
    name_0001, ... or the images of a BIDS data set. A table (.csv, .tsv) has a line a case with the columns
    case and image, or a column for each channel; docs/batch.md says which others.

    OUTDIR also gets summary.html, summary.csv and batch.jsonl. The same command goes on where it was stopped.
    A case that cannot be segmented is reported, the others are done, and the exit code is 2.
    """
    if workers is not None and scheduler is not None:
        raise click.UsageError("--workers are processes here and --scheduler is a cluster; give one of them")
    _check_output(output)
    from ..batch import BatchOptions, Wanted, find_cases, run_batch

    wanted = Wanted(model, pattern, bids_suffix, tuple(roi), frame)
    options = BatchOptions(suffix, overlay, device, workers or 1, scheduler, retries)
    found = find_cases(source, wanted, output)
    for note in found.notes:
        console.note(note)
    if dry_run:
        _list(found, suffix, console)
        return _faults.DONE
    with interrupt.between_steps(), console.progress() as progress:
        result = run_batch(found, output, options, progress, interrupt.cancel, _teller(console))
    _say(result, console)
    return _faults.BAD_INPUT if result.failed else _faults.DONE


def _check_output(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise click.UsageError(f"the output {output} is a file; give a folder")
    if not output.absolute().parent.is_dir():
        raise click.UsageError(f"the folder {output.absolute().parent} does not exist; create it first")


def _list(found: Found, suffix: str, console: Console) -> None:
    from ..batch.places import check_suffix, places_of

    ending = check_suffix(suffix, found.is_bids)
    rows = [("case", "images", "model", "result")]
    for case in found.cases:
        images = case.problem or ", ".join(path.name for path in case.files)
        rows.append((case.name, images, case.card.name, places_of(case, ending, overlay=False).labels))
    console.data(table(rows))
    console.note(f"{len(found.cases)} cases; nothing was done")


def _teller(console: Console) -> Callable[[CaseResult], None]:
    """Say a line for each case where there is no bar that shows how far it is."""
    has_bar = sys.stderr.isatty()

    def tell(result: CaseResult) -> None:
        if not has_bar:
            words = f": {result.words}" if result.words else ""
            console.note(f"{result.case}: {result.status.value}, {result.seconds:.1f} s{words}")

    return tell


def _say(result: BatchResult, console: Console) -> None:
    shown = [one for one in result.outcomes if len(result.outcomes) <= _MOST_ROWS or not one.result.is_done]
    rows = [("case", "status", "seconds", "result")]
    for one in sorted(shown, key=lambda one: one.result.is_done):
        ended = one.result
        last = ended.words or (ended.outputs[0] if ended.outputs else "")
        rows.append(
            (ended.case, "done before" if one.is_old else ended.status.value, f"{ended.seconds:.1f}", last)
        )
    if len(rows) > 1:
        console.result(table(rows, right=[2]))
    warned = sum(bool(one.result.warnings) for one in result.outcomes)
    for path in result.files:
        console.result(f"wrote {path}")
    if warned:
        console.warn(f"{warned} of {len(result.outcomes)} results come with warnings; see {result.files[0]}")
    if result.failed:
        console.warn(f"{len(result.failed)} of {len(result.outcomes)} cases failed; the others are done")
