"""Volumes through layers and back: geometry to the last digit, views, names, colours."""

import numpy as np
import pytest

pytest.importorskip("napari", reason="needs the extra [napari]")

from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer

from napari_effseg.errors import VolumeError
from napari_effseg.viewer import layers
from napari_effseg.volume import LabelMap, Volume, transform_points

from .builders import ORIENTATIONS, affine_of, labels_like, volume_of

UPRIGHT = ["RAS", "LPS", "PSR", "AIL", "SRP", "ILA"]
PLACES = [*((axcodes, 20.0) for axcodes in ORIENTATIONS), *((axcodes, 0.0) for axcodes in UPRIGHT)]


def as_layer(triple):
    return Layer.create(*triple)


def image_of(volume, **keywords):
    (triple,) = layers.image_layers(volume, "scan", **keywords)
    return as_layer(triple)


@pytest.mark.parametrize(("axcodes", "tilt"), PLACES)
def test_a_volume_comes_back_from_its_layer_as_it_was_stored(axcodes, tilt):
    volume = volume_of(axcodes, tilt)
    back = layers.layer_to_volume(image_of(volume))
    assert np.array_equal(back.affine, volume.affine)
    assert np.array_equal(back.data, volume.data)
    assert np.shares_memory(back.data, volume.data)


@pytest.mark.parametrize(("axcodes", "tilt"), PLACES)
def test_every_voxel_lies_at_its_place_in_the_world_of_the_viewer(axcodes, tilt):
    volume = volume_of(axcodes, tilt)
    layer = image_of(volume)
    index = (4, 2, 3)
    world = layers.world_of_ras(transform_points(volume.affine, index))
    seen = layer.world_to_data(world)
    assert np.allclose(seen, np.round(seen), atol=1e-6)
    assert layer.data[tuple(np.round(seen).astype(int))] == volume.data[index]
    assert np.allclose(layers.index_of_world(layer, world), index)
    assert np.allclose(layers.world_of_index(layer, index), world)


@pytest.mark.parametrize("axcodes", UPRIGHT)
def test_layer_axes_run_to_superior_posterior_and_left(axcodes):
    layer = image_of(volume_of(axcodes))
    first, one = np.array(layer.data_to_world((0, 0, 0))), np.array(layer.data_to_world((1, 1, 1)))
    assert np.allclose(one - first, layer.scale)
    assert np.all(layer.scale > 0)


def test_an_upright_volume_needs_no_affine():
    layer = image_of(volume_of("PSR"))
    assert np.array_equal(layer.affine.affine_matrix, np.eye(4))
    assert not layers.is_oblique(layer)
    assert layers.is_oblique(image_of(volume_of("PSR", 20)))


def test_scale_is_the_voxel_size_of_an_oblique_volume_too():
    assert np.allclose(sorted(image_of(volume_of("PSR", 20)).scale), (1, 1.25, 3))


@pytest.mark.parametrize("axcodes", UPRIGHT)
def test_what_is_drawn_of_a_tilted_volume_is_found_under_the_cursor(axcodes):
    layer = image_of(volume_of(axcodes, 20))
    for displayed in [(1, 2), (0, 2), (0, 1)]:
        world = layers.world_of_index(layer, (4, 2, 3), displayed)
        assert np.allclose(layers.index_of_world(layer, world, displayed), (4, 2, 3))


def test_a_tilted_volume_is_drawn_where_napari_draws_it():
    viewer = ViewerModel()
    layer = viewer.add_layer(image_of(volume_of("LPS", 20)))
    world = layers.world_of_index(layer, (4, 2, 3), viewer.dims.displayed)
    viewer.dims.set_point(0, world[0])
    value = layer.get_value(world, view_direction=None, dims_displayed=[1, 2], world=True)
    assert value == volume_of("LPS", 20).data[4, 2, 3]


# --- layers of others ---


@pytest.mark.parametrize(
    "transform",
    [
        {},
        {"scale": (3, 0.5, 0.75), "translate": (-4, 2, 9)},
        {"scale": (3, 0.5, 0.75), "rotate": (10, 20, 30)},
        {"shear": (0.1, 0, 0.2), "scale": (2, 1, 1)},
        {"affine": affine_of("SPL", 30), "translate": (1, 2, 3)},
        {"scale": (3000, 500, 750), "units": ("um", "um", "um")},
    ],
)
@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
def test_the_transform_of_a_foreign_layer_is_taken_whole(transform):
    layer = Image(np.arange(60.0).reshape(3, 4, 5), **transform)
    volume = layers.layer_to_volume(layer)
    k, j, i = 2, 1, 3
    mm = 1e-3 if "units" in transform else 1.0
    world = np.array(layer.data_to_world((k, j, i))) * mm
    assert np.allclose(layers.world_of_ras(transform_points(volume.affine, (i, j, k))), world)
    assert volume.data[i, j, k] == layer.data[k, j, i]
    assert np.shares_memory(volume.data, layer.data)


def test_a_layer_that_somebody_moved_is_taken_where_it_is_now():
    volume = volume_of("PSR")
    layer = image_of(volume)
    layer.translate = np.add(layer.translate, (5, 0, 0))
    back = layers.layer_to_volume(layer)
    assert np.array_equal(back.data, volume.data)
    assert np.allclose(back.affine[:3, 3] - volume.affine[:3, 3], (0, 0, 5))


def test_a_cut_copy_of_our_layer_is_placed_by_its_own_transform():
    volume = volume_of("PSR")
    layer = image_of(volume)
    part = Image(layer.data[1:, :, 2:], scale=layer.scale, metadata=layer.metadata)
    part.translate = layer.data_to_world((1, 0, 2))
    found = layers.layer_to_volume(part)
    whole = layers.layer_to_volume(layer)
    index = np.argwhere(whole.data == found.data[1, 2, 1])[0]
    assert np.allclose(transform_points(found.affine, (1, 2, 1)), transform_points(whole.affine, index))


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
def test_time_turned_into_space_is_refused():
    turned = np.eye(5)
    turned[0, 1], turned[1, 0] = 0.5, -0.5
    with pytest.raises(VolumeError, match="first axis into space"):
        layers.layer_to_volume(Image(np.zeros((2, 3, 4, 5)), affine=turned))


def test_five_axes_are_refused_in_words():
    with pytest.raises(VolumeError, match="has 5 axes; expected at most 4"):
        layers.layer_to_volume(Image(np.zeros((2, 2, 3, 4, 5))))


# --- pictures, colours, channels, time ---


def test_a_picture_is_a_layer_of_two_dimensions():
    data = np.arange(12, dtype=np.uint8).reshape(4, 3, 1)
    layer = image_of(Volume(data, np.diag([-0.5, -0.7, 1, 1])))
    assert layer.ndim == 2
    assert np.array_equal(layer.data, data[:, :, 0].T)
    back = layers.layer_to_volume(layer)
    assert np.array_equal(back.data, data)
    assert np.array_equal(back.affine, np.diag([-0.5, -0.7, 1, 1]))


def test_a_slice_that_has_its_place_in_a_patient_keeps_three_dimensions():
    assert image_of(volume_of("LPS", shape=(6, 7, 1))).ndim == 3


@pytest.mark.parametrize("shape", [(3, 4, 5, 1), (3, 4, 5, 6)])
def test_colours_of_eight_bits_are_one_layer(shape):
    data = np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)
    volume = Volume(data, np.diag([-1, -1, 1, 1]))
    layer = image_of(volume)
    assert layer.rgb
    assert np.array_equal(layers.layer_to_volume(layer).data, data)


def test_alpha_of_a_foreign_layer_is_left_out():
    assert layers.layer_to_volume(Image(np.zeros((4, 5, 4), np.uint8), rgb=True)).data.shape == (3, 5, 4, 1)


def test_channels_are_a_layer_each_named_by_role():
    volume = Volume(np.zeros((2, 4, 5, 6)), affine_of("LPS", 10), channel_names=("t1", "flair"))
    found = [as_layer(triple) for triple in layers.image_layers(volume, "case")]
    assert [layer.name for layer in found] == ["case t1", "case flair"]
    assert [layer.visible for layer in found] == [True, False]
    assert [layers.source_of(layer).channel for layer in found] == ["t1", "flair"]


def test_time_points_are_one_layer_with_a_slider():
    data = np.arange(2 * 4 * 5 * 6).reshape(2, 4, 5, 6)
    layer = image_of(Volume(data, affine_of("LPS", 10)), lead="time")
    assert layer.ndim == 4
    assert layers.frames_of(layer) == 2
    back = layers.layer_to_volume(layer, frame=1)
    assert np.array_equal(back.data, data[1])
    assert np.array_equal(back.affine, affine_of("LPS", 10))


def test_the_first_axis_of_a_foreign_layer_can_be_taken_as_channels():
    volume = layers.layer_to_volume(Image(np.zeros((2, 3, 4, 5))), channels=True)
    assert volume.data.shape == (2, 5, 4, 3)


def test_the_window_of_the_header_sets_the_contrast():
    from napari_effseg.volume import WINDOWS

    bone = WINDOWS["bone"]
    (triple,) = layers.image_layers(volume_of(window=(bone.level, bone.width)), "ct")
    assert triple[1]["contrast_limits"] == (-500, 1300)


def test_a_constant_or_empty_looking_image_still_makes_a_layer():
    for value in (0.0, np.nan):
        image_of(Volume(np.full((3, 4, 5), value), np.eye(4)))


# --- labels ---


@pytest.mark.parametrize(("axcodes", "tilt"), PLACES)
def test_labels_come_back_with_names_colours_and_codes(axcodes, tilt):
    labels = labels_like(volume_of(axcodes, tilt))
    back = layers.labels_of_layer(as_layer(layers.labels_layer(labels)))
    assert np.array_equal(back.data, labels.data)
    assert np.array_equal(back.affine, labels.affine)
    assert (back.names, back.colours, back.codes) == (labels.names, labels.colours, labels.codes)


@pytest.mark.parametrize("axcodes", ORIENTATIONS)
def test_a_result_lies_exactly_on_its_image(axcodes):
    volume = volume_of(axcodes, 20)
    image = image_of(volume)
    labels = labels_like(volume)
    layer = as_layer(layers.labels_layer(labels, image))
    corner = np.array(image.data.shape) - 1
    assert layer.data_to_world(corner) == image.data_to_world(corner)
    assert layer.data_to_world((0, 0, 0)) == image.data_to_world((0, 0, 0))
    assert np.array_equal(layers.labels_of_layer(layer).data, labels.data)
    doubt = as_layer(layers.doubt_layer(np.zeros(volume.shape, np.float32), image))
    assert not doubt.visible
    assert doubt.data_to_world(corner) == image.data_to_world(corner)


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
def test_a_result_lies_exactly_on_a_foreign_image():
    image = Image(np.zeros((3, 4, 5)), scale=(3, 1, 2), rotate=(5, 10, 15), shear=(0.1, 0, 0))
    volume = layers.layer_to_volume(image)
    labels = LabelMap(np.arange(60).reshape(5, 4, 3), volume.affine)
    layer = as_layer(layers.labels_layer(labels, image))
    assert layer.data_to_world((2, 3, 4)) == image.data_to_world((2, 3, 4))
    assert np.array_equal(layers.labels_of_layer(layer).data, labels.data)


def test_labels_of_a_time_point_lie_at_that_time():
    data = np.zeros((3, 4, 5, 6))
    image = image_of(Volume(data, affine_of("LPS", 10)), lead="time")
    volume = layers.layer_to_volume(image, frame=2)
    layer = as_layer(layers.labels_layer(labels_like(volume), image, frame=2))
    assert layer.data.shape[0] == 1
    assert layer.data_to_world((0, 1, 2, 3)) == pytest.approx(image.data_to_world((2, 1, 2, 3)))
    assert np.array_equal(layers.labels_of_layer(layer).data, labels_like(volume).data)


def test_labels_of_a_coarser_level_cover_the_same_extent():
    fine = np.zeros((8, 12, 16))
    image = Image([fine, fine[::2, ::2, ::2]], multiscale=True, scale=(1, 2, 3))
    volume = layers.layer_to_volume(image, level=1)
    assert np.allclose(volume.spacing, (6, 4, 2))
    layer = as_layer(layers.labels_layer(LabelMap(np.zeros((8, 6, 4), int), volume.affine), image, level=1))
    assert np.allclose(layer.data_to_world((-0.5,) * 3), image.data_to_world((-0.5,) * 3))
    assert np.allclose(layer.data_to_world((3.5, 5.5, 7.5)), image.data_to_world((7.5, 11.5, 15.5)))


def test_the_status_bar_names_the_label():
    viewer = ViewerModel()
    layer = viewer.add_layer(as_layer(layers.labels_layer(labels_like(volume_of("LPS")))))
    where = layer.data_to_world(tuple(np.argwhere(layer.data == 1)[0]))
    viewer.dims.set_point(0, where[0])
    status = layer.get_status(where, dims_displayed=[1, 2], world=True)
    assert "left thing" in status["coordinates"]


def test_background_is_clear_and_a_label_without_colour_is_seen():
    layer = as_layer(layers.labels_layer(labels_like(volume_of())))
    assert layer.colormap.map(0)[3] == 0
    assert layer.colormap.map(77)[3] == 1


def test_labels_drawn_by_hand_keep_the_colours_they_are_shown_in():
    layer = Labels(np.arange(24).reshape(2, 3, 4) % 3)
    found = layers.labels_of_layer(layer)
    assert set(found.colours) == {1, 2}
    assert found.colours[1] == tuple(round(float(part) * 255) for part in layer.get_color(1)[:3])


def test_negative_labels_are_refused_in_words():
    with pytest.raises(VolumeError, match="has negative labels"):
        layers.labels_of_layer(Labels(np.full((2, 3, 4), -1)))


def test_what_is_painted_is_in_the_label_map():
    labels = labels_like(volume_of("PSR"))
    layer = as_layer(layers.labels_layer(labels))
    layer.paint((2, 3, 1), 5)
    assert 5 in layers.labels_of_layer(layer).counts()
