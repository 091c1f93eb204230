"""Prompts as nodes of the scene, and back: points, ROI, closed curve, painted segment, existing segment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray

from .Nodes import affine_of, boxes_of, matrix_of, volume_of, voxels_of
from .rooms import (
    Box,
    Lasso,
    Mask,
    Point,
    Prompt,
    PromptError,
    affine_spacing,
    scribbles_of,
    transform_points,
)
from .Segments import mask_of

__all__ = [
    "PLANES",
    "axis_across",
    "axis_of_plane",
    "axis_under_mouse",
    "box_from",
    "lasso_from",
    "mask_from",
    "new_points",
    "point_at",
    "ras_of",
    "scribbles_from",
]

PLANES = {"axial": (0.0, 0.0, 1.0), "coronal": (0.0, 1.0, 0.0), "sagittal": (1.0, 0.0, 0.0)}
"""Planes of the body, and what stands across them in RAS."""

_FLAT = 0.75
"""A curve whose corners stray less than this many voxels from a slice lies in it."""


def axis_across(normal_ras: NDArray[np.float64] | tuple[float, ...], volume_node: Any) -> int:
    """Return the array axis that comes nearest to a direction: the one across a plane.

    Parameters
    ----------
    normal_ras : (3,)
        Across the plane, in the world.
    volume_node : vtkMRMLVolumeNode
    """
    affine = affine_of(volume_node)
    directions = affine[:3, :3] / np.asarray(affine_spacing(affine))
    return int(np.argmax(np.abs(np.asarray(normal_ras) @ directions)))


def axis_of_plane(plane: str, volume_node: Any) -> int:
    """Return the array axis across "axial", "coronal" or "sagittal"."""
    return axis_across(PLANES[plane], volume_node)


def axis_under_mouse(volume_node: Any) -> int | None:
    """Return the array axis across the slice view that the mouse is in; None outside of slice views."""
    crosshair = volume_node.GetScene().GetSingletonNode("default", "vtkMRMLCrosshairNode")
    if crosshair is None:
        return None
    view = crosshair.GetCursorPositionXYZ([0.0, 0.0, 0.0])
    if view is None:
        return None
    return axis_across(matrix_of(view.GetSliceToRAS())[:3, 2], volume_node)


def point_at(ras: NDArray[np.float64], volume_node: Any, positive: bool, axis: int | None) -> Point:
    """Return the voxel that a place in the world lies in, as a click.

    Raises
    ------
    PromptError
        If it is outside of the image.
    """
    volume = volume_of(volume_node)
    i, j, k = np.rint(voxels_of(ras, volume.affine)[0]).astype(int).tolist()
    if not all(0 <= at < side for at, side in zip((i, j, k), volume.shape, strict=True)):
        raise PromptError(f"the point lies outside of {volume_node.GetName()}")
    return Point((i, j, k), positive=positive, axis=axis)


def ras_of(point: Point, volume_node: Any) -> NDArray[np.float64]:
    """Return where a click lies in the world, (3,)."""
    return transform_points(affine_of(volume_node), point.index)


def box_from(roi: Any, volume_node: Any, positive: bool = True, axis: int | None = None) -> Box:
    """Return the voxels within a ROI node as a box.

    Parameters
    ----------
    roi : vtkMRMLMarkupsROINode
    volume_node : vtkMRMLVolumeNode
    positive : bool
    axis : int or None
        Make it flat across this axis, in the slice through its middle.

    Raises
    ------
    VolumeError
        If it is empty, or beside the image.
    """
    ((low, high),) = boxes_of([roi], volume_of(volume_node).grid)
    if axis is None:
        return Box(low, high, positive=positive)
    start, stop = list(low), list(high)
    start[axis] = (low[axis] + high[axis] - 1) // 2
    stop[axis] = start[axis] + 1
    return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]), positive=positive)


def lasso_from(curve: Any, volume_node: Any, positive: bool = True) -> Lasso:
    """Return what a closed curve encloses, as a lasso.

    Parameters
    ----------
    curve : vtkMRMLMarkupsClosedCurveNode
        Drawn in one slice.
    volume_node : vtkMRMLVolumeNode
    positive : bool

    Raises
    ------
    PromptError
        If it has fewer than three points, or does not lie in one slice of voxels, or is beside the image.
    """
    points = vtk.vtkPoints()
    if curve.GetNumberOfControlPoints() < 3:
        raise PromptError("a lasso needs three points or more; draw around the object")
    curve.GetControlPointPositionsWorld(points)
    sampled = curve.GetCurvePointsWorld()
    if sampled is not None and sampled.GetNumberOfPoints() >= 3:
        points = sampled
    ras = np.array([points.GetPoint(at) for at in range(points.GetNumberOfPoints())])
    volume = volume_of(volume_node)
    vertices = voxels_of(ras, volume.affine)
    spread = np.ptp(vertices, axis=0)
    axis = int(np.argmin(spread))
    if spread[axis] > 2 * _FLAT:
        raise PromptError(
            "the lasso does not lie in one slice of the image; draw it in a view along the voxels"
        )
    vertices[:, axis] = np.rint(np.median(vertices[:, axis]))
    last = np.asarray(volume.shape) - 1
    if (np.rint(vertices[:, axis]) < 0).any() or (np.rint(vertices[:, axis]) > last[axis]).any():
        raise PromptError(f"the lasso lies outside of {volume_node.GetName()}")
    return Lasso(np.clip(vertices, 0, last), positive=positive)


def scribbles_from(
    segmentation: Any, segment_id: str, volume_node: Any, positive: bool, axis: int
) -> Iterator[Prompt]:
    """Return what was painted into a segment as lines, one for each connected piece of each slice.

    Raises
    ------
    PromptError
        If nothing was painted.
    """
    painted = mask_of(segmentation, segment_id, volume_node)
    labels = np.where(painted, 1 if positive else 2, 0).astype(np.uint8)
    yield from scribbles_of(labels, axis)


def mask_from(segmentation: Any, segment_id: str, volume_node: Any, positive: bool = True) -> Mask:
    """Return a segment as a mask to begin with.

    Raises
    ------
    PromptError
        If it is empty where the image is.
    """
    mask = mask_of(segmentation, segment_id, volume_node)
    if not mask.any():
        name = segmentation.GetSegmentation().GetSegment(segment_id).GetName()
        raise PromptError(f"the segment {name} is empty where {volume_node.GetName()} is")
    return Mask(mask, positive=positive)


def new_points(volume_node: Any, name: str, colour: tuple[float, float, float]) -> Any:
    """Add a node for clicks."""
    scene = volume_node.GetScene()
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    if display is not None:
        display.SetSelectedColor(colour)
        display.SetPointLabelsVisibility(False)
    return node
