"""The even stack of slices that holds all frames of a SEG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...errors import ImageReadError, VolumeError
from ...volume import Grid, lps_to_ras, ras_to_lps
from ..dicom._places import NO_PIXEL_SIZE, Place
from ._frames import SegFrame
from ._private import stored_grid
from ._reference import evenness_mm

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["SegStack", "stack_of"]

_SAME_DIRECTION = 1e-3  # of each cosine
_SAME_PIXEL = 1e-3  # relative
_SAME_SLICE_MM = 1e-3
_WHOLE = 0.05  # by how much a gap may differ from a whole number of slices
_UNKNOWN_THICKNESS = "the slice thickness is not known: 1 mm is taken"

Points = NDArray[np.float64]


@dataclass(frozen=True)
class SegStack:
    """The slices that hold all frames.

    Parameters
    ----------
    grid : Grid
    slices : tuple of int
        k of each frame.
    warnings : tuple of str
    """

    grid: Grid
    slices: tuple[int, ...]
    warnings: tuple[str, ...] = ()


def stack_of(dataset: Dataset, frames: Sequence[SegFrame], size: tuple[int, int], path: Path) -> SegStack:
    """Find the slices on which frames lie; between them, frames may be missing.

    Parameters
    ----------
    dataset : Dataset
    frames : sequence of SegFrame
    size : (columns, rows)
    path : Path
        For messages.

    Raises
    ------
    ImageReadError
        If the frames do not lie in parallel planes at whole numbers of one distance.
    """
    _refuse_mixed(frames, path)
    first = frames[0].place
    if first.position_lps is None:
        return _picture(frames, size, path)
    positions = np.array([frame.place.position_lps for frame in frames], dtype=np.float64)
    stored = stored_grid(dataset)
    if stored is not None and stored.shape[:2] == size:
        slices = _slices_on(stored, positions)
        if slices is not None:
            return SegStack(stored, slices)
    return _spanned(positions, frames[0], size, path)


def _refuse_mixed(frames: Sequence[SegFrame], path: Path) -> None:
    first = frames[0].place
    for frame in frames:
        place = frame.place
        if (place.position_lps is None) != (first.position_lps is None):
            raise ImageReadError(
                f"{path}: some of its frames have a position in the patient, others have none"
            )
        turned = np.subtract((*place.along_row, *place.along_column), (*first.along_row, *first.along_column))
        if np.abs(turned).max() > _SAME_DIRECTION:
            raise ImageReadError(
                f"{path}: its frames lie in more than one direction, which no label map can hold; split it"
            )
        if not np.allclose(place.pixel_mm, first.pixel_mm, rtol=_SAME_PIXEL, atol=0):
            raise ImageReadError(f"{path}: its frames have pixels of different sizes; split it")


def _picture(frames: Sequence[SegFrame], size: tuple[int, int], path: Path) -> SegStack:
    """Segments of one picture that has no place in the patient."""
    segments = [frame.segment for frame in frames]
    if len(set(segments)) < len(segments):
        raise ImageReadError(
            f"{path}: its frames have no position, so that nothing says how they are stacked"
        )
    place = frames[0].place
    between_rows, between_columns = place.pixel_mm
    affine = lps_to_ras(np.diag([between_columns, between_rows, place.thickness_mm or 1.0, 1.0]))
    notes = (NO_PIXEL_SIZE,) if NO_PIXEL_SIZE in place.notes else ()
    return SegStack(Grid((*size, 1), affine), (0,) * len(frames), notes)


# --- stacks ---


def _slices_on(grid: Grid, positions: Points) -> tuple[int, ...] | None:
    """K of each position on a grid; None where one is not the first pixel of a slice of it."""
    to_index = np.linalg.inv(ras_to_lps(grid.affine))
    indices = np.rint(positions @ to_index[:3, :3].T + to_index[:3, 3]).astype(int)
    there = indices @ ras_to_lps(grid.affine)[:3, :3].T + ras_to_lps(grid.affine)[:3, 3]
    off = np.linalg.norm(there - positions, axis=1).max()
    inside = (indices[:, 2] >= 0).all() and (indices[:, 2] < grid.shape[2]).all()
    if indices[:, :2].any() or not inside or off > evenness_mm(grid):
        return None
    return tuple(indices[:, 2].tolist())


def _spanned(positions: Points, frame: SegFrame, size: tuple[int, int], path: Path) -> SegStack:
    """Slices from the lowest frame to the highest."""
    first = frame.place
    heights = positions @ np.array(first.normal)
    levels, which = _levels(heights)
    warnings: tuple[str, ...] = ()
    if len(levels) == 1:
        if first.thickness_mm is None:
            warnings = (_UNKNOWN_THICKNESS,)
        numbers = np.zeros(1, dtype=int)
        step = np.array(first.normal) * (first.thickness_mm or 1.0)
        origin = positions[0]
    else:
        numbers = _numbers(np.diff(levels), frame.spacing_mm, path)
        origin, step = _line(numbers[which], positions)
    slices = numbers[which]
    grid = _grid(origin, step, first, (*size, int(numbers[-1]) + 1), path)
    off = float(np.linalg.norm(origin + np.outer(slices, step) - positions, axis=1).max())
    if off > evenness_mm(grid):
        raise ImageReadError(
            f"{path}: its frames do not lie on one even stack of slices (they are up to {off:.2f} mm off), "
            "which no label map can hold"
        )
    return SegStack(grid, tuple(slices.tolist()), warnings)


def _levels(heights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Different heights in rising order, and which of them each frame has."""
    order = np.argsort(heights, kind="stable")
    rises = np.diff(heights[order]) > _SAME_SLICE_MM
    number = np.concatenate([[0], np.cumsum(rises)])
    which = np.empty(len(heights), dtype=np.intp)
    which[order] = number
    return heights[order][np.concatenate([[True], rises])], which


def _numbers(gaps: NDArray[np.float64], spacing_mm: float | None, path: Path) -> NDArray[np.intp]:
    """Index of each level, from the distance between slices that the file names, or its smallest gap."""
    for distance in (abs(spacing_mm or 0.0), float(gaps.min())):
        if not distance:
            continue
        steps = np.rint(gaps / distance)
        if steps.min() >= 1 and np.abs(gaps / distance - steps).max() <= _WHOLE:
            return np.concatenate([[0], np.cumsum(steps)]).astype(np.intp)
    raise ImageReadError(
        f"{path}: its frames lie at uneven distances ({gaps.min():.4g} to {gaps.max():.4g} mm), which no "
        "label map can hold"
    )


def _line(numbers: NDArray[np.intp], positions: Points) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Position of slice 0 and step from slice to slice, through the first and the last."""
    first, last = int(np.argmin(numbers)), int(np.argmax(numbers))
    return positions[first], (positions[last] - positions[first]) / numbers[last]


def _grid(
    origin: NDArray[np.float64],
    step: NDArray[np.float64],
    place: Place,
    shape: tuple[int, int, int],
    path: Path,
) -> Grid:
    between_rows, between_columns = place.pixel_mm
    lps = np.eye(4)
    lps[:3, 0] = np.array(place.along_row) * between_columns
    lps[:3, 1] = np.array(place.along_column) * between_rows
    lps[:3, 2] = step
    lps[:3, 3] = origin
    try:
        return Grid(shape, lps_to_ras(lps))
    except VolumeError as err:
        raise ImageReadError(f"{path}: {err}") from err
