from __future__ import annotations

import nibabel
import numpy as np
import pytest

import napari_effseg as eff
from napari_effseg.volume import Volume

from .conftest import oblique

QFORM_CODE, SFORM_CODE, SROW_Z = 252, 254, 312  # bytes of the header


def write(path, data):
    """Write a NIfTI file with nibabel; both forms hold the oblique affine."""
    image = nibabel.Nifti1Image(data, oblique())
    image.set_qform(oblique(), 1)
    image.set_sform(oblique(), 1)
    image.to_filename(path)
    return path


def patch(path, **bytes_at):
    """Overwrite header bytes that nibabel would put right."""
    block = bytearray(path.read_bytes())
    for at, new in bytes_at.values():
        block[at : at + len(new)] = new
    path.write_bytes(block)
    return path


def without_forms(path):
    return patch(path, qform=(QFORM_CODE, b"\0\0"), sform=(SFORM_CODE, b"\0\0"))


def test_an_uncompressed_file_is_mapped_and_never_written_to(tmp_path):
    data = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    path = write(tmp_path / "a.nii", data)
    before = path.read_bytes()
    volume = eff.load(path)
    assert isinstance(volume.data, np.memmap)
    volume.data[0, 0, 0] = 99
    assert path.read_bytes() == before


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_slope_and_intercept_give_float32(tmp_path, ending):
    image = nibabel.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.eye(4))
    image.header.set_slope_inter(2.5, -1024)
    image.to_filename(tmp_path / f"a{ending}")
    volume = eff.load(tmp_path / f"a{ending}")
    assert volume.data.dtype == np.float32
    np.testing.assert_allclose(
        volume.data, np.asarray(nibabel.load(tmp_path / f"a{ending}").dataobj), rtol=1e-6
    )


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "i8", "f4", "f8"])
def test_types_and_byte_orders_are_kept_in_value(tmp_path, ending, order, kind):
    data = np.arange(60, dtype=kind).reshape(3, 4, 5)
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_dtype(kind)
    nibabel.Nifti1Image(data, oblique(), header).to_filename(tmp_path / f"a{ending}")
    volume = eff.load(tmp_path / f"a{ending}")
    assert volume.data.dtype == np.dtype(kind)
    np.testing.assert_array_equal(volume.data, data)


def test_without_form_codes_nibabels_reading_is_taken(tmp_path):
    path = without_forms(write(tmp_path / "a.nii", np.zeros((3, 4, 5), np.int16)))
    volume = eff.load(path)
    np.testing.assert_allclose(volume.affine, nibabel.load(path).affine)
    assert "no form code" in volume.warnings[0]


def test_the_qform_is_taken_when_it_alone_is_set(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((3, 4, 5), np.int16), oblique())
    image.set_qform(oblique(), 2)
    image.set_sform(None, 0)
    image.to_filename(tmp_path / "a.nii")
    np.testing.assert_allclose(eff.load(tmp_path / "a.nii").affine, oblique(), atol=1e-4)


def test_the_qform_stands_in_for_an_sform_without_an_inverse(tmp_path):
    path = patch(write(tmp_path / "a.nii", np.zeros((3, 4, 5), np.int16)), row=(SROW_Z, bytes(16)))
    volume = eff.load(path)
    np.testing.assert_allclose(volume.affine, oblique(), atol=1e-4)
    assert "qform is taken" in volume.warnings[0]


def test_two_forms_that_contradict_each_other_are_said(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((3, 4, 5), np.int16), oblique())
    image.set_sform(oblique(), 1)
    image.set_qform(oblique(degrees=(21, -12)), 1)
    image.to_filename(tmp_path / "a.nii")
    volume = eff.load(tmp_path / "a.nii")
    np.testing.assert_allclose(volume.affine, oblique(), atol=1e-4)
    assert volume.warnings == ()  # a degree on so small a volume
    image.set_qform(oblique(degrees=(200, -12)), 1)
    image.to_filename(tmp_path / "b.nii")
    assert "mm apart: the sform is taken" in eff.load(tmp_path / "b.nii").warnings[0]


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1000), ("micron", 0.001), ("mm", 1), ("unknown", 1)])
def test_every_length_becomes_mm(tmp_path, unit, factor):
    image = nibabel.Nifti1Image(np.zeros((3, 4, 5), np.int16), oblique())
    image.header.set_xyzt_units(unit)
    image.to_filename(tmp_path / "a.nii")
    volume = eff.load(tmp_path / "a.nii")
    np.testing.assert_allclose(volume.affine[:3], factor * oblique()[:3], rtol=1e-5, atol=1e-6)
    assert len(volume.warnings) == int(factor != 1)


def test_a_chosen_channel_of_a_vector_image(tmp_path):
    values = np.arange(120, dtype=np.float32).reshape(2, 3, 4, 5)
    path = eff.save(Volume(values, oblique()), tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(eff.load(path, channel=1).data, values[1])
    with pytest.raises(eff.ImageReadError, match="channel 2 was asked for"):
        eff.load(path, channel=2)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_one_time_point_as_a_channel(tmp_path, ending):
    data = np.arange(120, dtype=np.int16).reshape(3, 4, 5, 2)
    path = write(tmp_path / f"a{ending}", data)
    np.testing.assert_array_equal(eff.load(path, channel=1).data, data[..., 1])
    np.testing.assert_array_equal(eff.load(path, frame=1).data, data[..., 1])
    np.testing.assert_array_equal(eff.load(path, channel="all").data[1], data[..., 1])


@pytest.mark.parametrize("frame", [1, -1])
def test_a_frame_that_is_not_there_is_refused(tmp_path, frame):
    path = write(tmp_path / "a.nii.gz", np.zeros((3, 4, 5), np.int16))
    with pytest.raises(eff.ImageReadError, match=f"frame {frame} was asked for; the file has only one"):
        eff.load(path, frame=frame)


def test_alpha_is_dropped_with_a_warning(tmp_path):
    records = np.zeros((3, 4, 5), dtype=[(colour, "u1") for colour in "RGBA"])
    records["G"] = 7
    nibabel.Nifti1Image(records, oblique()).to_filename(tmp_path / "a.nii.gz")
    volume = eff.load(tmp_path / "a.nii.gz")
    assert volume.data.shape == (3, 3, 4, 5)
    assert [int(channel.max()) for channel in volume.data] == [0, 7, 0]
    assert volume.warnings == ("the alpha channel was dropped",)


def test_a_compressed_file_without_gz_in_its_name_loads(tmp_path):
    path = write(tmp_path / "a.nii.gz", np.ones((3, 4, 5), np.int16)).rename(tmp_path / "a.nii")
    volume = eff.load(path)
    assert (volume.data == 1).all()
    assert "is compressed although" in volume.warnings[0]


@pytest.mark.parametrize("code", [1, 2, 4])
def test_the_world_that_a_reference_names_is_kept(labels, tmp_path, code):
    image = nibabel.Nifti1Image(np.zeros(labels.shape, np.int16), labels.affine)
    image.set_sform(labels.affine, code)
    image.to_filename(tmp_path / "scan.nii.gz")
    header = nibabel.load(
        eff.save(labels, tmp_path / "out.nii.gz", reference=tmp_path / "scan.nii.gz")
    ).header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (code, code)


def test_labels_of_an_image_without_forms_have_none_either(tmp_path):
    path = without_forms(write(tmp_path / "scan.nii", np.zeros((3, 4, 5), np.int16)))
    labels = eff.LabelMap(np.ones((3, 4, 5), np.uint8), eff.load(path).affine)
    out = eff.save(labels, tmp_path / "out.nii", reference=path)
    header = nibabel.load(out).header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (0, 0)
    np.testing.assert_allclose(nibabel.load(out).affine, nibabel.load(path).affine)


def test_no_text_of_the_source_is_copied(labels, tmp_path):
    image = nibabel.Nifti1Image(np.zeros(labels.shape, np.int16), labels.affine)
    image.header["descrip"] = b"Mustermann^Erika"
    image.header["db_name"] = b"1970-01-01"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"Erika"))
    image.to_filename(tmp_path / "scan.nii")
    for ending in (".nii", ".nrrd", ".mha"):
        out = eff.save(labels, tmp_path / f"out{ending}", reference=tmp_path / "scan.nii")
        assert b"Erika" not in out.read_bytes()
        assert b"1970" not in out.read_bytes()
