"""What is a case of a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_effseg import LabelMap, load, save
from napari_effseg.batch import Status, Wanted, find_cases
from napari_effseg.errors import CardError, ConfigError, ImageReadError
from tests.cli.conftest import AFFINE
from tests.io.dicom.synthetic import slices, write

from .conftest import Batch, Scans


@pytest.fixture
def names(card, tmp_path: Path):
    """Names of the cases of a folder."""

    def find(folder: Path, **wanted: object) -> list[str]:
        found = find_cases(folder, Wanted(card.path, **wanted), tmp_path / "out")
        return [case.name for case in found.cases]

    return find


def noise(number: int = 0):
    return np.random.default_rng(number).normal(100, 20, (12, 10, 8)).astype(np.int16)


def test_images_of_every_format_are_cases_by_name(scans: Scans, names) -> None:
    assert names(scans("b.nii.gz", "c.nrrd", "a.mha", "ward 3/d.nii")) == ["a", "b", "c", "ward 3/d"]


def test_what_is_no_image_is_left_out(scans: Scans, names) -> None:
    folder = scans("a.nii.gz")
    (folder / "readme.md").write_text("no image")
    (folder / "._a.nii.gz").write_text("of macOS")
    (folder / "a.tsv").unlink(missing_ok=True)
    assert names(folder) == ["a"]


def test_label_maps_are_left_out_and_it_is_said(scans: Scans, card, tmp_path: Path) -> None:
    folder = scans("a.nii.gz", "a_seg.nii.gz", "labelsTr/a.nii.gz")
    labels = LabelMap(noise().clip(0, 1), AFFINE, {1: "liver"})
    save(labels, folder / "drawn.nii.gz")
    save(labels, folder / "drawn2.seg.nrrd")
    found = find_cases(folder, Wanted(card.path), tmp_path / "out")
    assert [case.name for case in found.cases] == ["a"]
    assert "label maps: labelsTr, a_seg.nii.gz, drawn.nii.gz and 1 more" in found.notes[0]


def test_pictures_are_no_cases_of_a_model_of_volumes(scans: Scans, names) -> None:
    folder = scans("a.nii.gz")
    (folder / "view.png").write_bytes(b"a picture")
    assert names(folder) == ["a"]


def test_a_folder_with_a_series_is_one_case(tmp_path: Path, names) -> None:
    write(tmp_path / "in" / "anna" / "MR 2.5", slices(noise(), AFFINE))
    write(tmp_path / "in" / "bert", slices(noise(), AFFINE))
    assert names(tmp_path / "in") == ["anna/MR 2.5", "bert"]


def test_a_series_given_itself_is_one_case(tmp_path: Path, names) -> None:
    assert names(write(tmp_path / "bert", slices(noise(), AFFINE))) == ["bert"]


def test_results_in_the_folder_are_not_cases(scans: Scans, card) -> None:
    folder = scans("a.nii.gz", "out/b.nii.gz")
    found = find_cases(folder, Wanted(card.path), folder / "out")
    assert [case.name for case in found.cases] == ["a"]


@pytest.mark.parametrize(("pattern", "expected"), [("*_ct.nii", ["p1/x_ct"]), ("p2/*", ["p2/x_mr"])])
def test_a_pattern_chooses(scans: Scans, names, pattern: str, expected: list[str]) -> None:
    assert names(scans("p1/x_ct.nii", "p2/x_mr.nii"), pattern=pattern) == expected


def test_channels_in_nnunets_way_are_one_case(scans: Scans, two_channels, tmp_path: Path) -> None:
    folder = scans("a_0000.nii.gz", "a_0001.nii.gz", "b_0000.nii.gz")
    whole, half = find_cases(folder, Wanted(two_channels.path), tmp_path / "out").cases
    assert (whole.name, whole.roles, [path.name for path in whole.files]) == (
        "a",
        ("t1", "flair"),
        ["a_0000.nii.gz", "a_0001.nii.gz"],
    )
    assert "missing: b_0001 (flair)" in half.problem


def test_numbered_cases_are_not_channels(scans: Scans, names) -> None:
    assert names(scans("scan_2023.nii", "scan_2024.nii")) == ["scan_2023", "scan_2024"]


def test_one_channel_in_nnunets_way_is_named_without_its_number(scans: Scans, names) -> None:
    assert names(scans("liver_0000.nii", "spleen_0000.nii")) == ["liver", "spleen"]


def test_two_files_of_one_name_are_refused(scans: Scans, names) -> None:
    with pytest.raises(ConfigError, match=r"one name: A .*, a .*--pattern"):
        names(scans("A.nii.gz", "a.nrrd"))


def test_a_folder_without_images_is_refused(tmp_path: Path, names) -> None:
    with pytest.raises(ConfigError, match="no case"):
        names(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path, names) -> None:
    with pytest.raises(ImageReadError, match="nowhere does not exist"):
        names(tmp_path / "nowhere")


def test_results_do_not_go_among_the_images(scans: Scans, card) -> None:
    folder = scans("a.nii.gz")
    with pytest.raises(ConfigError, match="another one for the results"):
        find_cases(folder, Wanted(card.path), folder)


def test_a_folder_needs_a_model(scans: Scans, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="with -m"):
        find_cases(scans("a.nii.gz"), Wanted(), tmp_path / "out")


def test_a_model_that_answers_clicks_is_refused(scans: Scans, tmp_path: Path) -> None:
    with pytest.raises(CardError, match="answers clicks"):
        find_cases(scans("a.nii.gz"), Wanted("prompt-unet"), tmp_path / "out")


def test_a_link_to_a_file_that_is_not_there_is_a_bad_case_and_not_none(scans: Scans, batch: Batch) -> None:
    """As in data sets whose files git-annex has not fetched."""
    folder = scans("a.nii.gz")
    (folder / "b.nii.gz").symlink_to("annex/objects/b.nii.gz")
    (folder / "notes").symlink_to("nowhere")
    (failed,) = batch(folder).failed
    assert (failed.case, failed.status) == ("b", Status.BAD_INPUT)
    assert "no such file" in failed.words


def test_a_folder_that_links_to_itself_ends(scans: Scans, names) -> None:
    folder = scans("a.nii.gz")
    (folder / "again").symlink_to(folder)
    assert names(folder) == ["a"]
    assert load(folder / "a.nii.gz").shape == (12, 10, 8)
