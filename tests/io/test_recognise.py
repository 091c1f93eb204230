import numpy as np
import pytest

from napari_effseg.io import save
from napari_effseg.io.recognise import format_name, holds_labels
from napari_effseg.volume import LabelMap, Volume

NAMED = LabelMap(np.ones((3, 4, 5), np.uint8), np.eye(4), {1: "thing"})


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.seg.nrrd", "a.mha"])
def test_a_segmentation_of_ours_says_what_it_is(tmp_path, name):
    assert holds_labels(save(NAMED, tmp_path / name))


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha"])
def test_integers_alone_are_no_labels(tmp_path, name):
    assert not holds_labels(save(Volume(NAMED.data, np.eye(4)), tmp_path / name))


def test_formats_go_by_their_names(tmp_path):
    assert format_name(save(NAMED, tmp_path / "a.nrrd")) == "NRRD"
    (tmp_path / "a.txt").write_text("x")
    assert format_name(tmp_path / "a.txt") is None


def test_a_folder_is_dicom_if_a_file_in_it_is(tmp_path):
    (tmp_path / "series").mkdir()
    (tmp_path / "series" / "IM1").write_bytes(b"notes, no image")
    assert format_name(tmp_path) is None
    (tmp_path / "series" / "IM2").write_bytes(bytes(128) + b"DICM" + bytes(100))
    assert format_name(tmp_path) == "DICOM"
