"""Which series of a folder is meant, and what lies beside it."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

import napari_effseg as eff
from napari_effseg.io import list_series

from ..conftest import oblique
from .synthetic import (
    OTHER_SERIES,
    SERIES,
    assert_same_place,
    image,
    numbered,
    place,
    set_tags,
    slices,
    write,
)

AFFINE = oblique()


def _two_series(folder):
    write(folder / "one", slices(numbered(), AFFINE, SeriesDescription="T1 axial"))
    other = slices(numbered() + 7, AFFINE, SeriesInstanceUID=OTHER_SERIES, SeriesDescription="b0\nmap")
    return write(folder / "two", other[:4]).parent


def _without_image(kind, modality, name="other"):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = kind, "1.2.3"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(name, {}, file_meta=meta, preamble=b"\0" * 128)
    set_tags(dataset, SOPClassUID=kind, SOPInstanceUID="1.2.3", Modality=modality, SeriesInstanceUID="1.2.4")
    return dataset


REPORT = "1.2.840.10008.5.1.4.1.1.88.11"
STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"


def test_several_series_and_no_choice_is_refused_with_the_list(tmp_path):
    with pytest.raises(eff.ImageReadError) as caught:
        eff.load(_two_series(tmp_path))
    words = str(caught.value)
    assert "holds 2 series and none was chosen" in words
    assert f"{SERIES} (T1 axial, MR, 6 images)" in words
    assert f"{OTHER_SERIES} (b0 map, MR, 4 images)" in words
    assert "\n" not in words


@pytest.mark.parametrize(("uid", "offset", "slices"), [(SERIES, 0, 6), (OTHER_SERIES, 7, 4)])
def test_a_series_is_chosen_by_its_uid(tmp_path, uid, offset, slices):
    volume = eff.load(_two_series(tmp_path), series=uid)
    assert volume.shape == (5, 7, slices)
    assert volume.data.min() == numbered()[:, :, :slices].min() + offset


def test_an_unknown_uid_gets_the_nearest(tmp_path):
    folder = _two_series(tmp_path)
    with pytest.raises(eff.ImageReadError, match=r"no series 1\.2\.826.*Did you mean 1\.2\.826"):
        eff.load(folder, series=SERIES[:-1] + "3")
    with pytest.raises(eff.ImageReadError, match=r"It has: .*T1 axial"):
        eff.load(folder, series="T1")


def test_series_are_listed_without_reading_pixels(tmp_path):
    one, two = list_series(_two_series(tmp_path))
    assert (one.uid, one.description, one.modality, one.images) == (SERIES, "T1 axial", "MR", 6)
    assert (one.shape, one.why_not, len(one.files)) == ((5, 7, 6), "", 6)
    assert (two.uid, two.shape) == (OTHER_SERIES, (5, 7, 4))


def test_a_listed_series_is_loaded_from_its_files_alone(tmp_path):
    for info in list_series(_two_series(tmp_path)):
        assert eff.load(info.files, series=info.uid).shape == info.shape


# --- what lies around ---


def test_a_folder_is_read_with_its_sub_folders_and_files_without_ending(tmp_path):
    data = numbered()
    datasets = slices(data, AFFINE)
    write(tmp_path / "scan" / "deep" / "er", datasets[:3], names=["1.2.3", "IM2", "x.tmp"])
    write(tmp_path / "scan", datasets[3:], names=["A.IMA", "B.dicom", "C"])
    assert_same_place(eff.load(tmp_path / "scan"), data, AFFINE)


def test_what_is_no_dicom_is_passed_over(tmp_path):
    folder = write(tmp_path / "scan", slices(numbered(), AFFINE))
    (folder / "README.txt").write_text("Dear colleague")
    (folder / "empty.dcm").touch()
    (folder / "Thumbs.db").write_bytes(bytes(range(256)) * 20)
    (folder / "mask.nii.gz").write_bytes(b"\x1f\x8b" + bytes(500))
    assert eff.load(folder).warnings == ()


def test_a_damaged_header_beside_the_slices_is_named(tmp_path):
    folder = write(tmp_path / "scan", slices(numbered(), AFFINE))
    (folder / "broken.dcm").write_bytes(bytes(128) + b"DICM" + b"\x02\x00\x10\x00UI\xff")
    volume = eff.load(folder)
    assert volume.shape == (5, 7, 6)
    assert "1 DICOM file was left out: " in volume.warnings[0]
    assert "broken.dcm: " in volume.warnings[0]


@pytest.mark.parametrize("size", [200, 600])
def test_a_slice_that_is_cut_off_before_its_series_is_named(tmp_path, size):
    folder = write(tmp_path / "scan", slices(numbered(), AFFINE))
    path = folder / "IM0005.dcm"
    path.write_bytes(path.read_bytes()[:size])
    volume = eff.load(folder)
    assert volume.shape == (5, 7, 5)
    assert "IM0005.dcm: " in volume.warnings[0]


@pytest.mark.parametrize("missing", [1, 40, 80, 200])
def test_a_slice_that_is_cut_off_later_is_refused_by_name(tmp_path, missing):
    folder = write(tmp_path / "scan", slices(numbered(), AFFINE))
    path = folder / "IM0005.dcm"
    path.write_bytes(path.read_bytes()[:-missing])
    with pytest.raises(eff.ImageReadError, match=r"IM0005\.dcm: .*cut off"):
        eff.load(folder)
    assert "cut off" in list_series(folder)[0].why_not


@pytest.mark.parametrize(
    ("kind", "modality", "words"),
    [
        (REPORT, "SR", "holds no image, but Basic Text SR"),
        (STRUCTURES, "RTSTRUCT", "holds no image, but RT Structure Set"),
        (SEGMENTATION, "SEG", "is a DICOM segmentation, not an image; load_labels reads it"),
    ],
)
def test_objects_without_an_image_are_ignored_beside_one_and_named_alone(tmp_path, kind, modality, words):
    folder = write(tmp_path / "scan", slices(numbered(), AFFINE))
    write(folder, [_without_image(kind, modality)], names=["other.dcm"])
    assert eff.load(folder).shape == (5, 7, 6)
    other = list_series(folder)[1]
    assert other.why_not.endswith(words)
    assert other.images == 0
    for chosen in ({"path": folder / "other.dcm"}, {"path": folder, "series": "1.2.4"}):
        with pytest.raises(eff.ImageReadError, match=words):
            eff.load(**chosen)


def test_a_folder_of_reports_holds_no_image(tmp_path):
    write(tmp_path, [_without_image(REPORT, "SR"), _without_image(STRUCTURES, "RTSTRUCT")])
    with pytest.raises(
        eff.ImageReadError, match="holds DICOM files, but no image: 1 file holds no image, but"
    ):
        eff.load(tmp_path)


def test_a_folder_without_dicom_says_so(tmp_path):
    (tmp_path / "a.txt").write_text("nothing")
    with pytest.raises(eff.ImageReadError, match="is a folder without DICOM files"):
        eff.load(tmp_path)
    assert list_series(tmp_path) == ()


def test_a_dicomdir_stands_for_its_folder(tmp_path):
    data = numbered()
    write(tmp_path / "disc" / "IMAGES", slices(data, AFFINE))
    index = _without_image("1.2.840.10008.1.3.10", None)
    set_tags(index, SOPClassUID=None, SeriesInstanceUID=None)
    write(tmp_path / "disc", [index], names=["DICOMDIR"])
    for path in (tmp_path / "disc" / "DICOMDIR", tmp_path / "disc"):
        assert_same_place(eff.load(path), data, AFFINE)


# --- stacks within a series ---


def test_localizers_and_pictures_in_a_series_are_left_out_and_named(tmp_path):
    data = numbered()
    scout = place(image(numbered((9, 8)), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), np.eye(4), 0)
    report = image(numbered((30, 40), np.uint8))
    volume = eff.load(write(tmp_path, [scout, *slices(data, AFFINE), report]))
    assert_same_place(volume, data, AFFINE)
    (warning,) = volume.warnings
    assert "2 images of the series do not belong to the volume" in warning
    assert "1 of 8 x 9 pixels, axial" in warning
    assert "1 of 40 x 30 pixels, without a position" in warning


def _three_planes(folder):
    axial, sagittal = (
        np.diag([-1, -1, 5, 1.0]),
        np.array([[0, 0, -5, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]]),
    )
    return write(folder, [*slices(numbered((5, 7, 4)), axial), *slices(numbered((6, 8, 3)), sagittal)])


def test_stacks_of_several_directions_are_chosen_by_number(tmp_path):
    folder = _three_planes(tmp_path)
    with pytest.raises(eff.ImageReadError, match="2 stacks of other size or direction") as caught:
        eff.load(folder)
    assert f"{SERIES}#1 (synthetic: 4 of 5 x 7 pixels, axial, MR, 4 images)" in str(caught.value)
    assert f"{SERIES}#2 (synthetic: 3 of 6 x 8 pixels, sagittal, MR, 3 images)" in str(caught.value)
    for info, shape in zip(list_series(folder), [(5, 7, 4), (6, 8, 3)], strict=True):
        assert info.shape == eff.load(folder, series=info.uid).shape == shape


@pytest.mark.parametrize("number", ["3", "0", "x"])
def test_a_stack_that_is_not_there_is_refused(tmp_path, number):
    with pytest.raises(eff.ImageReadError, match="has no stack"):
        eff.load(_three_planes(tmp_path), series=f"{SERIES}#{number}")


# --- lists of files ---


def test_the_files_of_a_series_are_slices(tmp_path):
    data = numbered()
    folder = write(tmp_path / "scan", slices(data, AFFINE))
    assert_same_place(eff.load(sorted(folder.iterdir())), data, AFFINE)


def test_files_of_a_series_each_are_channels(tmp_path):
    data = numbered((5, 7, 1))
    for number, uid in enumerate((SERIES, OTHER_SERIES)):
        write(tmp_path / str(number), slices(data + number, AFFINE, SeriesInstanceUID=uid))
    volume = eff.load([tmp_path / "0" / "IM0000.dcm", tmp_path / "1" / "IM0000.dcm"])
    assert volume.data.shape == (2, 5, 7, 1)


def test_folders_are_channels(tmp_path):
    folder = _two_series(tmp_path)
    assert eff.load([folder / "one", folder / "one"]).channels == 2


def test_files_of_mixed_series_are_refused_with_the_list(tmp_path):
    files = [info.files for info in list_series(_two_series(tmp_path))]
    with pytest.raises(eff.ImageReadError, match="holds 2 series and none was chosen"):
        eff.load([*files[0], *files[1]])
    assert eff.load([*files[0], *files[1]], series=SERIES).shape == (5, 7, 6)


def test_a_series_without_uid_is_read_where_it_is_the_only_one(tmp_path):
    data = numbered()
    volume = eff.load(write(tmp_path / "scan", slices(data, AFFINE, SeriesInstanceUID=None)))
    assert_same_place(volume, data, AFFINE)
