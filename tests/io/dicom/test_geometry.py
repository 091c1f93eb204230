"""Where the voxels of a series lie: sorted along the normal, whatever the files are called."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset

import napari_effseg as eff
from napari_effseg.io import load_grid
from napari_effseg.volume import lps_to_ras, reorient, same_grid

from ..conftest import ALL_AXCODES, oblique
from .synthetic import assert_same_place, decimals, image, numbered, place, slices, write


def _with_itk(folder):
    """Voxels and affine as SimpleITK's series reader has them."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    found = reader.Execute()
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(found.GetDirection(), (3, 3)) * found.GetSpacing()
    lps[:3, 3] = found.GetOrigin()
    return sitk.GetArrayFromImage(found).T, lps_to_ras(lps)


@pytest.mark.parametrize("axcodes", ALL_AXCODES)
def test_every_orientation_lies_where_it_was_taken(tmp_path, axcodes):
    stored = reorient(eff.Volume(numbered(), oblique()), axcodes)
    folder = write(tmp_path / "scan", slices(stored.data, stored.affine))
    volume = eff.load(folder)
    assert_same_place(volume, stored.data, stored.affine)
    assert volume.warnings == ()
    assert (volume.data.dtype, volume.modality) == (np.int16, "MR")


@pytest.mark.parametrize("axcodes", ["LPS", "PIR", "RSA", "ASL"])
def test_itk_sees_the_same_volume(tmp_path, axcodes):
    stored = reorient(eff.Volume(numbered(), oblique()), axcodes)
    folder = write(tmp_path / "scan", slices(stored.data, stored.affine))
    volume = eff.load(folder)
    voxels, affine = _with_itk(folder)
    np.testing.assert_array_equal(volume.data, voxels)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-4)


def test_columns_come_first_then_rows_then_slices_along_the_normal(tmp_path):
    data, affine = numbered(), np.diag([-0.5, -2.0, 3.0, 1.0])
    volume = eff.load(write(tmp_path / "scan", slices(data, affine)))
    np.testing.assert_array_equal(volume.data, data)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-9)
    assert volume.data.strides[0] == data.itemsize


def test_names_and_numbers_of_the_files_do_not_matter(tmp_path):
    data, affine = numbered(), oblique()
    shuffled = [slices(data, affine, AcquisitionNumber=k)[k] for k in (3, 0, 5, 1, 4, 2)]
    for number, dataset in enumerate(shuffled):
        dataset.InstanceNumber = 100 - number
    folder = write(tmp_path / "scan", shuffled, names=["z", "b.dcm", "c.IMA", "d", "10", "9.dcm"])
    assert_same_place(eff.load(folder), data, affine)


def test_the_grid_alone_is_that_of_the_volume(tmp_path):
    folder = write(tmp_path / "scan", slices(numbered(), oblique()))
    assert same_grid(load_grid(folder), eff.load(folder).grid)


def test_the_grid_needs_no_pixels_that_can_be_decoded(tmp_path):
    folder = write(tmp_path / "scan", slices(numbered(), oblique()))
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:-70] + bytes(70))
    assert load_grid(folder).shape == (5, 7, 6)


def test_one_slice_is_as_thick_as_its_header_says(tmp_path):
    dataset = place(image(numbered((4, 5))), oblique(spacing=(0.8, 1.3, 3.1)), 0)
    volume = eff.load(write(tmp_path / "scan", [dataset]) / "IM0000.dcm")
    np.testing.assert_allclose(volume.spacing, (0.8, 1.3, 3.1), atol=1e-6)
    assert volume.warnings == ()


def test_a_slice_of_unknown_thickness_is_a_millimetre_thick_and_says_so(tmp_path):
    dataset = place(image(numbered((4, 5))), oblique(), 0)
    del dataset.SliceThickness
    volume = eff.load(write(tmp_path / "scan", [dataset]))
    assert volume.spacing[2] == pytest.approx(1)
    assert "slice thickness is not known" in volume.warnings[0]


# --- stacks that are not regular ---


def test_a_missing_slice_keeps_its_place(tmp_path):
    data, affine = numbered((5, 7, 9)) + 40, oblique()
    kept = [dataset for k, dataset in enumerate(slices(data, affine)) if k != 4]
    volume = eff.load(write(tmp_path / "scan", kept))
    data[:, :, 4] = data[:, :, [0, 1, 2, 3, 5, 6, 7, 8]].min()
    assert_same_place(volume, data, affine)
    assert "1 slice is missing (k = 4)" in volume.warnings[0]


def test_several_missing_slices_are_counted(tmp_path):
    data, affine = numbered((5, 7, 20)), np.diag([-1, -1, 2.5, 1.0])
    kept = [dataset for k, dataset in enumerate(slices(data, affine)) if k not in (4, 5, 12)]
    volume = eff.load(write(tmp_path / "scan", kept))
    assert volume.shape == (5, 7, 20)
    assert "3 slices are missing (k = 4, 5, 12)" in volume.warnings[0]


def test_a_change_of_spacing_is_no_missing_slice(tmp_path):
    data, affine = numbered((4, 5, 9)), np.diag([-1, -1, 1, 1.0])
    heights = [0, 2.5, 5, 7.5, 10, 15, 20, 25, 30]
    datasets = slices(data, affine)
    for dataset, height in zip(datasets, heights, strict=True):
        dataset.ImagePositionPatient = decimals((0, 0, height))
    volume = eff.load(write(tmp_path / "scan", datasets))
    assert volume.shape == (4, 5, 9)
    assert volume.spacing[2] == pytest.approx(30 / 8)
    assert "changes from 2.5 to 5 mm" in volume.warnings[0]
    assert "up to 5.0 mm" in volume.warnings[0]


def test_rounded_positions_are_regular(tmp_path):
    datasets = slices(numbered(), oblique())
    for dataset in datasets:
        dataset.ImagePositionPatient = [f"{float(part):.3f}" for part in dataset.ImagePositionPatient]
    assert eff.load(write(tmp_path / "scan", datasets)).warnings == ()


def test_a_tilted_gantry_shears_the_affine_and_is_named(tmp_path):
    data, affine = numbered(), oblique(degrees=(0, 18.5))
    affine[:3, 2] = (0, 0, 4.2)  # the table moves along the patient, the slices are tilted
    volume = eff.load(write(tmp_path / "scan", slices(data, affine)))
    assert_same_place(volume, data, affine)
    assert len(volume.warnings) == 1
    assert "slant of 18.5 degrees" in volume.warnings[0]


def test_slices_shifted_sideways_are_named(tmp_path):
    datasets = slices(numbered(), np.diag([-1, -1, 3, 1.0]))
    datasets[3].ImagePositionPatient = decimals((1.5, 0, 9))
    (warning,) = eff.load(write(tmp_path / "scan", datasets)).warnings
    assert "sideways by up to 1.5 mm" in warning


def test_images_side_by_side_in_a_plane_are_refused(tmp_path):
    datasets = slices(numbered(), np.diag([-1, -1, 3, 1.0]))
    datasets[3].ImagePositionPatient = decimals((40, 0, 6))
    with pytest.raises(eff.ImageReadError, match=r"lie beside each other in one plane, 40\.0 mm apart"):
        eff.load(write(tmp_path / "scan", datasets))


# --- copies ---


@pytest.mark.parametrize("is_same_object", [True, False])
def test_a_copy_of_a_slice_is_left_out_and_named(tmp_path, is_same_object):
    data, affine = numbered(), oblique()
    datasets = slices(data, affine)
    copy = place(image(data[:, :, 2].T, InstanceNumber=3), affine, 2)
    if is_same_object:
        copy.SOPInstanceUID = datasets[2].SOPInstanceUID
    volume = eff.load(write(tmp_path / "scan", [*datasets, copy]))
    assert_same_place(volume, data, affine)
    assert "1 image is there twice with the same pixels (IM0006.dcm)" in volume.warnings[0]


def test_a_series_that_is_there_twice_is_read_once(tmp_path):
    data, affine = numbered(), oblique()
    datasets = slices(data, affine)
    write(tmp_path / "scan" / "a", datasets)
    write(tmp_path / "scan" / "copy of a", datasets)
    volume = eff.load(tmp_path / "scan")
    assert_same_place(volume, data, affine)
    assert "6 images are there twice" in volume.warnings[0]


def test_different_images_at_one_place_that_nothing_tells_apart_are_refused(tmp_path):
    data, affine = numbered(), oblique()
    other = place(image(data[:, :, 2].T + 1, InstanceNumber=3), affine, 2)
    with pytest.raises(eff.ImageReadError, match=r"1 of 6 places .*such as IM0002.dcm and IM0006.dcm"):
        eff.load(write(tmp_path / "scan", [*slices(data, affine), other]))


# --- missing geometry ---


def test_a_picture_without_a_place_lies_as_pictures_do(tmp_path):
    pixels = numbered((4, 5), np.uint8)
    folder = write(tmp_path / "scan", [image(pixels, modality="OT", PixelSpacing=["0.5", "0.25"])])
    volume = eff.load(folder)
    np.testing.assert_array_equal(volume.data[:, :, 0], pixels.T)
    np.testing.assert_allclose(volume.affine, np.diag([-0.25, -0.5, 1, 1]))
    assert (volume.warnings, volume.modality) == ((), None)


def test_an_unknown_pixel_size_is_a_millimetre_and_says_so(tmp_path):
    volume = eff.load(write(tmp_path / "scan", [image(numbered((4, 5)), modality="OT")]))
    assert volume.spacing == (1, 1, 1)
    assert volume.warnings == ("the pixel size is not known: 1 mm is taken",)


@pytest.mark.parametrize("spacing", [["0", "1"], ["-1", "-1"]])
def test_a_pixel_size_that_cannot_be_is_a_millimetre_and_says_so(tmp_path, spacing):
    dataset = place(image(numbered((4, 5))), oblique(), 0)
    dataset.PixelSpacing = spacing
    volume = eff.load(write(tmp_path / "scan", [dataset]))
    assert volume.spacing[:2] == pytest.approx((1, 1))
    assert "not above 0" in volume.warnings[0]


def test_the_pixel_size_of_a_radiograph_is_that_of_its_detector(tmp_path):
    pixels = image(numbered((4, 5)), modality="DX", ImagerPixelSpacing=["0.2", "0.1"])
    volume = eff.load(write(tmp_path / "scan", [pixels]))
    assert volume.spacing == pytest.approx((0.1, 0.2, 1))
    assert "at the detector" in volume.warnings[0]


def test_a_pixel_size_of_zero_gives_way_to_that_of_the_detector(tmp_path):
    tags = {"PixelSpacing": ["0", "0"], "ImagerPixelSpacing": ["0.2", "0.1"]}
    volume = eff.load(write(tmp_path / "scan", [image(numbered((4, 5)), modality="CR", **tags)]))
    assert volume.spacing == pytest.approx((0.1, 0.2, 1))


def test_ultrasound_gives_its_pixel_size_in_regions(tmp_path):
    dataset = image(numbered((4, 5), np.uint8), modality="US")
    region = Dataset()
    region.RegionSpatialFormat = 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.02, 0.05
    dataset.SequenceOfUltrasoundRegions = [region]
    volume = eff.load(write(tmp_path / "scan", [dataset]))
    assert volume.spacing == pytest.approx((0.2, 0.5, 1))


def test_slices_without_a_position_are_stacked_by_their_location(tmp_path):
    data = numbered((4, 5, 3))
    datasets = [
        image(data[:, :, k].T, modality="CT", SliceLocation=str(-4 * k), PixelSpacing=["2", "2"])
        for k in range(3)
    ]
    volume = eff.load(write(tmp_path / "scan", datasets))
    np.testing.assert_array_equal(volume.data, data[:, :, ::-1])
    assert volume.spacing == (2, 2, 4)
    assert "does not say where the slices lie" in volume.warnings[0]


def test_pictures_without_a_position_are_no_volume(tmp_path):
    data = numbered((4, 5, 3), np.uint8)
    datasets = [image(data[:, :, k].T, modality="US", InstanceNumber=k) for k in (2, 0, 1)]
    folder = write(tmp_path / "scan", datasets)
    volume = eff.load(folder)
    assert volume.shape == (4, 5, 1)
    assert "3 images at each place (in the order of their numbers)" in volume.warnings[0]
    np.testing.assert_array_equal(eff.load(folder, frame=2).data[:, :, 0], data[:, :, 2])


@pytest.mark.parametrize("orientation", [[0, 0, 0, 0, 0, 0], [1, 0, 0, 1, 0, 0], [2, 0, 0, 0, 1, 0]])
def test_directions_that_cannot_be_are_no_place(tmp_path, orientation):
    dataset = place(image(numbered((4, 5))), oblique(), 0)
    dataset.ImageOrientationPatient = decimals(orientation)
    volume = eff.load(write(tmp_path / "scan", [dataset]))
    assert volume.axcodes == ("L", "P", "S")
    assert volume.origin == (0, 0, 0)


def test_rows_and_columns_that_are_not_at_right_angles_are_named(tmp_path):
    dataset = place(image(numbered((4, 5))), np.diag([-1, -1, 1, 1.0]), 0)
    dataset.ImageOrientationPatient = decimals((1, 0, 0, 0.005, 1, 0))
    (warning,) = eff.load(write(tmp_path / "scan", [dataset])).warnings
    assert "not at right angles" in warning
