"""`effseg segment`: an image in, a label map on its grid out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ExportWarning
from ._case import CaseInput, choose_by_roles, gather, load_case, parse_region
from ._console import Console, ProgressBar, speaks, table
from ._interrupt import Interrupt
from ._options import FILE, as_json, device_option, split_role
from ._outputs import StagedFiles, check_output

if TYPE_CHECKING:
    from ..engine import Result
    from ..types import IndexBox
    from ..volume import LabelMap, Volume
    from ..zoo import Card

__all__ = ["segment"]


@dataclass(frozen=True)
class _Wanted:
    """Where each part of the result goes."""

    labels: Path
    doubt: Path | None
    report: Path | None
    overlay: Path | None

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(
            path for path in (self.labels, self.doubt, self.report, self.overlay) if path is not None
        )


@click.command(
    epilog="Example: effseg segment scan.nii.gz -m hippocampus-lightm-unet -o seg.nrrd --overlay seg.png"
)
@click.argument("inputs", nargs=-1, type=FILE, metavar="INPUT...")
@click.option(
    "--channel",
    "channels",
    multiple=True,
    callback=split_role,
    metavar="ROLE=FILE",
    help="A channel by its role (t1, flair, ...).",
)
@click.option(
    "-m", "--model", help="A card's name or file; without it the recommended one of those that fit."
)
@click.option("-o", "--output", type=FILE, help="Label map to write; default <stem>_seg.nii.gz beside INPUT.")
@click.option(
    "--roi",
    multiple=True,
    callback=parse_region,
    metavar="I0,J0,K0:I1,J1,K1",
    help="Region to label, voxel indices as stored, the second corner not included; may be repeated.",
)
@click.option(
    "--save-doubt", "doubt", type=FILE, metavar="FILE", help="Write how unsure the model was, 0 to 1."
)
@click.option("--report", type=FILE, metavar="FILE", help="Write what was done, as JSON (docs/json.md).")
@click.option("--overlay", type=FILE, metavar="PNG", help="Write a picture of the result over the image.")
@click.option(
    "--frame",
    type=click.IntRange(min=0),
    metavar="N",
    help="Which of several images at each place (time point, b-value), from 0.",
)
@click.option("--series", metavar="UID", help="Series of a DICOM folder with several.")
@click.option(
    "--level", type=click.IntRange(min=0), metavar="N", help="Resolution of an OME-Zarr image, 0 the finest."
)
@device_option
@click.pass_obj
@speaks
def segment(
    interrupt: Interrupt,
    inputs: tuple[Path, ...],
    channels: dict[str, Path],
    model: str | None,
    output: Path | None,
    roi: tuple[IndexBox, ...],
    doubt: Path | None,
    report: Path | None,
    overlay: Path | None,
    frame: int | None,
    series: str | None,
    level: int | None,
    device: str,
    console: Console,
) -> None:
    """Segment INPUT and write a label map on exactly its grid.

    OUTPUT's ending picks the format: .nii.gz .nii .nrrd .seg.nrrd .mha, and for DICOM input .dcm, a DICOM
    SEG of that series. Several inputs are the channels of one case, in the order of the model's card or by
    --channel; they are resampled to the first. A folder with a DICOM series, or its files, are one image.
    """
    card = _find_card(model, channels)
    case = replace(gather(inputs, channels, card), frame=frame, series=series, level=level)
    wanted = _Wanted(output or _default_output(case), doubt, report, overlay)
    _check(wanted, case, may_replace=output is not None)
    with StagedFiles(wanted.files, interrupt) as staged:
        volume = load_case(case, card)
        from .. import engine, io

        io.check_reference(wanted.labels, volume.grid, case.reference, case.series, case.frame)

        with interrupt.between_steps(), console.progress() as progress:
            result = engine.segment(
                volume, card, device, list(roi) or None, _Announced(console, progress), interrupt.cancel
            )
        said = _write(result, volume, case, roi, wanted, staged)
        volumes = _as_table(result)
        written = staged.commit()
    console.result(volumes)
    for path in written:
        console.result(f"wrote {path}")
    for warning in (*result.report.warnings, *said):
        console.warn(warning)


class _Announced:
    """Say the plan, which is the engine's first message, and show the rest as progress."""

    def __init__(self, console: Console, progress: ProgressBar) -> None:
        self._console, self._progress = console, progress
        self._said = False

    def __call__(self, fraction: float, message: str) -> None:
        if not self._said:
            self._console.note(message)
            self._said = True
        self._progress(fraction, message)


def _find_card(model: str | None, channels: dict[str, Path]) -> Card | None:
    from ..zoo import cards, find_card

    if model is not None:
        return find_card(model)
    return choose_by_roles(channels, cards()) if channels else None


def _default_output(case: CaseInput) -> Path:
    from ..io import stem_of

    stem = stem_of(case.name)
    if not stem:
        raise click.UsageError(f"{case.name} has no name to call the result after; give an output with -o")
    return case.name.with_name(f"{stem}_seg.nii.gz")


def _check(wanted: _Wanted, case: CaseInput, may_replace: bool) -> None:
    """Refuse outputs that cannot be written, before anything is computed."""
    from ..io import LABELS_ONLY, ending_of, format_for_writing
    from ..io.label_table import is_label_table, table_path

    for image in filter(None, (wanted.labels, wanted.doubt)):
        format_for_writing(image)
    if wanted.doubt is not None and ending_of(wanted.doubt) in LABELS_ONLY:
        raise click.UsageError(
            f"{wanted.doubt}: a {ending_of(wanted.doubt)} holds labels; write the doubt to .nrrd or .nii.gz"
        )
    names = table_path(wanted.labels)
    if names.exists() and not is_label_table(names):
        raise click.UsageError(f"{names} exists and is no table of label names; give another output with -o")
    if wanted.overlay is not None and wanted.overlay.suffix.lower() != ".png":
        raise click.UsageError(f"the overlay {wanted.overlay} should end in .png")
    for output in wanted.files:
        check_output(output, case.files, may_replace=may_replace or output != wanted.labels)


def _write(
    result: Result,
    volume: Volume,
    case: CaseInput,
    roi: tuple[IndexBox, ...],
    wanted: _Wanted,
    staged: StagedFiles,
) -> tuple[str, ...]:
    """Write every output under its hidden name; returns what had to be completed for the label map."""
    from ..io import save
    from ..overlay import overlay_picture
    from ..volume import Volume

    def save_on_input(thing: LabelMap | Volume, output: Path) -> None:
        save(
            thing,
            staged.place_for(output),
            reference=case.reference,
            series=case.series,
            frame=case.frame,
            level=case.level,
        )

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ExportWarning)
        save_on_input(result.labels, wanted.labels)
    said = tuple(str(one.message) for one in caught if issubclass(one.category, ExportWarning))
    if wanted.doubt is not None:
        save_on_input(Volume(result.doubt, volume.affine), wanted.doubt)
    if wanted.report is not None:
        document = _report(result, case, roi, wanted, said)
        staged.place_for(wanted.report).write_text(as_json(document), encoding="utf-8")
    if wanted.overlay is not None:
        overlay_picture(volume, result.labels).save(staged.place_for(wanted.overlay))
    return said


def _report(
    result: Result, case: CaseInput, roi: tuple[IndexBox, ...], wanted: _Wanted, said: tuple[str, ...]
) -> dict[str, Any]:
    document = result.report.to_json()
    return {
        "inputs": [str(path) for path in case.files],
        "roles": list(case.roles),
        "output": str(wanted.labels),
        "roi": [[list(corner) for corner in box] for box in roi],
        "labels": [
            {"label": label, "name": result.labels.names.get(label, ""), "volume_ml": millilitres}
            for label, millilitres in result.labels.volumes_ml().items()
        ],
        **document,
        "warnings": [*document["warnings"], *said],
    }


def _as_table(result: Result) -> str:
    rows = [("label", "structure", "mL")]
    rows += [
        (str(label), result.labels.names.get(label, ""), f"{millilitres:.2f}")
        for label, millilitres in result.labels.volumes_ml().items()
    ]
    return table(rows, right=[0, 2])
