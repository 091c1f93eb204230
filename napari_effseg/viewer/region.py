"""The region of an image that is to be labelled, as a box that a user draws on a slice.

A rectangle says two sides of the box; the third runs along the slider, over a range of slices.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import VolumeError
from ..types import IndexBox, SpatialShape
from ..volume import Reorientation, clip_box, transform_points
from .placement import (
    back_of,
    drawn_matrix,
    inverse,
    mm_matrix,
    placement_of,
    world_matrix,
)

if TYPE_CHECKING:
    from napari.layers import Image, Shapes

__all__ = ["OURS", "Rectangle", "Region", "default_slices", "rectangles_of", "region_of"]

OURS = "effseg_region"
"""Marks, in the metadata of a layer of shapes, one that we made: in indices of the image's axes."""
_FLAT = 0.5
"""Extent, in voxels, below which a shape is flat along an axis."""


@dataclass(frozen=True)
class Rectangle:
    """A shape on a slice of an image, in indices of the layer's axes (S, P, L).

    Attributes
    ----------
    axis : int
        Across the slice.
    low, high : (float, float, float)
        Corners; the same along `axis`.
    """

    axis: int
    low: tuple[float, float, float]
    high: tuple[float, float, float]


@dataclass(frozen=True)
class Region:
    """Boxes over a range of slices, in indices of an image layer's axes (S, P, L).

    Attributes
    ----------
    axis : int
        Across the slices.
    rectangles : tuple of Rectangle
        All across `axis`.
    first, last : int
        Slices, both included.
    left_out : int
        Shapes that lie in another plane and do not count.
    """

    axis: int
    rectangles: tuple[Rectangle, ...]
    first: int
    last: int
    left_out: int = 0

    def boxes(self, shape: SpatialShape) -> tuple[IndexBox, ...]:
        """Half-open boxes of the voxels whose centres lie in the region, in the layer's axes.

        Raises
        ------
        VolumeError
            If a rectangle lies outside an image of this shape.
        """
        return tuple(self._box(rectangle, shape) for rectangle in self.rectangles)

    def stored_boxes(self, image: Image, level: int = 0) -> tuple[IndexBox, ...]:
        """Return the same boxes in stored voxel indices (i, j, k) of a level of the image."""
        fine, view = placement_of(image), placement_of(image, level)
        back = back_of(view)
        boxes = self.boxes(fine.grid.shape)
        return tuple(back.apply_box(_scaled(box, fine.grid.shape, view.grid.shape)) for box in boxes)

    def size_mm(self, view: Reorientation) -> tuple[float, float, float]:
        """Sides of the first box along (S, P, L), mm."""
        low, high = self.boxes(view.grid.shape)[0]
        return _triple((h - b) * step for b, h, step in zip(low, high, view.grid.spacing, strict=True))

    def _box(self, rectangle: Rectangle, shape: SpatialShape) -> IndexBox:
        low = [math.ceil(edge - 1e-6) for edge in rectangle.low]
        high = [math.floor(edge + 1e-6) + 1 for edge in rectangle.high]
        for axis in range(3):  # a line between two voxels still means one of them
            if high[axis] <= low[axis]:
                low[axis] = round((rectangle.low[axis] + rectangle.high[axis]) / 2)
                high[axis] = low[axis] + 1
        low[self.axis], high[self.axis] = self.first, self.last + 1
        try:
            return clip_box(((low[0], low[1], low[2]), (high[0], high[1], high[2])), shape)
        except VolumeError as err:
            raise VolumeError("the region lies outside the image; draw it on the image") from err


def rectangles_of(shapes: Shapes, image: Image, at: ArrayLike, displayed: Sequence[int]) -> list[Rectangle]:
    """Bounding rectangles of the shapes of a layer, where they are seen on an image.

    Parameters
    ----------
    shapes : Shapes layer
        With the image's own transform, or any other; with three axes, or two that are drawn on every slice.
    image : Image layer
    at : array-like, shape (3,)
        World position of the sliders along (S, P, L), mm.
    displayed : sequence of int
        Which of the axes (S, P, L) the canvas shows.
    """
    view = placement_of(image)
    drawn = inverse(drawn_matrix(world_matrix(view), displayed))
    found = []
    for corners in shapes.data:
        points = _indices(np.asarray(corners, dtype=np.float64), shapes, image, drawn, at)
        found.append(_rectangle(points, displayed))
    return found


def region_of(rectangles: Sequence[Rectangle], first: int, last: int) -> Region | None:
    """Region of the rectangles that lie in the plane of the newest; None if there is none."""
    if not rectangles:
        return None
    axis = rectangles[-1].axis
    same = tuple(rectangle for rectangle in rectangles if rectangle.axis == axis)
    return Region(axis, same, first, last, len(rectangles) - len(same))


def default_slices(
    rectangle: Rectangle, view: Reorientation, middle: float, most_mm: float | None = None
) -> tuple[int, int]:
    """Slices that a rectangle gets by itself: as deep as it is wide.

    Parameters
    ----------
    rectangle : Rectangle
        As drawn on one slice.
    view : Reorientation
        Of the image layer.
    middle : float
        Slice that lies in the middle of them.
    most_mm : float, optional
        What the model takes at most.

    Returns
    -------
    first, last : int
        Both included.
    """
    spacing, side = view.grid.spacing, view.grid.shape[rectangle.axis]
    sides = [
        (high - low + 1) * step
        for axis, (low, high, step) in enumerate(zip(rectangle.low, rectangle.high, spacing, strict=True))
        if axis != rectangle.axis
    ]
    depth = min(math.sqrt(math.prod(sides)), math.inf if most_mm is None else most_mm)
    slices = min(side, max(1, math.floor(depth / spacing[rectangle.axis])))
    first = min(max(round(middle - (slices - 1) / 2), 0), side - slices)
    return first, first + slices - 1


def _indices(
    corners: NDArray[np.float64],
    shapes: Shapes,
    image: Image,
    drawn: NDArray[np.float64],
    at: ArrayLike,
) -> NDArray[np.float64]:
    """Corners of a shape, (N, D), as indices of the image's three axes, (N, 3)."""
    is_ours = shapes.metadata.get(OURS) and corners.shape[1] >= min(image.ndim, 3)
    if is_ours or (corners.shape[1] == image.ndim and _same_transform(shapes, image)):
        points = corners[:, -3:]
        return points if points.shape[1] == 3 else np.pad(points, ((0, 0), (1, 0)))
    sides = min(corners.shape[1], 3)
    padded = np.pad(corners[:, -sides:], ((0, 0), (3 - sides, 0)))
    world = transform_points(mm_matrix(shapes), padded)
    if sides < 3 and image.ndim > 2:  # drawn in two dimensions: it is seen on every slice
        world[:, 0] = np.asarray(at)[0]
    return transform_points(drawn, world)


def _same_transform(shapes: Shapes, image: Image) -> bool:
    return np.allclose(mm_matrix(shapes), mm_matrix(image))


def _rectangle(points: NDArray[np.float64], displayed: Sequence[int]) -> Rectangle:
    low, high = points.min(axis=0), points.max(axis=0)
    flat = [axis for axis in range(3) if high[axis] - low[axis] < _FLAT]
    across = next((axis for axis in flat if axis not in displayed), None)
    axis = across if across is not None else int(np.argmin(high - low))
    return Rectangle(axis, _triple(low), _triple(high))


def _scaled(box: IndexBox, fine: SpatialShape, coarse: SpatialShape) -> IndexBox:
    """Box of a finer level as a box of a coarser one, never smaller."""
    if fine == coarse:
        return box
    low = [math.floor(at * c / f) for at, f, c in zip(box[0], fine, coarse, strict=True)]
    high = [math.ceil(at * c / f) for at, f, c in zip(box[1], fine, coarse, strict=True)]
    return clip_box(((low[0], low[1], low[2]), (high[0], high[1], high[2])), coarse)


def _triple(values: Iterable[float]) -> tuple[float, float, float]:
    a, b, c = (float(value) for value in values)
    return a, b, c
