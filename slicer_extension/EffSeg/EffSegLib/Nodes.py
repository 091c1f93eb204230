"""Volume nodes as arrays with geometry; ROI nodes as boxes of voxels.

Slicer's arrays are (k, j, i), ours (i, j, k); both worlds are RAS in mm. The world of a node is what its
parent transforms make of it: what the user sees.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray

from .rooms import (
    Affine,
    Grid,
    IndexBox,
    Volume,
    VolumeError,
    resample,
    same_grid,
    stack_channels,
    transform_points,
)

__all__ = [
    "affine_of",
    "boxes_of",
    "channels_of",
    "local_affine_of",
    "matrix_of",
    "same_place",
    "volume_of",
    "voxels_of",
    "world_of",
]

MODALITY_ATTRIBUTE = "DICOM.Modality"


def matrix_of(vtk_matrix: vtk.vtkMatrix4x4) -> NDArray[np.float64]:
    """Return a VTK matrix as an array (4, 4)."""
    return np.array([[vtk_matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def world_of(node: Any) -> NDArray[np.float64]:
    """Return what the parent transforms of a node do: its own coordinates -> world, (4, 4).

    Raises
    ------
    VolumeError
        If one of them bends space, so that no matrix says it.
    """
    parent = node.GetParentTransformNode()
    if parent is None:
        return np.eye(4)
    matrix = vtk.vtkMatrix4x4()
    if not parent.IsTransformToWorldLinear():
        raise VolumeError(
            f"{node.GetName()} is under {parent.GetName()}, which is not linear; harden the transform first"
        )
    parent.GetMatrixTransformToWorld(matrix)
    return matrix_of(matrix)


def local_affine_of(node: Any) -> Affine:
    """Return the affine of a volume node without its parent transforms."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix_of(matrix)


def affine_of(node: Any) -> Affine:
    """Return the affine voxel index -> world of a volume node, parent transforms included.

    Raises
    ------
    VolumeError
        As `world_of`.
    """
    affine: Affine = world_of(node) @ local_affine_of(node)
    return affine


def volume_of(node: Any) -> Volume:
    """Return a volume node's voxels and where they lie; the voxels are shared, not copied.

    Parameters
    ----------
    node : vtkMRMLScalarVolumeNode or vtkMRMLVectorVolumeNode
        The components of a vector volume are channels.

    Raises
    ------
    VolumeError
        If it has no voxels, or is under a transform that is not linear.
    """
    if node is None or node.GetImageData() is None or node.GetImageData().GetNumberOfPoints() == 0:
        raise VolumeError(f"{'the volume' if node is None else node.GetName()} has no voxels")
    array = slicer.util.arrayFromVolume(node)
    data = array.transpose(3, 2, 1, 0) if array.ndim == 4 else array.transpose(2, 1, 0)
    data = data[0] if data.ndim == 4 and len(data) == 1 else data
    return Volume(data, affine_of(node), modality=node.GetAttribute(MODALITY_ATTRIBUTE) or None)


def same_place(one: Any, other: Any) -> bool:
    """Whether two volume nodes have one grid of voxels."""
    first, second = volume_of(one), volume_of(other)
    return same_grid(first.grid, second.grid)


def channels_of(nodes: Sequence[Any]) -> tuple[Volume, tuple[str, ...]]:
    """Bring several volume nodes together as the channels of one image, on the grid of the first.

    Returns
    -------
    volume : Volume
    notes : tuple of str
        Says which of them were resampled.

    Raises
    ------
    VolumeError
        As `volume_of`; or if there is none.
    """
    if not nodes:
        raise VolumeError("no volume was chosen")
    volumes = [volume_of(node) for node in nodes]
    first = volumes[0]
    if len(volumes) == 1:
        return first, ()
    notes, arrays = [], [first.data]
    for node, volume in zip(nodes[1:], volumes[1:], strict=True):
        if not same_grid(volume.grid, first.grid):
            notes.append(f"{node.GetName()} was resampled to the voxels of {nodes[0].GetName()}.")
            volume = resample(volume, first.grid)
        arrays.append(volume.data)
    return Volume(stack_channels(arrays), first.affine, modality=first.modality), tuple(notes)


def voxels_of(points_ras: NDArray[np.float64], affine: Affine) -> NDArray[np.float64]:
    """Return world points (N, 3) as voxel indices, not rounded."""
    to_voxels: Affine = np.linalg.inv(affine).astype(np.float64)
    return transform_points(to_voxels, np.reshape(points_ras, (-1, 3)))


def boxes_of(rois: Sequence[Any], grid: Grid) -> tuple[IndexBox, ...]:
    """Return the boxes of voxels whose centres lie within ROI nodes.

    A ROI that is turned against the voxels gives the smallest box around it.

    Parameters
    ----------
    rois : sequence of vtkMRMLMarkupsROINode
    grid : Grid
        Of the image, affine to the world.

    Raises
    ------
    VolumeError
        If a ROI is empty, or lies beside the image.
    """
    return tuple(_box_of(roi, grid) for roi in rois)


def _box_of(roi: Any, grid: Grid) -> IndexBox:
    corners = voxels_of(_corners_of(roi), grid.affine)
    low = np.ceil(corners.min(axis=0) - _ROUNDING).astype(int)
    high = np.floor(corners.max(axis=0) + _ROUNDING).astype(int) + 1
    thin = high <= low  # between two voxels: the nearest one
    middle = np.rint(corners.mean(axis=0)).astype(int)
    low, high = np.where(thin, middle, low), np.where(thin, middle + 1, high)
    low, high = np.maximum(low, 0), np.minimum(high, grid.shape)
    if (low >= high).any():
        raise VolumeError(f"the region {roi.GetName()} lies beside the image; move it onto the structure")
    i0, j0, k0 = low.tolist()
    i1, j1, k1 = high.tolist()
    return (i0, j0, k0), (i1, j1, k1)


_ROUNDING = 1e-6


def _corners_of(roi: Any) -> NDArray[np.float64]:
    """Return the corners of a ROI in the world, (8, 3)."""
    size = np.array(roi.GetSize())
    if roi.GetNumberOfControlPoints() == 0 or (size <= 0).any():
        raise VolumeError(f"the region {roi.GetName()} is empty; draw it around the structure")
    local = np.array(list(itertools.product((-0.5, 0.5), repeat=3))) * size
    return transform_points(matrix_of(roi.GetObjectToWorldMatrix()), local)
