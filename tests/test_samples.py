"""The sample cases travel in the package, small, whole, and with their licence."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from napari_effseg import UnknownModel, load, load_labels
from napari_effseg.samples import find_sample, sample_cases, write_sample

PACKAGED = [case for case in sample_cases() if not case.extra]


def test_all_of_them_take_less_than_two_megabytes() -> None:
    files = resources.files("napari_effseg.samples").iterdir()
    assert sum(len(file.read_bytes()) for file in files if file.is_file()) < 2_000_000


@pytest.mark.parametrize("case", PACKAGED, ids=lambda case: case.name)
def test_a_case_and_its_reference_lie_on_one_grid(case, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    image, reference = tmp_path / "image.nii.gz", tmp_path / "reference.nii.gz"
    write_sample(case, image, reference)
    volume, labels = load(image), load_labels(reference)
    assert np.array_equal(volume.affine, labels.affine)
    assert volume.shape == labels.shape
    assert set(labels.counts()) == {1, 2}


@pytest.mark.parametrize("case", sample_cases(), ids=lambda case: case.name)
def test_every_case_has_licence_and_citation(case) -> None:  # type: ignore[no-untyped-def]
    assert case.licence
    assert case.citation


def test_the_licence_lies_beside_the_files() -> None:
    text = (resources.files("napari_effseg.samples") / "LICENSE.md").read_text(encoding="utf-8")
    assert "CC-BY-SA 4.0" in text
    for case in PACKAGED:
        assert case.image in text
        assert case.reference in text


def test_they_are_the_source_files_byte_for_byte(shared_data: Path, tmp_path: Path) -> None:
    write_sample(find_sample("hippocampus"), tmp_path / "a.nii.gz")
    source = shared_data / "msd_hippocampus" / "images" / "hippocampus_123.nii.gz"
    assert (tmp_path / "a.nii.gz").read_bytes() == source.read_bytes()


def test_none_of_them_was_trained_on(shared_data: Path) -> None:
    from napari_effseg.io.dataset import read_dataset

    dataset = read_dataset(shared_data / "msd_hippocampus")
    assert {"hippocampus_123", "hippocampus_316"} <= {case.name for case in dataset.split("test")}


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(UnknownModel, match="Did you mean hippocampus"):
        find_sample("hipocampus")
