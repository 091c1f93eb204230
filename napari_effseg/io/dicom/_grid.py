"""From frames with positions to slices on one grid: sorted along the normal, gaps and slants named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...errors import ImageReadError
from ...types import Affine
from ...volume import Grid, lps_to_ras
from ._frames import Frame
from ._places import Place
from ._stacks import Stack

__all__ = ["Slices", "gather_places", "placed", "slices_of"]

Points = NDArray[np.float64]

_SAME_PLACE_MM = 0.01  # headers of one place differ by rounding,
_SAME_PLACE_PIXELS = 0.05  # but the images of a microscope may lie closer
_REGULAR_MM = 0.01
_REGULAR = 0.01  # of the distance between slices
_MULTIPLE = 0.05  # by how much a gap may differ from a whole number of distances
_MOST_HOLES = 0.2  # of all gaps; more is not a few missing slices but another spacing
_STRAIGHT = 1e-3  # sine of the angle between the stack's direction and the normal
_UNKNOWN_THICKNESS = "the slice thickness is not known: 1 mm is taken"
_NO_POSITION = (
    "the header does not say where the slices lie in the patient: they are sorted by their slice location, "
    "and left and right, front and back are those of the picture"
)


@dataclass(frozen=True)
class Slices:
    """One image at each place of a grid.

    Parameters
    ----------
    frames : tuple of Frame or None
        Along k; None for a place whose image is missing.
    affine : ndarray, shape (4, 4)
        Voxel index -> world, RAS, mm.
    warnings : tuple of str
    """

    frames: tuple[Frame | None, ...]
    affine: Affine
    warnings: tuple[str, ...]

    @property
    def present(self) -> tuple[Frame, ...]:
        """Frames that are there, along k."""
        return tuple(frame for frame in self.frames if frame is not None)

    @property
    def grid(self) -> Grid:
        """Grid of the volume."""
        layout = self.present[0].layout
        return Grid((layout.columns, layout.rows, len(self.frames)), self.affine)


def placed(stack: Stack) -> tuple[Stack, tuple[str, ...]]:
    """Give a position to frames that have none.

    Pictures lie all at the same place; slices with a slice location, along the head-foot axis.
    """
    if stack.has_place:
        return stack, ()
    heights = [frame.slice_location for frame in stack.frames]
    sorts = len(heights) > 1 and None not in heights and len(set(heights)) > 1
    moved = tuple(
        replace(frame, place=_at_height(frame.place, (height or 0.0) if sorts else 0.0))
        for frame, height in zip(stack.frames, heights, strict=True)
    )
    return Stack(moved), (_NO_POSITION,) if sorts else ()


def _at_height(place: Place, height_mm: float) -> Place:
    """Put a picture where ITK puts it, at a height; its slices are 1 mm thick unless it says otherwise."""
    return replace(place, position_lps=(0.0, 0.0, height_mm), thickness_mm=place.thickness_mm or 1.0)


def gather_places(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Group frames that lie at the same place; places are sorted along the normal.

    Raises
    ------
    ImageReadError
        If frames lie beside each other in one plane, which no volume can hold.
    """
    positions = _positions(frames)
    heights = positions @ np.array(frames[0].place.normal)
    tolerance = min(_SAME_PLACE_MM, _SAME_PLACE_PIXELS * min(frames[0].place.pixel_mm))
    places: list[list[int]] = []
    for index in np.argsort(heights, kind="stable").tolist():
        if places and heights[index] - heights[places[-1][0]] <= tolerance:
            places[-1].append(index)
        else:
            places.append([index])
    for place in places:
        apart = np.linalg.norm(positions[place] - positions[place[0]], axis=1).max()
        if apart > max(frames[0].place.pixel_mm):
            raise ImageReadError(
                f"{frames[place[0]].path.parent}: two of its images lie beside each other in one plane, "
                f"{apart:.1f} mm apart; give the files of one stack"
            )
    return [[frames[index] for index in place] for place in places]


def slices_of(frames: Sequence[Frame]) -> Slices:
    """Lay out frames, one at each place, on the grid that they span.

    Parameters
    ----------
    frames : sequence of Frame
        Sorted along the normal, no two at one place.
    """
    first = frames[0].place
    notes = tuple(dict.fromkeys(note for frame in frames for note in frame.notes))
    if len(frames) == 1:
        thickness = first.thickness_mm or 1.0
        step = np.array(first.normal) * thickness
        unknown = () if first.thickness_mm else (_UNKNOWN_THICKNESS,)
        return Slices(tuple(frames), _affine(first, step), (*notes, *unknown))
    positions = _positions(frames)
    numbers, holes = _numbers(positions)
    step = (positions[-1] - positions[0]) / numbers[-1]
    slots: list[Frame | None] = [None] * (numbers[-1] + 1)
    for number, frame in zip(numbers, frames, strict=True):
        slots[number] = frame
    warnings = (*notes, *holes, *_uneven(positions, numbers, step, first), *_slant(step, first))
    return Slices(tuple(slots), _affine(first, step), warnings)


def _positions(frames: Sequence[Frame]) -> Points:
    return np.array([frame.place.position_lps or (0.0, 0.0, 0.0) for frame in frames])


def _affine(place: Place, step: NDArray[np.float64]) -> Affine:
    """Affine to RAS: here, and only here, the LPS of a DICOM header is left."""
    between_rows, between_columns = place.pixel_mm
    lps = np.eye(4)
    lps[:3, 0] = np.array(place.along_row) * between_columns  # i runs along a row
    lps[:3, 1] = np.array(place.along_column) * between_rows
    lps[:3, 2] = step
    lps[:3, 3] = place.position_lps or (0.0, 0.0, 0.0)
    return lps_to_ras(lps)


# --- gaps ---


def _numbers(positions: Points) -> tuple[list[int], tuple[str, ...]]:
    """Index along k of each slice, with room for those that are missing, and what to say about them."""
    heights = _along(positions)
    gaps = np.diff(heights)
    steps = np.rint(gaps / gaps.min()).astype(int)
    unit = gaps.sum() / steps.sum()
    holes = steps > 1
    few = 0 < holes.sum() <= max(1, _MOST_HOLES * len(gaps)) and steps.sum() <= 2 * len(gaps)
    if not few or len(gaps) < 2 or np.abs(gaps / unit - steps).max() > _MULTIPLE:
        return list(range(len(positions))), ()
    numbers = [0, *np.cumsum(steps).tolist()]
    missing = sorted(set(range(numbers[-1])) - set(numbers))
    is_or_are = "slice is" if len(missing) == 1 else "slices are"
    where = ", ".join(str(number) for number in missing[:8]) + (", ..." if len(missing) > 8 else "")
    return numbers, (
        f"{len(missing)} {is_or_are} missing (k = {where}): a gap of {gaps.max():.4g} mm where slices are "
        f"{unit:.4g} mm apart; the place is kept and filled with the lowest value of the image",
    )


def _along(positions: Points) -> NDArray[np.float64]:
    direction = positions[-1] - positions[0]
    along: NDArray[np.float64] = (positions - positions[0]) @ (direction / np.linalg.norm(direction))
    return along


def _uneven(
    positions: Points, numbers: list[int], step: NDArray[np.float64], first: Place
) -> tuple[str, ...]:
    """Say how far slices lie from where the grid has them."""
    off = positions - positions[0] - np.outer(numbers, step)
    across = off @ np.array(first.normal)
    aside = np.linalg.norm(off - np.outer(across, first.normal), axis=1).max()
    tolerance = max(_REGULAR_MM, _REGULAR * float(np.linalg.norm(step)))
    said: tuple[str, ...] = ()
    if np.abs(off).max() <= tolerance:
        return said
    gaps = np.diff(_along(positions))
    mean, most = float(np.linalg.norm(step)), np.linalg.norm(off, axis=1).max()
    if np.abs(across).max() > tolerance:
        said += (
            f"the distance between slices changes from {gaps.min():.4g} to {gaps.max():.4g} mm: the slices "
            f"are kept as they are and shown at their mean, {mean:.4g} mm, up to {most:.1f} mm from where "
            "they lie; sizes and places are wrong by that",
        )
    elif aside > tolerance:
        said += (
            f"slices are shifted sideways by up to {aside:.1f} mm against each other, which one grid cannot "
            "hold: they are kept as they are, and places are wrong by that",
        )
    return said


def _slant(step: NDArray[np.float64], first: Place) -> tuple[str, ...]:
    sine = float(np.linalg.norm(np.cross(step / np.linalg.norm(step), first.normal)))
    if sine <= _STRAIGHT:
        return ()
    return (
        f"the slices are stacked at a slant of {np.degrees(np.arcsin(min(1.0, sine))):.1f} degrees (a tilted "
        "gantry): the affine is sheared, so that every slice lies where it was taken",
    )
