"""The panel *Click segmentation* on images with several time points, without its window."""

import numpy as np
import pytest
from napari.layers import Layer

from napari_effseg import load_labels
from napari_effseg.prompts import Point
from napari_effseg.viewer import click_opening
from napari_effseg.viewer.click_places import frame_shown
from napari_effseg.viewer.click_state import Tool
from napari_effseg.viewer.label_looks import names_in
from napari_effseg.viewer.label_table import LabelTable
from napari_effseg.viewer.layers import image_layers
from napari_effseg.volume import Volume

from .builders import affine_of
from .click_cases import SHAPE, balls

pytestmark = pytest.mark.usefixtures("kept_sessions")
FIRST, SECOND = (9, 8, 5), (21, 18, 6)
FRAMES = 4


def film():
    """The two balls, which drift by a voxel from time to time."""
    return np.stack([np.roll(balls(), frame, axis=0) for frame in range(FRAMES)])


def at_time(index, frame):
    return (index[0] + frame, *index[1:])


def add_film(viewer, axcodes="RAS", tilt=0.0, seconds=1.0):
    """Add a film as our reader would, or as napari itself would."""
    if axcodes is None:
        return viewer.add_image(film().transpose(0, 3, 2, 1), name="film", scale=(seconds, 2.0, 1.25, 1.0))
    volume = Volume(film(), affine_of(axcodes, tilt, (1.0, 1.25, 2.0)))
    (triple,) = image_layers(volume, "film", lead="time")
    return viewer.add_layer(Layer.create(*triple))


def go_to(clicks, frame):
    world = clicks.image.data_to_world((frame, 0, 0, 0))[0]
    clicks.viewer.dims.set_point(0, float(world))
    clicks.until(lambda: clicks.now.frame == frame)
    return clicks.settle()


def shown_at(clicks, index, frame):
    """Label that the layer has at a voxel of a time point."""
    return labels_of(clicks, frame)[index].item()


def labels_of(clicks, frame):
    """Labels of a time point, in the order of the stored array."""
    from napari_effseg.viewer.placement import placement_of

    return placement_of(clicks.image).invert(clicks.labels.data)[frame]


@pytest.fixture
def clicks(viewer_model, panel_on):
    add_film(viewer_model)
    return go_to(panel_on(), 0)  # napari begins in the middle


@pytest.mark.parametrize(
    ("axcodes", "tilt", "seconds"),
    [("RAS", 0, 1), ("LPS", 0, 1), ("IPR", 0, 1), ("RAS", 12, 1), (None, 0, 1), (None, 0, 0.04)],
)
def test_each_time_point_has_prompts_and_a_mask_of_its_own(viewer_model, panel_on, axcodes, tilt, seconds):
    image = add_film(viewer_model, axcodes, tilt, seconds)
    clicks = panel_on()
    go_to(clicks, 2).click(at_time(FIRST, 2))
    assert clicks.session.sessions[2].mask[at_time(FIRST, 2)]
    assert not clicks.session.sessions[0].mask.any()
    assert shown_at(clicks, at_time(FIRST, 2), 2) == 1
    assert not labels_of(clicks, 0).any()
    corner = (2, 3, 4, 5)
    np.testing.assert_allclose(clicks.labels.data_to_world(corner), image.data_to_world(corner))
    go_to(clicks, 0)
    assert (clicks.now.frame, clicks.now.prompts, clicks.now.volume_ml) == (0, (), 0.0)
    clicks.click(SECOND)
    go_to(clicks, 2)
    assert clicks.now.frame == 2
    (point,) = clicks.panel.room.prompts.values()
    assert point.index == at_time(FIRST, 2)
    assert clicks.now.volume_ml > 0


def test_an_object_goes_through_time_and_one_undo_takes_it_back(clicks):
    clicks.click(FIRST)
    assert clicks.now.why_not_through_time == ""
    clicks.panel.carry_through_time()
    clicks.settle()
    assert all(session.mask.any() for session in clicks.session.sessions)
    for frame in range(FRAMES):
        assert (labels_of(clicks, frame) == clicks.session.sessions[frame].mask).all()
    clicks.panel.undo()
    clicks.settle()
    assert [bool(labels_of(clicks, frame).any()) for frame in range(FRAMES)] == [True, False, False, False]


def test_cancelling_it_changes_nothing(clicks):
    clicks.click(FIRST)
    clicks.fakes.body.go.clear()
    clicks.panel.carry_through_time()
    clicks.until(lambda: clicks.now.message)
    clicks.panel.cancel()
    clicks.fakes.body.go.set()
    clicks.settle()
    assert [session.mask.any() for session in clicks.session.sessions] == [True, False, False, False]
    assert clicks.now.undo == "point"


def test_undo_goes_to_the_time_point_that_it_changes(clicks):
    go_to(clicks, 3).click(at_time(FIRST, 3))
    go_to(clicks, 1).click(at_time(SECOND, 1))
    clicks.panel.undo()
    clicks.settle()
    assert frame_shown(clicks.viewer, clicks.image) == 1
    clicks.panel.undo()
    clicks.until(lambda: clicks.now.frame == 3)
    assert frame_shown(clicks.viewer, clicks.image) == 3
    assert not clicks.now.undo
    clicks.panel.redo()
    clicks.settle()
    assert len(clicks.now.prompts) == 1


def test_finishing_locks_it_everywhere_under_one_name_and_colour(clicks):
    go_to(clicks, 1).click(at_time(SECOND, 1))
    clicks.panel.finish()
    clicks.settle()
    go_to(clicks, 0).click(FIRST)
    clicks.panel.set_name("ventricle")
    clicks.panel.set_colour((1, 2, 3))
    clicks.panel.carry_through_time()
    clicks.settle()
    clicks.panel.finish()
    clicks.settle()
    assert [one.name for one in clicks.now.objects] == ["object 1", "ventricle"]
    assert {labels.colours.get(2) for labels in clicks.session.all_labels} == {(1, 2, 3)}
    assert clicks.now.objects[0].volume_ml == 0
    assert clicks.now.objects[1].volume_ml > 0
    assert names_in(clicks.labels)[2] == "ventricle"
    go_to(clicks, 1)
    assert clicks.now.objects[0].volume_ml > 0
    assert clicks.now.label == 3


def test_without_a_colour_all_time_points_take_the_same_one(clicks):
    go_to(clicks, 1).click(at_time(SECOND, 1))
    clicks.session.commit()
    clicks.session.frame = 0
    clicks.session.add(Point(FIRST))
    clicks.session.frame = 1
    clicks.session.add(Point(at_time(FIRST, 1)))
    clicks.session.commit()
    assert len({labels.colours[2] for labels in clicks.session.all_labels if 2 in labels.colours}) == 1


def test_what_is_finished_at_another_time_can_be_finished_from_here(clicks):
    clicks.click(FIRST)
    go_to(clicks, 2)
    assert clicks.now.why_not_finish == ""
    assert "not seen at this time point" in clicks.now.why_not_carry
    clicks.panel.finish()
    clicks.settle()
    assert clicks.session.sessions[0].labels.data[FIRST] == 1


def test_a_chosen_colour_stays_while_time_goes_by(clicks):
    clicks.click(FIRST)
    clicks.panel.set_colour((9, 8, 7))
    go_to(clicks, 3)
    assert clicks.now.colour == (9, 8, 7)


def test_the_brush_paints_where_it_is_seen(clicks):
    clicks.click(FIRST)
    go_to(clicks, 2)
    clicks.show((3, 4, 5))
    from napari_effseg.viewer.click_places import layer_points

    (place,) = layer_points(clicks.image, clicks.panel.room.grid, [(3, 4, 5)])
    clicks.labels.brush_size = 1
    clicks.labels.paint((2, *place), 1)
    clicks.settle()
    assert clicks.session.sessions[2].mask[3, 4, 5]
    assert not clicks.session.sessions[0].mask[3, 4, 5]
    assert "stroke" in clicks.now.undo or "brush" in clicks.now.undo


def test_a_quick_hand_loses_no_click_on_any_time_point(clicks):
    clicks.fakes.body.go.clear()
    for frame in (0, 2, 1, 3):
        clicks.viewer.dims.set_point(0, float(frame))
        clicks.click(at_time(FIRST, frame), settles=False)
    clicks.fakes.body.go.set()
    clicks.settle()
    for frame, session in enumerate(clicks.session.sessions):
        assert list(session.prompts.values()) == [Point(at_time(FIRST, frame), axis=2)]
    assert clicks.now.frame == 3


def test_it_is_kept_by_itself_and_gone_on_with(clicks, viewer_model):
    clicks.click(FIRST)
    clicks.panel.carry_through_time()
    clicks.settle()
    clicks.panel.finish()
    go_to(clicks.settle(), 2).click(at_time(SECOND, 2))
    clicks.panel.room.saver.rest()
    clicks.until(lambda: clicks.now.saved)
    masks = [labels_of(clicks, frame).copy() for frame in range(FRAMES)]
    clicks.panel.room.choose_image(clicks.image)
    clicks.settle()
    offer = clicks.now.offer
    assert (offer.objects, offer.actions) == (1, 4)
    clicks.panel.room.resume()
    clicks.settle()
    assert clicks.now.frame == 2
    assert len(clicks.now.prompts) == 1
    for frame, mask in enumerate(masks):
        assert (labels_of(clicks, frame) == mask).all()


def test_each_time_point_is_saved_to_a_file_of_its_own_and_measured_when_it_is_shown(clicks, tmp_path):
    clicks.click(FIRST)
    clicks.panel.carry_through_time()
    table = LabelTable(clicks.viewer, clicks.panel.room._inference)
    clicks.settle()
    clicks.viewer.layers.selection.active = clicks.labels
    for frame in (2, 0):
        go_to(clicks, frame)
        voxels = int(clicks.session.sessions[frame].mask.sum())
        clicks.until(lambda voxels=voxels: [row.voxels for row in table.now.rows] == [voxels])
        assert table.now.image == f"film, time point {frame}"
    table.save_labels(tmp_path / "film.nii.gz")
    clicks.until(lambda: not table.now.is_saving)
    assert sorted(path.name for path in tmp_path.glob("*.nii.gz")) == [
        f"film_t{frame}.nii.gz" for frame in range(FRAMES)
    ]
    for frame in range(FRAMES):
        saved = load_labels(tmp_path / f"film_t{frame}.nii.gz")
        assert (saved.data == labels_of(clicks, frame)).all()
        assert saved.names == {1: "object 1"}
    assert table.now.note.startswith(f"Wrote {tmp_path / 'film_t0.nii.gz'} to film_t3.nii.gz.")
    table.close()


def test_a_session_of_other_time_points_is_not_offered(clicks, viewer_model):
    clicks.click(FIRST)
    clicks.panel.room.saver.rest()
    clicks.until(lambda: clicks.now.saved)
    clicks.image.data = clicks.image.data[:3]
    clicks.settle()
    assert clicks.now.frames == 3
    assert clicks.now.offer is None


def test_an_image_too_large_for_all_times_is_clicked_on_at_one(viewer_model, panel_on, monkeypatch):
    monkeypatch.setattr(click_opening, "_MOST_OVER_TIME", FRAMES * int(np.prod(SHAPE)) - 1)
    add_film(viewer_model)
    viewer_model.dims.set_point(0, 1)
    clicks = panel_on().click(at_time(FIRST, 1))
    assert clicks.session.mask[at_time(FIRST, 1)]
    assert clicks.now.frames == 1
    viewer_model.dims.set_point(0, 0)
    clicks.panel.gesture(Tool.POINT, [clicks.where(FIRST)], True)
    assert "time point 1" in clicks.now.notice
    clicks.panel.room.choose_image(clicks.image)
    clicks.settle().click((3, 3, 3))
    assert "time point" not in clicks.now.notice
