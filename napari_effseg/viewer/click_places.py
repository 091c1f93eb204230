"""From the mouse to voxels of a session's image and back to a layer, whatever plane or transform; no Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import PromptError
from ..volume import Grid, transform_points
from .from_layer import frames_of
from .placement import index_of_world, inverse, mm_per_world_unit, placement_of, world_of_index
from .reading_view import camera_of, spatial_axes_shown

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

__all__ = [
    "Place",
    "axis_shown",
    "frame_shown",
    "layer_points",
    "mm_per_pixel",
    "place_at",
    "show_frame",
    "show_slice_of",
    "slice_at",
]

IN_SPACE = "A click needs a slice. Press Ctrl+Y (or the button at the lower left) to leave 3D, then click."
_OTHER_AXES = "The canvas shows time as one of its axes. Roll the axes (Ctrl+E) until it shows slices."


_FROM_THE_EDGE = "The layer is turned so that its slices are seen from their edge. Roll the axes (Ctrl+E)."


@dataclass(frozen=True, eq=False)
class Place:
    """Where the mouse is in an image.

    Attributes
    ----------
    index : ndarray, shape (3,)
        Voxel index (i, j, k) of the stored array; whole across the plane, not rounded within it.
    axis : int
        Axis of the stored array across the plane that is shown.
    """

    index: NDArray[np.float64]
    axis: int

    @property
    def voxel(self) -> tuple[int, int, int]:
        """The nearest voxel."""
        i, j, k = np.floor(self.index + 0.5).astype(int).tolist()
        return i, j, k

    def is_in(self, shape: Sequence[int]) -> bool:
        """Whether there is a voxel."""
        return all(0 <= at < side for at, side in zip(self.voxel, shape, strict=True))


def axis_shown(viewer: ViewerModel, image: Image) -> int:
    """Axis of the stored array across the slices that the canvas shows.

    Raises
    ------
    PromptError
        If it shows no slices of this image.
    """
    shown = spatial_axes_shown(viewer)
    if viewer.dims.ndisplay != 2:
        raise PromptError(IN_SPACE)
    if len(shown) != 2:
        raise PromptError(_OTHER_AXES)
    if image.ndim == 2 and set(shown) != {1, 2}:
        raise PromptError(f"“{image.name}” is a picture that is seen from its edge; transpose the axes back.")
    across = next(axis for axis in range(3) if axis not in shown)
    return placement_of(image).order[across]


def place_at(viewer: ViewerModel, image: Image, grid: Grid, position: Sequence[float]) -> Place:
    """Place of the image that napari draws at a position of the canvas.

    Parameters
    ----------
    viewer : ViewerModel
    image : Image layer
    grid : Grid
        Of the session's image: that of the layer, or of one of its coarser levels.
    position : sequence of float
        Of the mouse in the viewer's world, all axes.

    Raises
    ------
    PromptError
        If the canvas shows no slice of the image; it says what to do.
    """
    axis = axis_shown(viewer, image)
    unit = mm_per_world_unit(viewer.layers)
    try:
        exact = index_of_world(image, position, spatial_axes_shown(viewer), unit)
    except np.linalg.LinAlgError as err:
        raise PromptError(_FROM_THE_EDGE) from err
    exact = _between(placement_of(image).source, grid, exact)
    exact[axis] = np.floor(exact[axis] + 0.5)
    return Place(exact, axis)


def slice_at(viewer: ViewerModel, image: Image, grid: Grid) -> tuple[int, int]:
    """Axis across the slice that is shown, and its index in the stored array.

    Raises
    ------
    PromptError
        As `place_at`.
    """
    place = place_at(viewer, image, grid, viewer.dims.point)
    return place.axis, place.voxel[place.axis]


def show_slice_of(viewer: ViewerModel, image: Image, grid: Grid, index: ArrayLike) -> None:
    """Move the slider across the plane that is shown so that it shows the slice of a voxel (i, j, k)."""
    shown = spatial_axes_shown(viewer)
    stored = _between(grid, placement_of(image).source, np.asarray(index, np.float64))
    world = world_of_index(image, stored, shown, mm_per_world_unit(viewer.layers))
    for axis in set(range(3)) - set(shown):
        viewer.dims.set_point(viewer.dims.ndim - 3 + axis, float(world[axis]))


def layer_points(image: Image, grid: Grid, indices: ArrayLike) -> NDArray[np.float64]:
    """Turn voxel indices (N, 3) of the stored array into those of the layer's spatial axes, (N, 2 or 3)."""
    view = placement_of(image)
    stored = _between(grid, view.source, np.asarray(indices, np.float64).reshape(-1, 3))
    columns = [
        view.source.shape[old] - 1 - stored[:, old] if flip else stored[:, old]
        for old, flip in zip(view.order, view.flips, strict=True)
    ]
    return np.stack(columns[-min(image.ndim, 3) :], axis=1)


def mm_per_pixel(viewer: ViewerModel) -> float:
    """Millimetres that a pixel of the canvas covers."""
    return float(mm_per_world_unit(viewer.layers) / camera_of(viewer).zoom)


def frame_shown(viewer: ViewerModel, image: Layer) -> int:
    """Step along the axis before the spatial ones (a time point) that the slider shows; 0 without one."""
    frames = frames_of(image)
    if frames == 1:
        return 0
    index = image.world_to_data(viewer.dims.point)[image.ndim - 4]
    return min(max(round(float(index)), 0), frames - 1)


def show_frame(viewer: ViewerModel, image: Image, frame: int) -> None:
    """Move the slider of the axis before the spatial ones so that it shows a step (a time point)."""
    axis = image.ndim - 4
    index = list(image.world_to_data(viewer.dims.point))
    index[axis] = frame
    world = image.data_to_world(index)
    viewer.dims.set_point(viewer.dims.ndim - image.ndim + axis, float(world[axis]))


def _between(one: Grid, other: Grid, indices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn indices of one grid into those of another that covers the same place."""
    if one.shape == other.shape:
        return np.array(indices, np.float64)
    return transform_points(inverse(other.affine), transform_points(one.affine, indices))
