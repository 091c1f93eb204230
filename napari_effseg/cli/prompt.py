"""`effseg prompt`: clicks, boxes and scribbles from the command line in, the object's mask out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from ._case import CaseInput, gather
from ._console import Console, speaks
from ._interrupt import Interrupt
from ._options import FILE, device_option
from ._outputs import StagedFiles, check_output
from ._prompted import check_reference_of, open_work, volumes_of, write_work
from ._prompts import (
    Given,
    GivenMask,
    GivenScribble,
    InOrder,
    in_order,
    parse_boxes,
    parse_lassos,
    parse_points,
)
from ._results import Outputs, check_outputs

__all__ = ["prompt"]


def _scribbles(_: click.Context, __: click.Parameter, files: tuple[Path, ...]) -> tuple[GivenScribble, ...]:
    return tuple(GivenScribble(file) for file in files)


def _masks(_: click.Context, __: click.Parameter, files: tuple[Path, ...]) -> tuple[GivenMask, ...]:
    return tuple(GivenMask(file) for file in files)


@click.command(
    cls=InOrder,
    epilog="Example: effseg prompt scan.nii.gz -o tumour.nii.gz --point 40,52,20 --not-point 60,52,20; "
    "effseg prompt scan.nii.gz -o atrium.seg.nrrd --box 30,40,20:60,70,21 --propagate --name atrium "
    "--session case.effseg; "
    "effseg prompt picture.png -o cell.nrrd --point 20,31 --overlay cell.png",
)
@click.argument("input", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="Label map to write.")
@click.option(
    "-m",
    "--model",
    default="auto",
    show_default=True,
    help="A card that answers clicks; auto: that of --session, else the best one.",
)
@click.option(
    "--point",
    "points",
    multiple=True,
    callback=parse_points,
    metavar="P",
    help="A click on the object: i,j,k (voxel index) or ras:x,y,z (mm); on a picture two numbers.",
)
@click.option(
    "--not-point",
    "not_points",
    multiple=True,
    callback=parse_points,
    metavar="P",
    help="A click outside of the object.",
)
@click.option(
    "--box",
    "boxes",
    multiple=True,
    callback=parse_boxes,
    metavar="I0,J0,K0:I1,J1,K1",
    help="A box around the object, the second corner not included; flat along one axis for one slice.",
)
@click.option(
    "--lasso",
    "lassos",
    multiple=True,
    callback=parse_lassos,
    metavar="P:P:P...",
    help="An outline around the object: its corners i,j,k, all in one slice.",
)
@click.option(
    "--not-lasso",
    "not_lassos",
    multiple=True,
    callback=parse_lassos,
    metavar="P:P:P...",
    help="An outline around what is none of it.",
)
@click.option(
    "--scribble",
    "scribbles",
    multiple=True,
    type=FILE,
    callback=_scribbles,
    metavar="FILE",
    help="A label map on the image's grid: 1 on the object, 2 outside of it, 0 nothing.",
)
@click.option(
    "--mask",
    "masks",
    multiple=True,
    type=FILE,
    callback=_masks,
    metavar="FILE",
    help="A label map on the image's grid to begin with; all that is not 0 is the object.",
)
@click.option("--propagate", is_flag=True, help="At the end, carry the object on through the volume.")
@click.option(
    "--axis",
    type=click.IntRange(0, 2),
    help="Array axis across the plane of points and scribbles, and along which to propagate; default: that "
    "of the first prompt, else the one of the largest spacing.",
)
@click.option(
    "--session",
    "session_file",
    type=FILE,
    metavar="FILE",
    help="Go on with this .effseg file if it exists, and save to it.",
)
@click.option(
    "--label", type=click.IntRange(1, 65535), metavar="N", help="Number in the output; default next."
)
@click.option("--name", default="", help="Name in the output.")
@click.option(
    "--finish", is_flag=True, help="Finish the object: the next run with --session begins another one."
)
@click.option("--report", type=FILE, metavar="FILE", help="Write what was done, as JSON (docs/json.md).")
@click.option("--overlay", type=FILE, metavar="PNG", help="Write a picture of the result over the image.")
@click.option("--frame", type=click.IntRange(min=0), metavar="N", help="Which of several images, from 0.")
@click.option("--series", metavar="UID", help="Series of a DICOM folder with several.")
@click.option(
    "--level", type=click.IntRange(min=0), metavar="N", help="Resolution of an OME-Zarr image, 0 the finest."
)
@device_option
@click.pass_context
@speaks
def prompt(
    context: click.Context,
    /,
    input: Path,
    output: Path,
    model: str,
    propagate: bool,
    axis: int | None,
    session_file: Path | None,
    label: int | None,
    name: str,
    finish: bool,
    report: Path | None,
    overlay: Path | None,
    frame: int | None,
    series: str | None,
    level: int | None,
    device: str,
    console: Console,
    **prompts: tuple[Given, ...],
) -> None:
    """Outline one object of INPUT by clicks, boxes and scribbles, and write it on exactly its grid.

    Prompts are answered one after the other, in the order in which they are given. OUTPUT's ending picks the
    format, as for effseg segment. With --session it holds the finished objects of the session too, and the
    object at hand can be corrected by further runs.
    """
    interrupt: Interrupt = context.obj
    given = in_order(context, prompts)
    wanted = Outputs(output, None, report, overlay)
    case = replace(gather([input], {}, ()), frame=frame, series=series, level=level)
    check_outputs(wanted, case, may_replace=True)
    goes_on = session_file is not None and session_file.exists()
    _check_session(session_file, case)
    if not given and not goes_on:
        raise click.UsageError("no prompt was given; give a click with --point I,J,K, or a --box")
    with StagedFiles([*wanted.files, *([session_file] if session_file else [])], interrupt) as staged:
        with console.progress() as progress:
            work = open_work(case, model, device, axis, session_file)
            check_reference_of(work, wanted.labels)
            with work.session, interrupt.between_steps():
                work.add(given, progress, interrupt)
                if propagate:
                    work.propagate(progress, interrupt)
                labels = work.labels(label, name, finish, session_file and staged.place_for(session_file))
        said = write_work(work, labels, given, wanted, staged)
        written = staged.commit()
    console.result(volumes_of(labels))
    for path in written:
        console.result(f"wrote {path}")
    for warning in (*work.volume.warnings, *said):
        console.warn(warning)


def _check_session(file: Path | None, case: CaseInput) -> None:
    if file is None:
        return
    if file.suffix.lower() != ".effseg":
        raise click.UsageError(f"the session {file} should end in .effseg")
    check_output(file, case.files)
