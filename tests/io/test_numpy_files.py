from __future__ import annotations

import numpy as np
import pytest

import napari_effseg as eff

from .conftest import oblique

VALUES = np.arange(60, dtype=np.float32).reshape(3, 4, 5)


def test_an_array_of_three_axes_is_a_volume(tmp_path):
    np.save(tmp_path / "a.npy", VALUES)
    volume = eff.load(tmp_path / "a.npy")
    np.testing.assert_array_equal(volume.data, VALUES)
    assert "neither voxel size nor orientation" in volume.warnings[0]


def test_an_array_of_two_axes_is_a_picture_with_rows_first(tmp_path):
    np.save(tmp_path / "a.npy", VALUES[0])
    volume = eff.load(tmp_path / "a.npy")
    np.testing.assert_array_equal(volume.data[..., 0], VALUES[0].T)
    np.testing.assert_array_equal(volume.affine, np.diag([-1, -1, 1, 1]))


def test_an_affine_beside_the_array_is_used(tmp_path):
    np.savez(tmp_path / "a.npz", data=VALUES, other=VALUES, affine=oblique())
    volume = eff.load(tmp_path / "a.npz")
    np.testing.assert_array_equal(volume.affine, oblique())
    assert volume.warnings == ()


def test_a_spacing_beside_the_array_is_used(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", imgs=VALUES, spacing=[1, 2, 3])
    assert eff.load(tmp_path / "a.npz").spacing == (1, 2, 3)


@pytest.mark.parametrize(
    "geometry", [{"affine": np.zeros((4, 4))}, {"spacing": [0, 1, 1]}, {"spacing": [1, 1]}]
)
def test_geometry_that_cannot_be_used_is_refused(tmp_path, geometry):
    np.savez(tmp_path / "a.npz", VALUES, **geometry)
    with pytest.raises(eff.AffineError, match=r"a\.npz"):
        eff.load(tmp_path / "a.npz")


def test_several_arrays_without_a_data_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", one=VALUES, two=VALUES)
    with pytest.raises(eff.ImageReadError, match="one, two"):
        eff.load(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "array", [np.zeros(5), np.zeros((1, 2, 3, 4, 5)), np.array(["a"]), np.zeros((0, 2, 2))]
)
def test_arrays_that_are_no_image_are_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(eff.ImageReadError, match=r"a\.npy"):
        eff.load(tmp_path / "a.npy")


def test_labels_are_read_with_their_table(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((2, 3, 4), np.uint8))
    (tmp_path / "a.tsv").write_text("index\tname\n1\tliver\n")
    assert eff.load_labels(tmp_path / "a.npy").names == {1: "liver"}
