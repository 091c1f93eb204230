"""A SEG appears whole and compared, or nothing has changed; it is never written without its series."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import numpy as np
import pytest

import napari_effseg as eff
from napari_effseg.io import dicom_seg, writing
from napari_effseg.volume import LabelMap, Volume, same_grid

from .series import oblique_grid, write_series


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def fail(*_args, **_options):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("step", ["write", "compare", "flush", "replace"])
@pytest.mark.parametrize("exists", [False, True])
def test_whatever_fails_nothing_has_changed(labels, folder, tmp_path, monkeypatch, step, exists):
    path = tmp_path / "seg.dcm"
    if exists:
        eff.save(replace(labels, names={3: "older"}), path, reference=folder)
    before = contents(tmp_path)
    if step == "write":
        monkeypatch.setattr(dicom_seg, "write", fail)
    elif step == "compare":
        monkeypatch.setattr(writing, "_same_voxels", lambda *_: False)
    else:
        monkeypatch.setattr(os, "fsync" if step == "flush" else "replace", fail)
    with pytest.raises(eff.ExportError):
        eff.save(labels, path, reference=folder)
    assert contents(tmp_path) == before


def test_frames_at_a_wrong_place_are_found_before_the_file_appears(labels, folder, tmp_path, monkeypatch):
    original = dicom_seg.write

    def moved(thing, path, *, target):
        original(thing, path, target=replace(target, positions_lps=target.positions_lps + 0.5))

    monkeypatch.setattr(dicom_seg, "write", moved)
    with pytest.raises(eff.ExportError, match="cannot hold the grid"):
        eff.save(labels, tmp_path / "seg.dcm", reference=folder)
    assert contents(tmp_path) == {}


def test_without_a_series_it_is_refused(labels, tmp_path):
    with pytest.raises(
        eff.ExportError, match="must say which DICOM series it belongs to, and none was given"
    ):
        eff.save(labels, tmp_path / "seg.dcm")
    assert contents(tmp_path) == {}


def test_a_reference_of_another_format_is_refused(labels, tmp_path):
    scan = eff.save(Volume(np.zeros(labels.shape, np.int16), labels.affine), tmp_path / "scan.nii.gz")
    with pytest.raises(eff.ExportError, match=r"scan\.nii\.gz: is no DICOM file"):
        eff.save(labels, tmp_path / "seg.dcm", reference=scan)
    assert list(contents(tmp_path)) == ["scan.nii.gz"]


def test_a_folder_without_a_series_is_refused(labels, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(eff.ImageReadError, match="a folder without DICOM files"):
        eff.save(labels, tmp_path / "seg.dcm", reference=tmp_path / "empty")


def test_a_segmentation_is_no_series(labels, folder, tmp_path):
    seg = eff.save(labels, tmp_path / "seg.dcm", reference=folder)
    with pytest.raises(eff.ImageReadError, match="is a DICOM segmentation, not an image"):
        eff.save(labels, tmp_path / "other.dcm", reference=seg)


def test_an_image_is_refused(labels, folder, tmp_path):
    with pytest.raises(eff.ExportError, match=r"a \.dcm holds labels"):
        eff.save(Volume(np.zeros(labels.shape), labels.affine), tmp_path / "seg.dcm", reference=folder)


def test_an_image_of_the_series_is_never_replaced(labels, tmp_path):
    series = write_series(tmp_path / "series", oblique_grid())
    before = contents(series)
    with pytest.raises(eff.ExportError, match="is an image of the series itself"):
        eff.save(labels, sorted(series.iterdir())[2], reference=series)
    assert contents(series) == before


def test_it_may_lie_among_the_images_and_be_written_again(labels, tmp_path):
    series = write_series(tmp_path / "series", oblique_grid())
    for _ in range(2):
        eff.save(labels, series / "seg.dcm", reference=series)
    assert same_grid(eff.load(series).grid, labels.grid)
    assert eff.load_labels(series).names == labels.names


def test_the_ending_may_be_in_capitals(labels, folder, tmp_path):
    assert eff.load_labels(eff.save(labels, tmp_path / "SEG.DCM", reference=folder)).names == labels.names


def test_without_highdicom_the_extra_is_named(labels, folder, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "highdicom"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(eff.MissingExtra, match=r"napari-effseg\[dicom\]"):
        eff.save(labels, tmp_path / "seg.dcm", reference=folder)


def test_reading_needs_no_highdicom(labels, folder, tmp_path, monkeypatch):
    path = eff.save(labels, tmp_path / "seg.dcm", reference=folder)
    for name in [name for name in sys.modules if name.partition(".")[0] == "highdicom"]:
        monkeypatch.setitem(sys.modules, name, None)
    assert eff.load_labels(path).colours == labels.colours


def test_other_formats_take_a_dicom_reference_too(labels, folder, tmp_path):
    path = eff.save(labels, tmp_path / "seg.seg.nrrd", reference=folder)
    assert same_grid(eff.load_labels(path).grid, labels.grid)
    with pytest.raises(eff.ExportError, match="is not on the result's grid"):
        eff.save(LabelMap(labels.data[1:], labels.affine), tmp_path / "b.nrrd", reference=folder)
