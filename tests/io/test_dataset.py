"""Folders of cases: what lists them, how names pair, and which are held back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_effseg import ConfigError, ImageReadError
from napari_effseg.io.dataset import CaseFiles, Dataset, hold_back, plain_name, read_dataset

names = st.lists(st.text("abc_1", min_size=1, max_size=6), min_size=2, max_size=30, unique=True)
fractions = st.floats(0.01, 0.99)


def touch(folder: Path, *files: str) -> Path:
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def listed(folder: Path, **document: Any) -> Path:
    (folder / "dataset.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def dataset_of(cases: list[str]) -> Dataset:
    files = tuple(CaseFiles(name, (Path(f"{name}.nii"),), Path(f"{name}_seg.nii")) for name in cases)
    return Dataset(Path("data"), "data", "", "", "", False, {}, {"training": files})


@pytest.mark.parametrize("layout", [("imagesTr", "labelsTr"), ("images", "labels")])
def test_images_and_labels_of_equal_names_are_cases(tmp_path: Path, layout: tuple[str, str]) -> None:
    images, labels = layout
    touch(tmp_path, f"{images}/b.nii.gz", f"{images}/a.mha", f"{labels}/a.seg.nrrd", f"{labels}/b.nii.gz")
    found = read_dataset(tmp_path)
    assert [case.name for case in found.split("training")] == ["a", "b"]
    assert found.split("training")[0].label == tmp_path / labels / "a.seg.nrrd"
    assert found.labels == {}
    assert found.name == tmp_path.name


def test_numbered_files_are_the_channels_of_a_case(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/p_0001.nii.gz", "imagesTr/p_0000.nii.gz", "labelsTr/p.nii.gz")
    (case,) = read_dataset(tmp_path).split("training")
    assert [path.name for path in case.images] == ["p_0000.nii.gz", "p_0001.nii.gz"]


def test_a_number_that_the_label_map_has_too_is_part_of_the_name(tmp_path: Path) -> None:
    touch(tmp_path, "images/scan_0001.nii", "images/scan_0002.nii", "labels/scan_0001.nii")
    touch(tmp_path, "labels/scan_0002.nii")
    assert [len(case.images) for case in read_dataset(tmp_path).split("training")] == [1, 1]


def test_what_has_no_partner_is_left_out_and_said(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.nii", "images/b.nii", "labels/a.nii", "labels/c.nii", "labels/a.tsv")
    touch(tmp_path, "images/._a.nii", "labels/notes.txt")
    found = read_dataset(tmp_path)
    assert [case.name for case in found.split("training")] == ["a"]
    assert ["b" in text or "c" in text for text in found.warnings] == [True, True]


def test_names_that_never_meet_are_shown(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.nii", "labels/a_seg.nii")
    with pytest.raises(ImageReadError, match=r"images: a; label maps: a_seg"):
        read_dataset(tmp_path)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.nii", "images/a.nrrd", "labels/a.nii")
    with pytest.raises(ImageReadError, match=r"a\.nii and a\.nrrd"):
        read_dataset(tmp_path)


def test_a_folder_without_cases_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match=r"dataset\.json.*imagesTr.*images"):
        read_dataset(tmp_path)


def test_the_file_of_nnunet_names_labels_and_the_folders_the_cases(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/p_0000.nii.gz", "labelsTr/p.nii.gz")
    found = read_dataset(listed(tmp_path, labels={"background": 0, "liver": 1}, numTraining=1))
    assert found.labels == {1: "liver"}
    assert [case.name for case in found.split("training")] == ["p"]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"labels": {"tumour": [1, 2]}}, "tumour"),
        ({"labels": {"one": "liver"}}, "number and a name"),
        ({"labels": 3}, "labels is 3"),
        ({"training": 5}, "expected a list"),
        ({"training": [["a.nii"], 7]}, "without an image"),
        ({"training": [{"image": "../a.nii"}]}, "outside"),
    ],
)
def test_a_wrong_list_is_refused_in_words(tmp_path: Path, document: dict[str, Any], said: str) -> None:
    with pytest.raises(ImageReadError, match=said):
        read_dataset(listed(tmp_path, **document))


@given(names, fractions)
def test_every_case_is_either_held_back_or_trained_on(cases: list[str], fraction: float) -> None:
    split = hold_back(dataset_of(cases), fraction).splits
    together = [case.name for name in ("training", "validation") for case in split[name]]
    assert sorted(together) == sorted(cases)
    assert split["training"]
    assert abs(len(split["validation"]) - fraction * len(cases)) <= 1


@given(names, fractions, st.randoms())
def test_what_is_held_back_follows_from_the_names_alone(
    cases: list[str], fraction: float, random: Any
) -> None:
    shuffled = list(cases)
    random.shuffle(shuffled)
    held = [
        {case.name for case in hold_back(dataset_of(order), fraction).splits["validation"]}
        for order in (cases, shuffled)
    ]
    assert held[0] == held[1]


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, float("nan")])
def test_a_fraction_outside_its_range_is_refused(fraction: float) -> None:
    with pytest.raises(ConfigError, match="more than 0 and less than 1"):
        hold_back(dataset_of(["a", "b"]), fraction)


def test_one_case_cannot_be_split() -> None:
    with pytest.raises(ConfigError, match="at least 2"):
        hold_back(dataset_of(["a"]), 0.5)


def test_a_validation_list_is_not_replaced(tmp_path: Path) -> None:
    cases = [{"image": f"{name}.nii", "label": f"{name}_l.nii"} for name in "ab"]
    folder = listed(tmp_path, training=cases, validation=cases[:1])
    assert len(read_dataset(folder).split("validation")) == 1
    with pytest.raises(ConfigError, match="validation list of 1"):
        read_dataset(folder, held_back=0.5)


def test_names_are_compared_without_regard_to_spelling_habits() -> None:
    assert plain_name(" Left_Kidney") == plain_name("left-kidney") == "left kidney"
