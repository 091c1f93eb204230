"""Every series and every single file of the shared DICOM: what it gets, and whether others see the same."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

import napari_effseg as eff
from napari_effseg.io import list_series, load_grid
from napari_effseg.volume import lps_to_ras, same_grid, transform_points

# series: shape, dtype, modality, a word of each warning
SERIES = {
    "ct_3slice": ((512, 512, 3), "float32", "CT", []),
    "ct_head_64": ((64, 64, 93), "int16", "CT", []),
    "ct_head_gantry_tilt_variable_spacing": (
        (512, 512, 10),
        "int16",
        "CT",
        ["distance between slices changes from 1.14 to 7.38 mm", "slant of 18.5 degrees"],
    ),
    "hippocampus_crop": ((35, 51, 32), "int16", "MR", []),
    "mr_dwi_philips": ((384, 384, 1), "float32", "MR", []),
    "prostate_adc": ((84, 128, 19), "uint16", "MR", []),
    "prostate_dwi_three_b_values": ((84, 128, 19), "uint16", "MR", ["b-value 50, 400, 800 s/mm²"]),
    "prostate_missing_slice": ((84, 128, 19), "uint16", "MR", ["1 slice is missing (k = 13)"]),
}
REGULAR = ["ct_3slice", "ct_head_64", "hippocampus_crop", "prostate_adc"]

# single files that are refused, each with a word of the reason; all others load
REFUSED = {
    "ExplVR_BigEndNoMeta.dcm": "RT Ion Plan",
    "ExplVR_LitEndNoMeta.dcm": "RT Ion Plan",
    "JPEG2000-embedded-sequence-delimiter.dcm": "its pixels are damaged",
    "MR_truncated.dcm": "cut off",
    "UN_sequence.dcm": "holds no image",
    "badVR.dcm": "NumberOfFrames that is no number",
    "empty_charset_LEI.dcm": "holds no image",
    "liver_1frame.dcm": "is a DICOM segmentation",
    "liver_expb_1frame.dcm": "is a DICOM segmentation",
    "meta_missing_tsyntax.dcm": "no valid number of rows",
    "nested_priv_SQ.dcm": "no valid number of rows",
    "no_meta.dcm": "not a DICOM file",
    "no_meta_group_length.dcm": "holds no image",
    "priv_SQ.dcm": "holds no image",
    "reportsi.dcm": "Basic Text SR",
    "reportsi_with_empty_number_tags.dcm": "Basic Text SR",
    "rtplan.dcm": "RT Plan",
    "rtplan_truncated.dcm": "RT Plan",
    "rtstruct.dcm": "RT Structure Set",
    "test-SR.dcm": "Comprehensive SR",
}
MR_SMALL = ["", "_RLE", "_bigendian", "_expb", "_implicit", "_jp2klossless", "_jpeg_ls_lossless", "_padded"]


@pytest.fixture
def dicom(shared_data):
    return shared_data / "viewer_dicom"


def _headers(folder):
    return [pydicom.dcmread(path, stop_before_pixels=True) for path in sorted(folder.iterdir())]


@pytest.mark.parametrize("name", SERIES)
def test_every_series_loads_and_says_what_is_odd(dicom, name):
    shape, dtype, modality, words = SERIES[name]
    volume = eff.load(dicom / name)
    assert (volume.shape, volume.data.dtype, volume.modality) == (shape, dtype, modality)
    assert len(volume.warnings) == len(words)
    assert all(word in text for word, text in zip(words, volume.warnings, strict=True))
    assert same_grid(load_grid(dicom / name), volume.grid)


def test_no_series_of_the_set_is_without_an_expectation(dicom):
    folders = {path.name for path in dicom.iterdir() if path.is_dir()}
    assert folders == {*SERIES, "ct_3slice_seg", "oddities"}


@pytest.mark.parametrize("name", sorted(set(SERIES) - {"ct_head_gantry_tilt_variable_spacing"}))
def test_every_slice_lies_where_its_header_says(dicom, name):
    volume = eff.load(dicom / name)
    to_voxel = np.linalg.inv(volume.affine)
    for header in _headers(dicom / name):
        corner = np.array([float(part) for part in header.ImagePositionPatient]) * (-1, -1, 1)
        i, j, k = transform_points(to_voxel, corner)
        assert abs(k - round(k)) < 1e-3
        assert (i, j) == pytest.approx((0, 0), abs=1e-3)
        assert 0 <= round(k) < volume.shape[2]


@pytest.mark.parametrize("name", REGULAR)
def test_itk_reads_the_same_voxels_at_the_same_place(dicom, name):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(dicom / name)))
    image = reader.Execute()
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    lps[:3, 3] = image.GetOrigin()
    volume = eff.load(dicom / name)
    np.testing.assert_allclose(volume.data, sitk.GetArrayFromImage(image).T)
    np.testing.assert_allclose(volume.affine, lps_to_ras(lps), atol=1e-3)


def test_each_slice_of_a_tilted_series_holds_its_own_pixels(dicom):
    folder = dicom / "ct_head_gantry_tilt_variable_spacing"
    volume = eff.load(folder)
    slices = [pydicom.dcmread(path) for path in folder.iterdir()]
    slices.sort(key=lambda one: float(one.ImagePositionPatient[2]))
    for k, one in enumerate(slices):
        np.testing.assert_array_equal(volume.data[:, :, k], one.pixel_array.T)


@pytest.mark.parametrize("frame", [0, 1, 2])
def test_the_b_values_are_volumes_of_their_own(dicom, frame):
    folder = dicom / "prostate_dwi_three_b_values"
    name = ("*ep_b50t", "*ep_b400t", "*ep_b800t")[frame]
    volume = eff.load(folder, frame=frame)
    to_voxel = np.linalg.inv(volume.affine)
    wanted = [path for path in folder.iterdir() if pydicom.dcmread(path).SequenceName == name]
    assert len(wanted) == 19
    for path in wanted:
        header = pydicom.dcmread(path)
        corner = np.array([float(part) for part in header.ImagePositionPatient]) * (-1, -1, 1)
        k = round(transform_points(to_voxel, corner)[2])
        np.testing.assert_array_equal(volume.data[:, :, k], header.pixel_array.T)


def test_a_slice_that_is_missing_is_empty(dicom):
    volume = eff.load(dicom / "prostate_missing_slice")
    assert len(np.unique(volume.data[:, :, 13])) == 1
    assert all(len(np.unique(volume.data[:, :, k])) > 1 for k in range(19) if k != 13)


def test_jpeg_2000_slices_agree_with_itk(shared_data):
    folder = shared_data / "totalsegmentator_examples" / "dicom" / "ct_jpeg2000"
    volume = eff.load(folder)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    np.testing.assert_allclose(volume.data, sitk.GetArrayFromImage(reader.Execute()).T)
    assert (volume.modality, volume.window, volume.warnings) == ("CT", (40.0, 300.0), ())


def test_a_folder_of_segmentations_holds_no_image(dicom):
    with pytest.raises(eff.ImageReadError, match="no image: each of 2 files is a DICOM segmentation"):
        eff.load(dicom / "ct_3slice_seg")


def test_every_single_file_loads_or_is_refused_in_one_sentence(dicom):
    loaded = 0
    for path in sorted((dicom / "oddities").iterdir()):
        words = REFUSED.get(path.name)
        if words is None:
            assert eff.load(path).data.size > 0
            loaded += 1
            continue
        with pytest.raises(eff.ImageReadError) as caught:
            eff.load(path)
        said = str(caught.value)
        assert words in said
        assert path.name in said
        assert "\n" not in said
    assert loaded == 75 - len(REFUSED)


@pytest.mark.parametrize("kind", MR_SMALL)
def test_one_image_is_the_same_in_every_transfer_syntax(dicom, kind):
    volume = eff.load(dicom / "oddities" / f"MR_small{kind}.dcm")
    plain = pydicom.dcmread(dicom / "oddities" / "MR_small.dcm").pixel_array
    np.testing.assert_array_equal(volume.data[:, :, 0], plain.T)
    assert volume.window == (600.0, 1600.0)


@pytest.mark.parametrize("name", ["rtdose", "rtdose_rle", "rtdose_expb"])
def test_a_dose_grid_agrees_with_its_header(dicom, name):
    path = dicom / "oddities" / f"{name}.dcm"
    header = pydicom.dcmread(path)
    volume = eff.load(path)
    assert volume.shape == (header.Columns, header.Rows, header.NumberOfFrames)
    np.testing.assert_allclose(
        volume.data, header.pixel_array.transpose(2, 1, 0) * float(header.DoseGridScaling), rtol=1e-6
    )


def test_the_oddities_are_listed_with_reasons(dicom):
    infos = list_series(dicom / "oddities")
    assert sum(bool(info.why_not) for info in infos) >= 8
    assert all(info.shape for info in infos if not info.why_not and info.images == 1)
    assert all("\n" not in info.why_not for info in infos)
