"""The coarse copy that is registered: the same for every storage, whatever the voxels hold."""

import numpy as np
import pytest

from napari_effseg.engine.locate.coarse import coarse_copy
from napari_effseg.errors import Cancelled, VolumeError
from napari_effseg.volume import Grid, LazyView, Volume, reorient
from tests.engine.builders import OBLIQUE
from tests.engine.test_frame import AXCODES


def noise(shape=(21, 17, 12)):
    return np.random.default_rng(3).normal(100, 30, shape)


@pytest.mark.parametrize("axcodes", AXCODES)
def test_every_storage_has_the_same_copy(axcodes):
    volume = Volume(noise(), OBLIQUE)
    wanted = coarse_copy(volume.data, volume.grid)
    turned = reorient(volume, axcodes)
    found = coarse_copy(turned.data, turned.grid)
    np.testing.assert_allclose(found.values, wanted.values, atol=1e-6)
    np.testing.assert_allclose(found.grid.affine, wanted.grid.affine, atol=1e-9)


def test_cells_are_about_four_millimetres_and_lie_where_their_voxels_lie():
    grid = Grid((24, 24, 6), np.diag([1.0, 2.0, 5.0, 1.0]))
    copy = coarse_copy(np.zeros(grid.shape), grid)
    assert copy.grid.spacing == (4.0, 4.0, 5.0)
    assert copy.grid.shape == (6, 12, 6)
    assert copy.grid.origin == (1.5, 1.0, 0.0)


def test_a_cell_is_the_mean_of_its_voxels():
    values = noise((8, 8, 8))
    copy = coarse_copy(values, Grid(values.shape, np.diag([1.0, 1.0, 1.0, 1.0])))
    assert copy.highest == pytest.approx(values.reshape(2, 4, 2, 4, 2, 4).mean(axis=(1, 3, 5)).max())


def test_voxels_that_are_not_finite_are_left_out():
    values = np.full((8, 8, 8), 7.0)
    values[:4, :4, :4] = 9.0
    values[0, 0, :2] = np.nan, np.inf
    copy = coarse_copy(values, Grid(values.shape, np.eye(4)))
    assert (copy.lowest, copy.highest) == (7.0, 9.0)
    assert np.isfinite(copy.values).all()


def test_an_image_without_finite_voxels_is_refused():
    with pytest.raises(VolumeError, match="no finite voxel"):
        coarse_copy(np.full((8, 8, 8), np.nan), Grid((8, 8, 8), np.eye(4)))


def test_a_constant_image_has_a_copy():
    assert (coarse_copy(np.full((8, 8, 8), 5), Grid((8, 8, 8), np.eye(4))).values == 0).all()


def test_an_array_that_is_read_when_needed_gives_the_same_copy():
    values, grid = noise(), Grid((21, 17, 12), OBLIQUE)
    wanted = coarse_copy(values, grid)
    assert np.array_equal(coarse_copy(LazyView(values), grid).values, wanted.values)


def test_reading_can_be_stopped():
    def stop():
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        coarse_copy(noise(), Grid((21, 17, 12), OBLIQUE), stop)
