"""What a hand draws becomes a prompt; which prompt a hand points at; how prompts look. No Qt, no napari."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import PromptError
from ..prompts import Box, Lasso, Mask, Point, Prompt, Scribble
from ..types import Spacing, SpatialShape
from .click_places import Place
from .click_state import PromptRow, Tool

__all__ = ["edges_of", "found_at", "middle_of", "prompt_of", "rows_of", "segments_of"]

_NEXT = 0.6
"""Voxels between two places of a line that is drawn; what lies closer is left out."""

Segments = NDArray[np.float64]
"""Pieces of lines, shape (N, 2, 3): both ends as voxel indices."""


def prompt_of(tool: Tool, path: Sequence[Place], shape: SpatialShape, positive: bool) -> Prompt:
    """Make the prompt of a gesture.

    Parameters
    ----------
    tool : Tool
    path : sequence of Place
        Where the mouse went, at least one place.
    shape : (I, J, K)
        Of the image; what was drawn beyond its border is drawn along it.
    positive : bool

    Raises
    ------
    PromptError
        If the gesture is too small, or lies outside of the image.
    """
    axis = path[0].axis
    if tool is Tool.POINT:
        if not path[-1].is_in(shape):
            raise PromptError("That is outside of the image; click on it.")
        return Point(path[-1].voxel, positive=positive, axis=axis)
    line = _within(path, shape)
    if tool is Tool.BOX:
        return _box(line[0], line[-1], axis, positive)
    thinned = _thinned(line)
    if tool is Tool.SCRIBBLE:
        return Scribble(thinned, positive=positive)
    if len(thinned) < 3:
        raise PromptError("Draw a lasso around the object with the button held down.")
    return Lasso(thinned, positive=positive)


def middle_of(prompt: Prompt) -> tuple[int, int, int]:
    """Voxel in the middle of a prompt."""
    if isinstance(prompt, Point):
        return prompt.index
    if isinstance(prompt, Box):
        middle = (np.asarray(prompt.low) + np.asarray(prompt.high) - 1) / 2
    elif isinstance(prompt, Mask):
        middle = np.argwhere(prompt.array).mean(axis=0)
    else:
        path = prompt.points if isinstance(prompt, Scribble) else prompt.vertices
        middle = path[len(path) // 2]
    i, j, k = np.floor(middle + 0.5).astype(int).tolist()
    return i, j, k


def rows_of(prompts: Mapping[int, Prompt]) -> tuple[PromptRow, ...]:
    """Lines of a list of prompts: what each is, and at which voxel."""
    rows = []
    for number, prompt in prompts.items():
        sign = "+" if prompt.positive else "\N{MINUS SIGN}"
        place = ", ".join(map(str, middle_of(prompt)))
        rows.append(PromptRow(number, f"{sign} {type(prompt).__name__.lower()} at {place}", prompt.positive))
    return tuple(rows)


def segments_of(prompt: Prompt) -> Segments:
    """Lines by which a prompt is drawn; none for a point or a mask."""
    if isinstance(prompt, Scribble):
        path = np.asarray(prompt.points)
        return _joined(path if len(path) > 1 else np.concatenate([path, path]))
    if isinstance(prompt, Lasso):
        return _joined(np.concatenate([prompt.vertices, prompt.vertices[:1]]))
    if isinstance(prompt, Box):
        return _frames(prompt)
    return np.zeros((0, 2, 3))


def edges_of(mask: NDArray[np.bool_], low: Sequence[int], axis: int) -> Segments:
    """Outline of a mask in one slice, along the borders of its voxels.

    Parameters
    ----------
    mask : ndarray of bool
        Part of an image, one voxel thick along `axis`.
    low : (i, j, k)
        Its first voxel in the image.
    axis : int
    """
    plane = np.pad(mask.squeeze(axis), 1)
    rows, columns = (other for other in range(3) if other != axis)
    found = []
    for way, (along, across) in enumerate(((columns, rows), (rows, columns))):
        before = plane if way == 0 else plane.T
        step, at = np.nonzero(before[1:] != before[:-1])
        ends = np.zeros((len(step), 2, 3))
        ends[:, :, across] = (step - 0.5)[:, None]
        ends[:, 0, along], ends[:, 1, along] = at - 1.5, at - 0.5
        found.append(ends)
    return np.asarray(np.concatenate(found) + np.asarray(low, float))


def found_at(
    prompts: Mapping[int, Prompt], place: Place, spacing: Spacing, reach_mm: float, points_only: bool = False
) -> int | None:
    """Return the number of the prompt that lies at a place of a slice; None if none is within reach.

    Parameters
    ----------
    prompts : mapping of int to Prompt
    place : Place
    spacing : (float, float, float)
        mm a voxel.
    reach_mm : float
    points_only : bool
        Whether only points count.
    """
    distances = {
        number: _distance(prompt, place, np.asarray(spacing))
        for number, prompt in prompts.items()
        if isinstance(prompt, Point) or not points_only
    }
    near = {number: distance for number, distance in distances.items() if distance <= reach_mm}
    return min(near, key=lambda number: near[number]) if near else None


def _within(path: Sequence[Place], shape: SpatialShape) -> NDArray[np.float64]:
    line = np.array([place.index for place in path])
    inside = ((line > -0.5) & (line < np.asarray(shape) - 0.5)).all(axis=1)
    if not inside.any():
        raise PromptError("That is outside of the image; draw on it.")
    return np.asarray(np.clip(line, 0, np.asarray(shape) - 1))


def _box(start: NDArray[np.float64], end: NDArray[np.float64], axis: int, positive: bool) -> Box:
    low = np.floor(np.minimum(start, end) + 0.5).astype(int)
    high = np.floor(np.maximum(start, end) + 0.5).astype(int) + 1
    wide = [high[other] - low[other] for other in range(3) if other != axis]
    if max(wide) < 2:
        raise PromptError("Drag a box around the object with the button held down.")
    (i, j, k), (ii, jj, kk) = low.tolist(), high.tolist()
    return Box((i, j, k), (ii, jj, kk), positive=positive)


def _thinned(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leave out places that are nearly where the one before is."""
    kept = [line[0]]
    for place in line[1:]:
        if np.abs(place - kept[-1]).max() >= _NEXT:
            kept.append(place)
    return np.array(kept)


def _joined(path: NDArray[np.float64]) -> Segments:
    return np.stack([path[:-1], path[1:]], axis=1)


def _frames(box: Box) -> Segments:
    """Outline of a box in each of its slices, along the outer borders of its voxels."""
    axis = 2 if box.axis is None else box.axis
    rows, columns = (other for other in range(3) if other != axis)
    pieces = []
    for at in range(box.low[axis], box.high[axis]):
        corners = np.full((5, 3), float(at))
        corners[:, rows] = (
            np.array([box.low[rows], box.low[rows], box.high[rows], box.high[rows], box.low[rows]]) - 0.5
        )
        ends = box.low[columns], box.high[columns], box.high[columns], box.low[columns], box.low[columns]
        corners[:, columns] = np.array(ends) - 0.5
        pieces.append(_joined(corners))
    return np.concatenate(pieces)


def _distance(prompt: Prompt, place: Place, spacing: NDArray[np.float64]) -> float:
    """Distance of a place from what is drawn of a prompt in its slice, mm; infinite in other slices."""
    if isinstance(prompt, Point):
        if prompt.index[place.axis] != place.voxel[place.axis]:
            return np.inf
        return float(np.linalg.norm((np.asarray(prompt.index) - place.index) * spacing))
    pieces = segments_of(prompt)
    pieces = pieces[(np.abs(pieces[:, :, place.axis] - place.index[place.axis]) <= 0.5).all(axis=1)]
    if not len(pieces):
        return np.inf
    start, way = pieces[:, 0] * spacing, (pieces[:, 1] - pieces[:, 0]) * spacing
    there = place.index * spacing - start
    length = (way**2).sum(axis=1)
    along = np.clip((there * way).sum(axis=1) / np.where(length > 0, length, 1), 0, 1)
    return float(np.linalg.norm(there - along[:, None] * way, axis=1).min())
