from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_effseg.errors import VolumeError
from napari_effseg.volume import (
    Grid,
    LabelMap,
    Volume,
    grid_with_spacing,
    ras_to_lps,
    reorient,
    resample,
    resample_array,
    same_grid,
    transform_points,
)

from .conftest import ALL_AXCODES


def turned_grid(grid: Grid, degrees: float) -> Grid:
    """The grid, turned about the world's z axis around its own centre."""
    angle = np.deg2rad(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    centre = np.eye(4)
    centre[:3, 3] = grid.corners_ras.mean(axis=0)
    return Grid(grid.shape, centre @ turn @ np.linalg.inv(centre) @ grid.affine)


def ramp(grid: Grid) -> np.ndarray:
    """A value that grows linearly in the world: linear interpolation gives it exactly."""
    points = transform_points(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))
    return (points @ [1.0, -2.0, 0.5]).astype(np.float32)


def as_itk(array: np.ndarray, grid: Grid) -> sitk.Image:
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    lps = ras_to_lps(grid.affine)
    image.SetSpacing(grid.spacing)
    image.SetDirection((lps[:3, :3] / grid.spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image


def test_the_same_grid_gives_the_array_itself(volume):
    assert resample_array(volume.data, volume.grid, volume.grid) is volume.data
    assert resample(volume, volume.grid).data is volume.data


@pytest.mark.parametrize("axcodes", ALL_AXCODES)
def test_resampling_onto_a_reordered_grid_is_reordering(volume, labels, axcodes):
    for image in (volume, labels):
        wanted = reorient(image, axcodes)
        np.testing.assert_allclose(resample(image, wanted.grid).data, wanted.data, atol=1e-6)


@settings(max_examples=25)
@given(st.tuples(*[st.floats(0.4, 6)] * 3), st.floats(-1000, 1000), st.sampled_from([0, 30]))
def test_a_constant_stays_constant_everywhere(spacing, value, degrees):
    volume = Volume(np.full((9, 10, 7), value, np.float32), np.diag([1.0, 1.5, -2.0, 1]))
    target = turned_grid(grid_with_spacing(volume.grid, spacing), degrees)
    inside = resample_array(np.ones(volume.shape, bool), volume.grid, target, order=0)
    result = resample(volume, target)
    np.testing.assert_allclose(result.data[inside], np.float32(value), rtol=1e-5, atol=1e-4)
    assert not result.data[~inside].any()


@pytest.mark.parametrize("degrees", [0, 25])
def test_a_ramp_is_sampled_exactly_inside(affine, degrees):
    source = Grid((20, 18, 12), affine)
    target = turned_grid(Grid((12, 12, 9), affine @ np.diag([0.7, 0.6, 0.5, 1]) + _shift(affine, 5)), degrees)
    result = resample_array(ramp(source), source, target)
    np.testing.assert_allclose(result, ramp(target), atol=2e-3)


def _shift(affine, voxels):
    moved = np.zeros((4, 4))
    moved[:3, 3] = affine[:3, :3] @ ([voxels] * 3)
    return moved


@pytest.mark.parametrize("degrees", [0, 17])
@pytest.mark.parametrize("order", [0, 1])
def test_agrees_with_itk_where_no_smoothing_is_due(volume, labels, degrees, order):
    array = labels.data if order == 0 else volume.data
    target = turned_grid(grid_with_spacing(volume.grid, (0.7, 0.9, 2.0)), degrees)
    ours = resample_array(array, volume.grid, target, order=order)
    way = sitk.sitkLinear if order else sitk.sitkNearestNeighbor
    theirs = sitk.Resample(as_itk(array, volume.grid), as_itk(ours, target), sitk.Transform(), way, 0.0)
    different = np.abs(ours - sitk.GetArrayFromImage(theirs).T.astype(float)) > 1e-4
    assert different.mean() < 0.002  # voxels on the very edge of the field, where rounding decides


def test_the_fast_path_agrees_with_the_general_one(volume):
    aligned = grid_with_spacing(volume.grid, (1.7, 2.9, 3.5))
    almost = turned_grid(aligned, 0.05)  # oblique enough to leave the fast path
    fast, general = (resample_array(volume.data, volume.grid, g) for g in (aligned, almost))
    inner = (slice(1, -1),) * 3
    np.testing.assert_allclose(fast[inner], general[inner], atol=0.02)


def test_downsampling_smooths_a_checkerboard_away():
    board = (np.indices((24, 24, 24)).sum(axis=0) % 2).astype(np.float32)
    volume = Volume(board, np.eye(4))
    coarse = resample(volume, grid_with_spacing(volume.grid, 3.0))
    np.testing.assert_allclose(coarse.data[1:-1, 1:-1, 1:-1], 0.5, atol=0.03)


def test_labels_stay_labels(labels):
    result = resample(labels, turned_grid(grid_with_spacing(labels.grid, 1.1), 33))
    assert isinstance(result, LabelMap)
    assert result.data.dtype == labels.data.dtype
    assert set(np.unique(result.data)) <= {0, 1, 2}
    assert result.names == labels.names


def test_large_labels_survive_exactly(affine):
    data = np.full((4, 4, 4), 2**53 + 1, dtype=np.int64)
    labels = LabelMap(data, affine)
    for target in (grid_with_spacing(labels.grid, 0.7), turned_grid(labels.grid, 10)):
        assert set(np.unique(resample(labels, target).data)) <= {0, 2**53 + 1}


def test_labels_come_back_from_a_finer_grid(labels):
    fine = resample(labels, grid_with_spacing(labels.grid, np.array(labels.spacing) / 3))
    np.testing.assert_array_equal(resample(fine, labels.grid).data, labels.data)


@pytest.mark.parametrize("spacing", [0.5, 1.0, 1.7, (3, 2, 1), (50, 60, 70)])
def test_another_spacing_covers_the_same_field(affine, spacing):
    grid = Grid((11, 6, 5), affine)
    other = grid_with_spacing(grid, spacing)
    assert other.spacing == pytest.approx(tuple(np.broadcast_to(spacing, 3)))
    assert other.axcodes == grid.axcodes
    np.testing.assert_allclose(other.corners_ras.mean(axis=0), grid.corners_ras.mean(axis=0), atol=1e-9)
    extent, other_extent = (np.array(g.shape) * g.spacing for g in (grid, other))
    assert (other_extent > extent - 1e-3).all()
    assert (other_extent < extent + other.spacing).all()


def test_the_same_spacing_is_the_same_grid(affine):
    grid = Grid((11, 6, 5), affine)
    assert same_grid(grid_with_spacing(grid, (0.8, 1.3, 3.1)), grid)


def test_edges_coincide_where_the_field_is_a_whole_number_of_voxels():
    grid = Grid((10, 8, 6), np.diag([1.0, 1.0, 2.0, 1]))
    coarse = grid_with_spacing(grid, 2.0)
    assert coarse.shape == (5, 4, 6)
    assert coarse.origin == pytest.approx((0.5, 0.5, 0.0))


@pytest.mark.parametrize("spacing", [0, -1, np.nan, np.inf])
def test_a_spacing_that_is_no_size_is_refused(volume, spacing):
    with pytest.raises(VolumeError, match="above 0"):
        grid_with_spacing(volume.grid, spacing)


def test_channels_are_resampled_one_by_one(volume):
    both = np.stack([volume.data, 2 * volume.data])
    target = grid_with_spacing(volume.grid, 1.5)
    result = resample_array(both, volume.grid, target)
    np.testing.assert_allclose(result[1], 2 * result[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.float16, np.float64])
def test_linear_results_are_float32_of_any_type(affine, dtype):
    array = np.ones((6, 6, 6), dtype=dtype)
    grid = Grid((6, 6, 6), affine)
    for target in (grid_with_spacing(grid, 1.0), turned_grid(grid, 20)):
        assert resample_array(array, grid, target).dtype == np.float32


def test_outside_is_the_value_that_was_asked_for(volume):
    far = Grid((3, 3, 3), volume.affine + _shift(volume.affine, 100))
    assert (resample_array(volume.data, volume.grid, far, cval=-1024) == -1024).all()


@pytest.mark.parametrize("shape", [(1, 9, 10), (8, 1, 1), (1, 1, 1)])
def test_flat_volumes_are_sampled_too(affine, shape):
    volume = Volume(np.full(shape, 3, np.int16), affine)
    np.testing.assert_allclose(resample(volume, grid_with_spacing(volume.grid, 1.0)).data, 3, rtol=1e-6)


def test_unknown_orders_and_wrong_shapes_are_refused(volume):
    target = grid_with_spacing(volume.grid, 1.0)
    with pytest.raises(VolumeError, match="order 3"):
        resample_array(volume.data, volume.grid, target, order=3)
    with pytest.raises(VolumeError, match="grid of shape"):
        resample_array(volume.data[1:], volume.grid, target)


@pytest.mark.parametrize("order", ["C", "F"])
def test_memory_stays_near_the_size_of_the_result(order):
    array = np.zeros((200, 200, 160), dtype=np.int16, order=order)  # 12.8 MB, 51 MB as float64
    grid = Grid(array.shape, np.diag([0.7, 0.7, 1.0, 1]))
    resample_array(array[:4, :4, :4], Grid((4, 4, 4), grid.affine), grid_with_spacing(grid, 9.0))  # imports
    tracemalloc.start()
    result = resample_array(array, grid, grid_with_spacing(grid, 1.5))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < result.nbytes + 60e6  # a few slabs of four million voxels
