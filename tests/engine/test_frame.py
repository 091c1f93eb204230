import dataclasses
import itertools

import numpy as np
import pytest

from napari_effseg import zoo
from napari_effseg.engine.frame import Frame, slice_axis
from napari_effseg.errors import VolumeError
from napari_effseg.volume import Grid, Reorientation, box_shape

from .builders import OBLIQUE, card_for

GRID = Grid((40, 50, 30), OBLIQUE)
AXCODES = [
    "".join(pair[flip] for pair, flip in zip(order, flips, strict=True))
    for order in itertools.permutations(("RL", "AP", "SI"))
    for flips in itertools.product((0, 1), repeat=3)
]


def turned(grid, axcodes):
    return Reorientation.between(grid.affine, grid.shape, axcodes).grid


@pytest.mark.parametrize("axcodes", AXCODES)
def test_every_stored_order_of_axes_gives_the_network_the_same_grid(axcodes):
    frame = Frame.of(turned(GRID, axcodes), card_for(spacing=(1.3, 1.0, 3.0)))
    wanted = Frame.of(GRID, card_for(spacing=(1.3, 1.0, 3.0)))
    assert frame.network.shape == wanted.network.shape
    np.testing.assert_allclose(frame.network.affine, wanted.network.affine, atol=1e-9)


def test_the_network_gets_the_spacing_of_its_card():
    frame = Frame.of(GRID, card_for(spacing=(1.3, 1.0, 3.0)))
    np.testing.assert_allclose(frame.network.spacing, (1.3, 1.0, 3.0))
    assert frame.is_resampled


def test_a_spacing_within_one_percent_is_not_resampled():
    frame = Frame.of(GRID, card_for(spacing=tuple(size * 1.005 for size in GRID.spacing)))
    assert not frame.is_resampled


def test_only_axes_that_differ_are_resampled():
    i, j, k = GRID.spacing
    frame = Frame.of(GRID, card_for(spacing=(i, j, k / 2)))
    assert frame.network.shape == (40, 50, 60)


def test_a_region_is_widened_by_half_a_window():
    frame = Frame.of(GRID, card_for(), ((10, 20, 10), (20, 30, 20)))
    assert frame.labelled == ((10, 20, 10), (20, 30, 20))
    assert frame.seen == ((4, 16, 2), (26, 34, 28))


def test_a_region_is_widened_only_as_far_as_the_image():
    assert Frame.of(GRID, card_for(), ((0, 0, 20), (40, 50, 30))).seen == ((0, 0, 12), (40, 50, 30))


def test_a_region_is_widened_only_to_the_largest_field_of_view():
    view = zoo.FieldOfView((0.0, 0.0, 0.0), (12.0, 100.0, 20.0), "region")
    box = ((10, 20, 10), (20, 30, 20))
    frame = Frame.of(GRID, card_for(field_of_view=view), box)
    sizes = np.multiply(box_shape(frame.seen), GRID.spacing)
    assert (sizes <= (12.0, 100.0, 21.0)).all()
    assert frame.seen[0][1] == 16
    assert frame.seen[0][2] == 10


def test_a_region_of_a_flipped_image_is_the_same_place():
    box = ((10, 20, 10), (20, 30, 20))
    way = Reorientation.between(GRID.affine, GRID.shape, "SLP")
    frame = Frame.of(way.grid, card_for(), way.apply_box(box))
    assert frame.seen == Frame.of(GRID, card_for(), box).seen


@pytest.mark.parametrize("shape", [(1, 30, 30), (30, 30, 1)])
def test_one_slice_for_a_volume_model_is_refused(shape):
    with pytest.raises(VolumeError, match="one slice"):
        Frame.of(Grid(shape, OBLIQUE), card_for())


@pytest.mark.parametrize(("plane", "first"), [("axial", "S"), ("coronal", "P"), ("sagittal", "L")])
def test_slices_of_a_plane_come_first(plane, first):
    card = card_for(2, plane=plane)  # its orientation is LPS
    frame = Frame.of(turned(GRID, "ARS"), card)
    assert frame.turn.grid.axcodes == (first, *(code for code in "LPS" if code != first))


def test_pictures_are_never_flipped():
    picture = Grid((30, 20, 1), np.diag([-1.0, -1.0, 1.0, 1.0]))
    frame = Frame.of(picture, card_for(2, plane=None))
    assert frame.turn.order == (2, 0, 1)
    assert not any(frame.turn.flips)


def test_a_picture_model_takes_a_volume_across_its_last_axis():
    assert slice_axis(GRID, card_for(2, plane=None)) == 2


def test_a_single_slice_is_taken_as_it_is():
    sagittal = Grid((1, 30, 20), OBLIQUE)
    card = card_for(2)
    assert slice_axis(sagittal, card) == 0
    assert not any(Frame.of(sagittal, card).turn.flips)


def test_slices_are_resampled_in_their_plane_only():
    frame = Frame.of(GRID, card_for(2, spacing=(2.0, 2.0)))
    assert frame.network.shape[0] == GRID.shape[2]
    np.testing.assert_allclose(frame.network.spacing[1:], (2.0, 2.0))


def test_a_region_gains_no_slices():
    frame = Frame.of(GRID, card_for(2), ((10, 20, 10), (20, 30, 20)))
    assert box_shape(frame.seen) == (10, 10 + 12, 10 + 8)


def test_two_dimensional_cards_keep_their_window_in_the_plane():
    card = dataclasses.replace(card_for(2, plane="coronal"))
    assert Frame.of(GRID, card).network.shape == (50, 40, 30)
