"""`effseg segment FOLDER -o seg.dcm`: a SEG of the series that was segmented."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest

from napari_effseg import load, load_labels
from napari_effseg.volume import same_grid
from tests.io.dicom_seg.series import oblique_grid, write_series

from .conftest import Command

pytestmark = pytest.mark.usefixtures("models")


def series_in(folder: Path, **changes: object) -> Path:
    return write_series(folder, oblique_grid((20, 14, 10), (1.1, 0.9, 1.7)), Modality="MR", **changes)


def test_the_seg_belongs_to_the_series(effseg: Command, tmp_path: Path) -> None:
    series = series_in(tmp_path / "study")
    output = tmp_path / "seg.dcm"
    ran = effseg("segment", series, "-m", "synthetic", "-o", output)
    assert (ran.code, ran.err.count("warning: the reference")) == (0, 0)
    labels = load_labels(output)
    assert same_grid(labels.grid, load(series).grid)
    assert labels.names == {1: "left kidney", 2: "liver"}
    assert labels.made_by is not None
    assert labels.made_by.name == "synthetic"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["seg.dcm", "study"]


def test_the_same_labels_as_in_another_format(effseg: Command, tmp_path: Path) -> None:
    series = series_in(tmp_path / "study")
    for name in ("seg.dcm", "seg.nrrd"):
        assert effseg("segment", series, "-m", "synthetic", "-o", tmp_path / name).code == 0
    first, second = load_labels(tmp_path / "seg.dcm"), load_labels(tmp_path / "seg.nrrd")
    assert np.array_equal(first.data, second.data)


def test_what_was_completed_is_said_and_reported(effseg: Command, tmp_path: Path) -> None:
    series = series_in(tmp_path / "study", PatientBirthDate=None)
    report = tmp_path / "report.json"
    ran = effseg("segment", series, "-m", "synthetic", "-o", tmp_path / "seg.dcm", "--report", report)
    assert ran.code == 0
    assert "warning: the reference has no Patient's Birth Date" in ran.err
    assert any("Birth Date" in line for line in json.loads(report.read_text(encoding="utf-8"))["warnings"])


def test_of_two_series_the_chosen_one_is_referred_to(effseg: Command, tmp_path: Path) -> None:
    first, second = (series_in(tmp_path / "study" / name) for name in "ab")
    uid = pydicom.dcmread(next(second.iterdir())).SeriesInstanceUID
    output = tmp_path / "seg.dcm"
    assert effseg("segment", first.parent, "-m", "synthetic", "-o", output).code == 2
    assert effseg("segment", first.parent, "-m", "synthetic", "-o", output, "--series", uid).code == 0
    assert pydicom.dcmread(output).ReferencedSeriesSequence[0].SeriesInstanceUID == uid


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"StudyInstanceUID": ""}, "no Study Instance UID"),
        ({"ImagePositionPatient": lambda k: [0, 0, 1.7 * k + (k > 4) * 0.6 + (k > 6)]}, "not evenly spaced"),
    ],
)
def test_a_series_that_cannot_have_one_exits_2_before_anything_is_computed(
    effseg: Command, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    straight = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    series = series_in(tmp_path / "study", **straight, **changes)
    ran = effseg("segment", series, "-m", "synthetic", "-o", tmp_path / "seg.dcm")
    assert ran.code == 2
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


def test_another_input_than_dicom_exits_2(effseg: Command, scan: Path) -> None:
    ran = effseg("segment", scan, "-m", "synthetic", "-o", scan.with_name("seg.dcm"))
    assert ran.code == 2
    assert "scan 1.nii.gz: is no DICOM file" in ran.err
    assert [path.name for path in scan.parent.iterdir()] == ["scan 1.nii.gz"]


def test_the_doubt_is_no_segmentation(effseg: Command, tmp_path: Path) -> None:
    series = series_in(tmp_path / "study")
    ran = effseg("segment", series, "-m", "synthetic", "--save-doubt", tmp_path / "doubt.dcm")
    assert ran.code == 2
    assert "a .dcm holds labels" in ran.err
