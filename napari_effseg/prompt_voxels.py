"""Where prompts lie: checked against an image, in which plane they are meant, which voxels they cover."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from .errors import PromptError
from .prompts import Box, Lasso, Mask, Point, Prompt, Scribble
from .types import IndexBox, Spacing, SpatialShape

__all__ = ["check_prompt", "plane_of", "voxels_of"]

_Index = tuple[int, int, int]
_TIE = 1e-6
"""Voxels by which a place may be off the middle between two, and count as there."""


def check_prompt(prompt: Prompt, shape: SpatialShape) -> None:
    """Refuse a prompt that reaches out of the image.

    Raises
    ------
    PromptError
        Naming the prompt, what it reaches to, and the image's size.
    """
    name = type(prompt).__name__
    if isinstance(prompt, Mask):
        if prompt.array.shape != tuple(shape):
            raise PromptError(f"Mask of shape {prompt.array.shape} was given; the image has {tuple(shape)}")
        return
    low, high = _reach(prompt)
    for axis, (first, last, side) in enumerate(zip(low, high, shape, strict=True)):
        if first < 0 or last >= side:
            raise PromptError(
                f"{name} reaches from {first} to {last} along axis {'IJK'[axis]}; "
                f"the image has voxels 0 to {side - 1}"
            )


def plane_of(prompt: Prompt, shape: SpatialShape, spacing: Spacing, shown: int | None = None) -> int:
    """Axis across the plane in which a prompt is meant.

    Parameters
    ----------
    prompt : Prompt
    shape : (I, J, K)
        Of the image.
    spacing : (float, float, float)
        Of the image, in mm.
    shown : int or None
        Axis across the plane that is shown, for prompts without a plane of their own.

    Returns
    -------
    int
        The prompt's own (of a line along an axis, which lies in two planes: the one shown); else the one
        shown; else the only one of an image of one slice; else that of the largest spacing, the last of
        equals.
    """
    if shown is not None and shown in _flat_axes(prompt):
        return shown
    if prompt.axis is not None:
        return prompt.axis
    if shown is not None:
        return shown
    thin = [axis for axis in range(3) if shape[axis] == 1]
    if len(thin) == 1:
        return thin[0]
    largest = max(spacing)
    return max(axis for axis in range(3) if spacing[axis] >= largest * (1 - 1e-3))


def voxels_of(prompt: Prompt, shape: SpatialShape) -> tuple[IndexBox, NDArray[np.bool_]]:
    """Voxels that a prompt covers, as a box of the image and what is set in it.

    Parameters
    ----------
    prompt : Prompt
    shape : (I, J, K)
        Of the image.

    Returns
    -------
    box : IndexBox
        Half-open, inside the image.
    inside : ndarray of bool, of the box's shape
        A point's own voxel; all of a box; a scribble's line at its width; what a lasso encloses, its outline
        included; a mask's own voxels.

    Raises
    ------
    PromptError
        As `check_prompt`.
    """
    check_prompt(prompt, shape)
    if isinstance(prompt, Mask):
        return _cropped(prompt.array)
    if isinstance(prompt, Scribble):
        return _line(prompt, shape)
    if isinstance(prompt, Lasso):
        return _enclosed(prompt)
    low, last = _reach(prompt)
    high = (last[0] + 1, last[1] + 1, last[2] + 1)
    return (low, high), np.ones([b - a for a, b in zip(low, high, strict=True)], bool)


def _flat_axes(prompt: Prompt) -> tuple[int, ...]:
    """Axes along which a prompt that is drawn does not extend."""
    if isinstance(prompt, Point | Mask):
        return ()
    low, last = _reach(prompt)
    return tuple(axis for axis in range(3) if low[axis] == last[axis])


def _reach(prompt: Point | Box | Scribble | Lasso) -> tuple[_Index, _Index]:
    """First and last voxel along each axis."""
    if isinstance(prompt, Point):
        return prompt.index, prompt.index
    if isinstance(prompt, Box):
        i, j, k = prompt.high
        return prompt.low, (i - 1, j - 1, k - 1)
    places = prompt.points if isinstance(prompt, Scribble) else prompt.vertices
    low, high = np.round(places.min(axis=0)), np.round(places.max(axis=0))
    return (int(low[0]), int(low[1]), int(low[2])), (int(high[0]), int(high[1]), int(high[2]))


def _line(scribble: Scribble, shape: SpatialShape) -> tuple[IndexBox, NDArray[np.bool_]]:
    """Every voxel whose centre is near the line; a line in a plane stays in it."""
    reach = int(np.ceil(scribble.radius)) + 1
    low, last = _reach(scribble)
    flat = scribble.axis
    grow = [0 if axis == flat else reach for axis in range(3)]
    start = [max(a - g, 0) for a, g in zip(low, grow, strict=True)]
    stop = [min(b + g + 1, side) for b, g, side in zip(last, grow, shape, strict=True)]
    inside = np.zeros([b - a for a, b in zip(start, stop, strict=True)], bool)
    for first, second in _segments(scribble.points):
        _stamp(inside, np.asarray(start), first, second, scribble.radius)
    return _box(start, stop), inside


def _segments(points: NDArray[np.float64]) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    return [(points[n], points[min(n + 1, len(points) - 1)]) for n in range(max(len(points) - 1, 1))]


def _stamp(
    inside: NDArray[np.bool_],
    start: NDArray[np.int_],
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    radius: float,
) -> None:
    """Set the voxels within `radius` of a piece of the line, and the line's own."""
    steps = int(
        np.ceil(np.abs(second - first).max())
    )  # more would leave the line between diagonal neighbours
    path = np.linspace(first, second, steps + 1)
    for voxels in _nearest(path):
        own = voxels - start
        own = own[((own >= 0) & (own < inside.shape)).all(axis=1)]
        inside[tuple(own.T)] = True
    if radius == 0:
        return
    low = np.maximum(np.floor(np.minimum(first, second) - radius).astype(int) - start, 0)
    high = np.minimum(np.ceil(np.maximum(first, second) + radius).astype(int) - start + 1, inside.shape)
    axes = [np.arange(a, b) + s for a, b, s in zip(low, high, start, strict=True)]
    offset = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) - first
    way = second - first
    length = float(way @ way)
    along = np.clip(offset @ way / length, 0, 1) if length else np.zeros(offset.shape[:-1])
    distance = np.linalg.norm(offset - along[..., None] * way, axis=-1)
    inside[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] |= distance <= radius


def _nearest(path: NDArray[np.float64]) -> Iterator[NDArray[np.int_]]:
    """Voxels nearest to places: of one midway between two both, so that it is the same seen from either side.

    Along an axis on which the path does not move there is one alone: a line in a plane stays in it.
    """
    below, above = np.ceil(path - 0.5 - _TIE).astype(int), np.floor(path + 0.5 + _TIE).astype(int)
    flat = np.ptp(path, axis=0) == 0
    below[:, flat] = above[:, flat] = np.round(path[:, flat]).astype(int)
    moving = [(below[:, axis],) if flat[axis] else (below[:, axis], above[:, axis]) for axis in range(3)]
    for choice in itertools.product(*moving):
        yield np.stack(choice, axis=1)


def _enclosed(lasso: Lasso) -> tuple[IndexBox, NDArray[np.bool_]]:
    """Voxels whose centres the outline encloses (even-odd rule), and those of the outline itself."""
    across = lasso.axis
    outline = Scribble(np.concatenate([lasso.vertices, lasso.vertices[:1]]))
    low, last = _reach(outline)
    stop = [b + 1 for b in last]
    inside = np.zeros([b - a for a, b in zip(low, stop, strict=True)], bool)
    for first, second in _segments(outline.points):
        _stamp(inside, np.asarray(low), first, second, 0)
    rows, columns = (axis for axis in range(3) if axis != across)
    corners = lasso.vertices[:, (rows, columns)]
    y, x = np.meshgrid(
        np.arange(low[rows], stop[rows]), np.arange(low[columns], stop[columns]), indexing="ij"
    )
    filled = _even_odd(y, x, corners)
    inside |= np.expand_dims(filled, across)
    return _box(low, stop), inside


def _even_odd(y: NDArray[np.int_], x: NDArray[np.int_], corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether a ray from each place crosses the outline an odd number of times."""
    odd = np.zeros(y.shape, bool)
    following = np.roll(corners, -1, axis=0)
    for (y0, x0), (y1, x1) in zip(corners, following, strict=True):
        if y0 == y1:
            continue
        crosses = (y0 > y) != (y1 > y)
        odd ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return odd


def _cropped(array: NDArray[np.bool_]) -> tuple[IndexBox, NDArray[np.bool_]]:
    found = [np.flatnonzero(array.any(_others(axis))) for axis in range(3)]
    low, stop = [int(f[0]) for f in found], [int(f[-1]) + 1 for f in found]
    return _box(low, stop), array[tuple(slice(a, b) for a, b in zip(low, stop, strict=True))]


def _others(axis: int) -> tuple[int, ...]:
    return tuple(other for other in range(3) if other != axis)


def _box(low: Sequence[int], stop: Sequence[int]) -> IndexBox:
    return (low[0], low[1], low[2]), (stop[0], stop[1], stop[2])
