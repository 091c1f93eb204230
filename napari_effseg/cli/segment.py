"""`effseg segment`: an image in, a label map on its grid out, by one model or by several in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import EffsegError
from ._case import choose_by_roles, gather, load_for, parse_region
from ._console import Console, ProgressBar, speaks
from ._interrupt import Interrupt
from ._options import FILE, device_option, split_role
from ._outputs import StagedFiles
from ._results import Outputs, check_outputs, default_output, volumes_table, write_outputs

if TYPE_CHECKING:
    from ..engine import Combined, Result
    from ..types import IndexBox, Progress
    from ..volume import Volume
    from ..zoo import Card

__all__ = ["segment"]


@click.command(
    epilog="Example: effseg segment scan.nii.gz -m hippocampus-lightm-unet -o seg.nrrd --overlay seg.png; "
    "effseg segment scan.nii.gz -m liver-a -m spleen-b -o both.seg.nrrd"
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
    "-m",
    "--model",
    "models",
    multiple=True,
    help="A card's name or file; without it the recommended one of those that fit. May be repeated: all "
    "models label one map, and where they overlap the label of the earlier one stays.",
)
@click.option(
    "--later-wins", is_flag=True, help="Of several models, later ones replace the labels of earlier ones."
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
    models: tuple[str, ...],
    later_wins: bool,
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

    Several models (-m repeated) run one after the other. Each label keeps its number where no earlier model
    has it. If one of them fails nothing is written.
    """
    cards = _find_cards(models, channels)
    case = replace(gather(inputs, channels, cards), frame=frame, series=series, level=level)
    wanted = Outputs(output or default_output(case), doubt, report, overlay)
    check_outputs(wanted, case, may_replace=output is not None)
    with StagedFiles(wanted.files, interrupt) as staged:
        volumes = load_for(case, cards)
        from .. import engine, io

        io.check_reference(wanted.labels, volumes[0].grid, case.reference, case.series, case.frame)
        boxes = engine.regions_of(list(roi) or None, volumes[0].shape)
        chosen = cards or [engine.choose_card(None, volumes[0], boxes)]
        with interrupt.between_steps(), console.progress() as progress:
            queue = _Queue(list(zip(chosen, volumes, strict=True)), device, boxes, console)
            result = engine.combine(queue.run(progress, interrupt), later_wins)
        said = write_outputs(result, volumes[0], case, roi, wanted, staged)
        table = volumes_table(result)
        written = staged.commit()
    _say(result, table, written, said, console)


class _Queue:
    """Models that run one after the other, each on the image as it takes it."""

    def __init__(
        self,
        tasks: Sequence[tuple[Card, Volume]],
        device: str,
        boxes: tuple[IndexBox, ...],
        console: Console,
    ) -> None:
        from ..zoo.measured import with_measured_here

        self._tasks = [(with_measured_here(card), volume) for card, volume in tasks]
        self._device, self._boxes, self._console = device, boxes, console

    def run(self, progress: ProgressBar, interrupt: Interrupt) -> list[Result]:
        """Say what all will cost, then run each; the first that fails ends it."""
        from ..engine import part_of

        self._announce_all()
        count, results = len(self._tasks), []
        for at, (card, volume) in enumerate(self._tasks):
            said = _Announced(self._console, part_of(progress, at, count, card.name))
            results.append(self._run(card, volume, said, interrupt))
        return results

    def _run(self, card: Card, volume: Volume, progress: _Announced, interrupt: Interrupt) -> Result:
        from ..engine import observed, segment
        from ..zoo.measured import remember

        roi = list(self._boxes) or None
        try:
            result = segment(volume, card, self._device, roi, progress, interrupt.cancel)
        except EffsegError as err:
            if len(self._tasks) > 1 and err.args:
                err.args = (f"{card.name}: {err}. Nothing was written; the other models run without it",)
            raise
        seen = observed(result, card, self._boxes)
        if seen is not None:
            remember(card, seen)
        return result

    def _announce_all(self) -> None:
        """Say what several models cost together, before the first of them begins."""
        from ..engine import plan_segmentation, together

        if len(self._tasks) > 1:
            roi = list(self._boxes) or None
            plans = [plan_segmentation(volume, card, self._device, roi) for card, volume in self._tasks]
            self._console.note(together(plans))


class _Announced:
    """Say the plan, which is the engine's first message, and show the rest as progress."""

    def __init__(self, console: Console, progress: Progress) -> None:
        self._console, self._progress = console, progress
        self._said = False

    def __call__(self, fraction: float, message: str) -> None:
        if not self._said:
            self._console.note(message)
            self._said = True
        self._progress(fraction, message)


def _find_cards(models: tuple[str, ...], channels: dict[str, Path]) -> list[Card]:
    """Return the cards that were named, or the one that has the channels; none leaves it to the image."""
    from ..zoo import cards, find_card

    if not models:
        return [choose_by_roles(channels, cards())] if channels else []
    found = [find_card(model) for model in models]
    for at, card in enumerate(found):
        if card in found[:at]:
            raise click.UsageError(f"the model {card.name} was given twice")
    return found


def _say(
    result: Combined, table: str, written: tuple[Path, ...], said: tuple[str, ...], console: Console
) -> None:
    console.result(table)
    for path in written:
        console.result(f"wrote {path}")
    for warning in (*result.warnings, *said):
        console.warn(warning)
