"""What is written comes back, through us and through independent readers, at the same place in mm."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import slicerio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import napari_effseg as eff
from napari_effseg.volume import LabelMap, Volume, lps_to_ras, reorient, same_grid

from .conftest import ALL_AXCODES, LABEL_ENDINGS, centroids, oblique, read_with_itk

NEAR_MM = 1e-3


def _same_places(found, wanted):
    assert found.keys() == wanted.keys()
    for label, place in wanted.items():
        np.testing.assert_allclose(found[label], place, atol=NEAR_MM)


@pytest.mark.parametrize("ending", LABEL_ENDINGS)
@pytest.mark.parametrize("axcodes", ALL_AXCODES)
def test_labels_come_back_in_all_48_orders(labels, tmp_path, axcodes, ending):
    turned = reorient(labels, axcodes)
    path = eff.save(turned, tmp_path / f"a{ending}")
    back = eff.load_labels(path)
    np.testing.assert_array_equal(back.data, turned.data)
    assert same_grid(back.grid, turned.grid)
    assert (back.names, back.colours, back.codes) == (labels.names, labels.colours, labels.codes)
    _same_places(centroids(*read_with_itk(path)), centroids(labels.data, labels.affine))


@pytest.mark.parametrize("ending", [".nii.gz", ".nii"])
@pytest.mark.parametrize("axcodes", ALL_AXCODES)
def test_nibabel_finds_both_transforms_right(labels, tmp_path, axcodes, ending):
    turned = reorient(labels, axcodes)
    image = nibabel.load(eff.save(turned, tmp_path / f"a{ending}"))
    voxels = np.asarray(image.dataobj)
    wanted = centroids(labels.data, labels.affine)
    for form in (image.get_sform(coded=True), image.get_qform(coded=True)):
        assert form[1] == 1
        _same_places(centroids(voxels, form[0]), wanted)
    assert image.header.get_xyzt_units()[0] == "mm"


@pytest.mark.parametrize("axcodes", ["RAS", "LPS", "PIR", "SLA"])
def test_slicerio_reads_the_segments(labels, tmp_path, axcodes):
    path = eff.save(reorient(labels, axcodes), tmp_path / "a.seg.nrrd")
    found = slicerio.read_segmentation(str(path))
    _same_places(
        centroids(found["voxels"], lps_to_ras(found["ijkToLPS"])), centroids(labels.data, labels.affine)
    )
    first = slicerio.segment_from_name(found, "Left hippocampus")
    assert first["labelValue"] == 1
    assert np.round(np.multiply(first["color"], 255)).tolist() == [255, 10, 3]
    assert first["terminology"]["category"] == ["SCT", "123037004", "Anatomical Structure"]
    assert first["terminology"]["type"] == ["SCT", "4421005", "Hippocampus"]
    assert first["terminology"]["typeModifier"] == ["SCT", "7771000", "Left"]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    degrees=st.tuples(st.floats(-180, 180), st.floats(-180, 180)),
    spacing=st.tuples(*[st.floats(0.05, 20)] * 3),
    origin=st.tuples(*[st.floats(-1500, 1500)] * 3),
    ending=st.sampled_from(LABEL_ENDINGS),
)
def test_any_right_angled_affine_holds_to_a_ten_thousandth_mm(tmp_path, degrees, spacing, origin, ending):
    data = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    labels = LabelMap(data, oblique(spacing, origin, degrees))
    name = ending.replace(".", "_")  # ITK, asked for a.nii.gz, reads a.nii where there is one
    path = eff.save(labels, tmp_path / f"{name}{ending}")
    assert same_grid(eff.load_labels(path).grid, labels.grid, 1e-4)
    voxels, affine = read_with_itk(path)
    np.testing.assert_array_equal(voxels, data)
    np.testing.assert_allclose(affine[:3, 3], labels.affine[:3, 3], atol=2e-3)


@pytest.mark.parametrize("ending", LABEL_ENDINGS)
def test_a_sheared_affine_is_kept_with_a_warning(labels, tmp_path, ending):
    shear = np.eye(4)
    shear[0, 1] = 0.3
    sheared = LabelMap(labels.data, labels.affine @ shear)
    back = eff.load_labels(eff.save(sheared, tmp_path / f"a{ending}"))
    assert same_grid(back.grid, sheared.grid)
    assert "sheared" in back.warnings[0]


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha"])
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.int32, np.float16, np.float32, np.float64])
def test_images_come_back(tmp_path, ending, dtype):
    values = np.random.default_rng(0).normal(0, 50, size=(4, 5, 6)).astype(dtype)
    image = Volume(values, oblique())
    back = eff.load(eff.save(image, tmp_path / f"a{ending}"))
    np.testing.assert_array_equal(back.data, values)
    assert same_grid(back.grid, image.grid)


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha"])
@pytest.mark.parametrize("channels", [1, 3])
def test_channels_come_back_first(tmp_path, ending, channels):
    values = np.random.default_rng(0).normal(size=(channels, 4, 5, 6)).astype(np.float32)
    back = eff.load(eff.save(Volume(values, oblique()), tmp_path / f"a{ending}"))
    np.testing.assert_array_equal(back.data.reshape(values.shape), values)


@pytest.mark.parametrize("ending", LABEL_ENDINGS)
@pytest.mark.parametrize("shape", [(1, 5, 6), (5, 6, 1), (4, 1, 1)])
def test_flat_label_maps_come_back(tmp_path, ending, shape):
    labels = LabelMap(np.ones(shape, np.uint8), oblique(), {1: "one"})
    back = eff.load_labels(eff.save(labels, tmp_path / f"a{ending}"))
    np.testing.assert_array_equal(back.data, labels.data)
    assert same_grid(back.grid, labels.grid)


@pytest.mark.parametrize("ending", LABEL_ENDINGS)
def test_an_empty_label_map_keeps_its_names(tmp_path, ending):
    labels = LabelMap(np.zeros((3, 4, 5), np.uint8), oblique(), {7: "not found"})
    back = eff.load_labels(eff.save(labels, tmp_path / f"a{ending}"))
    assert back.names == {7: "not found"}
    assert not back.data.any()


@pytest.mark.parametrize("ending", LABEL_ENDINGS)
@pytest.mark.parametrize(
    ("highest", "dtype"), [(1, np.uint8), (255, np.uint8), (256, np.uint16), (70_000, np.int32)]
)
def test_labels_take_the_smallest_type_that_holds_them(tmp_path, ending, highest, dtype):
    labels = LabelMap(np.full((3, 4, 5), highest, np.int64), oblique())
    back = eff.load_labels(eff.save(labels, tmp_path / f"a{ending}"))
    assert back.data.dtype == dtype
    assert (back.data == highest).all()


@pytest.mark.parametrize("ending", LABEL_ENDINGS)
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_same_result_is_the_same_file(labels, tmp_path, ending, order):
    ordered = LabelMap(np.array(labels.data, order=order), labels.affine, labels.names)
    first = eff.save(ordered, tmp_path / f"a{ending}").read_bytes()
    second = eff.save(labels, tmp_path / f"b{ending}")
    eff.save(LabelMap(labels.data, labels.affine, labels.names), second)
    assert second.read_bytes() == first


def test_an_origin_far_away_takes_nifti_2(labels, tmp_path):
    affine = labels.affine.copy()
    affine[:3, 3] = (123456.789, -98765.4321, 55555.55555)
    image = nibabel.load(eff.save(LabelMap(labels.data, affine), tmp_path / "far.nii.gz"))
    assert isinstance(image, nibabel.Nifti2Image)
    np.testing.assert_allclose(image.affine, affine, atol=1e-4)


def test_a_turn_that_a_quaternion_cannot_hold_leaves_the_qform_out(labels, tmp_path):
    affine = oblique(degrees=(179.99, 0.01), origin=(0, 0, 0))
    path = eff.save(LabelMap(labels.data, affine), tmp_path / "a.nii.gz")
    image = nibabel.load(path)
    np.testing.assert_allclose(image.affine, affine, atol=1e-5)
    if image.header["qform_code"] > 0:
        np.testing.assert_allclose(image.get_qform(), affine, atol=1e-3)
    _same_places(centroids(*read_with_itk(path)), centroids(labels.data, affine))
