"""`read` and `read_grid`: a DICOM series as a Volume, or its grid alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...errors import AffineError
from ...volume import Grid, Volume
from .._arrange import Choice, arrange
from ._kinds import INVERSE
from ._pixels import read_pixels, same_pixels
from ._plan import Plan, plan
from ._scan import scan
from ._series import choose

__all__ = ["read", "read_grid"]

_QUANTITATIVE = ("CT", "MR", "NM", "PT", "RTDOSE")  # their numbers mean something, whatever is shown white
_OTHER = ("", "OT")  # says nothing of what the image is
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
    planned = _plan_of(path, choice)
    first = planned.volumes[0].present[0].layout
    turn_inverse, said = _inverse(planned)
    array = read_pixels(planned.where, planned.volumes, turn_inverse=turn_inverse)
    of_colours = choice.channel if first.channels > 1 else ("all" if len(planned.volumes) > 1 else None)
    data, _ = arrange(array, "cijk", Choice(None, of_colours), planned.where)
    try:
        return Volume(
            data,
            planned.volumes[0].affine,
            channel_names=planned.names if len(planned.volumes) > 1 else (),
            modality=planned.modality if planned.modality not in _OTHER else None,
            window=_window(planned, turn_inverse),
            warnings=(*planned.warnings, *said),
        )
    except AffineError as err:
        raise AffineError(f"{planned.where}: {err}") from err


def read_grid(path: Path | Sequence[Path], series: str | None = None, frame: int | None = None) -> Grid:
    """Grid of a series from its headers alone.

    Raises
    ------
    ImageReadError
        As `read`.
    """
    return _plan_of(path, Choice(frame, None, series)).volumes[0].grid


def _plan_of(path: Path | Sequence[Path], choice: Choice) -> Plan:
    """Find the series that is meant and decide what goes where; headers alone are read."""
    return plan(choose(scan(path), choice.series), choice, same_pixels)


def _inverse(plan: Plan) -> tuple[bool, tuple[str, ...]]:
    """Decide whether pixels whose low numbers mean bright are turned round, and say it."""
    frames = [frame for volume in plan.volumes for frame in volume.present]
    inverse = [frame for frame in frames if frame.layout.photometric == INVERSE]
    if not inverse:
        return False, ()
    is_measured = any(frame.is_rescaled for frame in frames) or plan.modality in _QUANTITATIVE
    if is_measured or inverse[0].layout.pixels.keyword != "PixelData":
        return False, (_KEPT,)
    return True, (_TURNED.format(high=inverse[0].layout.ends),)


def _window(plan: Plan, turn_inverse: bool) -> tuple[float, float] | None:
    """Level and width that the header of the middle slice asks for."""
    present = plan.volumes[0].present
    middle = present[len(present) // 2]
    if middle.window is None or not (turn_inverse and middle.layout.photometric == INVERSE):
        return middle.window
    level, width = middle.window
    return float(middle.layout.ends) - level, width
