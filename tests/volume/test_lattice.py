"""An array on the lattice of another grid keeps every voxel at its world position."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_effseg.volume import Grid, LabelMap, crop, pad, reorient, same_grid, transform_points
from napari_effseg.volume.lattice import nearest_turn, place_on_lattice
from tests.io.conftest import ALL_AXCODES, oblique

LATTICE = Grid((9, 11, 7), oblique())


def numbered() -> LabelMap:
    return LabelMap(np.arange(9 * 11 * 7).reshape(9, 11, 7), LATTICE.affine)


@pytest.mark.parametrize("axcodes", ALL_AXCODES)
def test_all_48_orders_come_back_to_the_lattice(axcodes):
    turned = reorient(numbered(), axcodes)
    placed = place_on_lattice(turned.grid, LATTICE)
    assert placed is not None
    assert placed.offset == (0, 0, 0)
    assert same_grid(placed.turn.grid, LATTICE)
    np.testing.assert_array_equal(placed.turn.apply(turned.data), numbered().data)


@pytest.mark.parametrize("axcodes", ["RAS", "PIL", "SAL"])
def test_a_crop_knows_its_box(axcodes):
    box = ((2, 3, 1), (6, 10, 5))
    placed = place_on_lattice(reorient(crop(numbered(), box), axcodes).grid, LATTICE)
    assert placed is not None
    assert placed.box == box


def test_a_padded_array_begins_before_the_lattice():
    placed = place_on_lattice(pad(numbered(), (1, 2, 3), (0, 0, 4)).grid, LATTICE)
    assert placed is not None
    assert placed.box == ((-1, -2, -3), (9, 11, 11))


@given(st.sampled_from(range(3)), st.sampled_from([0.5, 2.0, 1.01]))
def test_another_spacing_is_another_lattice(axis, factor):
    scale = np.ones(4)
    scale[axis] = factor
    assert place_on_lattice(Grid((5, 5, 5), LATTICE.affine @ np.diag(scale)), LATTICE) is None


@given(st.floats(2e-4, 0.3))
def test_a_shift_by_less_than_a_voxel_is_another_lattice(shift):
    affine = LATTICE.affine.copy()
    affine[0, 3] += shift
    assert place_on_lattice(Grid((5, 5, 5), affine), LATTICE) is None
    assert place_on_lattice(Grid((5, 5, 5), affine), LATTICE, tolerance_mm=0.31) is not None


@pytest.mark.parametrize("axcodes", ALL_AXCODES)
def test_the_nearest_turn_makes_axes_run_the_same_way(axcodes):
    other = Grid((5, 6, 7), oblique((1, 2, 3), (4, 5, 6), (33, 5)))
    turn = nearest_turn(reorient(LabelMap(np.zeros(other.shape, int), other.affine), axcodes).grid, LATTICE)
    assert (np.diag(LATTICE.direction.T @ turn.grid.direction) > 0.8).all()
    centre = transform_points(other.affine, (2, 2.5, 3))
    np.testing.assert_allclose(turn.grid.corners_ras.mean(axis=0), centre)
