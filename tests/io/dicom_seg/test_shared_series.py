"""Every real series gets a SEG at the right place, or a sentence that says why not."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

import napari_effseg as eff
from napari_effseg.volume import LabelMap, same_grid

from .test_round_trip import same_places

REFUSED = {
    "viewer_dicom/ct_head_gantry_tilt_variable_spacing": "not evenly spaced",
    "totalsegmentator_examples/dicom/ct_jpeg2000": "has no Study Instance UID",
}
COMPLETED = {
    "viewer_dicom/ct_3slice": "character set is empty",
    "viewer_dicom/ct_head_64": "Frame of Reference UID; one was derived",
    "viewer_dicom/hippocampus_crop": "Patient's Birth Date, Patient's Sex; left empty",
    "viewer_dicom/mr_dwi_philips": "",
    "viewer_dicom/prostate_adc": "Referring Physician's Name; left empty",
    "viewer_dicom/prostate_dwi_three_b_values": "Referring Physician's Name; left empty",
    "viewer_dicom/prostate_missing_slice": "Referring Physician's Name; left empty",
}


def two_boxes(volume: eff.Volume) -> LabelMap:
    """Return labels that no mirroring or swapping leaves as they are."""
    data = np.zeros(volume.shape, np.uint8)
    i, j, k = volume.shape
    data[i // 5 : i // 2, j // 6 : j // 3, k // 4 : k // 4 + max(1, k // 3)] = 1
    data[i // 2 : i - 3, j // 2 : j // 2 + 4, k - 1 :] = 2
    names = {1: "first", 2: "second"}
    return LabelMap(data, volume.affine, names, codes={1: eff.Code("SCT", "5366008", "Hippocampus", "left")})


def test_every_series_of_the_list_is_looked_at_here(shared_data: Path):
    listed = json.loads((shared_data / "viewer_dicom" / "dataset.json").read_text(encoding="utf-8"))
    names = {f"viewer_dicom/{entry['series']}" for entry in listed["series"]}
    assert names <= {*REFUSED, *COMPLETED}


@pytest.mark.parametrize("name", COMPLETED)
def test_the_seg_of_a_series_has_its_segments_where_the_volume_has_them(shared_data, tmp_path, name):
    folder = shared_data / name
    volume = eff.load(folder)
    labels = two_boxes(volume)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", eff.ExportWarning)
        path = eff.save(labels, tmp_path / "seg.dcm", reference=folder)
    said = " ".join(str(one.message) for one in caught)
    assert COMPLETED[name] in said
    back = eff.load_labels(path)
    assert same_grid(back.grid, volume.grid, 1e-4)
    np.testing.assert_array_equal(back.data, labels.data)
    assert (back.names, back.codes) == (labels.names, labels.codes)
    same_places(path, labels)


@pytest.mark.parametrize("name", REFUSED)
def test_a_series_without_a_right_answer_is_refused(shared_data, tmp_path, name):
    folder = shared_data / name
    with pytest.raises(eff.ExportError, match=REFUSED[name]):
        eff.save(two_boxes(eff.load(folder)), tmp_path / "seg.dcm", reference=folder)
    assert not list(tmp_path.iterdir())


def test_a_segmentation_of_dcmqi_is_that_of_its_nrrd(shared_data):
    folder = shared_data / "viewer_dicom" / "ct_3slice_seg"
    labels = eff.load_labels(folder / "liver.dcm")
    truth = eff.load_labels(folder / "liver_seg.nrrd")
    assert same_grid(labels.grid, truth.grid, 1e-3)
    np.testing.assert_array_equal(labels.data > 0, truth.data > 0)
    assert labels.names == {1: "Liver"}
    assert labels.colours == {1: (221, 130, 101)}
    assert labels.codes == {1: eff.Code("SRT", "T-62000", "Liver")}
    assert same_grid(labels.grid, eff.load(shared_data / "viewer_dicom" / "ct_3slice").grid, 1e-3)


def test_overlapping_segments_are_laid_over_each_other_and_said(shared_data):
    labels = eff.load_labels(shared_data / "viewer_dicom" / "ct_3slice_seg" / "partial_overlaps.dcm")
    assert list(labels.names.values()) == ["GREEN", "ORANGE", "PURPLE", "LIGHT_BLUE", "DARK_BLUE"]
    assert labels.warnings == (
        "segments overlap: at 3,134 places (2.06 mL) a later segment hides an earlier one",
    )
    assert labels.shape == (512, 512, 3)
