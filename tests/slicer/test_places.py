"""Volumes go to the engine, and segments come back, at the same place in mm, however they are stored."""

import numpy as np
import pytest
import slicer
import vtk
from EffSegLib import Nodes, Segments
from EffSegLib.PromptLogic import PromptLogic
from EffSegLib.SegmentationLogic import SegmentationLogic
from EffSegLib.Work import Worker

from napari_effseg import LabelMap, VolumeError

from .fakes import CODES, COLOURS, MODELS, NAMES, FakeSegmenter, bright
from .nodes import ORIENTATIONS, SHAPE, add_transform, add_volume, affine, grey, moved, names

EVERY = pytest.mark.parametrize("orientation", ORIENTATIONS, ids=names)


def centre(mask, matrix):
    return matrix[:3, :3] @ np.argwhere(mask).mean(axis=0) + matrix[:3, 3]


def shown_centre(node, segment_id):
    return np.array(node.GetSegmentCenterRAS(segment_id))


@EVERY
@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_a_volume_node_is_its_array_and_its_affine(scene, orientation, tilt):
    matrix = affine(orientation, tilt=tilt)
    volume = Nodes.volume_of(add_volume(scene, matrix))
    assert np.array_equal(volume.data, grey())
    assert np.abs(volume.affine - matrix).max() < 1e-9


@EVERY
@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_labels_become_segments_of_the_same_voxels(scene, orientation, tilt):
    node = add_volume(scene, affine(orientation, tilt=tilt))
    labels = bright(Nodes.volume_of(node))
    segmentation = Segments.new_segmentation(node, "result")
    ids = Segments.put_labels(labels, node, segmentation)
    assert list(ids) == [1, 2]
    for label, segment_id in ids.items():
        assert np.array_equal(Segments.mask_of(segmentation, segment_id, node), labels.data == label)


@pytest.mark.parametrize("orientation", ORIENTATIONS[::7], ids=names)
@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_slicer_shows_a_segment_where_the_voxels_are_in_mm(scene, orientation, tilt):
    matrix = affine(orientation, tilt=tilt)
    node = add_volume(scene, matrix)
    mask = np.zeros(SHAPE, bool)
    mask[2:5, 7:9, 3:4] = True
    segmentation = Segments.new_segmentation(node, "result")
    segment_id = Segments.add_segment(segmentation, "thing", (255, 0, 0))
    Segments.put_mask(mask, node, segmentation, segment_id)
    assert np.abs(shown_centre(segmentation, segment_id) - centre(mask, matrix)).max() < 0.5 * 2.6 + 1e-6


def test_a_volume_under_a_transform_lies_where_it_is_seen(scene):
    node = add_volume(scene)
    node.SetAndObserveTransformNodeID(add_transform(scene, moved()).GetID())
    assert np.allclose(Nodes.volume_of(node).affine, moved() @ affine())


def test_the_segmentation_goes_under_the_transform_of_its_volume(scene):
    node = add_volume(scene)
    transform = add_transform(scene, moved())
    node.SetAndObserveTransformNodeID(transform.GetID())
    labels = bright(Nodes.volume_of(node))
    segmentation = Segments.new_segmentation(node, "result")
    ids = Segments.put_labels(labels, node, segmentation)
    assert segmentation.GetTransformNodeID() == transform.GetID()
    assert np.array_equal(Segments.mask_of(segmentation, ids[1], node), labels.data == 1)


@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_a_segmentation_that_lies_under_no_transform_takes_labels_of_a_volume_that_does(scene, tilt):
    node = add_volume(scene, affine(tilt=tilt))
    segmentation = Segments.new_segmentation(node, "result")
    node.SetAndObserveTransformNodeID(add_transform(scene, moved()).GetID())
    labels = bright(Nodes.volume_of(node))
    ids = Segments.put_labels(labels, node, segmentation)
    assert np.array_equal(Segments.mask_of(segmentation, ids[2], node), labels.data == 2)


@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_volume_and_segmentation_may_lie_under_transforms_of_their_own(scene, tilt):
    node = add_volume(scene, affine(tilt=tilt))
    segmentation = Segments.new_segmentation(node, "result")
    node.SetAndObserveTransformNodeID(add_transform(scene, moved(0.4)).GetID())
    segmentation.SetAndObserveTransformNodeID(add_transform(scene, moved(-0.2)).GetID())
    labels = bright(Nodes.volume_of(node))
    ids = Segments.put_labels(labels, node, segmentation)
    assert all(
        np.array_equal(Segments.mask_of(segmentation, ids[label], node), labels.data == label)
        for label in ids
    )


def test_a_segment_that_was_moved_out_of_the_image_is_empty_there(scene):
    node = add_volume(scene, affine())
    segmentation = Segments.new_segmentation(node, "result")
    ids = Segments.put_labels(bright(Nodes.volume_of(node)), node, segmentation)
    node.SetAndObserveTransformNodeID(add_transform(scene, moved(0.4)).GetID())
    away = moved(0.1)
    away[:3, 3] = (500, 0, 0)
    segmentation.SetAndObserveTransformNodeID(add_transform(scene, away).GetID())
    assert not Segments.mask_of(segmentation, ids[1], node).any()


def surfaces(scene, name="from STL"):
    """A segmentation that is kept as surfaces."""
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    segmentation.GetSegmentation().SetSourceRepresentationName("Closed surface")
    ball, segment = vtk.vtkSphereSource(), slicer.vtkSegment()
    ball.Update()
    segment.AddRepresentation("Closed surface", ball.GetOutput())
    segmentation.GetSegmentation().AddSegment(segment, "ball")
    return segmentation


def test_a_segmentation_of_surfaces_is_refused_and_stays_as_it_is(scene):
    """Its surfaces alone would be saved, and what was added as voxels be lost."""
    node, segmentation = add_volume(scene, affine()), surfaces(scene)
    with pytest.raises(VolumeError, match="from STL is kept as surfaces"):
        Segments.put_labels(bright(Nodes.volume_of(node)), node, segmentation)
    assert Segments.segment_ids(segmentation) == ("ball",)
    with pytest.raises(VolumeError, match="kept as surfaces"):
        SegmentationLogic(FakeSegmenter).order(MODELS[0], node, target=segmentation)
    with pytest.raises(VolumeError, match="kept as surfaces"):
        PromptLogic(Worker(), print, lambda: None).open(FakeSegmenter, node, segmentation=segmentation)


def test_an_empty_segmentation_of_surfaces_takes_voxels_that_last(scene):
    node, segmentation = add_volume(scene, affine()), surfaces(scene)
    segmentation.GetSegmentation().RemoveAllSegments()
    ids = Segments.put_labels(bright(Nodes.volume_of(node)), node, segmentation)
    assert segmentation.GetSegmentation().GetSourceRepresentationName() == "Binary labelmap"
    assert Segments.mask_of(segmentation, ids[1], node).any()


def test_a_segmentation_under_a_bent_transform_is_refused_before_the_work_and_unchanged(scene):
    node = add_volume(scene, affine())
    segmentation = Segments.new_segmentation(node, "chosen")
    bent = scene.AddNewNodeByClass("vtkMRMLGridTransformNode", "bent")
    segmentation.SetAndObserveTransformNodeID(bent.GetID())
    with pytest.raises(VolumeError, match="not linear"):
        SegmentationLogic(FakeSegmenter).order(MODELS[0], node, target=segmentation)
    with pytest.raises(VolumeError, match="not linear"):
        Segments.put_labels(bright(Nodes.volume_of(node)), node, segmentation)
    assert Segments.segment_ids(segmentation) == ()


def test_a_transform_that_bends_space_is_refused_with_what_to_do(scene):
    node = add_volume(scene)
    bent = scene.AddNewNodeByClass("vtkMRMLGridTransformNode", "bent")
    node.SetAndObserveTransformNodeID(bent.GetID())
    with pytest.raises(VolumeError, match="harden"):
        Nodes.volume_of(node)


def test_a_volume_without_voxels_is_refused(scene):
    with pytest.raises(VolumeError, match="no voxels"):
        Nodes.volume_of(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"))


def test_the_components_of_a_colour_volume_are_channels(scene):
    data = np.random.default_rng(0).integers(0, 255, (5, 6, 7, 3)).astype(np.uint8)
    node = slicer.util.addVolumeFromArray(data, nodeClassName="vtkMRMLVectorVolumeNode")
    volume = Nodes.volume_of(node)
    assert volume.channels == 3
    assert np.array_equal(volume.data, data.transpose(3, 2, 1, 0))


def test_channels_on_other_voxels_are_resampled_and_that_is_said(scene):
    one, same = add_volume(scene, name="t1"), add_volume(scene, data=grey(1), name="t2")
    other = add_volume(scene, affine(spacing=(1, 1, 2)), name="flair")
    volume, notes = Nodes.channels_of([one, same, other])
    assert volume.data.shape == (3, *SHAPE)
    assert np.array_equal(volume.data[1], grey(1))
    assert notes == ("flair was resampled to the voxels of t1.",)


def test_segments_have_names_colours_and_terminology(scene):
    node = add_volume(scene)
    segmentation = Segments.new_segmentation(node, "result")
    ids = Segments.put_labels(bright(Nodes.volume_of(node)), node, segmentation, "bright")
    for label, segment_id in ids.items():
        segment = segmentation.GetSegmentation().GetSegment(segment_id)
        assert segment.GetName() == NAMES[label]
        assert tuple(round(part * 255) for part in segment.GetColor()) == COLOURS[label]
    assert Segments.code_of(segmentation, ids[1]) == CODES[1]


def test_segments_that_are_there_stay_as_they_are(scene):
    node = add_volume(scene)
    segmentation = Segments.new_segmentation(node, "mine")
    drawn = np.zeros(SHAPE, bool)
    drawn[2:7, 3:8, 5:7] = True
    mine = Segments.add_segment(segmentation, "by hand", (1, 2, 3))
    Segments.put_mask(drawn, node, segmentation, mine)
    Segments.put_labels(bright(Nodes.volume_of(node)), node, segmentation)
    assert np.array_equal(Segments.mask_of(segmentation, mine, node), drawn)
    assert len(Segments.segment_ids(segmentation)) == 3


def test_labels_with_gaps_in_their_numbers_keep_them(scene):
    node = add_volume(scene)
    data = np.zeros(SHAPE, np.uint16)
    data[1, 2, 3], data[4:6, 5, 6] = 7, 4021
    segmentation = Segments.new_segmentation(node, "result")
    ids = Segments.put_labels(LabelMap(data, affine()), node, segmentation)
    assert list(ids) == [7, 4021]
    assert np.array_equal(Segments.mask_of(segmentation, ids[4021], node), data == 4021)


def test_a_segment_made_empty_is_empty_and_its_neighbour_is_whole(scene):
    node = add_volume(scene)
    labels = bright(Nodes.volume_of(node))
    segmentation = Segments.new_segmentation(node, "result")
    ids = Segments.put_labels(labels, node, segmentation)
    Segments.put_mask(np.zeros(SHAPE, bool), node, segmentation, ids[1])
    assert not Segments.mask_of(segmentation, ids[1], node).any()
    assert np.array_equal(Segments.mask_of(segmentation, ids[2], node), labels.data == 2)
