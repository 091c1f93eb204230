"""Label maps and masks as segments, and back: names, colours, terminology, in the right place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from .Nodes import affine_of, local_affine_of, matrix_of, world_of
from .rooms import (
    BoolArray,
    Code,
    Colour,
    IntArray,
    LabelMap,
    VolumeError,
    code_from_terminology,
    code_to_terminology,
    transform_points,
)

__all__ = [
    "LABEL_TAG",
    "add_segment",
    "check_target",
    "code_of",
    "image_of",
    "mask_of",
    "new_segmentation",
    "put_labels",
    "put_mask",
    "remember_report",
    "segment_ids",
    "share_memory",
]

LABEL_TAG = "EffSeg.Label"
"""Tag of a segment: the number that the model gives the structure."""
_MODEL_TAG = "EffSeg.Model"
_REPORT = "EffSeg.Report"
_GREY = (128, 128, 128)
_SAME = 1e-9  # entries of matrices that say the same


def new_segmentation(volume_node: Any, name: str) -> Any:
    """Add a segmentation node with the geometry of a volume node, under the same parent transform."""
    scene = volume_node.GetScene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    return node


def check_target(node: Any) -> None:
    """Refuse a segmentation that cannot take voxels without harm to what it holds.

    Parameters
    ----------
    node : vtkMRMLSegmentationNode

    Raises
    ------
    VolumeError
        If it is under a transform that is not linear, or is kept as surfaces: those would be what is
        saved, and segments of voxels would be lost.
    """
    world_of(node)
    segmentation, voxels = node.GetSegmentation(), _binary_labelmap()
    if segmentation.GetSourceRepresentationName() == voxels:
        return
    if segmentation.GetNumberOfSegments() == 0:
        segmentation.SetSourceRepresentationName(voxels)
        return
    raise VolumeError(
        f"{node.GetName()} is kept as surfaces, not as voxels; choose another segmentation, or make "
        "“Binary labelmap” its source under Representations in the module Segmentations"
    )


def _binary_labelmap() -> str:
    name: str = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    return name


def add_segment(
    node: Any, name: str, colour: Colour, code: Code | None = None, tags: Mapping[str, str] | None = None
) -> str:
    """Add an empty segment, and return its id."""
    segmentation = node.GetSegmentation()
    segment_id: str = segmentation.AddEmptySegment("", name, [part / 255 for part in colour])
    segment = segmentation.GetSegment(segment_id)
    if code is not None:
        segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), code_to_terminology(code))
    for key, value in (tags or {}).items():
        segment.SetTag(key, value)
    return segment_id


def put_labels(labels: LabelMap, volume_node: Any, node: Any, model: str = "") -> dict[int, str]:
    """Add a segment for each label that occurs; segments that are there already stay as they are.

    Parameters
    ----------
    labels : LabelMap
        On the grid of the volume node.
    volume_node : vtkMRMLVolumeNode
    node : vtkMRMLSegmentationNode
    model : str
        Kept as a tag of each segment.

    Returns
    -------
    dict
        Ids of the new segments by label.

    Raises
    ------
    VolumeError
        As `check_target`; nothing was added then.
    """
    check_target(node)
    data, boxes = _small_numbers(labels.data)
    ids = {}
    for number, label in enumerate(labels.counts(), start=1):
        tags = {LABEL_TAG: str(label), _MODEL_TAG: model}
        name = labels.names.get(label, f"label {label}")
        ids[label] = add_segment(node, name, labels.colours.get(label, _GREY), labels.codes.get(label), tags)
        found = boxes[number - 1]
        _put_part(data[found] == number, found, volume_node, node, ids[label])
    share_memory(node)
    return ids


def put_mask(mask: BoolArray, volume_node: Any, node: Any, segment_id: str) -> None:
    """Make a segment exactly these voxels of a volume node; other segments keep theirs.

    Parameters
    ----------
    mask : ndarray of bool, shape (I, J, K)
    volume_node : vtkMRMLVolumeNode
    node : vtkMRMLSegmentationNode
        Under whatever transform.
    segment_id : str

    Raises
    ------
    VolumeError
        If one of the nodes is under a transform that is not linear.
    """
    found = [np.flatnonzero(mask.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    if not all(len(one) for one in found):
        slicer.vtkSlicerSegmentationsModuleLogic.ClearSegment(node, segment_id)
        return
    box = tuple(slice(int(one[0]), int(one[-1]) + 1) for one in found)
    _put_part(mask[box], box, volume_node, node, segment_id)


def share_memory(node: Any) -> None:
    """Bring segments that do not overlap together in one array, as Slicer does when it reads a file."""
    node.GetSegmentation().CollapseBinaryLabelmaps(False)


def image_of(mask: BoolArray, volume_node: Any, node: Any) -> Any:
    """Return voxels of a volume node as an image in the coordinates of a segmentation node."""
    return _image(mask, tuple(slice(0, side) for side in mask.shape), volume_node, node)


def mask_of(node: Any, segment_id: str, volume_node: Any) -> BoolArray:
    """Return a segment as voxels (I, J, K) of a volume node; the nearest voxel of the segment counts."""
    if _are_moved_apart(node, volume_node):
        return _looked_up(node, segment_id, volume_node)
    array: NDArray[np.uint8] = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, volume_node)
    return np.asarray(array.transpose(2, 1, 0) > 0)


def _are_moved_apart(node: Any, volume_node: Any) -> bool:
    """Whether segmentation and volume are under different transforms, both linear.

    Slicer brings a segment from one to the other in two steps, each of which rounds to voxels.
    """
    try:
        mine, theirs = world_of(node), world_of(volume_node)
    except VolumeError:
        return False
    is_voxels = node.GetSegmentation().ContainsRepresentation(_binary_labelmap())
    return is_voxels and not np.allclose(mine, theirs, atol=_SAME)


def _looked_up(node: Any, segment_id: str, volume_node: Any) -> BoolArray:
    """Look every voxel of a volume node up in a segment, wherever both were moved to."""
    i, j, k = volume_node.GetImageData().GetDimensions()
    mask: BoolArray = np.zeros((i, j, k), bool)
    image = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation(segment_id, image)
    low, high = (np.array(image.GetExtent()[end::2]) for end in (0, 1))
    if (low > high).any():
        return mask
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    inside = (
        vtk_to_numpy(image.GetPointData().GetScalars()).reshape((high - low + 1)[::-1]).transpose(2, 1, 0)
    )
    to_segment = np.linalg.inv(world_of(node) @ matrix_of(matrix)) @ affine_of(volume_node)
    rows = np.indices((i, j)).reshape(2, -1).T
    for at in range(k):
        voxels = np.column_stack([rows, np.full(len(rows), at)])
        found = np.floor(transform_points(to_segment, voxels) + 0.5).astype(int)
        here = np.flatnonzero(((found >= low) & (found <= high)).all(axis=1))
        mask[(*rows[here].T, at)] = inside[tuple((found[here] - low).T)] > 0
    return mask


def code_of(node: Any, segment_id: str) -> Code | None:
    """Return the terminology of a segment, where it has one."""
    entry = vtk.reference("")
    segment = node.GetSegmentation().GetSegment(segment_id)
    found = segment.GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), entry)
    return code_from_terminology(str(entry)) if found else None


def segment_ids(node: Any) -> tuple[str, ...]:
    """Return the ids of a segmentation's segments in their order."""
    segmentation = node.GetSegmentation()
    return tuple(segmentation.GetNthSegmentID(at) for at in range(segmentation.GetNumberOfSegments()))


def remember_report(node: Any, report: Mapping[str, Any]) -> None:
    """Keep with a segmentation which model made it, its licence, and what it warned of."""
    node.SetAttribute(_REPORT, json.dumps(dict(report), default=str, sort_keys=True))


def _small_numbers(data: IntArray) -> tuple[IntArray, list[tuple[slice, ...]]]:
    """Return the labels numbered from 1 without gaps, and the box of each."""
    from scipy import ndimage  # Slicer ships it; late, because it takes a moment

    labels = sorted(LabelMap(data, np.eye(4)).counts())
    if labels != list(range(1, len(labels) + 1)):
        data = np.searchsorted([0, *labels], data).astype(np.int32)
    return data, ndimage.find_objects(data)


def _put_part(part: BoolArray, box: tuple[slice, ...], volume_node: Any, node: Any, segment_id: str) -> None:
    """Make a segment these voxels of a box of a volume node."""
    image = _image(part, box, volume_node, node)
    node.GetSegmentation().SeparateSegmentLabelmap(segment_id)  # or neighbours in its array would be cut
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetBinaryLabelmapToSegment(image, node, segment_id, logic.MODE_REPLACE)


def _image(part: BoolArray, box: tuple[slice, ...], volume_node: Any, node: Any) -> Any:
    """Return voxels of a box of a volume node as an image of the segmentation core."""
    local = np.linalg.inv(world_of(node)) @ world_of(volume_node) @ local_affine_of(volume_node)
    image = slicer.vtkOrientedImageData()
    image.SetExtent([end for side in box for end in (side.start, side.stop - 1)])
    flat = np.ascontiguousarray(part.transpose(2, 1, 0)).astype(np.uint8).ravel()
    image.GetPointData().SetScalars(numpy_to_vtk(flat, deep=True, array_type=vtk.VTK_UNSIGNED_CHAR))
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(local.ravel().tolist())
    image.SetGeometryFromImageToWorldMatrix(matrix)
    return image
