"""BIDS: which images are cases, and how their results are laid out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_effseg import load_labels, zoo
from napari_effseg.batch import Wanted, find_cases
from napari_effseg.batch.bids import derivative_name
from napari_effseg.errors import ConfigError

from .conftest import Batch, Scans, visible

T1W = "sub-01/anat/sub-01_T1w.nii.gz"
SESSION = "sub-02/ses-a/anat/sub-02_ses-a_run-1_T1w.nii.gz"
T2W = "sub-01/anat/sub-01_T2w.nii.gz"


def test_images_of_the_wanted_suffix_are_cases(scans: Scans, card: zoo.Card, tmp_path: Path) -> None:
    found = find_cases(scans(T1W, SESSION, T2W), Wanted(card.path, bids_suffix="T1w"), tmp_path / "out")
    assert [case.name for case in found.cases] == [T1W[:-7], SESSION[:-7]]
    assert found.notes == ("left out, as T1w is wanted: 1 x T2w",)


def test_several_suffixes_need_a_choice(scans: Scans, card: zoo.Card, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"T1w \(1\), T2w \(1\); choose one with --bids-suffix"):
        find_cases(scans(T1W, T2W), Wanted(card.path), tmp_path / "out")


def test_an_unknown_suffix_is_refused_with_the_nearest(scans: Scans, card: zoo.Card, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean T1w"):
        find_cases(scans(T1W), Wanted(card.path, bids_suffix="T1"), tmp_path / "out")


def test_results_are_a_derivative(scans: Scans, batch: Batch, tmp_path: Path) -> None:
    batch(scans(T1W))
    stem = "sub-01/anat/sub-01_desc-synthetic_dseg"
    files = [f"{stem}.json", f"{stem}.nii.gz", f"{stem}.tsv"]
    own = ["batch.jsonl", "dataset_description.json", "summary.csv", "summary.html"]
    assert visible(tmp_path / "out") == sorted([*own, *files])
    description = json.loads((tmp_path / "out" / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert load_labels(tmp_path / "out" / files[1]).names == {1: "left kidney", 2: "liver"}


def test_a_derivative_is_nifti(scans: Scans, batch: Batch) -> None:
    with pytest.raises(ConfigError, match=r"\.nii\.gz or \.nii"):
        batch(scans(T1W), suffix=".nrrd")


def test_entities_stay_and_the_model_is_the_description() -> None:
    name = derivative_name("sub-1/anat/sub-1_acq-x_desc-old_T1w", "left-ventricle_b")
    assert name == "sub-1/anat/sub-1_acq-x_desc-leftventricleb_dseg"
