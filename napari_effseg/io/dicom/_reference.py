"""Headers of a series as a source for results: whole, sorted, and with the grid of its volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...volume import Grid
from .._arrange import Choice
from ._files import read_header
from ._pixels import same_pixels
from ._plan import Plan, plan
from ._series import choose, scan

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["SeriesHeaders", "plan_of", "series_headers"]


@dataclass(frozen=True)
class SeriesHeaders:
    """The headers that a volume came from.

    Parameters
    ----------
    datasets : tuple of Dataset
        Without pixels, one for each file, in the order in which its first slice comes along k. They hold
        patient data: look into them inside `hushed`, and log nothing of them.
    slices : tuple of (int, int) or None
        For each k: which data set, and which of its frames, both from 0; None for a missing slice.
    grid : Grid
        Of the volume, as `load` gives it.
    """

    datasets: tuple[Dataset, ...]
    slices: tuple[tuple[int, int] | None, ...]
    grid: Grid


def plan_of(path: Path | Sequence[Path], choice: Choice) -> Plan:
    """Find the series that is meant and decide what goes where; headers alone are read.

    Raises
    ------
    ImageReadError
        As `load`.
    """
    return plan(choose(scan(path), choice.series), choice, same_pixels)


def series_headers(
    path: Path | Sequence[Path], series: str | None = None, frame: int | None = None
) -> SeriesHeaders:
    """Whole headers of the slices that ``load(path, series=series, frame=frame)`` reads.

    Raises
    ------
    ImageReadError
        As `load`.
    """
    slices = plan_of(path, Choice(frame, None, series)).volumes[0]
    files = list(dict.fromkeys(one.path for one in slices.present))
    datasets = tuple(read_header(file, None).dataset for file in files)
    numbers = {file: number for number, file in enumerate(files)}
    places = tuple(None if one is None else (numbers[one.path], one.index) for one in slices.frames)
    return SeriesHeaders(datasets, places, slices.grid)
