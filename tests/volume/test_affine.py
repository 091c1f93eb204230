from __future__ import annotations

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_effseg.errors import AffineError, VolumeError
from napari_effseg.volume import (
    Grid,
    affine_axcodes,
    affine_spacing,
    as_affine,
    as_axcodes,
    lps_to_ras,
    ras_to_lps,
    reorient,
    same_grid,
    transform_points,
)

from .conftest import ALL_AXCODES

oblique_affines = arrays(np.float64, 9, elements=st.floats(-3, 3)).map(
    lambda entries: np.block([[entries.reshape(3, 3), np.ones((3, 1))], [np.zeros((1, 3)), np.ones((1, 1))]])
)


def _usable(matrix):
    i, j, k = matrix[:3, :3].T
    return abs(np.dot(i, np.cross(j, k))) > 0.05 and min(affine_spacing(matrix)) > 0.05


@given(oblique_affines.filter(_usable))
def test_lps_and_back_is_the_same_affine(matrix):
    np.testing.assert_array_equal(lps_to_ras(ras_to_lps(matrix)), matrix)


@given(oblique_affines.filter(_usable))
def test_points_go_to_world_and_back(matrix):
    points = np.array([[0.0, 0, 0], [1, 2, 3], [-4, 0.5, 7]])
    world = transform_points(matrix, points)
    np.testing.assert_allclose(transform_points(np.linalg.inv(matrix), world), points, atol=1e-7)


def test_lps_turns_the_first_two_world_axes_round(affine):
    np.testing.assert_array_equal(ras_to_lps(affine)[:2], -affine[:2])
    np.testing.assert_array_equal(ras_to_lps(affine)[2:], affine[2:])


@pytest.mark.parametrize("axcodes", ALL_AXCODES)
def test_axcodes_agree_with_nibabel_in_all_48_orders(volume, axcodes):
    turned = reorient(volume, axcodes)
    assert turned.axcodes == tuple(axcodes) == nibabel.aff2axcodes(turned.affine)


def test_axcodes_are_three_different_world_axes_at_45_degrees():
    half = np.sqrt(0.5)
    matrix = np.array([[half, half, 0, 0], [half, -half, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    assert {code in "LR" for code in affine_axcodes(matrix)} == {True, False}
    assert len({"LRPAIS".index(code) // 2 for code in affine_axcodes(matrix)}) == 3


def test_spacing_is_the_length_of_the_columns(affine):
    assert affine_spacing(affine) == pytest.approx((0.8, 1.3, 3.1))


@pytest.mark.parametrize(
    ("matrix", "word"),
    [
        (np.eye(3), "shape"),
        (np.full((4, 4), np.nan), "NaN"),
        (np.diag([1, 1, 0, 1]), "axis K"),
        (np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "plane"),
        (np.diag([1, 1, 1, 2]), "last row"),
        ("scanner", "numbers"),
    ],
)
def test_an_affine_without_an_inverse_is_refused_in_words(matrix, word):
    with pytest.raises(AffineError, match=word):
        as_affine(matrix)


def test_a_checked_affine_cannot_be_changed(affine):
    with pytest.raises(ValueError, match="read-only"):
        as_affine(affine)[0, 0] = 5


@pytest.mark.parametrize("codes", ["RAR", "RA", "XYZ", "RASL"])
def test_wrong_axcodes_are_refused(codes):
    with pytest.raises(VolumeError, match="axis codes"):
        as_axcodes(codes)


def test_grids_are_the_same_within_the_tolerance_only(affine):
    moved = affine.copy()
    moved[0, 3] += 0.9e-4
    further = affine.copy()
    further[0, 3] += 1.1e-4
    grid = Grid((4, 5, 6), affine)
    assert same_grid(grid, Grid((4, 5, 6), moved))
    assert not same_grid(grid, Grid((4, 5, 6), further))
    assert not same_grid(grid, Grid((4, 5, 7), affine))


def test_a_grid_knows_its_corners_and_voxel_volume(affine):
    grid = Grid((4, 5, 6), affine)
    assert grid.corners_ras.shape == (8, 3)
    np.testing.assert_allclose(grid.corners_ras[0], grid.origin)
    assert grid.voxel_mm3 == pytest.approx(0.8 * 1.3 * 3.1)


def test_a_grid_without_voxels_is_refused(affine):
    with pytest.raises(VolumeError, match="at least 1"):
        Grid((4, 0, 6), affine)
