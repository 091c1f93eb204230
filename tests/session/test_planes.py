"""Slices look alike in every storage order, and masks come back to where they were."""

import itertools

import numpy as np
import pytest
import torch

from napari_effseg import Volume
from napari_effseg.engine.session.planes import Plane
from napari_effseg.volume import Grid, Reorientation

AXCODES = [
    "".join(letters)
    for order in itertools.permutations(("RL", "AP", "SI"))
    for letters in itertools.product(*order)
]
SPACING = (1.0, 1.5, 2.5)


def stored(axcodes, seed=0):
    """The same anatomy, stored in another order."""
    data = np.random.default_rng(seed).random((6, 8, 5)).astype(np.float32)
    affine = np.diag([*SPACING, 1.0])
    turn = Reorientation.between(affine, data.shape, axcodes)
    return Volume(turn.apply(data), turn.grid.affine), turn


def plane_of_letters(volume, letters):
    axis = next(a for a, code in enumerate(volume.axcodes) if code in letters)
    return Plane.across(volume.grid, axis), axis


@pytest.mark.parametrize("letters", ["RL", "AP", "SI"])
@pytest.mark.parametrize("axcodes", AXCODES)
def test_a_plane_looks_alike_in_all_storage_orders(axcodes, letters):
    usual, _ = stored("RAS")
    other, _ = stored(axcodes)
    plane, axis = plane_of_letters(usual, letters)
    theirs, there = plane_of_letters(other, letters)
    side = usual.shape[axis]
    index = side - 2 if usual.axcodes[axis] != other.axcodes[there] else 1
    assert theirs.pixels == plane.pixels
    torch.testing.assert_close(theirs.image(other.data, index), plane.image(usual.data, 1))


@pytest.mark.parametrize("axcodes", AXCODES)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_voxel_is_shown_at_its_place(axcodes, axis):
    volume, _ = stored(axcodes)
    plane = Plane.across(volume.grid, axis)
    point = tuple(side // 2 for side in volume.shape)
    data = np.zeros(volume.shape, np.float32)
    data[point] = 1
    shown = plane.image(data, point[axis])[0]
    row, column = plane.places([point])[0]
    weights = shown / shown.sum()
    rows = (weights.sum(1) * torch.arange(plane.pixels[0])).sum()
    columns = (weights.sum(0) * torch.arange(plane.pixels[1])).sum()
    assert float(rows) == pytest.approx(row, abs=0.3)
    assert float(columns) == pytest.approx(column, abs=0.3)


@pytest.mark.parametrize("axcodes", AXCODES)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_mask_comes_back_as_it_was(axcodes, axis):
    volume, _ = stored(axcodes)
    plane = Plane.across(volume.grid, axis)
    slice_shape = tuple(side for a, side in enumerate(volume.shape) if a != axis)
    mask = np.zeros(slice_shape, bool)
    mask[1:4, 1:3] = True
    back = plane.back(plane.mask(mask)[None])[0] > 0.5
    assert (back.numpy() == mask).mean() > 0.9  # to what resampling loses
    if plane.pixels == plane.voxels:
        assert (back.numpy() == mask).all()


def test_a_picture_is_taken_as_it_is():
    grid = Grid((7, 5, 1), np.diag([-0.5, -0.5, 1.0, 1.0]))
    plane = Plane.across(grid, 2)
    data = np.random.default_rng(0).random((3, 7, 5, 1)).astype(np.float32)
    assert (plane.axes, plane.flips) == ((0, 1), (False, False))
    torch.testing.assert_close(plane.image(data, 0), torch.from_numpy(data[..., 0]))


def test_long_voxels_become_square_pixels():
    grid = Grid((10, 10, 4), np.diag([1.0, 1.0, 5.0, 1.0]))
    assert Plane.across(grid, 0).pixels == (10, 20)
    assert Plane.across(grid, 2).pixels == (10, 10)
