"""Click segmentation over a real scene: prompts of every kind, undo, finish, keep, go on."""

import numpy as np
import pytest
import slicer
from EffSegLib import Marks, Nodes, Segments
from EffSegLib.PromptLogic import PromptLogic
from EffSegLib.SessionStore import stored_sessions
from EffSegLib.Work import Worker

from napari_effseg import Box, Lasso, Mask, Point, PromptError, Scribble, VolumeError
from napari_effseg.errors import ServerError

from .fakes import LEFT, FakeSegmenter
from .nodes import ORIENTATIONS, SHAPE, add_transform, add_volume, affine, moved, names
from .test_automatic import add_roi

EVERY = pytest.mark.parametrize("orientation", ORIENTATIONS, ids=names)


class Desk:
    """A session on a volume node, and hands to work with."""

    def __init__(self, node):
        self.worker, self.engine, self.heard = Worker(), FakeSegmenter(), []
        self.logic = PromptLogic(self.worker, self.heard.append, lambda: None)
        self.node = node

    def open(self, segmentation=None):
        self.logic.open(lambda: self.engine, self.node, segmentation=segmentation)
        return self.wait()

    def wait(self):
        self.worker.finish()
        return self

    def ras(self, index):
        matrix = Nodes.affine_of(self.node)
        return matrix[:3, :3] @ index + matrix[:3, 3]

    def click(self, index, positive=True):
        self.logic.points.nodes[positive].AddControlPointWorld(*self.ras(index))
        return self.wait()

    @property
    def session(self):
        return self.engine.sessions[-1]

    @property
    def seen(self):
        """The voxels of the segment of the object at hand."""
        return Segments.mask_of(self.logic.segmentation, self.logic.current, self.node)

    def count(self, positive=True):
        return self.logic.points.nodes[positive].GetNumberOfControlPoints()


@pytest.fixture
def desk(scene):
    desks = []

    def begin(matrix=None, **kind):
        desks.append(Desk(add_volume(scene, matrix, **kind)))
        return desks[-1].open()

    yield begin
    for one in desks:
        one.logic.close()
        one.worker.close()


def segment_names(node):
    return [node.GetSegmentation().GetSegment(one).GetName() for one in Segments.segment_ids(node)]


def add_curve(scene, points):
    curve = scene.AddNewNodeByClass("vtkMRMLMarkupsClosedCurveNode", "curve")
    for point in points:
        curve.AddControlPointWorld(*point)
    return curve


# --- points ---


@EVERY
@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_a_point_in_ras_is_the_voxel_that_it_lies_in(scene, orientation, tilt):
    matrix = affine(orientation, tilt=tilt)
    node = add_volume(scene, matrix)
    ras = matrix[:3, :3] @ [5.3, 3.7, 6.2] + matrix[:3, 3]
    point = Marks.point_at(ras, node, True, None)
    assert point == Point((5, 4, 6))
    assert np.allclose(Marks.ras_of(point, node), matrix[:3, :3] @ [5, 4, 6] + matrix[:3, 3])


@pytest.mark.parametrize("orientation", ORIENTATIONS[::9], ids=names)
def test_a_click_gives_the_mask_that_the_session_gives(desk, orientation):
    one = desk(affine(orientation, tilt=0.2)).click((6, 4, 5))
    assert one.session.mask.any()
    assert np.array_equal(one.seen, one.session.mask)


def test_a_click_on_a_volume_under_a_transform(scene, desk):
    one = desk()
    one.node.SetAndObserveTransformNodeID(add_transform(scene, moved()).GetID())
    two = Desk(one.node).open().click((6, 4, 5))
    assert list(two.session.prompts.values()) == [Point((6, 4, 5), axis=2)]
    assert np.array_equal(two.seen, two.session.mask)
    two.logic.close()
    two.worker.close()


def test_a_negative_click_takes_away(desk):
    one = desk().click((6, 4, 5))
    before = one.seen.sum()
    one.click((8, 5, 5), positive=False)
    assert one.seen.sum() < before


def test_a_point_that_is_deleted_takes_its_prompt_along(desk):
    one = desk().click((6, 4, 5)).click((4, 3, 5))
    one.logic.points.nodes[True].RemoveNthControlPoint(0)
    one.wait()
    assert list(one.session.prompts.values()) == [Point((4, 3, 5), axis=2)]
    assert np.array_equal(one.seen, one.session.mask)


def test_a_point_that_is_moved_changes_its_prompt(desk):
    one = desk().click((6, 4, 5))
    one.logic.points.nodes[True].SetNthControlPointPositionWorld(0, *one.ras((4, 3, 6)))
    one.wait()
    assert one.session.prompts == {1: Point((4, 3, 6), axis=2)}


def test_a_move_within_a_voxel_asks_nothing(desk):
    one = desk().click((6, 4, 5))
    words = one.session.undo_words
    one.logic.points.nodes[True].SetNthControlPointPositionWorld(0, *one.ras((6.2, 4.1, 4.9)))
    one.wait()
    assert one.session.undo_words == words


def test_a_click_beside_the_image_is_told_and_leaves_no_point(desk):
    one = desk().click((99, 4, 5))
    assert one.heard == ["the point lies outside of case"]
    assert one.count() == 0
    assert not one.session.prompts


def test_a_click_that_contradicts_another_is_told_and_leaves_no_point(desk):
    one = desk().click((6, 4, 5)).click((6, 4, 5), positive=False)
    assert "Remove one of the two" in one.heard[0]
    assert one.count(positive=False) == 0
    assert len(one.session.prompts) == 1


def test_fast_clicks_all_arrive_in_order(desk):
    one = desk()
    places = [(4, 3, 5), (6, 4, 5), (7, 4, 6), (3, 2, 4)]
    for place in places:
        one.logic.points.nodes[True].AddControlPointWorld(*one.ras(place))
    one.wait()
    assert [prompt.index for prompt in one.session.prompts.values()] == places
    assert one.count() == 4


@pytest.mark.parametrize("orientation", ORIENTATIONS[::5], ids=names)
@pytest.mark.parametrize("plane", list(Marks.PLANES))
def test_a_plane_of_the_body_is_the_array_axis_across_it(scene, orientation, plane):
    node = add_volume(scene, affine(orientation, tilt=0.2))
    world = {"sagittal": 0, "coronal": 1, "axial": 2}[plane]
    assert orientation[0][Marks.axis_of_plane(plane, node)] == world


def test_points_know_the_plane_that_was_chosen(desk):
    one = desk(affine(((2, 0, 1), (1, -1, 1))))
    one.logic.plane = "coronal"
    one.click((6, 4, 5))
    assert list(one.session.prompts.values()) == [Point((6, 4, 5), axis=2)]


def test_points_know_the_view_that_they_were_clicked_in(scene, desk):
    one = desk()
    view = scene.AddNode(slicer.vtkMRMLSliceNode())
    view.SetSliceToRASByNTP(1, 0, 0, 0, 1, 0, 0, 0, 0, 0)
    crosshair = scene.AddNode(slicer.vtkMRMLCrosshairNode())
    crosshair.SetCursorPositionXYZ([3.0, 4.0, 0.0], view)
    one.click((6, 4, 5))
    assert list(one.session.prompts.values()) == [Point((6, 4, 5), axis=0)]


# --- other prompts ---


def test_a_box_is_the_voxels_within_the_roi(scene, desk):
    one = desk()
    one.logic.add_box(add_roi(scene, one.ras((5.5, 4, 5)), (4 * 0.8, 5 * 1.3, 3 * 2.6)))
    one.wait()
    assert one.session.prompts == {1: Box((4, 2, 4), (8, 7, 7))}
    assert np.array_equal(one.seen, one.session.mask)


def test_a_flat_box_lies_in_the_plane_that_was_chosen(scene, desk):
    one = desk()
    one.logic.plane = "axial"
    one.logic.add_box(add_roi(scene, one.ras((5.5, 4, 5)), (4 * 0.8, 5 * 1.3, 3 * 2.6)), is_flat=True)
    one.wait()
    assert one.session.prompts == {1: Box((4, 2, 5), (8, 7, 6))}


def test_a_box_beside_the_image_is_refused(scene, desk):
    with pytest.raises(VolumeError, match="beside the image"):
        desk().logic.add_box(add_roi(scene, (999, 0, 0), (3, 3, 3)))


@pytest.mark.parametrize("orientation", ORIENTATIONS[::11], ids=names)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_closed_curve_is_a_lasso_in_its_slice(scene, desk, orientation, axis):
    one = desk(affine(orientation, tilt=0.2))
    corners = [np.insert(place, axis, 5.0) for place in ([2, 2], [7, 2], [7, 6], [2, 6])]
    one.logic.add_lasso(add_curve(scene, [one.ras(corner) for corner in corners]))
    one.wait()
    (lasso,) = one.session.prompts.values()
    assert isinstance(lasso, Lasso)
    assert lasso.axis == axis
    assert set(lasso.vertices[:, axis]) == {5.0}
    for corner in corners:
        assert np.linalg.norm(lasso.vertices - corner, axis=1).min() < 0.51
    assert np.array_equal(one.seen, one.session.mask)


def test_a_curve_across_slices_is_refused(scene, desk):
    one = desk()
    curve = add_curve(scene, [one.ras(place) for place in ((1, 1, 1), (9, 2, 4), (9, 9, 7), (2, 8, 4))])
    with pytest.raises(PromptError, match="one slice"):
        one.logic.add_lasso(curve)


def test_a_curve_of_two_points_is_refused(scene, desk):
    one = desk()
    with pytest.raises(PromptError, match="three points"):
        one.logic.add_lasso(add_curve(scene, [one.ras((1, 1, 1)), one.ras((2, 2, 1))]))


@pytest.mark.parametrize("positive", [True, False])
def test_what_was_painted_into_a_segment_becomes_lines(desk, positive):
    one = desk()
    one.logic.plane = "axial"
    painted = np.zeros(SHAPE, bool)
    painted[3:8, 4, 5] = painted[4:6, 7, 6] = True
    drawing = Segments.new_segmentation(one.node, "drawing")
    scribble = Segments.add_segment(drawing, "scribble", (255, 255, 0))
    Segments.put_mask(painted, one.node, drawing, scribble)
    one.logic.add_scribbles(drawing, scribble, positive)
    one.wait()
    lines = list(one.session.prompts.values())
    assert all(isinstance(line, Scribble) and line.positive is positive for line in lines)
    assert {tuple(place) for line in lines for place in line.points.astype(int)} == set(
        map(tuple, np.argwhere(painted))
    )


def test_an_empty_scribble_is_refused(desk):
    one = desk()
    drawing = Segments.new_segmentation(one.node, "drawing")
    empty = Segments.add_segment(drawing, "scribble", (255, 255, 0))
    with pytest.raises(PromptError, match="empty"):
        one.logic.add_scribbles(drawing, empty)


def test_a_segment_that_is_there_is_what_one_begins_with(desk):
    one = desk()
    before = np.zeros(SHAPE, bool)
    before[2:8, 3:7, 3:6] = True
    mine = Segments.new_segmentation(one.node, "mine")
    segment = Segments.add_segment(mine, "liver", (1, 2, 3))
    Segments.put_mask(before, one.node, mine, segment)
    one.logic.add_segment(mine, segment)
    one.wait()
    (mask,) = one.session.prompts.values()
    assert isinstance(mask, Mask)
    assert np.array_equal(one.seen, before)


# --- the object ---


def test_undo_and_redo_change_mask_and_points(desk):
    one = desk().click((6, 4, 5)).click((4, 3, 6))
    after = one.seen
    one.logic.undo()
    one.wait()
    assert one.count() == 1
    assert np.array_equal(one.seen, one.session.mask)
    one.logic.redo()
    one.wait()
    assert one.count() == 2
    assert np.array_equal(one.seen, after)


def test_what_undo_would_take_back_is_said(desk):
    one = desk().click((6, 4, 5))
    assert one.logic.shown.undo_words == "point"
    one.logic.undo()
    one.wait()
    assert (one.logic.shown.undo_words, one.logic.shown.redo_words) == ("", "point")


def test_a_prompt_of_the_list_can_be_taken_back(scene, desk):
    one = desk().click((6, 4, 5))
    one.logic.add_box(add_roi(scene, one.ras((5.5, 4, 5)), (3.0, 6.0, 2.0)))
    one.wait()
    one.logic.remove(1)
    one.wait()
    assert list(one.logic.shown.prompts) == [2]
    assert one.count() == 0


def test_the_next_mask_that_a_click_may_mean(desk):
    one = desk().click((6, 4, 5))
    first = one.seen
    one.logic.next_mask()
    one.wait()
    assert one.seen.sum() > first.sum()
    one.logic.next_mask()
    one.wait()
    assert np.array_equal(one.seen, first)


def test_a_finished_object_is_a_segment_with_name_colour_and_terminology(desk):
    one = desk().click((6, 4, 5))
    mask = one.seen
    one.logic.commit("left hippocampus", (10, 200, 30), LEFT)
    one.wait()
    segment_id = one.logic.segments[1]
    segment = one.logic.segmentation.GetSegmentation().GetSegment(segment_id)
    assert segment.GetName() == "left hippocampus"
    assert np.allclose(segment.GetColor(), np.array((10, 200, 30)) / 255)
    assert Segments.code_of(one.logic.segmentation, segment_id) == LEFT
    assert np.array_equal(Segments.mask_of(one.logic.segmentation, segment_id, one.node), mask)
    assert not one.seen.any()
    assert one.count() == 0


def test_a_finished_object_is_not_eaten_by_the_next(desk):
    one = desk().click((6, 4, 5))
    one.logic.commit("first")
    one.wait()
    first = Segments.mask_of(one.logic.segmentation, one.logic.segments[1], one.node)
    one.click((6, 4, 6)).click((7, 5, 5))
    assert np.array_equal(Segments.mask_of(one.logic.segmentation, one.logic.segments[1], one.node), first)
    assert not (one.seen & first).any()


def test_undo_opens_a_finished_object_again(desk):
    one = desk().click((6, 4, 5))
    mask = one.seen
    one.logic.commit("first")
    one.logic.undo()
    one.wait()
    assert one.logic.segments == {}
    assert np.array_equal(one.seen, mask)
    assert one.count() == 1


def test_an_object_is_carried_on_through_the_slices(desk):
    one = desk()
    one.logic.plane = "axial"
    one.click((6, 4, 5))
    slices = one.seen.any(axis=(0, 1)).sum()
    seen = []
    one.logic.propagate(lambda fraction, message: seen.append(fraction))
    one.wait()
    assert one.seen.any(axis=(0, 1)).sum() > slices
    assert seen
    assert np.array_equal(one.seen, one.session.mask)


def test_carrying_on_that_is_cancelled_changes_nothing(desk):
    one = desk()
    one.logic.plane = "axial"
    one.click((6, 4, 5))
    before = one.seen
    one.logic.propagate()
    one.logic.cancel()
    one.wait()
    assert np.array_equal(one.seen, before)


def test_finishing_nothing_is_told(desk):
    one = desk()
    one.logic.commit("nothing")
    one.wait()
    assert "nothing to finish" in one.heard[0]


def test_other_segments_of_a_chosen_segmentation_stay(scene):
    node = add_volume(scene)
    drawn = np.zeros(SHAPE, bool)
    drawn[2:10, 1:9, 2:7] = True
    mine = Segments.new_segmentation(node, "mine")
    segment = Segments.add_segment(mine, "by hand", (1, 2, 3))
    Segments.put_mask(drawn, node, mine, segment)
    one = Desk(node).open(mine).click((6, 4, 5))
    one.logic.commit("new")
    one.wait()
    assert np.array_equal(Segments.mask_of(mine, segment, node), drawn)
    one.logic.close()
    one.worker.close()


def test_closing_leaves_what_was_segmented_and_no_empty_segment(desk):
    one = desk().click((6, 4, 5))
    one.logic.commit("kept")
    one.wait()
    segmentation = one.logic.segmentation
    one.logic.close()
    one.wait()
    assert [
        segmentation.GetSegmentation().GetSegment(s).GetName() for s in Segments.segment_ids(segmentation)
    ] == ["kept"]


def test_without_a_session_prompts_are_refused(scene):
    one = Desk(add_volume(scene))
    with pytest.raises(PromptError, match="no session"):
        one.logic.undo()


# --- tomorrow ---


def saved_and_loaded(scene, tmp_path):
    path = str(tmp_path / "scene.mrb")
    assert scene.WriteToMRB(path)
    scene.Clear(1)
    assert scene.ReadFromMRB(path, True)


@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_a_session_goes_on_after_the_scene_was_saved_and_loaded(scene, tmp_path, tilt):
    one = Desk(add_volume(scene, affine(tilt=tilt))).open().click((6, 4, 5))
    one.logic.commit("first", (10, 200, 30), LEFT)
    one.click((6, 4, 6)).click((8, 5, 6), positive=False)
    mask, labels = one.seen, one.session.labels.data.copy()
    prompts = dict(one.session.prompts)
    one.logic.store()
    one.worker.close()
    saved_and_loaded(scene, tmp_path)
    (stored,) = stored_sessions(scene)
    two = Desk(stored.volume)
    two.logic.resume(lambda: two.engine, stored)
    two.wait()
    assert two.heard == []
    assert dict(two.session.prompts) == prompts
    assert np.array_equal(two.seen, mask)
    assert np.array_equal(two.session.labels.data, labels)
    assert (two.count(True), two.count(False)) == (1, 1)
    assert sorted(segment_names(two.logic.segmentation)) == ["EffSeg: in progress", "first"]
    two.logic.undo()
    two.wait()
    assert two.count(False) == 0
    two.logic.close()
    two.worker.close()


def test_a_session_of_a_volume_that_was_moved_is_refused(scene):
    one = Desk(add_volume(scene)).open().click((6, 4, 5))
    one.logic.store()
    one.node.SetAndObserveTransformNodeID(add_transform(scene, moved()).GetID())
    (stored,) = stored_sessions(scene)
    with pytest.raises(PromptError, match="lies elsewhere"):
        one.logic.resume(lambda: one.engine, stored)
    one.worker.close()


def test_a_damaged_session_is_refused(scene):
    one = Desk(add_volume(scene)).open().click((6, 4, 5))
    one.logic.store().SetText("!!!")
    (stored,) = stored_sessions(scene)
    one.logic.resume(lambda: one.engine, stored)
    one.wait()
    assert "is damaged" in one.heard[0]
    one.worker.close()


def test_storing_twice_makes_one_node(scene):
    one = Desk(add_volume(scene)).open().click((6, 4, 5))
    one.logic.store()
    one.click((4, 3, 6)).logic.store()
    assert len(stored_sessions(scene)) == 1
    one.logic.close()
    one.worker.close()


def test_an_engine_that_is_lost_is_told_with_what_to_do_and_the_session_goes_on(scene):
    one = Desk(add_volume(scene)).open().click((6, 4, 5))
    one.logic.store()
    mask = one.seen

    def lost(*_, **__):
        raise ServerError("the connection broke")

    one.session.add = one.session.save = lost
    one.click((4, 3, 6))
    assert one.heard == ["the connection broke\nWhat was done is in the scene: press End, then Go on."]
    one.logic.close()
    one.wait()
    (stored,) = stored_sessions(scene)
    one.logic.resume(lambda: one.engine, stored)
    one.wait()
    assert np.array_equal(one.seen, mask)
    one.logic.close()
    one.worker.close()
