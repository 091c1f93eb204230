"""A saved file is whole, compared, and in its place, or nothing has changed."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest

import napari_effseg as eff
from napari_effseg.io import atomic, nifti, writing
from napari_effseg.volume import LabelMap, reorient

from .conftest import LABEL_ENDINGS, oblique


@pytest.fixture
def other() -> LabelMap:
    return LabelMap(np.ones((2, 3, 4), np.uint8), oblique(), {1: "older"})


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def fail(*_args, **_options):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("ending", LABEL_ENDINGS)
@pytest.mark.parametrize("step", ["write", "compare", "flush", "replace", "interrupt"])
@pytest.mark.parametrize("exists", [False, True])
def test_whatever_fails_nothing_has_changed(labels, other, tmp_path, monkeypatch, ending, step, exists):
    path = tmp_path / f"a{ending}"
    if exists:
        eff.save(other, path)
    before = contents(tmp_path)
    module = writing.format_for_writing(path).load_module()
    if step == "write":
        monkeypatch.setattr(module, "write", fail)
    elif step == "compare":
        monkeypatch.setattr(writing, "_same_voxels", lambda *_: False)
    elif step == "flush":
        monkeypatch.setattr(os, "fsync", fail)
    elif step == "replace":
        monkeypatch.setattr(os, "replace", fail)
    else:
        monkeypatch.setattr(writing, "_compare", _interrupt)
    with pytest.raises((eff.ExportError, KeyboardInterrupt)):
        eff.save(labels, path)
    assert contents(tmp_path) == before


def _interrupt(*_args):
    raise KeyboardInterrupt


@pytest.mark.parametrize("exists", [False, True])
def test_when_the_second_rename_fails_the_first_is_taken_back(labels, other, tmp_path, monkeypatch, exists):
    path = tmp_path / "a.nii.gz"
    if exists:
        eff.save(other, path)
    before = contents(tmp_path)
    replace = os.replace

    def replace_all_but_images(source, target):
        if str(target) == str(path):
            fail()
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace_all_but_images)
    with pytest.raises(eff.ExportError, match="No space left"):
        eff.save(labels, path)
    assert contents(tmp_path) == before


def test_a_new_file_takes_the_place_of_the_old_and_leaves_nothing_else(labels, other, tmp_path):
    eff.save(other, tmp_path / "a.nii.gz")
    eff.save(labels, tmp_path / "a.nii.gz")
    assert sorted(contents(tmp_path)) == ["a.nii.gz", "a.tsv"]
    assert eff.load_labels(tmp_path / "a.nii.gz").names == labels.names


def test_a_table_that_no_longer_fits_is_taken_away(labels, other, tmp_path):
    eff.save(other, tmp_path / "a.nii.gz")
    eff.save(LabelMap(labels.data, labels.affine), tmp_path / "a.nii.gz")
    assert sorted(contents(tmp_path)) == ["a.nii.gz"]


def test_a_foreign_file_where_the_table_would_go_is_not_touched(labels, tmp_path):
    (tmp_path / "a.tsv").write_text("patient\tage\n")
    with pytest.raises(eff.ExportError, match=r"a\.tsv, which exists and is no table of labels"):
        eff.save(labels, tmp_path / "a.nii.gz")
    assert sorted(contents(tmp_path)) == ["a.tsv"]
    eff.save(labels, tmp_path / "a.seg.nrrd")
    eff.save(LabelMap(labels.data, labels.affine), tmp_path / "a.nii.gz")
    assert (tmp_path / "a.tsv").read_text() == "patient\tage\n"


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.ima", "a", "a.npz"])
def test_an_ending_that_is_not_written_says_which_are(labels, tmp_path, name):
    with pytest.raises(
        eff.ExportError, match=r"expected one of \.nii\.gz \.nii \.seg\.nrrd \.nrrd \.mha \.dcm"
    ):
        eff.save(labels, tmp_path / name)


def test_a_near_ending_is_suggested(labels, tmp_path):
    with pytest.raises(eff.ExportError, match=r"Did you mean \.nii\.gz\?"):
        eff.save(labels, tmp_path / "a.nigz")


def test_a_missing_folder_is_named(labels, tmp_path):
    with pytest.raises(eff.ExportError, match="there is no folder"):
        eff.save(labels, tmp_path / "absent" / "a.nii.gz")


def test_a_folder_of_the_files_name_is_refused(labels, tmp_path):
    (tmp_path / "a.nii.gz").mkdir()
    with pytest.raises(eff.ExportError, match="is a folder"):
        eff.save(labels, tmp_path / "a.nii.gz")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root and Windows write anywhere")
def test_a_folder_that_cannot_be_written_is_said(labels, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(eff.ExportError, match="cannot be written"):
        eff.save(labels, tmp_path / "a.nii.gz")


def test_a_reference_on_another_grid_is_refused(labels, image, tmp_path):
    eff.save(image, tmp_path / "scan.nii.gz")
    with pytest.raises(
        eff.ExportError, match=r"scan\.nii\.gz: is not on the result's grid: 8 x 9 x 10 voxels"
    ):
        eff.save(labels, tmp_path / "out.nii.gz", reference=tmp_path / "scan.nii.gz")
    assert sorted(contents(tmp_path)) == ["scan.nii.gz"]


def test_a_reference_mirrored_in_storage_is_another_grid(labels, tmp_path):
    eff.save(reorient(labels, "LPS"), tmp_path / "scan.nrrd")
    with pytest.raises(eff.ExportError, match="is not on the result's grid"):
        eff.save(labels, tmp_path / "out.nrrd", reference=tmp_path / "scan.nrrd")


@pytest.mark.parametrize("ending", LABEL_ENDINGS)
def test_negative_labels_are_refused(tmp_path, ending):
    labels = LabelMap(np.full((2, 3, 4), -1, np.int16), oblique())
    with pytest.raises(eff.ExportError, match="the label -1 is negative"):
        eff.save(labels, tmp_path / f"a{ending}")
    assert contents(tmp_path) == {}


def test_a_grid_that_comes_back_wrong_is_an_error(labels, tmp_path, monkeypatch):
    original = nifti.write

    def mirror(thing, path, **options):
        original(reorient(thing, "LPI"), path, **options)

    monkeypatch.setattr(nifti, "write", mirror)
    with pytest.raises(eff.ExportError, match="cannot hold the grid"):
        eff.save(labels, tmp_path / "a.nii.gz")
    assert contents(tmp_path) == {}


def test_without_hard_links_old_files_are_copied_aside(labels, other, tmp_path, monkeypatch):
    eff.save(other, tmp_path / "a.nii.gz")
    monkeypatch.setattr(os, "link", fail)
    eff.save(labels, tmp_path / "a.nii.gz")
    assert sorted(contents(tmp_path)) == ["a.nii.gz", "a.tsv"]


def test_the_path_is_returned(labels, tmp_path):
    assert eff.save(labels, str(tmp_path / "a.nii")) == tmp_path / "a.nii"


def test_nan_voxels_compare_as_equal(image, tmp_path):
    image.data[0, 0, 0] = np.nan
    back = eff.load(eff.save(image, tmp_path / "a.nii.gz"))
    assert np.isnan(back.data[0, 0, 0])
    assert back.warnings == ("1 voxels are NaN or infinite",)


def test_a_long_name_still_has_room_for_its_temporary_one(labels, tmp_path):
    path = tmp_path / f"{'n' * 240}.nii.gz"
    assert eff.save(labels, path).exists()


def test_replacing_nothing_keeps_the_target(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    atomic.place_files([atomic.Replacement(target, None)])
    assert not target.exists()
