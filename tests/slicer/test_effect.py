"""Clicks in Segment Editor, applied by the editor's own logic under its rules of masking and overlap."""

import numpy as np
import pytest
import slicer
from EffSegLib import Nodes, Segments
from EffSegLib.EffectLogic import EffectLogic
from EffSegLib.Work import Worker

from napari_effseg import PromptError

from .fakes import FakeSegmenter
from .nodes import ORIENTATIONS, SHAPE, add_transform, add_volume, affine, moved, names

LOGIC = slicer.vtkSlicerSegmentEditorLogic


class Editor:
    """Segment Editor without its window, and the effect."""

    def __init__(self, scene, volume):
        self.scene, self.volume = scene, volume
        self.segmentation = Segments.new_segmentation(volume, "editor")
        self.node = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        self.node.SetOverwriteMode(self.node.OverwriteAllSegments)
        self.editor = LOGIC()
        self.editor.SetMRMLScene(scene)
        self.editor.SetSegmentEditorNode(self.node)
        self.editor.SetSegmentationNode(self.segmentation)
        self.editor.SetSourceVolumeNode(volume)
        self.selected = self.add("object")
        self.worker, self.engine, self.heard = Worker(), FakeSegmenter(), []
        self.effect = EffectLogic(self.worker, lambda: lambda: self.engine, self.apply, self.heard.append)

    def add(self, name, voxels=None):
        segment = Segments.add_segment(self.segmentation, name, (200, 30, 30))
        if voxels is not None:
            Segments.put_mask(voxels, self.volume, self.segmentation, segment)
        return segment

    def apply(self, image):
        self.editor.SetCurrentSegmentID(self.selected)
        self.editor.ResetModifierLabelmapToDefault()
        self.editor.UpdateMaskLabelmap()
        self.editor.ModifySegmentByLabelmap(
            self.segmentation, self.selected, image, LOGIC.ModificationModeSet, True, False
        )

    def click(self, index, positive=True, axis=2):
        matrix = Nodes.affine_of(self.volume)
        ras = matrix[:3, :3] @ index + matrix[:3, 3]
        self.effect.click(ras, positive, axis, self.volume, self.segmentation, self.selected)
        self.worker.finish()
        return self

    def voxels(self, segment=None):
        return Segments.mask_of(self.segmentation, segment or self.selected, self.volume)

    @property
    def session(self):
        return self.engine.sessions[-1]


@pytest.fixture
def editor(scene):
    editors = []

    def opened(matrix=None):
        editors.append(Editor(scene, add_volume(scene, matrix)))
        return editors[-1]

    yield opened
    for one in editors:
        one.effect.end()
        one.worker.finish()
        one.worker.close()


@pytest.mark.parametrize("orientation", ORIENTATIONS[::7], ids=names)
def test_a_click_becomes_the_selected_segment(editor, orientation):
    one = editor(affine(orientation, tilt=0.2)).click((6, 4, 5))
    assert one.session.mask.any()
    assert np.array_equal(one.voxels(), one.session.mask)


def test_a_volume_and_a_segmentation_under_one_transform(scene, editor):
    volume = add_volume(scene)
    volume.SetAndObserveTransformNodeID(add_transform(scene, moved()).GetID())
    one = Editor(scene, volume).click((6, 4, 5))
    assert np.array_equal(one.voxels(), one.session.mask)
    one.worker.close()


def test_clicks_go_on_from_each_other_and_can_be_undone(editor):
    one = editor().click((6, 4, 5))
    first = one.voxels()
    one.click((8, 5, 5), positive=False)
    assert one.voxels().sum() < first.sum()
    one.effect.undo()
    one.worker.finish()
    assert np.array_equal(one.voxels(), first)
    assert len(one.engine.sessions) == 1


def test_what_the_segment_holds_already_is_kept(editor):
    one = editor()
    drawn = np.zeros(SHAPE, bool)
    drawn[10:12, 8:10, 2] = True
    Segments.put_mask(drawn, one.volume, one.segmentation, one.selected)
    one.click((6, 4, 5))
    assert one.voxels()[drawn].all()
    assert one.voxels().sum() > drawn.sum()


def test_an_edit_with_another_effect_is_not_lost_at_the_next_click(editor):
    one = editor().click((6, 4, 5))
    painted = one.voxels()
    painted[11:13, 9:11, 1] = True
    Segments.put_mask(painted, one.volume, one.segmentation, one.selected)
    one.click((4, 3, 5))
    assert one.voxels()[11:13, 9:11, 1].all()


def test_outside_the_editable_area_nothing_changes(editor):
    one = editor()
    allowed = np.zeros(SHAPE, bool)
    allowed[5:7, 3:5] = True
    area = one.add("area", allowed)
    one.node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment)
    one.node.SetMaskSegmentID(area)
    one.node.SetOverwriteMode(one.node.OverwriteNone)
    one.click((6, 4, 5))
    assert np.array_equal(one.voxels(), one.session.mask & allowed)
    assert np.array_equal(one.voxels(area), allowed)


def test_other_segments_lose_what_is_taken_only_if_the_editor_says_so(editor):
    for mode, remains in (("OverwriteAllSegments", False), ("OverwriteNone", True)):
        one = editor()
        other = np.zeros(SHAPE, bool)
        other[5:9, 3:6, 5] = True
        neighbour = one.add("neighbour", other)
        one.node.SetOverwriteMode(getattr(one.node, mode))
        one.click((6, 4, 5))
        assert np.array_equal(one.voxels(neighbour), other) is remains


def test_another_segment_has_a_session_of_its_own(editor):
    one = editor().click((6, 4, 5))
    first, before = one.selected, one.voxels()
    one.node.SetOverwriteMode(one.node.OverwriteNone)
    one.selected = one.add("second")
    one.click((4, 3, 6))
    assert len(one.engine.sessions) == 2
    assert np.array_equal(one.voxels(first), before)


def test_an_object_is_carried_on(editor):
    one = editor().click((6, 4, 5))
    slices = one.voxels().any(axis=(0, 1)).sum()
    one.effect.propagate(2)
    one.worker.finish()
    assert one.voxels().any(axis=(0, 1)).sum() > slices


def test_a_click_beside_the_image_is_refused(editor):
    with pytest.raises(PromptError, match="outside"):
        editor().click((99, 4, 5))


def test_an_engine_that_cannot_be_opened_is_told(editor):
    one = editor()
    one.engine.open_session = lambda volume: (_ for _ in ()).throw(PromptError("no engine"))
    one.click((6, 4, 5))
    assert one.heard == ["no engine"]
    assert not one.voxels().any()


def test_a_segmentation_of_finer_voxels_than_the_volume(scene, editor):
    one = editor()
    fine = add_volume(scene, affine() @ np.diag([0.5, 0.5, 0.5, 1]), np.zeros((28, 24, 18), np.int16), "fine")
    one.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(fine)
    one.click((6, 4, 5))
    assert np.array_equal(one.voxels(), one.session.mask)
