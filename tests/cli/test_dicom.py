"""`effseg segment` on DICOM: folders, files, several series, several images at a place."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from napari_effseg import load, load_labels
from tests.io.dicom.synthetic import OTHER_SERIES, SERIES, slices, write

from .conftest import AFFINE, Command

pytestmark = pytest.mark.usefixtures("models")


def _noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 20, (20, 14, 10)).astype(np.int16)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A folder with one MR series, whose name has a dot and a space."""
    return write(tmp_path / "MR 2.5", slices(_noise(), AFFINE))


def _lies_on(output: Path, image: Path, **choice: object) -> bool:
    return np.allclose(load_labels(output).affine, load(image, **choice).affine, atol=1e-4)


def test_a_folder_is_segmented_and_the_result_named_after_it(effseg: Command, study: Path) -> None:
    ran = effseg("segment", study, "-m", "synthetic")
    output = study.with_name("MR 2.5_seg.nii.gz")
    assert (ran.code, f"wrote {output}" in ran.out) == (0, True)
    assert _lies_on(output, study)
    assert len(list(study.iterdir())) == 10


def test_the_folder_one_stands_in_has_a_name(effseg: Command, study: Path, monkeypatch) -> None:
    monkeypatch.chdir(study)
    assert effseg("segment", ".", "-m", "synthetic").code == 0
    assert study.with_name("MR 2.5_seg.nii.gz").exists()


def test_the_files_of_a_series_are_one_image(effseg: Command, study: Path) -> None:
    ran = effseg(
        "segment", *sorted(study.iterdir()), "-m", "synthetic", "--save-doubt", study.with_name("d.nrrd")
    )
    assert ran.code == 0
    assert _lies_on(study.with_name("MR 2.5_seg.nii.gz"), study)


def test_several_series_are_listed_and_one_is_chosen(effseg: Command, study: Path) -> None:
    other = slices(_noise(1)[:, :, :8], AFFINE, SeriesInstanceUID=OTHER_SERIES)
    write(study, other, names=[f"other{k}" for k in range(8)])
    output = study.with_name("out.nrrd")
    ran = effseg("segment", study, "-m", "synthetic", "-o", output)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert SERIES in ran.err
    assert f"{OTHER_SERIES} (synthetic, MR, 8 images)" in ran.err
    assert not output.exists()
    assert effseg("segment", study, "--series", OTHER_SERIES, "-m", "synthetic", "-o", output).code == 0
    assert load_labels(output).shape == (20, 14, 8)


def test_one_of_several_images_at_a_place_is_chosen(effseg: Command, tmp_path: Path) -> None:
    both = [
        *slices(_noise(), AFFINE, DiffusionBValue=0.0),
        *slices(_noise(1), AFFINE, DiffusionBValue=800.0),
    ]
    folder = write(tmp_path / "dwi", both)
    first = effseg("segment", folder, "-m", "synthetic", "-o", tmp_path / "0.nrrd")
    assert (first.code, "b-value 0, 800 s/mm²" in first.err) == (0, True)
    second = effseg("segment", folder, "-m", "synthetic", "--frame", 1, "-o", tmp_path / "1.nrrd")
    assert (second.code, "b-value" in second.err) == (0, False)
    third = effseg("segment", folder, "-m", "synthetic", "--frame", 2, "-o", tmp_path / "2.nrrd")
    assert (third.code, len(third.err.splitlines())) == (2, 1)


def test_a_missing_slice_is_warned_about(effseg: Command, study: Path) -> None:
    os.remove(study / "IM0004.dcm")
    ran = effseg("segment", study, "-m", "synthetic", "-o", study.with_name("out.nrrd"))
    assert ran.code == 0
    assert "1 slice is missing (k = 4)" in ran.err


def test_a_card_of_another_modality_says_so(effseg: Command, tmp_path: Path) -> None:
    folder = write(tmp_path / "ct", slices(_noise(), AFFINE, modality="CT"))
    ran = effseg("segment", folder, "-m", "synthetic", "-o", tmp_path / "out.nrrd")
    assert "the image is CT" in ran.err


def test_a_folder_without_dicom_is_refused(effseg: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = effseg("segment", tmp_path / "empty", "-m", "synthetic")
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert "is a folder without DICOM files" in ran.err
