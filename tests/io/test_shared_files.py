"""Every broken, odd and real file of the shared data: what it gets."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

import napari_effseg as eff
from napari_effseg.volume import same_grid, transform_points

from .conftest import centroids, read_with_itk

REFUSED = {
    "broken/empty.nii.gz": (eff.ImageReadError, "empty"),
    "broken/not_an_image.nii.gz": (eff.ImageReadError, "not a NIfTI file"),
    "broken/truncated_data.nii": (eff.ImageReadError, "promises 42 x 76 x 77 voxels"),
    "broken/truncated_gzip.nii.gz": (eff.ImageReadError, "cut off"),
    "broken/singular_affine.nii": (eff.AffineError, "axis K"),
    "formats/minc2_1_scale.mnc": (eff.ImageReadError, "MINC"),
    "formats/minc2_4d.mnc": (eff.ImageReadError, "MINC"),
    "formats/minc2_baddim.mnc": (eff.ImageReadError, "MINC"),
    "formats/small.mnc": (eff.ImageReadError, "MINC"),
    "formats/phantom_EPI_asc_CLEAR_2_1.PAR": (eff.ImageReadError, "PAR/REC"),
    "formats/phantom_EPI_asc_CLEAR_2_1.REC": (eff.ImageReadError, "PAR/REC"),
    "formats/phantom_truncated.PAR": (eff.ImageReadError, "PAR/REC"),
    "formats/phantom_truncated.REC": (eff.ImageReadError, "PAR/REC"),
    "formats/scaled+tlrc.BRIK": (eff.ImageReadError, "AFNI"),
    "formats/scaled+tlrc.HEAD": (eff.ImageReadError, "AFNI"),
    "formats/test.mgz": (eff.ImageReadError, "FreeSurfer"),
}
# file: shape, dtype, a word of each warning
LOADED = {
    "broken/big_endian.nii.gz": ((42, 76, 77), "float32", []),
    "broken/constant.nii.gz": ((24, 24, 12), "int16", []),
    "broken/five_d.nii.gz": ((3, 24, 24, 12), "int16", []),
    "broken/gz_suffix_but_plain.nii.gz": ((42, 76, 77), "int16", ["not compressed"]),
    "broken/int64.nii.gz": ((42, 76, 77), "int64", []),
    "broken/nan_inf.nii.gz": ((42, 76, 77), "float32", ["NaN or infinite"]),
    "broken/one_slice.nii.gz": ((42, 76, 1), "int16", []),
    "broken/rgb24.nii.gz": ((3, 24, 24, 12), "uint8", []),
    "broken/scaled_u8.nii.gz": ((42, 76, 77), "float32", []),
    "broken/sheared_affine.nii.gz": ((42, 76, 77), "int16", ["sheared"]),
    "broken/two_d.nii.gz": ((42, 76, 1), "int16", []),
    "broken/zero_pixdim_no_form.nii": ((24, 24, 12), "int16", ["voxel size of 0", "no form code"]),
    "broken/label_empty.nii.gz": ((42, 76, 77), "uint8", []),
    "broken/label_float_noninteger.nii.gz": ((42, 76, 77), "float32", []),
    "broken/label_large_values.nii.gz": ((42, 76, 77), "int32", []),
    "broken/label_shifted_affine.nii.gz": ((42, 76, 77), "uint8", []),
    "broken/label_wrong_shape.nii.gz": ((39, 76, 77), "uint8", []),
    "formats/anatomical.nii": ((33, 41, 25), "int16", []),
    "formats/example4d.nii.gz": ((128, 96, 24), "int16", ["2 time points"]),
    "formats/example_nifti2.nii.gz": ((32, 20, 12), "int16", ["2 time points"]),
    "formats/functional.nii": ((17, 21, 3), "float32", ["20 time points"]),
    "formats/reoriented_anat_moved.nii": ((21, 26, 22), "float32", []),
}
LABELS = {
    "label_empty.nii.gz": set(),
    "label_large_values.nii.gz": {70000},
    "label_shifted_affine.nii.gz": {1},
    "label_wrong_shape.nii.gz": {1},
}
ORDERS = ("RAS", "LAS", "LPS", "PIR", "SRA", "ILP")


@pytest.mark.parametrize("name", REFUSED)
def test_a_broken_file_is_refused_in_one_sentence_that_names_it(shared_data, name):
    kind, words = REFUSED[name]
    with pytest.raises(kind) as caught:
        eff.load(shared_data / "robustness" / name)
    assert words in str(caught.value)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", LOADED)
def test_an_odd_but_legal_file_loads_and_says_what_is_odd(shared_data, name):
    shape, dtype, words = LOADED[name]
    volume = eff.load(shared_data / "robustness" / name)
    assert (volume.data.shape, volume.data.dtype) == (shape, dtype)
    assert len(volume.warnings) == len(words)
    assert all(word in text for word, text in zip(words, volume.warnings, strict=True))


def test_no_file_of_the_set_is_without_an_expectation(shared_data):
    folder = shared_data / "robustness"
    files = {f"{kind}/{path.name}" for kind in ("broken", "formats") for path in (folder / kind).iterdir()}
    assert files == {*REFUSED, *LOADED}


@pytest.mark.parametrize("name", LABELS)
def test_legal_labels_load(shared_data, name):
    labels = eff.load_labels(shared_data / "robustness" / "broken" / name)
    assert set(labels.counts()) == LABELS[name]


def test_labels_with_fractions_are_refused(shared_data):
    with pytest.raises(eff.ImageReadError, match=r"value 0\.5; labels are integers"):
        eff.load_labels(shared_data / "robustness" / "broken" / "label_float_noninteger.nii.gz")


@pytest.mark.parametrize("name", ["CT_pitch", "MR_Gd", "chris_MRA", "fmri_pitch", "spmMotor"])
def test_real_volumes_agree_with_nibabel(shared_data, name):
    path = shared_data / "viewer_nifti" / "images" / f"{name}.nii.gz"
    volume, theirs = eff.load(path), nibabel.load(path)
    np.testing.assert_allclose(volume.affine, theirs.affine, atol=1e-6)
    np.testing.assert_allclose(volume.data, np.asarray(theirs.dataobj), rtol=1e-6)


@pytest.mark.parametrize("name", ["pcasl", "cord_dmri_4d", "cord_fmri_4d"])
def test_time_points_are_chosen_or_all_kept(shared_data, name):
    path = shared_data / "viewer_nifti" / "images" / f"{name}.nii.gz"
    theirs = np.asarray(nibabel.load(path).dataobj)
    last = theirs.shape[3] - 1
    np.testing.assert_array_equal(eff.load(path, frame=last).data, theirs[..., last])
    everything = eff.load(path, channel="all")
    assert not everything.warnings
    np.testing.assert_array_equal(everything.data, np.moveaxis(theirs, 3, 0))
    with pytest.raises(eff.ImageReadError, match=f"frame {last + 1} was asked for"):
        eff.load(path, frame=last + 1)


def test_six_axis_orders_of_one_scan_share_their_world(shared_data):
    folder = shared_data / "viewer_nifti" / "orientation"
    wanted = None
    for order in ORDERS:
        labels = eff.load_labels(folder / "labels" / f"ct_{order}.nii.gz")
        image = eff.load(folder / "images" / f"ct_{order}.nii.gz")
        assert "".join(image.axcodes) == order
        assert same_grid(image.grid, labels.grid)
        found = centroids(labels.data, labels.affine)
        wanted = wanted or found
        for label, place in wanted.items():
            np.testing.assert_allclose(found[label], place, atol=1e-3)


@pytest.mark.parametrize("name", ["brain1", "brain2", "breast1"])
def test_real_nrrd_files_agree_with_itk(shared_data, name):
    for folder in ("images", "labels"):
        path = shared_data / "small_labelled_3d" / folder / f"{name}.nrrd"
        voxels, affine = read_with_itk(path)
        volume = eff.load(path)
        np.testing.assert_array_equal(volume.data, voxels)
        np.testing.assert_allclose(volume.affine, affine, atol=1e-6)


@pytest.mark.parametrize("ending", [".nii.gz", ".seg.nrrd", ".mha"])
@pytest.mark.parametrize("name", ["cord_t2", "cord_t2s_greymatter", "spleen_ct_crop", "neck_t1w"])
def test_real_labels_stay_in_place_through_every_format(shared_data, tmp_path, name, ending):
    source = shared_data / "small_labelled_3d" / "labels" / f"{name}.nii.gz"
    labels = eff.load_labels(source)
    path = eff.save(labels, tmp_path / f"{name}{ending}", reference=source)
    found = centroids(*read_with_itk(path))
    for label, place in centroids(labels.data, labels.affine).items():
        np.testing.assert_allclose(found[label], place, atol=1e-3)


def test_a_picture_has_its_first_pixel_at_the_top_left(shared_data):
    path = shared_data / "busi_breast_ultrasound" / "images" / "malignant_7.png"
    volume = eff.load(path)
    voxels, affine = _picture_with_itk(path)
    np.testing.assert_array_equal(volume.data[..., 0].reshape(voxels.shape), voxels)
    np.testing.assert_allclose(
        transform_points(volume.affine, (3, 5, 0))[:2], (affine @ [3, 5, 1])[:2], atol=1e-9
    )


def _picture_with_itk(path):
    import SimpleITK as sitk

    image = sitk.ReadImage(str(path))
    return sitk.GetArrayFromImage(image).T, np.diag([-1.0, -1.0, 1.0])
