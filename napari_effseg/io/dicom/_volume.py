"""`read` and `read_grid`: a DICOM series as a Volume, or its grid alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...errors import AffineError
from ...volume import Grid, LabelMap, Volume
from .._arrange import Choice, arrange
from .._labels import labels_from
from ..label_table import read_table
from ._kinds import Layout
from ._pixels import Meaning, read_pixels
from ._plan import Plan
from ._reference import plan_of

__all__ = ["read", "read_grid", "read_labels"]

_QUANTITATIVE = ("CT", "MR", "NM", "PT", "RTDOSE")  # their numbers mean something, whatever is shown white
_TURNED = (
    "low numbers mean bright (MONOCHROME1): they were turned round, {high} minus what is stored, so that "
    "bright is high"
)
_KEPT = "low numbers are meant to be shown bright (MONOCHROME1): the values are kept as they are"


def read(path: Path | Sequence[Path], choice: Choice) -> Volume:
    """Read a series; see `napari_effseg.io.load`.

    Parameters
    ----------
    path : Path or sequence of Path
        A folder, a file, or the files of one series.
    choice : Choice
        Which series, which of several images at each place, and which channel of a colour image.
    """
    plan = plan_of(path, choice)
    first = plan.volumes[0].present[0].layout
    meaning, said = _meaning(plan, first)
    array = read_pixels(plan.where, plan.volumes, meaning)
    of_colours = choice.channel if first.channels > 1 else ("all" if len(plan.volumes) > 1 else None)
    data, _ = arrange(array, "cijk", Choice(None, of_colours), plan.where)
    try:
        return Volume(
            data,
            plan.volumes[0].affine,
            channel_names=plan.names if len(plan.volumes) > 1 else (),
            modality=plan.modality or None,
            window=_window(plan, meaning, first),
            warnings=(*plan.warnings, *said),
        )
    except AffineError as err:
        raise AffineError(f"{plan.where}: {err}") from err


def read_grid(path: Path | Sequence[Path], series: str | None = None, frame: int | None = None) -> Grid:
    """Grid of a series from its headers alone.

    Raises
    ------
    ImageReadError
        As `read`.
    """
    return plan_of(path, Choice(frame, None, series)).volumes[0].grid


def read_labels(path: Path) -> LabelMap:
    """Take the voxels of an image for labels."""
    return labels_from(read(path, Choice()), read_table(path), path)


def _meaning(plan: Plan, layout: Layout) -> tuple[Meaning, tuple[str, ...]]:
    """Decide whether MONOCHROME1 is turned round, and say it."""
    if layout.photometric != "MONOCHROME1":
        return Meaning(), ()
    rescaled = any(frame.is_rescaled for volume in plan.volumes for frame in volume.present)
    if rescaled or plan.modality in _QUANTITATIVE or layout.pixels.keyword != "PixelData":
        return Meaning(), (_KEPT,)
    return Meaning(is_inverted=True), (_TURNED.format(high=_ends(layout)),)


def _ends(layout: Layout) -> int:
    """Lowest and highest stored number together: what a number and its inverse add up to."""
    return -1 if layout.is_signed else (1 << layout.bits_stored) - 1


def _window(plan: Plan, meaning: Meaning, layout: Layout) -> tuple[float, float] | None:
    """Level and width that the header of the middle slice asks for."""
    present = plan.volumes[0].present
    window = present[len(present) // 2].window
    if window is None or not meaning.is_inverted:
        return window
    return _ends(layout) - window[0], window[1]
