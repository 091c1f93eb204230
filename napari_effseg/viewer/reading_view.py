"""What a viewer shows of the patient: current image, letters at the edges, planes, going to a place.

Works on napari's viewer model alone, without Qt. Letters and places are those of the voxels as napari draws
them: a tilted volume is drawn without its tilt (see `placement`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import PromptError, VolumeError
from ..volume import Grid, same_grid, transform_points
from .orientation import (
    WORLD_AXES_RAS,
    CameraAxes,
    EdgeLetters,
    Plane,
    Sides,
    camera_axes,
    plane_of_order,
    plane_order,
    right_direction,
)
from .placement import (
    drawn_matrix,
    grid_of_layer,
    index_of_world,
    inverse,
    mm_per_world_unit,
    placement_of,
    world_matrix,
    world_of_index,
)
from .source import source_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer

__all__ = [
    "camera_of",
    "can_turn_pictures",
    "current_layer",
    "go_to",
    "letters_of",
    "plane_shown",
    "put_sliders",
    "show_plane",
    "shows_labels",
    "slice_shown",
    "spatial_axes_shown",
    "turn_upright",
    "why_no_anatomy",
]

_OLD_CAMERA = CameraAxes("away", "down", "right")  # of napari below 0.6, which cannot be changed


def camera_of(viewer: ViewerModel) -> Any:
    """Return the camera; napari 0.9 moved it into the scene."""
    scene = getattr(viewer, "scene", None)
    return viewer.camera if scene is None else scene.camera


def can_turn_pictures(viewer: ViewerModel) -> bool:
    """Whether this napari (0.6 or newer) can draw an axis upwards or to the left."""
    return hasattr(camera_of(viewer), "orientation")


def current_layer(viewer: ViewerModel) -> Image | Labels | None:
    """Layer that the reader looks at.

    The active one if it is an image; else the topmost image that is visible, else any image; else, where
    there is no image at all, labels by the same rule.
    """
    from napari.layers import Image, Labels

    active = viewer.layers.selection.active
    for kind in (Image, Labels):
        layers = [layer for layer in viewer.layers if isinstance(layer, kind)]
        if isinstance(active, kind):
            return active
        if layers:
            return ([layer for layer in layers if layer.visible] or layers)[-1]
    return None


def why_no_anatomy(viewer: ViewerModel, layer: Layer | None, assume: bool = False) -> str:
    """Say why a layer's sides of the patient are not known; "" where they are.

    They are known for a volume that came with an orientation, and for a layer that lies on the same grid as
    such a volume in the same viewer (a filtered copy, say).

    Parameters
    ----------
    viewer : ViewerModel
    layer : Layer or None
    assume : bool
        Take the axes of any volume as (S, P, L), as the rest of the plugin does.
    """
    if layer is None:
        return "There is no image yet."
    if layer.ndim < 3:
        return f"“{layer.name}” is a picture without a place in a patient."
    try:
        grid = placement_of(layer).grid
    except VolumeError as err:
        return f"{str(err)[0].upper()}{str(err)[1:]}."
    if assume or _knows_sides(layer) or any(same_grid(grid, o) for o in _known_grids(viewer)):
        return ""
    return f"“{layer.name}” came without an orientation, so left and right are not known."


def _knows_sides(layer: Layer) -> bool:
    source = source_of(layer)
    return source is not None and source.knows_sides


def _known_grids(viewer: ViewerModel) -> Iterator[Grid]:
    """Grids of the layers whose orientation is known, in the order of their axes."""
    for layer in viewer.layers:
        if layer.ndim > 2 and _knows_sides(layer):
            with contextlib.suppress(VolumeError):  # one that somebody turned into time has no grid
                yield placement_of(layer).grid


def spatial_axes_shown(viewer: ViewerModel) -> tuple[int, ...]:
    """Return which of the world axes (S, P, L), 0 to 2, the canvas shows; those of time are left out."""
    dims = viewer.dims
    shown = (axis - (dims.ndim - 3) for axis in dims.displayed)
    return tuple(axis for axis in shown if axis >= 0)


def plane_shown(viewer: ViewerModel) -> Plane | None:
    """Return the plane that the canvas shows; None in 3D, or where one axis is none of space."""
    dims = viewer.dims
    return plane_of_order(dims.order) if dims.ndisplay == 2 and dims.ndim >= 3 else None


def show_plane(viewer: ViewerModel, plane: Plane, sides: Sides) -> None:
    """Show slices of a plane, upright."""
    viewer.dims.ndisplay = 2
    viewer.dims.order = plane_order(plane, viewer.dims.ndim)
    turn_upright(viewer, sides)


def turn_upright(viewer: ViewerModel, sides: Sides) -> None:
    """Turn the picture so that head and front are up and left is where `sides` says.

    Nothing happens where napari cannot do it (below 0.6).
    """
    if can_turn_pictures(viewer) and viewer.dims.ndim >= 3:
        camera_of(viewer).orientation = camera_axes(viewer.dims.order, sides).words


def letters_of(viewer: ViewerModel, layer: Layer) -> EdgeLetters:
    """Letters at the four edges of the canvas, for the voxels that are drawn there.

    Parameters
    ----------
    viewer : ViewerModel
    layer : Layer
        With anatomy (see `why_no_anatomy`).
    """
    if viewer.dims.ndisplay == 3:
        return _letters_in_space(viewer)
    _, up, right = _camera_signs(viewer)
    vertical, horizontal = (axis - (viewer.dims.ndim - 3) for axis in viewer.dims.order[-2:])
    along = _drawn_direction(viewer, layer, horizontal)
    down = _drawn_direction(viewer, layer, vertical)
    return EdgeLetters.of_directions(
        None if along is None else right * along, None if down is None else -up * down
    )


def _camera_signs(viewer: ViewerModel) -> tuple[int, int, int]:
    return _camera_axes_now(viewer).signs


def _camera_axes_now(viewer: ViewerModel) -> CameraAxes:
    if not can_turn_pictures(viewer):
        return _OLD_CAMERA
    depth, vertical, horizontal = (str(word) for word in camera_of(viewer).orientation)
    return CameraAxes(depth, vertical, horizontal)


def _drawn_direction(viewer: ViewerModel, layer: Layer, axis: int) -> NDArray[np.float64] | None:
    """RAS direction in which the drawn voxels follow each other along a world axis; None for time."""
    if axis < 0:
        return None
    shown = spatial_axes_shown(viewer)
    start, end = (index_of_world(layer, point, shown) for point in (np.zeros(3), np.eye(3)[axis]))
    return grid_of_layer(layer).affine[:3, :3] @ (end - start)


def _letters_in_space(viewer: ViewerModel) -> EdgeLetters:
    shown = spatial_axes_shown(viewer)
    if len(shown) < 3:
        return EdgeLetters()
    camera = camera_of(viewer)
    right = right_direction(camera.view_direction, camera.up_direction, _camera_axes_now(viewer))
    axes = WORLD_AXES_RAS[list(shown)]
    return EdgeLetters.of_directions(right @ axes, -np.asarray(camera.up_direction) @ axes)


def slice_shown(viewer: ViewerModel, layer: Layer, axis: int) -> int | None:
    """Slice of a layer that the slider shows across one of its spatial axes, 0 to 2, as napari draws it.

    Returns
    -------
    int or None
        Outside the layer it may be below 0 or above the last. None for a picture, and where the canvas shows
        the axis itself.
    """
    shown = spatial_axes_shown(viewer)
    if axis in shown or layer.ndim < 3:
        return None
    point = np.asarray(viewer.dims.point[-3:]) * mm_per_world_unit(viewer.layers)
    matrix = drawn_matrix(world_matrix(placement_of(layer)), shown)
    return round(float(transform_points(inverse(matrix), point)[axis]))


def shows_labels(viewer: ViewerModel, layer: Labels) -> bool:
    """Whether the slice that the canvas shows holds a label; True where it does not show one slice."""
    shown = spatial_axes_shown(viewer)
    across = [axis for axis in range(3) if axis not in shown]
    if layer.ndim < 3 or len(across) != 1:
        return True
    at, axis = slice_shown(viewer, layer, across[0]), layer.ndim - 3 + across[0]
    return at is not None and 0 <= at < layer.data.shape[axis] and bool(np.any(layer.data.take(at, axis)))


def go_to(viewer: ViewerModel, layer: Layer, point_ras: ArrayLike) -> None:
    """Move the sliders and the middle of the canvas to a place, where napari draws its voxel.

    Parameters
    ----------
    viewer : ViewerModel
    layer : Layer
        The image in which the place is looked up; a tilted one is drawn without its tilt.
    point_ras : array-like, shape (3,)
        mm.

    Raises
    ------
    PromptError
        If the place lies outside the layer, or napari's sliders do not reach it.
    """
    index = _index_inside(layer, point_ras)
    put_sliders(viewer, layer, point_ras)
    unit = mm_per_world_unit(viewer.layers)
    shown = spatial_axes_shown(viewer)
    world = world_of_index(layer, index, shown, unit)
    center = [world[axis] for axis in shown]
    camera_of(viewer).center = (*[0.0] * (3 - len(center)), *center)
    there = index_of_world(layer, np.asarray(viewer.dims.point), shown, unit)
    if len(shown) == 2 and np.abs(there - index)[list(_stored_axes_across(layer, shown))].max() > 1:
        raise PromptError(
            f"napari's slider does not reach that slice of the tilted volume “{layer.name}”; "
            "try another plane"
        )


def put_sliders(viewer: ViewerModel, layer: Layer, point_ras: ArrayLike) -> None:
    """Set the sliders of all three axes, so that slices of any plane go through a place of a layer."""
    index = transform_points(np.asarray(np.linalg.inv(grid_of_layer(layer).affine)), point_ras)
    unit = mm_per_world_unit(viewer.layers)
    planes = ((1, 2), (0, 2), (0, 1))
    points = [world_of_index(layer, index, shown, unit)[axis] for axis, shown in enumerate(planes)]
    first = viewer.dims.ndim - 3
    viewer.dims.set_point([first, first + 1, first + 2], [float(point) for point in points])


def _index_inside(layer: Layer, point_ras: ArrayLike) -> NDArray[np.float64]:
    grid = grid_of_layer(layer)
    index = transform_points(np.asarray(np.linalg.inv(grid.affine)), point_ras)
    if (np.round(index) < 0).any() or (np.round(index) >= grid.shape).any():
        low, high = grid.corners_ras.min(axis=0), grid.corners_ras.max(axis=0)
        ranges = ", ".join(
            f"{name} {start:.0f} to {end:.0f}" for name, start, end in zip("RAS", low, high, strict=True)
        )
        raise PromptError(f"that place lies outside “{layer.name}”, which reaches over {ranges} mm")
    return index


def _stored_axes_across(layer: Layer, shown: tuple[int, ...]) -> tuple[int, ...]:
    order = placement_of(layer).order
    return tuple(order[axis] for axis in range(3) if axis not in shown)
