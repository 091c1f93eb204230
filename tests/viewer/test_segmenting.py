"""The panel without its widgets: models, plan, region, run, cancel, result, errors."""

import dataclasses

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_effseg import zoo
from napari_effseg.viewer import layers
from napari_effseg.viewer.reading_view import shows_labels, slice_shown, why_no_anatomy
from napari_effseg.viewer.segmenting import AutomaticSegmentation
from napari_effseg.viewer.state import Stage
from napari_effseg.volume import Volume, same_grid
from tests.zoo.synthetic import draft_card, synthetic_card

from .builders import ORIENTATIONS, affine_of
from .panels import add, finish, settle


@pytest.fixture
def panel(viewer_model, inference, cards):
    made = AutomaticSegmentation(viewer_model, inference)
    yield made
    made.close()


def test_without_an_image_the_panel_says_what_to_do(panel):
    assert "Open an image first" in panel.store.now.why_not_run


def test_the_model_that_fits_is_chosen_and_the_others_say_why(panel, desk, viewer_model, ct):
    add(viewer_model, ct)
    settle(desk, panel)
    now = panel.store.now
    assert now.model == "quick"
    reasons = {option.card.name: option.reason for option in now.options}
    assert reasons["quick"] == ""
    assert reasons["hippocampus-lightm-unet"] == "It takes MR."


def test_the_plan_says_time_memory_and_device(panel, desk, viewer_model, ct):
    add(viewer_model, ct)
    settle(desk, panel)
    assert panel.store.now.plan.line.startswith("About ")
    assert "GB of memory, on CPU" in panel.store.now.plan.line
    assert panel.store.now.why_not_run == ""


def test_no_model_for_a_picture_is_said(panel, desk, viewer_model, monkeypatch):
    every = zoo.read_registry()
    volumes = {name: card for name, card in every.cards.items() if card.dimensions == 3}
    monkeypatch.setattr(zoo, "read_registry", lambda: dataclasses.replace(every, cards=volumes))
    viewer_model.add_image(np.zeros((20, 30), np.uint8))
    settle(desk, panel)
    assert "No model fits this image" in panel.store.now.why_not_run


def test_a_result_lies_exactly_on_its_image_with_names_colours_and_report(panel, desk, viewer_model, ct):
    image = add(viewer_model, ct)
    settle(desk, panel)
    panel.run()
    finish(desk, panel)
    labels = viewer_model.layers["scan segmentation"]
    corner = np.array(image.data.shape) - 1
    assert labels.data_to_world(corner) == image.data_to_world(corner)
    found = layers.labels_of_layer(labels)
    assert same_grid(found.grid, ct.grid)
    assert found.names == {1: "left kidney", 2: "liver"}
    assert found.colours[1] == (230, 159, 0)
    assert found.codes[1].laterality == "left"
    assert labels.metadata["effseg_report"]["model"] == "quick"
    assert viewer_model.layers.selection.active is labels
    desk.until(lambda: "scan doubt" in viewer_model.layers, "doubt, a moment later")
    assert viewer_model.layers.selection.active is labels
    doubt = viewer_model.layers["scan doubt"]
    assert not doubt.visible
    assert doubt.data_to_world(corner) == image.data_to_world(corner)
    assert panel.store.now.summary.startswith("Done in ")


def test_the_panel_gives_what_the_engine_gives(panel, desk, viewer_model, ct):
    import napari_effseg as eff

    add(viewer_model, ct)
    settle(desk, panel)
    panel.run()
    finish(desk, panel)
    wanted = eff.segment(ct, "quick")
    found = layers.labels_of_layer(viewer_model.layers["scan segmentation"])
    assert np.array_equal(found.data, wanted.labels.data)
    rows = {row.label: row.volume_ml for row in panel.table.now.rows}
    assert rows == pytest.approx(wanted.labels.volumes_ml())


def test_a_foreign_layer_is_segmented_where_it_lies(panel, desk, viewer_model, ct):
    image = viewer_model.add_image(
        ct.data, scale=(2, 3, 2.5), rotate=(0, 0, 30), translate=(5, 6, 7), name="foreign"
    )
    settle(desk, panel)
    panel.choose_model("quick")
    settle(desk, panel)
    panel.run()
    finish(desk, panel)
    labels = viewer_model.layers["foreign segmentation"]
    corner = np.array(image.data.shape) - 1
    assert labels.data.shape == image.data.shape
    assert labels.data_to_world(corner) == image.data_to_world(corner)


def test_doubt_is_no_image_to_segment(panel, desk, viewer_model, ct):
    image = add(viewer_model, ct)
    settle(desk, panel)
    panel.run()
    finish(desk, panel)
    desk.until(lambda: "scan doubt" in viewer_model.layers, "doubt")
    assert panel.store.now.images == (image,)
    assert panel.store.now.image is image


def test_cancel_stops_and_leaves_nothing(panel, desk, viewer_model, cards):
    large = Volume(np.zeros((160, 160, 60), np.int16), affine_of("LPS"), modality="CT")
    large.data[::2] = 500
    add(viewer_model, large)
    settle(desk, panel)
    panel.run()
    desk.until(lambda: panel.store.now.message.startswith("Window"), "the first window")
    panel.cancel()
    assert panel.store.now.stage is Stage.STOPPING
    finish(desk, panel)
    assert panel.store.now.problem == "Cancelled; nothing was changed."
    assert len(viewer_model.layers) == 1


def test_a_run_can_follow_a_cancelled_one(panel, desk, viewer_model, ct):
    add(viewer_model, ct)
    settle(desk, panel)
    panel.run()
    panel.cancel()
    finish(desk, panel)
    settle(desk, panel)
    panel.run()
    finish(desk, panel)
    assert "scan segmentation" in viewer_model.layers
    assert panel.store.now.problem == ""


def test_broken_weights_are_one_sentence(panel, desk, viewer_model, ct, cards):
    synthetic_card(cards, name="tampered", title="Tampered", seed=9)
    (cards / "tampered.safetensors").write_bytes(b"tampered")
    add(viewer_model, ct)
    settle(desk, panel)
    panel.choose_model("tampered")
    settle(desk, panel)
    panel.run()
    finish(desk, panel)
    assert "tampered.safetensors" in panel.store.now.problem
    assert panel.store.now.details == ""
    assert panel.store.now.why_not_run == ""


def test_a_broken_card_is_named_and_hides_no_other(panel, desk, viewer_model, ct, cards):
    (cards / "broken.toml").write_text("name = 3")
    add(viewer_model, ct)
    settle(desk, panel)
    assert any("broken.toml" in problem for problem in panel.store.now.problems)
    assert panel.store.now.model == "quick"


def test_a_fault_of_ours_is_told_with_its_details(panel, desk, viewer_model, ct, monkeypatch):
    add(viewer_model, ct)
    settle(desk, panel)

    def broken(*_, **__):
        raise ZeroDivisionError("no")

    monkeypatch.setattr("napari_effseg.engine.segment", broken)
    panel.run()
    finish(desk, panel)
    assert "fault in EffSeg" in panel.store.now.problem
    assert "Traceback" in panel.store.now.details


def test_an_image_closed_during_the_run_still_gives_its_labels(panel, desk, viewer_model, ct):
    image = add(viewer_model, ct)
    settle(desk, panel)
    panel.run()
    viewer_model.layers.remove(image)
    finish(desk, panel)
    found = layers.labels_of_layer(viewer_model.layers["scan segmentation"])
    assert same_grid(found.grid, ct.grid)
    assert "was closed meanwhile" in panel.store.now.summary


def test_an_image_moved_during_the_run_gets_its_labels_where_it_was(panel, desk, viewer_model, ct):
    image = add(viewer_model, ct)
    settle(desk, panel)
    panel.run()
    image.translate = (100, 0, 0)
    finish(desk, panel)
    found = layers.labels_of_layer(viewer_model.layers["scan segmentation"])
    assert same_grid(found.grid, ct.grid)
    assert "was moved meanwhile" in panel.store.now.summary


def test_an_image_renamed_during_the_run_gives_its_new_name_to_the_labels(panel, desk, viewer_model, ct):
    image = add(viewer_model, ct)
    settle(desk, panel)
    panel.run()
    image.name = "renamed"
    finish(desk, panel)
    assert "renamed segmentation" in viewer_model.layers


@pytest.mark.parametrize("after", [0, 1, 2, 3, 5])
def test_cancelling_at_any_moment_leaves_nothing_and_the_next_run_all(
    panel, desk, viewer_model, ct, monkeypatch, after
):
    said, say = [], panel._runner._progress

    def progress(fraction, message):
        say(fraction, message)
        said.append(message)
        if len(said) == after:
            panel.cancel()

    monkeypatch.setattr(panel._runner, "_progress", progress)
    add(viewer_model, ct)
    settle(desk, panel)
    panel.run()
    if after == 0:
        panel.cancel()
    finish(desk, panel)
    if panel.store.now.problem:
        assert panel.store.now.problem == "Cancelled; nothing was changed."
        assert len(viewer_model.layers) == 1
    after = -1
    panel.run()
    finish(desk, panel)
    assert panel.store.now.summary.startswith("Done")


def test_a_result_on_other_slices_is_brought_into_sight(panel, desk, viewer_model, ct):
    image = add(viewer_model, ct)
    settle(desk, panel)
    draw(panel, image, rectangle(image, 5, (6, 6), (24, 24)))
    desk.until(lambda: panel.store.now.region is not None, "the region")
    panel.set_slices(3, 7)
    settle(desk, panel)
    assert not 3 <= slice_shown(viewer_model, image, 0) <= 7
    panel.run()
    finish(desk, panel)
    assert 3 <= slice_shown(viewer_model, image, 0) <= 7
    assert shows_labels(viewer_model, viewer_model.layers["scan segmentation"])


def test_a_result_in_sight_moves_nothing(panel, desk, viewer_model, ct):
    add(viewer_model, ct)
    settle(desk, panel)
    before = viewer_model.dims.point
    panel.run()
    finish(desk, panel)
    assert viewer_model.dims.point == before


@pytest.mark.parametrize(
    "storages",
    [
        pytest.param(("RAS", "LSP", "ARI", "PIR", "SLA", "IPL"), id="every order of axes"),
        pytest.param(ORIENTATIONS, id="all", marks=pytest.mark.slow),
    ],
)
def test_every_storage_of_a_scan_gets_the_same_labels_at_the_same_place(
    panel, desk, viewer_model, ct, storages
):
    from napari_effseg.volume import reorient

    wanted = None
    for axcodes in storages:
        small = Volume(ct.data[:12, :10, :8], ct.affine, modality="CT")
        stored = reorient(small, axcodes)
        add(viewer_model, stored)
        settle(desk, panel)
        panel.run()
        finish(desk, panel)
        found = layers.labels_of_layer(viewer_model.layers["scan segmentation"])
        assert same_grid(found.grid, stored.grid)
        turned = reorient(found, "RAS")
        wanted = turned if wanted is None else wanted
        assert np.array_equal(turned.data, wanted.data), axcodes
        assert same_grid(turned.grid, wanted.grid)
        viewer_model.layers.clear()


def test_segmenting_teaches_nobody_where_left_is(panel, desk, viewer_model, ct):
    image = viewer_model.add_image(ct.data, name="foreign")
    settle(desk, panel)
    panel.choose_model("quick")
    settle(desk, panel)
    panel.run()
    finish(desk, panel)
    labels = viewer_model.layers["foreign segmentation"]
    assert "without an orientation" in why_no_anatomy(viewer_model, image)
    assert "without an orientation" in why_no_anatomy(viewer_model, labels)


def test_moving_the_image_plans_anew(panel, desk, viewer_model, ct):
    image = add(viewer_model, ct)
    settle(desk, panel)
    before = panel.store.now.plan
    image.scale = (4, 4, 4)
    assert panel.store.now.plan is None
    settle(desk, panel)
    assert panel.store.now.plan is not None
    assert panel.store.now.plan is not before


def test_the_selected_image_is_taken_until_one_is_chosen_by_hand(panel, desk, viewer_model, ct):
    first, second = add(viewer_model, ct, "first"), add(viewer_model, ct, "second")
    assert panel.store.now.image is second
    viewer_model.layers.selection.active = first
    assert panel.store.now.image is first
    panel.choose_image(second)
    viewer_model.layers.selection.active = first
    assert panel.store.now.image is second
    viewer_model.layers.remove(second)
    assert panel.store.now.image is first


# --- channels, time, levels ---


def test_channels_are_found_by_their_roles(panel, desk, viewer_model, two_channel_card):
    values = np.random.default_rng(0).normal(0, 100, (2, 24, 20, 16)).astype(np.float32)
    volume = Volume(values, affine_of("LPS", 10), channel_names=("flair", "t1"), modality="MR")
    add(viewer_model, volume, "case")
    settle(desk, panel)
    panel.choose_model("two-channels")
    settle(desk, panel)
    assert {role: layer.name for role, layer in panel.store.now.channels.items()} == {
        "t1": "case t1",
        "flair": "case flair",
    }
    panel.run()
    finish(desk, panel)
    import napari_effseg as eff

    wanted = eff.segment(volume, "two-channels")
    labels = next(layer for layer in viewer_model.layers if isinstance(layer, Labels))
    assert np.array_equal(layers.labels_of_layer(labels).data, wanted.labels.data)


def test_a_model_of_two_channels_asks_for_two_images(panel, desk, viewer_model, two_channel_card):
    values = np.random.default_rng(0).normal(0, 100, (24, 20, 16)).astype(np.float32)
    add(viewer_model, Volume(values, affine_of("LPS")))
    settle(desk, panel)
    reasons = {option.card.name: option.reason for option in panel.store.now.options}
    assert reasons["two-channels"] == "It takes 2 images (t1, flair); one is open."


def test_the_time_point_at_the_slider_is_segmented(panel, desk, viewer_model):
    import napari_effseg as eff

    values = np.random.default_rng(0).normal(0, 300, (3, 24, 20, 16)).astype(np.float32)
    series = Volume(values, affine_of("LPS"), modality="CT")
    add(viewer_model, series, "series", lead="time")
    settle(desk, panel)
    assert "volume at the slider" in panel.store.now.note
    viewer_model.dims.set_point(0, 2)
    panel.run()
    finish(desk, panel)
    labels = viewer_model.layers["series segmentation"]
    one = Volume(values[2], series.affine, modality="CT")
    assert np.array_equal(layers.labels_of_layer(labels).data, eff.segment(one, "quick").labels.data)
    assert labels.data_to_world((0, 0, 0, 0))[0] == 2


@pytest.mark.parametrize("units", [None, ("s", "um", "um", "um")])
def test_labels_of_a_foreign_time_point_share_its_units(panel, desk, viewer_model, units):
    values = np.random.default_rng(0).normal(0, 300, (3, 24, 20, 16)).astype(np.float32)
    scale = (1, 500, 500, 500) if units else (1, 2, 2, 2)
    image = viewer_model.add_image(values, name="series", units=units, scale=scale)
    settle(desk, panel)
    panel.choose_model("quick")
    settle(desk, panel)
    panel.run()
    finish(desk, panel)
    labels = viewer_model.layers["series segmentation"]
    assert labels.units == image.units
    at = round(viewer_model.dims.point[0])
    assert labels.data_to_world((0, 1, 2, 3)) == image.data_to_world((at, 1, 2, 3))


class Recorded:
    """An array that is read when it is needed, and knows what was read."""

    def __init__(self, values):
        self._values, self.read = values, []
        self.shape, self.dtype = values.shape, values.dtype
        self.ndim, self.size = values.ndim, values.size

    def __getitem__(self, key):
        found = self._values[key]
        self.read.append(found.size)
        return found


def test_a_lazy_layer_is_read_in_its_region_alone(panel, desk, viewer_model, cards):
    values = np.random.default_rng(0).normal(0, 300, (120, 120, 120)).astype(np.int16)
    lazy = Recorded(values)
    viewer_model.add_image(lazy, contrast_limits=(-500, 500), multiscale=False)
    settle(desk, panel)
    panel.choose_model("quick")
    corners = [(60, 52, 52), (60, 52, 64), (60, 64, 64), (60, 64, 52)]
    panel.choose_region_layer(viewer_model.add_shapes([corners], ndim=3))
    panel.set_slices(54, 65)
    settle(desk, panel)
    lazy.read.clear()
    panel.run()
    finish(desk, panel)
    assert panel.store.now.problem == ""
    assert sum(lazy.read) < lazy.size / 4
    assert max(lazy.read) < lazy.size / 8


def test_a_coarser_level_is_taken_where_the_model_sees_no_more(panel, desk, viewer_model, cards):
    spacing = dataclasses.replace(draft_card().input, spacing=(2.0, 2.0, 2.0))
    synthetic_card(cards, name="coarse", title="Coarse", input=spacing)
    fine = np.random.default_rng(0).normal(0, 300, (48, 48, 48)).astype(np.float32)
    viewer_model.add_image([fine, fine[::2, ::2, ::2], fine[::4, ::4, ::4]], multiscale=True, name="levels")
    settle(desk, panel)
    panel.choose_model("coarse")
    settle(desk, panel)
    assert "Resolution level 1 of 3 is used, 2 x 2 x 2 mm" in panel.store.now.note
    panel.run()
    finish(desk, panel)
    labels = viewer_model.layers["levels segmentation"]
    assert labels.data.shape == (24, 24, 24)
    image = viewer_model.layers["levels"]
    assert np.allclose(labels.data_to_world((23.5,) * 3), image.data_to_world((47.5,) * 3))


# --- region ---


def rectangle(layer, k, low, high):
    """Corners on slice k of a layer's first axis."""
    (r0, c0), (r1, c1) = low, high
    return np.array([(k, r0, c0), (k, r0, c1), (k, r1, c1), (k, r1, c0)], dtype=float)


def draw(panel, image, *corners):
    panel.draw_region()
    for one in corners:
        panel.store.now.region_layer.add_rectangles(one)


def test_a_drawn_region_gets_labels_and_nothing_else(panel, desk, viewer_model, ct):
    image = add(viewer_model, ct)
    settle(desk, panel)
    draw(panel, image, rectangle(image, 12, (5, 6), (20, 19)))
    desk.until(lambda: panel.store.now.region is not None, "the region")
    panel.set_slices(8, 15)
    settle(desk, panel)
    panel.run()
    finish(desk, panel)
    outside = viewer_model.layers["scan segmentation"].data.copy()
    outside[8:16, 5:21, 6:20] = 0
    assert not outside.any()
    assert viewer_model.layers["scan segmentation"].data[8:16, 5:21, 6:20].any()


def test_a_region_is_as_deep_as_it_is_wide_until_told_otherwise(panel, desk, viewer_model, ct):
    image = add(viewer_model, ct)
    settle(desk, panel)
    draw(panel, image, rectangle(image, 12, (4, 6), (15, 17)))
    desk.until(lambda: panel.store.now.region is not None, "the region")
    region = panel.store.now.region
    assert (region.axis, region.first, region.last) == (0, 8, 17)  # 12 voxels of 2.5 mm; slices of 3 mm
    panel.set_slices(20, 3)
    assert (panel.store.now.region.first, panel.store.now.region.last) == (3, 20)


def test_the_rectangle_follows_the_slider_within_the_region(panel, desk, viewer_model, ct):
    image = add(viewer_model, ct)
    settle(desk, panel)
    draw(panel, image, rectangle(image, 12, (4, 6), (15, 17)))
    desk.until(lambda: panel.store.now.region is not None, "the region")
    box = panel.store.now.region_layer
    for wanted, seen in ((10, 10), (17, 17), (25, 17)):
        where = layers.world_of_index(
            image, layers.index_of_world(image, image.data_to_world((wanted, 9, 9)))
        )
        viewer_model.dims.set_point(0, where[0])
        panel._region.follow_dims()
        assert box.data[0][0, 0] in (seen, seen - 1, seen + 1)
    assert (panel.store.now.region.first, panel.store.now.region.last) == (8, 17)


def test_a_region_outside_the_image_is_said(panel, desk, viewer_model, ct):
    image = add(viewer_model, ct)
    settle(desk, panel)
    draw(panel, image, rectangle(image, 12, (400, 400), (500, 500)))
    desk.until(lambda: panel.store.now.region_problem, "the problem")
    assert panel.store.now.why_not_run == "The region lies outside the image; draw it on the image."


def test_clearing_empties_the_layer_and_drawing_takes_it_again(panel, desk, viewer_model, ct):
    image = add(viewer_model, ct)
    settle(desk, panel)
    draw(panel, image, rectangle(image, 12, (4, 6), (15, 17)))
    desk.until(lambda: panel.store.now.region is not None, "the region")
    layer = panel.store.now.region_layer
    panel.clear_region()
    assert panel.store.now.region is None
    assert panel.store.now.region_layer is None
    assert len(layer.data) == 0
    assert not layer.visible
    assert viewer_model.layers.selection.active is image
    panel.draw_region()
    assert panel.store.now.region_layer is layer
    assert layer.visible
    assert len(viewer_model.layers) == 2


def test_a_region_deleted_in_the_layer_list_is_none(panel, desk, viewer_model, ct):
    image = add(viewer_model, ct)
    settle(desk, panel)
    draw(panel, image, rectangle(image, 12, (4, 6), (15, 17)))
    desk.until(lambda: panel.store.now.region is not None, "the region")
    viewer_model.layers.remove(panel.store.now.region_layer)
    assert panel.store.now.region is None
    settle(desk, panel)
    assert panel.store.now.why_not_run == ""


def test_a_region_makes_a_model_fit_that_takes_a_small_part(panel, desk, viewer_model, cards, ct):
    part = zoo.FieldOfView((20.0, 20.0, 20.0), (45.0, 45.0, 45.0), "region")
    synthetic_card(cards, name="part", title="A small part", field_of_view=part)
    image = add(viewer_model, ct)
    settle(desk, panel)
    assert "region" in {option.card.name: option.reason for option in panel.store.now.options}["part"]
    draw(panel, image, rectangle(image, 14, (10, 10), (24, 23)))
    desk.until(lambda: panel.store.now.region is not None, "the region")
    settle(desk, panel)
    assert {option.card.name: option.reason for option in panel.store.now.options}["part"] == ""
    panel.choose_model("part")
    settle(desk, panel)
    assert panel.store.now.why_not_run == ""


def test_a_region_is_never_deeper_by_itself_than_the_model_takes(panel, desk, viewer_model, cards, ct):
    part = zoo.FieldOfView((10.0, 10.0, 10.0), (90.0, 90.0, 30.0), "region")
    synthetic_card(cards, name="part", title="A small part", field_of_view=part)
    image = add(viewer_model, ct)
    settle(desk, panel)
    draw(panel, image, rectangle(image, 14, (5, 5), (28, 25)))
    desk.until(lambda: panel.store.now.region is not None, "the region")
    settle(desk, panel)
    panel.choose_model("part")
    settle(desk, panel)
    assert panel.store.now.region.size_mm(layers.placement_of(image))[0] <= 30


def test_shapes_of_the_user_serve_as_a_region(panel, desk, viewer_model, ct):
    image = add(viewer_model, ct)
    settle(desk, panel)
    corners = [image.data_to_world(corner) for corner in rectangle(image, 12, (4, 6), (15, 17))]
    shapes = viewer_model.add_shapes([corners], ndim=3)
    panel.choose_region_layer(shapes)
    region = panel.store.now.region
    assert region.axis == 0
    panel.clear_region()
    assert shapes in viewer_model.layers


@pytest.mark.parametrize("axcodes", ["RAS", "PSR", "IRA", "LAI"])
def test_the_same_drawing_gets_the_same_labels_in_every_storage(panel, desk, viewer_model, axcodes):
    from napari_effseg.volume import reorient

    values = np.random.default_rng(1).normal(0, 300, (24, 28, 20)).astype(np.int16)
    stored = reorient(Volume(values, affine_of("RAS", 9), modality="CT"), axcodes)
    image = add(viewer_model, stored)
    settle(desk, panel)
    draw(panel, image, rectangle(image, 9, (6, 5), (17, 18)))
    desk.until(lambda: panel.store.now.region is not None, "the region")
    settle(desk, panel)
    panel.run()
    finish(desk, panel)
    boxes = panel.store.now.region.stored_boxes(image)
    labels = layers.labels_of_layer(viewer_model.layers["scan segmentation"])
    (low, high), mask = boxes[0], np.ones(labels.shape, bool)
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = False
    assert not labels.data[mask].any()
    assert sorted(row.voxels for row in panel.table.now.rows)[-1] > 0


# --- unusual layers ---


def test_a_layer_of_five_axes_is_refused_in_words(panel, desk, viewer_model):
    viewer_model.add_image(np.zeros((2, 2, 8, 8, 8), np.float32))
    settle(desk, panel)
    assert all("has 5 axes" in option.reason for option in panel.store.now.options)


def test_an_image_without_a_place_is_refused_in_words(panel, desk, viewer_model):
    flat = Image(np.zeros((8, 8, 8), np.float32))
    viewer_model.add_layer(flat)
    flat.scale = (1, 1, 1e-30)
    settle(desk, panel)
    assert panel.store.now.why_not_run
    assert panel.store.now.problem == ""
