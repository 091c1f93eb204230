from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import napari_effseg as eff
from napari_effseg.volume import Volume, crop, reorient, same_grid


def test_files_on_one_grid_become_channels(image, tmp_path):
    paths = [eff.save(image, tmp_path / "t1.nii.gz"), eff.save(image, tmp_path / "t2.nrrd")]
    case = eff.load(paths)
    assert case.channel_names == ("t1", "t2")
    assert case.warnings == ()
    np.testing.assert_array_equal(case.data, np.stack([image.data, image.data]))


def test_another_grid_is_resampled_to_the_first_and_said_so(image, tmp_path):
    first = eff.save(image, tmp_path / "t1.nii.gz")
    second = eff.save(reorient(image, "SLP"), tmp_path / "t2.nii.gz")
    case = eff.load([first, second])
    assert same_grid(case.grid, eff.load(first).grid)
    np.testing.assert_allclose(case.data[1], image.data, atol=1e-4)
    assert "t2.nii.gz lies on another grid: resampled to that of t1.nii.gz" in case.warnings


def test_a_smaller_field_of_view_is_filled_with_zeros(image, tmp_path):
    part = crop(image, ((0, 0, 0), (4, 9, 10)))
    case = eff.load([eff.save(image, tmp_path / "a.nii"), eff.save(part, tmp_path / "b.nii")])
    np.testing.assert_allclose(case.data[1, :3], image.data[:3], atol=1e-4)
    assert not case.data[1, 5:].any()


def test_files_of_different_places_are_refused(image, tmp_path):
    affine = image.affine.copy()
    affine[:3, 3] += 1000
    paths = [eff.save(image, tmp_path / "a.nii"), eff.save(Volume(image.data, affine), tmp_path / "b.nii")]
    with pytest.raises(eff.VolumeError, match=r"b\.nii: has no place in common"):
        eff.load(paths)


def test_the_type_is_wide_enough_for_all(image, tmp_path):
    small = Volume(np.zeros(image.shape, np.uint8), image.affine)
    wide = Volume(np.full(image.shape, 70_000, np.int32), image.affine)
    case = eff.load([eff.save(small, tmp_path / "a.nii"), eff.save(wide, tmp_path / "b.nii")])
    assert case.data.dtype == np.int32
    assert case.data.max() == 70_000


def test_warnings_name_their_file(tmp_path):
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / name)
    case = eff.load([tmp_path / "a.png", tmp_path / "b.png"])
    assert case.data.shape == (2, 5, 4, 1)
    assert [text.split(":")[0] for text in case.warnings] == ["a.png", "b.png"]


def test_one_file_in_a_list_is_that_file(image, tmp_path):
    case = eff.load([eff.save(image, tmp_path / "a.nii")])
    np.testing.assert_array_equal(case.data, image.data)


def test_the_channels_of_a_file_are_counted_through(image, tmp_path):
    both = Volume(np.stack([image.data, image.data]), image.affine)
    case = eff.load([eff.save(both, tmp_path / "a.nii.gz"), eff.save(image, tmp_path / "b.nii.gz")])
    assert case.channel_names == ("a_0", "a_1", "b")
