"""The panel *Click segmentation* without its window."""

import itertools

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_effseg.errors import PromptError
from napari_effseg.prompts import Box, Lasso, Scribble
from napari_effseg.viewer import click_hover, click_opening
from napari_effseg.viewer.click_state import ClickStage, Tool
from napari_effseg.viewer.inference import Inference
from napari_effseg.viewer.label_looks import names_in
from napari_effseg.viewer.reading_view import camera_of

from .click_cases import MODELS, Clicks, add_balls, balls
from .desk import SECONDS, Desk

FIRST, SECOND = (9, 8, 5), (21, 18, 6)


pytestmark = pytest.mark.usefixtures("kept_sessions")


@pytest.fixture
def clicks(viewer_model, panel_on):
    add_balls(viewer_model)
    return panel_on()


# --- clicks and other prompts ---


def test_a_click_gives_an_ordinary_layer_of_labels_at_once(clicks):
    clicks.click(FIRST)
    assert clicks.session.mask[FIRST]
    assert clicks.labels.data.sum() == clicks.session.mask.sum()
    assert clicks.shown_at(FIRST) == 1
    assert (clicks.now.undo, clicks.now.redo) == ("point", "")
    assert clicks.viewer.layers.selection.active is clicks.image


def test_labels_are_written_in_place(clicks):
    data = clicks.click(FIRST).labels.data
    clicks.click(SECOND)
    assert clicks.labels.data is data


@pytest.mark.parametrize(
    ("tool", "path", "kind"),
    [
        (Tool.BOX, [(6, 5, 5), (12, 12, 5)], Box),
        (Tool.SCRIBBLE, [(8, 8, 5), (9, 9, 5), (11, 8, 5)], Scribble),
        (Tool.LASSO, [(6, 5, 5), (12, 5, 5), (12, 12, 5), (6, 12, 5)], Lasso),
    ],
)
def test_every_tool_makes_its_prompt_and_undo_takes_it_back(clicks, tool, path, kind):
    clicks.draw(tool, path)
    (prompt,) = clicks.session.prompts.values()
    assert isinstance(prompt, kind)
    assert prompt.axis == 2
    assert clicks.shown_at(FIRST) == 1
    clicks.panel.undo()
    assert not clicks.settle().session.prompts
    assert not clicks.labels.data.any()
    clicks.panel.redo()
    assert clicks.settle().shown_at(FIRST) == 1


def test_a_box_reaches_over_the_voxels_that_it_was_dragged_over(clicks):
    clicks.draw(Tool.BOX, [(12, 12, 5), (6, 5, 5)])
    (box,) = clicks.session.prompts.values()
    assert (box.low, box.high) == ((6, 5, 5), (13, 13, 6))


def test_what_is_drawn_beyond_the_border_ends_there(clicks):
    clicks.draw(Tool.BOX, [(3, 3, 5), (-9, 60, 5)])
    (box,) = clicks.session.prompts.values()
    assert (box.low, box.high) == ((0, 3, 5), (4, 26, 6))


@pytest.mark.parametrize("tool", [Tool.POINT, Tool.BOX, Tool.LASSO])
def test_a_gesture_that_means_nothing_is_a_message(clicks, tool):
    clicks.draw(tool, [(-8, 8, 5)])
    assert clicks.now.notice
    assert not clicks.session.prompts
    clicks.click(FIRST)
    assert clicks.now.notice == ""


def test_a_negative_click_takes_away(clicks):
    clicks.click(FIRST)
    before = clicks.session.mask.sum()
    clicks.click((11, 8, 5), positive=False)
    assert clicks.session.mask.sum() < before
    assert clicks.now.undo == "negative point"


def test_a_voxel_can_be_typed(clicks):
    clicks.panel.add_voxel("9, 8, 5")
    assert clicks.settle().session.mask[FIRST]
    clicks.panel.add_voxel("9, here, 5")
    assert "whole numbers" in clicks.now.notice


def test_a_click_in_space_says_what_to_do(clicks):
    clicks.viewer.dims.ndisplay = 3
    clicks.panel.gesture(Tool.POINT, [clicks.viewer.dims.point], True)
    assert "Ctrl+Y" in clicks.now.notice
    assert not clicks.session.prompts
    assert "slices" in clicks.now.why_not_carry or clicks.now.volume_ml == 0


# --- prompts can be seen, selected and deleted ---


def test_prompts_are_shown_and_a_click_on_one_selects_it(clicks):
    clicks.click(FIRST).click((11, 9, 5), positive=False)
    marks = clicks.viewer.layers["balls clicks"]
    assert [str(symbol) for symbol in marks.symbol] == ["disc", "x"]
    camera_of(clicks.viewer).zoom = 20
    clicks.click(FIRST)
    assert clicks.now.selected == 1
    assert len(clicks.session.prompts) == 2


def test_the_mask_follows_when_a_prompt_is_deleted(clicks):
    clicks.click(FIRST)
    alone = clicks.session.mask.copy()
    clicks.click(SECOND)
    clicks.panel.select(2)
    clicks.panel.delete_selected()
    assert (clicks.settle().session.mask == alone).all()
    assert clicks.shown_at(SECOND) == 0
    assert len(clicks.viewer.layers["balls clicks"].data) == 1
    assert clicks.now.why_not_delete


def test_the_eraser_takes_prompts_back(clicks):
    clicks.draw(Tool.BOX, [(6, 5, 5), (12, 12, 5)])
    camera_of(clicks.viewer).zoom = 10
    clicks.draw(Tool.ERASE, [(9, 9, 5)])
    assert "no prompt here" in clicks.now.notice
    clicks.draw(Tool.ERASE, [(6, 9, 5)])
    assert not clicks.session.prompts


def test_selecting_a_prompt_brings_its_slice_into_sight(clicks):
    clicks.click(FIRST)
    clicks.show((5, 5, 1))
    clicks.panel.select(1)
    assert clicks.panel.queue.where() == (2, 5)


# --- one history for prompts and brush ---


def test_brush_and_prompts_share_one_history_across_slices(clicks):
    clicks.click(FIRST)
    clicks.paint((3, 3, 7))
    assert clicks.session.mask[3, 3, 7]
    assert clicks.now.undo == "stroke"
    clicks.show((3, 3, 0))
    clicks.panel.undo()
    clicks.settle()
    assert not clicks.session.mask[3, 3, 7]
    assert clicks.panel.queue.where() == (2, 7)
    assert clicks.shown_at((3, 3, 7)) == 0
    assert (clicks.now.undo, clicks.now.redo) == ("point", "stroke")
    clicks.panel.undo()
    assert not clicks.settle().session.mask.any()
    clicks.panel.redo()
    clicks.panel.redo()
    clicks.settle()
    assert clicks.shown_at((3, 3, 7)) == 1
    assert clicks.session.mask[FIRST]


def test_wiping_is_part_of_the_history(clicks):
    clicks.click(FIRST).paint(FIRST, 0)
    assert not clicks.session.mask[FIRST]
    assert clicks.now.undo == "wipe"


def test_a_stroke_in_many_slices_is_taken_over(clicks):
    clicks.click(FIRST)
    clicks.labels.n_edit_dimensions = 3
    clicks.labels.data_setitem((np.array([1, 2, 3]), np.array([2, 2, 2]), np.array([2, 2, 2])), 1)
    clicks.settle()
    assert (clicks.session.mask[:, :, :] == (clicks.panel.room.layer._known > 0)).all()
    assert clicks.now.undo == "stroke"


def test_finished_objects_are_locked_and_say_so(clicks):
    clicks.click(FIRST)
    clicks.panel.finish()
    clicks.settle().click(SECOND)
    before = clicks.session.labels.data.copy()
    clicks.paint(FIRST, 0)
    assert clicks.shown_at(FIRST) == 1
    assert (clicks.session.labels.data == before).all()
    assert "locked" in clicks.now.notice
    clicks.paint((2, 2, 2), 1)
    assert clicks.shown_at((2, 2, 2)) == 0


def test_a_stroke_that_is_painted_while_an_answer_is_computed_stays(clicks):
    clicks.click(FIRST)
    clicks.fakes.body.go.clear()
    clicks.click((12, 8, 5), settles=False)
    labels = clicks.labels
    with labels.block_history():  # the button is still held down
        clicks.paint((4, 4, 5), settles=False)
        clicks.fakes.body.go.set()
        clicks.settle()
        assert clicks.shown_at((4, 4, 5)) == 1
    clicks.settle()
    assert clicks.session.mask[4, 4, 5]


def test_the_brush_of_the_panel_is_that_of_napari(clicks):
    clicks.panel.choose_tool(Tool.BRUSH)
    assert str(clicks.labels.mode) == "paint"
    assert clicks.labels.selected_label == clicks.now.label
    clicks.panel.set_positive(False)
    assert str(clicks.labels.mode) == "erase"
    clicks.panel.choose_tool(Tool.POINT)
    assert str(clicks.labels.mode) == "pan_zoom"
    clicks.labels.mode = "paint"
    assert clicks.now.tool is Tool.BRUSH
    clicks.labels.mode = "pan_zoom"
    assert clicks.now.tool is Tool.POINT


# --- objects ---


def test_a_finished_object_keeps_name_and_colour_and_the_next_begins(clicks):
    clicks.panel.set_name("left ball")
    clicks.panel.set_colour((10, 200, 30))
    clicks.click(FIRST)
    clicks.panel.finish()
    clicks.settle().click(SECOND)
    (one,) = clicks.now.objects
    assert (one.label, one.name, one.colour) == (1, "left ball", (10, 200, 30))
    assert one.volume_ml > 0
    assert (clicks.now.label, clicks.now.name) == (2, "")
    assert names_in(clicks.labels) == {1: "left ball", 2: "object 2"}
    np.testing.assert_allclose(clicks.labels.colormap.map(1)[:3], np.array([10, 200, 30]) / 255, atol=0.01)
    assert (clicks.shown_at(FIRST), clicks.shown_at(SECOND)) == (1, 2)


def test_undoing_a_finish_brings_the_object_back_to_hand(clicks):
    clicks.panel.set_name("ball")
    clicks.click(FIRST)
    clicks.panel.finish()
    assert clicks.settle().now.undo == "finish ball"
    clicks.panel.undo()
    clicks.settle()
    assert (clicks.now.label, clicks.now.name, clicks.now.objects) == (1, "ball", ())
    assert clicks.now.prompts


def test_another_mask_can_be_chosen_where_a_click_means_several(clicks):
    clicks.click(FIRST)
    narrow = clicks.session.mask.sum()
    assert (clicks.now.hypotheses, clicks.now.chosen) == (2, 0)
    clicks.panel.next_mask()
    clicks.settle()
    assert clicks.session.mask.sum() > narrow
    assert clicks.now.chosen == 1
    clicks.show((5, 5, 1))
    clicks.until(lambda: clicks.now.hypotheses == 0)
    assert clicks.now.why_not_other


def test_an_object_goes_through_the_slices_of_the_plane_that_is_shown(clicks):
    clicks.viewer.dims.order = (2, 0, 1)
    clicks.click(FIRST)
    clicks.panel.carry()
    assert clicks.now.stage is ClickStage.CARRYING
    clicks.settle()
    assert clicks.now.undo == "propagate"
    assert clicks.session.mask.any(axis=(1, 2)).sum() > 3  # slices across I


def test_going_through_the_slices_can_be_cancelled(clicks):
    clicks.click(FIRST)
    before = clicks.session.mask.copy()
    clicks.fakes.body.go.clear()
    clicks.panel.carry()
    clicks.panel.cancel()
    assert clicks.now.stage is ClickStage.STOPPING
    clicks.fakes.body.go.set()
    clicks.settle()
    assert (clicks.session.mask == before).all()
    assert "Cancelled" in clicks.now.notice
    assert clicks.click(SECOND).session.mask[SECOND]


def test_every_click_is_answered_in_order(clicks):
    clicks.fakes.body.go.clear()
    for index in (FIRST, SECOND, (11, 9, 5)):
        clicks.click(index, settles=False)
    clicks.fakes.body.go.set()
    clicks.settle()
    assert [prompt.index for prompt in clicks.session.prompts.values()] == [FIRST, SECOND, (11, 9, 5)]


def test_a_hand_may_be_quicker_than_the_answers(clicks):
    clicks.fakes.body.go.clear()
    for index in (FIRST, SECOND):
        clicks.click(index, settles=False)
        clicks.panel.next_mask()
        clicks.panel.next_mask()
        clicks.panel.finish()
    clicks.panel.undo()
    clicks.fakes.body.go.set()
    clicks.settle()
    assert [one.label for one in clicks.now.objects] == [1]
    assert (clicks.shown_at(FIRST), clicks.shown_at(SECOND)) == (1, 2)
    assert clicks.now.chosen == 0
    clicks.panel.redo()
    clicks.settle()
    colours = {one.colour for one in clicks.now.objects}
    assert len(colours) == 2


# --- the preview ---


def preview_of(clicks):
    layer = next((one for one in clicks.viewer.layers if one.name.endswith("outlines")), None)
    return 0 if layer is None else len(layer.data)


def hover(clicks, index):
    clicks.panel.hover.at(clicks.show(index))


def test_the_mask_is_shown_before_the_click_and_gone_with_it(clicks):
    hover(clicks, FIRST)
    clicks.until(lambda: preview_of(clicks))
    assert not clicks.session.prompts
    clicks.click(FIRST)
    assert preview_of(clicks) == 0


def test_the_newest_preview_wins_and_a_click_drops_it(clicks):
    clicks.fakes.body.go.clear()
    for index in (FIRST, (10, 8, 5), (11, 8, 5)):
        hover(clicks, index)
    clicks.click(FIRST, settles=False)
    clicks.fakes.body.go.set()
    clicks.settle()
    assert preview_of(clicks) == 0
    assert clicks.fakes.body.calls <= 2  # the click, and a preview that had begun


def test_a_slow_preview_switches_itself_off_and_says_so(clicks, monkeypatch):
    monkeypatch.setattr(click_hover, "_SLOW_SECONDS", 0.0)
    for at in range(3):
        hover(clicks, (9 + at, 8, 5))
        clicks.until(lambda at=at: len(clicks.panel.hover._seconds) > at or not clicks.now.hovers)
    assert not clicks.now.hovers
    assert "Switched off" in clicks.now.hover_note


# --- wherever the image lies, whatever plane is shown ---

ORDERS = list(itertools.permutations(range(3)))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("axcodes", "tilt"), [("RAS", 0), ("LPS", 25), ("SAR", 0), ("PIL", 12)])
def test_the_voxel_under_the_mouse_gets_the_label(viewer_model, panel_on, axcodes, tilt, order):
    add_balls(viewer_model, axcodes, tilt)
    viewer_model.dims.order = order
    clicks = panel_on()
    for index in (FIRST, SECOND):
        clicks.click(index)
        assert clicks.session.mask[index]
        if not tilt:  # napari looks up values of a tilted layer where it does not draw them
            assert clicks.shown_at(index) == 1
    across = clicks.panel.queue.where()[0]
    assert {prompt.axis for prompt in clicks.session.prompts.values()} == {across}


@pytest.mark.parametrize(
    "transform",
    [
        {"scale": (3.0, 0.5, 2.0), "translate": (40, -7, 3)},
        {"rotate": 30.0},
        {"affine": np.array([[2.0, 0, 0, 5], [0, 0, 1, -3], [0, 1.5, 0, 0], [0, 0, 0, 1]])},
    ],
)
def test_layers_of_others_may_be_scaled_moved_and_turned(viewer_model, panel_on, transform):
    image = viewer_model.add_image(balls().T, name="theirs", **transform)
    clicks = panel_on().click(FIRST)
    assert clicks.session.mask[FIRST]
    np.testing.assert_allclose(clicks.labels.data_to_world((1, 2, 3)), image.data_to_world((1, 2, 3)))
    assert clicks.labels.data[FIRST[::-1]] == 1


def test_slices_that_are_seen_from_their_edge_are_refused_in_words(viewer_model, panel_on):
    exchanged = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    viewer_model.add_image(balls().T, affine=exchanged)
    clicks = panel_on()
    clicks.panel.gesture(Tool.POINT, [(5, 8, 9)], True)
    assert "from their edge" in clicks.now.notice


@pytest.mark.parametrize("kind", ["grey", "rgb"])
def test_pictures_are_clicked_on_too(viewer_model, panel_on, kind):
    picture = balls()[:, :, 5].T
    data = np.repeat(picture[..., None], 3, -1).astype(np.uint8) if kind == "rgb" else picture
    viewer_model.add_image(data, rgb=kind == "rgb", scale=(0.5, 0.5), rotate=20)
    clicks = panel_on().click((9, 8, 0))
    assert clicks.labels.data.shape == picture.shape
    assert clicks.labels.data[8, 9] == 1
    clicks.panel.add_voxel("21 18")
    assert clicks.settle().labels.data[18, 21] == 1
    assert "one slice" in clicks.now.why_not_carry
    clicks.paint((2, 3, 0))
    assert clicks.session.mask[2, 3, 0]


def test_a_coarser_level_is_taken_where_the_finest_is_too_large(viewer_model, panel_on, monkeypatch):
    monkeypatch.setattr(click_opening, "_WELL_SIZED", 3000)
    fine = balls().T
    viewer_model.add_image([fine, fine[::2, ::2, ::2]], multiscale=True, contrast_limits=(0, 100))
    clicks = panel_on()
    grid = clicks.panel.room.grid
    assert grid.shape == (15, 13, 6)
    clicks.panel.gesture(Tool.POINT, [(5.0, 8.0, 9.0)], True)
    assert clicks.settle().session.mask.any()
    assert clicks.labels.data.shape == (6, 13, 15)


def test_labels_follow_an_image_that_is_moved(clicks):
    clicks.click(FIRST)
    clicks.image.scale = (4.0, 1.0, 1.0)
    np.testing.assert_allclose(clicks.labels.data_to_world((1, 2, 3)), clicks.image.data_to_world((1, 2, 3)))
    assert clicks.click(SECOND).session.mask[SECOND]
    assert len(clicks.viewer.layers["balls clicks"].data) == 2


# --- layers come and go ---


def test_labels_that_were_deleted_come_back_with_the_next_answer(clicks):
    clicks.click(FIRST)
    clicks.viewer.layers.remove(clicks.labels)
    clicks.viewer.layers.remove("balls clicks")
    clicks.click(SECOND)
    assert (clicks.shown_at(FIRST), clicks.shown_at(SECOND)) == (1, 1)


def test_a_session_ends_with_its_image_and_its_labels_stay(clicks, tmp_path):
    clicks.click(FIRST)
    clicks.viewer.layers.remove(clicks.image)
    assert clicks.image is None
    assert [layer.name for layer in clicks.viewer.layers] == ["balls objects"]
    clicks.until(lambda: list((tmp_path / "sessions").glob("*.autosave.effseg")))
    add_balls(clicks.viewer)
    assert clicks.settle().now.offer is not None


def test_selecting_another_image_does_not_end_a_session(clicks):
    other = clicks.viewer.add_image(balls(seed=2).T, name="other")
    clicks.settle()
    assert clicks.image is other  # nothing was done yet
    clicks.panel.room.choose_image(clicks.viewer.layers["balls"])
    clicks.settle().click(FIRST)
    clicks.viewer.layers.selection.active = other
    assert clicks.image.name == "balls"


def test_the_channel_that_is_seen_is_clicked_on(viewer_model, panel_on):
    viewer_model.add_image(balls().T, name="seen")
    viewer_model.add_image(balls(seed=1).T, name="hidden", visible=False)
    clicks = panel_on()
    assert clicks.image.name == "seen"
    clicks.image.visible = False
    clicks.click(FIRST)
    assert "is hidden" in clicks.now.notice
    assert not clicks.session.prompts


def test_nothing_is_open_without_an_image(viewer_model, inference, desk, fakes):
    clicks = Clicks(viewer_model, inference, desk, fakes)
    desk.until(lambda: not clicks.now.is_looking)
    assert "Open an image" in clicks.now.why_not
    clicks.panel.gesture(Tool.POINT, [(0, 0)], True)
    assert "Open an image" in clicks.now.notice
    add_balls(viewer_model)
    clicks.settle()
    clicks.panel.close()


def test_no_model_is_said_in_words(viewer_model, inference, desk, fakes):
    fakes.know(())
    add_balls(viewer_model)
    clicks = Clicks(viewer_model, inference, desk, fakes)
    desk.until(lambda: not clicks.now.is_looking)
    assert "No model that answers clicks is installed" in clicks.now.why_not
    assert clicks.now.why_not_undo == clicks.now.why_not
    fakes.know(MODELS)
    clicks.panel.room.look_for_models()
    clicks.settle()
    clicks.panel.close()


def test_closing_leaves_the_viewer_as_it_was(viewer_model, inference, desk, fakes):
    add_balls(viewer_model)
    before = listeners(viewer_model)
    clicks = Clicks(viewer_model, inference, desk, fakes).settle().click(FIRST)
    gone = []
    clicks.panel.close(lambda: gone.append(True))
    desk.until(lambda: gone)
    assert [layer.name for layer in viewer_model.layers] == ["balls", "balls objects"]
    viewer_model.layers.remove("balls objects")
    assert listeners(viewer_model) == before
    clicks.panel.close()


def listeners(viewer):
    emitters = [viewer.dims.events.point, viewer.dims.events.order, viewer.dims.events.ndisplay]
    emitters += [viewer.layers.events.inserted, viewer.layers.selection.events.active]
    events = viewer.layers["balls"].events
    emitters += [
        camera_of(viewer).events.zoom,
        *(getattr(events, name) for name in ("data", "scale", "affine")),
    ]
    return [
        len(getattr(emitter, "callbacks", None) or getattr(emitter, "_slots", ())) for emitter in emitters
    ]


# --- trouble ---


def test_trouble_is_a_message_and_the_session_goes_on(clicks, monkeypatch):
    def fails(*_):
        raise PromptError("the point is a riddle")

    clicks.click(FIRST)
    with monkeypatch.context() as patch:
        patch.setattr(type(clicks.fakes.body), "answer", fails)
        clicks.click(SECOND)
        assert clicks.now.notice == "The point is a riddle."
    assert clicks.click(SECOND).session.mask[SECOND]


def test_a_fault_can_be_reported(clicks, monkeypatch):
    monkeypatch.setattr(type(clicks.fakes.body), "answer", lambda *_: 1 / 0)
    clicks.click(FIRST)
    assert "fault in EffSeg" in clicks.now.notice
    assert "ZeroDivisionError" in clicks.now.details


# --- sessions are kept ---


def lose_the_process(fakes, action, **keywords):
    """Do something in a viewer that is then gone without a word."""
    viewer, desk = ViewerModel(), Desk()
    inference = Inference(desk)
    add_balls(viewer, **keywords)
    clicks = Clicks(viewer, inference, desk, fakes).settle()
    action(clicks)
    clicks.panel.store.set(saved="")
    clicks.panel.room.saver.did(much=True)
    clicks.panel.room.saver.rest()
    desk.until(lambda: clicks.now.saved)
    assert inference.close(SECONDS)
    return clicks


def test_work_goes_on_after_the_process_was_lost(viewer_model, panel_on, fakes):
    def work(clicks):
        clicks.panel.set_name("ball")
        clicks.click(FIRST).paint((2, 2, 2))
        clicks.panel.finish()
        clicks.settle().click(SECOND)
        clicks.click((20, 17, 6)).click((22, 18, 6), positive=False)

    lost = lose_the_process(fakes, work)
    add_balls(viewer_model)
    clicks = panel_on()
    assert "1 finished object" in clicks.now.offer.words
    clicks.panel.room.resume()
    clicks.settle()
    assert (clicks.labels.data == lost.labels.data).all()
    assert names_in(clicks.labels)[1] == "ball"
    assert clicks.now.offer is None
    assert [row.words for row in clicks.now.prompts] == [row.words for row in lost.now.prompts]
    clicks.panel.undo()
    assert clicks.settle().now.redo == "negative point"


def test_a_session_that_goes_on_in_the_same_window_has_one_layer(clicks):
    clicks.click(FIRST)
    clicks.panel.finish()
    clicks.settle().click(SECOND)
    kept, name = clicks.labels, clicks.labels.name
    clicks.panel.room.open()
    clicks.settle()
    clicks.panel.room.resume()
    clicks.settle()
    assert clicks.labels is not kept
    assert kept not in clicks.viewer.layers
    assert clicks.labels.name == name
    assert (clicks.labels.data == kept.data).all()
    clicks.click((20, 18, 6))
    assert clicks.labels in clicks.viewer.layers


def test_what_was_painted_since_is_not_taken_away_when_a_session_goes_on(clicks):
    clicks.click(FIRST)
    kept = clicks.labels
    clicks.panel.room.open()
    clicks.settle()
    kept.data[2, 2, 2] = 7
    clicks.panel.room.resume()
    clicks.settle()
    assert kept in clicks.viewer.layers


def test_a_click_on_a_finished_object_says_whose_it_is(clicks):
    clicks.click(FIRST)
    clicks.panel.set_name("ball")
    clicks.panel.finish()
    clicks.settle().click(FIRST)
    assert "ball" in clicks.now.notice
    assert not clicks.now.prompts
    clicks.click(FIRST, positive=False).click(SECOND)
    assert [row.words[0] for row in clicks.now.prompts] == ["\N{MINUS SIGN}", "+"]
    assert clicks.session.mask[SECOND]


def test_an_earlier_session_is_not_lost_when_somebody_begins_anew(viewer_model, panel_on, fakes, tmp_path):
    lose_the_process(fakes, lambda clicks: clicks.click(FIRST).click(SECOND).click((20, 18, 6)))
    add_balls(viewer_model)
    clicks = panel_on()
    clicks.panel.room.decline()
    clicks.click(FIRST)
    clicks.panel.room.saver.rest()
    clicks.until(lambda: clicks.now.saved)
    names = sorted(path.name.partition(".")[2] for path in (tmp_path / "sessions").iterdir())
    assert names == ["autosave.effseg", "earlier.effseg"]


def test_closing_saves_what_was_not_saved(viewer_model, desk, fakes, tmp_path):
    inference = Inference(desk)
    add_balls(viewer_model)
    clicks = Clicks(viewer_model, inference, desk, fakes).settle().click(FIRST)
    clicks.panel.close(inference.close)
    inference._thread.join(SECONDS)
    assert len(list((tmp_path / "sessions").glob("*.autosave.effseg"))) == 1


def test_a_session_can_be_saved_and_opened_by_hand(clicks, tmp_path):
    clicks.click(FIRST)
    clicks.panel.save_to(tmp_path / "mine")
    clicks.until(lambda: clicks.now.saved)
    clicks.panel.undo()
    clicks.settle()
    clicks.panel.open_from(tmp_path / "mine.effseg")
    clicks.settle()
    assert clicks.shown_at(FIRST) == 1


def test_the_session_of_another_image_is_refused_in_words(clicks, tmp_path, viewer_model):
    clicks.click(FIRST)
    clicks.panel.save_to(tmp_path / "mine.effseg")
    clicks.until(lambda: clicks.now.saved)
    other = viewer_model.add_image(balls(seed=1).T, name="other")
    clicks.panel.room.choose_image(other)
    clicks.settle()
    clicks.panel.open_from(tmp_path / "mine.effseg")
    clicks.until(lambda: "another image" in clicks.now.notice)
    assert clicks.settle().image is other


def test_a_session_that_cannot_be_saved_says_so_and_goes_on(clicks, tmp_path):
    clicks.click(FIRST)
    clicks.panel.save_to(tmp_path / "nowhere" / "mine.effseg")
    clicks.until(lambda: clicks.now.notice)
    assert "could not be saved" in clicks.now.notice
    assert clicks.click(SECOND).session.mask[SECOND]


def test_slices_beside_the_shown_one_are_looked_at_when_nothing_else_goes_on(clicks):
    seen = []
    clicks.fakes.body.look_ahead = lambda image: seen.append(image.key[1:])
    clicks.click(FIRST)
    clicks.until(lambda: len(seen) == 2)
    assert sorted(seen) == [(2, FIRST[2] - 1), (2, FIRST[2] + 1)]
