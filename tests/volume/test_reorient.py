from __future__ import annotations

import nibabel
import numpy as np
import pytest

from napari_effseg.errors import VolumeError
from napari_effseg.volume import Reorientation, Volume, crop, reorient, same_grid, transform_points

from .conftest import ALL_AXCODES


@pytest.mark.parametrize("axcodes", ALL_AXCODES)
def test_there_and_back_is_the_same(volume, axcodes):
    way = Reorientation.between(volume.affine, volume.shape, axcodes)
    np.testing.assert_array_equal(way.invert(way.apply(volume.data)), volume.data)
    back = reorient(reorient(volume, axcodes), volume.axcodes)
    assert same_grid(back.grid, volume.grid)
    np.testing.assert_array_equal(back.data, volume.data)


@pytest.mark.parametrize("axcodes", ALL_AXCODES)
def test_every_voxel_stays_at_its_world_position(volume, axcodes):
    turned = reorient(volume, axcodes)
    for value in (volume.data[0, 0, 0], volume.data[1, 2, 3], volume.data[7, 0, 9]):
        before = transform_points(volume.affine, np.argwhere(volume.data == value)[0])
        after = transform_points(turned.affine, np.argwhere(turned.data == value)[0])
        np.testing.assert_allclose(after, before, atol=1e-9)


@pytest.mark.parametrize("axcodes", ["RAS", "LPS", "PIR", "SRA"])
def test_agrees_with_nibabel(volume, axcodes):
    image = nibabel.Nifti1Image(volume.data, volume.affine)
    ours = nibabel.orientations.axcodes2ornt(axcodes)
    transform = nibabel.orientations.ornt_transform(nibabel.io_orientation(image.affine), ours)
    theirs = image.as_reoriented(transform)
    turned = reorient(volume, axcodes)
    np.testing.assert_array_equal(turned.data, theirs.get_fdata())
    np.testing.assert_allclose(turned.affine, theirs.affine, atol=1e-9)


def test_nothing_is_copied(volume):
    assert np.shares_memory(reorient(volume, "SPL").data, volume.data)


def test_leading_axes_stay(volume):
    way = Reorientation.between(volume.affine, volume.shape, "SLA")
    stack = np.stack([volume.data, -volume.data])
    assert way.apply(stack).shape == (2, *way.grid.shape)
    np.testing.assert_array_equal(way.invert(way.apply(stack)), stack)


@pytest.mark.parametrize("axcodes", ALL_AXCODES)
def test_a_box_holds_the_same_voxels_in_the_new_order(volume, axcodes):
    box = ((1, 2, 3), (4, 7, 9))
    way = Reorientation.between(volume.affine, volume.shape, axcodes)
    inside = crop(reorient(volume, axcodes), way.apply_box(box))
    np.testing.assert_array_equal(reorient(inside, volume.axcodes).data, crop(volume, box).data)


def test_the_same_codes_change_nothing(volume):
    way = Reorientation.between(volume.affine, volume.shape, volume.axcodes)
    assert way.is_identity
    assert not Reorientation.between(volume.affine, volume.shape, "LAS").is_identity


def test_an_array_of_another_shape_is_refused(volume):
    way = Reorientation.between(volume.affine, volume.shape, "SRA")
    with pytest.raises(VolumeError, match="expected its last three axes"):
        way.apply(np.zeros((2, 3, 4)))


def test_names_and_warnings_travel_along(affine):
    volume = Volume(np.zeros((1, 2, 3, 4)), affine, channel_names=("t1",), modality="MR", warnings=("odd",))
    turned = reorient(volume, "SPL")
    assert (turned.channel_names, turned.modality, turned.warnings) == (("t1",), "MR", ("odd",))
