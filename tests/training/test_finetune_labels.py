"""Structures of a data set and of a card: the same, fewer, more, or misspelt."""

import numpy as np
import pytest

import napari_effseg as eff
from napari_effseg.io.dataset import CaseFiles, Dataset
from napari_effseg.training.finetune.labels import FoundLabels, find_labels, match_labels, name_labels
from tests.zoo.synthetic import draft_card

CARD = draft_card()  # 1 left kidney, 2 liver


def dataset(tmp_path, labels=None, **cases):
    """A data set whose cases hold the labels given; the one called `held` is the validation split."""
    files = {}
    for name, numbers in cases.items():
        data = np.zeros((4, 3, 5), np.uint8)
        data.flat[: len(numbers)] = numbers
        path = eff.save(eff.LabelMap(data, np.eye(4)), tmp_path / f"{name}.nii.gz")
        files[name] = CaseFiles(name, (path,), path)
    training = tuple(case for name, case in files.items() if name != "held")
    splits = {"training": training, "validation": (files["held"],)}
    found = find_labels(list(files.values()))
    return Dataset(tmp_path, "data", "", "", "", False, labels or {}, splits), found


def test_names_match_whatever_their_spelling_and_number():
    match = match_labels({4: "Liver", 9: "left_kidney"}, CARD)
    assert match.names == {1: "left kidney", 2: "liver"}
    assert match.numbers == {9: 1, 4: 2}
    assert match.kept == {1: 1, 2: 2}
    assert match.describe("synthetic") == ()


def test_fewer_structures_are_allowed_and_said():
    match = match_labels({1: "liver"}, CARD)
    assert (match.numbers, match.kept, match.dropped) == ({1: 1}, {1: 2}, ("left kidney",))
    assert "will not know: left kidney" in match.describe("synthetic")[0]


def test_a_new_structure_comes_after_those_that_are_known():
    match = match_labels({1: "spleen", 2: "liver"}, CARD)
    assert match.names == {1: "liver", 2: "spleen"}
    assert match.numbers == {2: 1, 1: 2}
    assert match.new == ("spleen",)


def test_a_single_new_structure_makes_the_output_anew():
    match = match_labels({7: "cyst"}, CARD)
    assert (match.names, match.numbers, match.kept) == ({1: "cyst"}, {7: 1}, {})
    assert "made anew for cyst" in match.describe("synthetic")[0]


def test_a_name_that_is_nearly_one_of_the_cards_is_asked_about():
    with pytest.raises(eff.ConfigError, match="Did you mean liver"):
        match_labels({1: "livre"}, CARD)
    assert match_labels({1: "livre"}, CARD, new_labels=True).new == ("livre",)


def test_the_list_names_what_the_files_hold(tmp_path):
    data, found = dataset(tmp_path, {3: "liver"}, a=[3], held=[3])
    assert name_labels(data, found, {}, CARD) == ({3: "liver"}, ())


def test_what_is_given_goes_before_the_list(tmp_path):
    data, found = dataset(tmp_path, {3: "livre"}, a=[3], held=[3])
    assert name_labels(data, found, {3: "liver"}, CARD)[0] == {3: "liver"}


def test_without_names_the_numbers_are_the_cards_and_that_is_said(tmp_path):
    data, found = dataset(tmp_path, a=[2], held=[0])
    names, (warning,) = name_labels(data, found, {}, CARD)
    assert names == {2: "liver"}
    assert "2 liver" in warning


def test_names_that_travel_with_the_files_are_used(tmp_path):
    path = tmp_path / "a.seg.nrrd"
    labels = np.ones((3, 4, 2), np.uint8)
    eff.save(eff.LabelMap(labels, np.eye(4), names={1: "cyst"}, colours={1: (1, 2, 3)}), path)
    cases = tuple(CaseFiles(name, (path,), path) for name in "ab")
    data = Dataset(tmp_path, "data", "", "", "", False, {}, {"training": cases[:1], "validation": cases[1:]})
    found = find_labels(cases)
    assert name_labels(data, found, {}, CARD) == ({1: "cyst"}, ())
    assert found.colours[1] == (1, 2, 3)


@pytest.mark.parametrize(
    ("listed", "cases", "said"),
    [
        ({1: "liver"}, {"a": [1, 7], "held": [1]}, r"label 7, which nothing names.*--label 7=NAME"),
        ({}, {"a": [1], "held": [9]}, "label 9, which nothing names"),
        ({1: "liver", 2: "cyst"}, {"a": [1], "held": [2]}, "no case to train on holds 'cyst'"),
        ({1: "liver", 2: "Liver"}, {"a": [1, 2], "held": [1]}, "both called"),
    ],
)
def test_names_that_do_not_fit_the_files_are_refused(tmp_path, listed, cases, said):
    data, found = dataset(tmp_path, listed, **cases)
    with pytest.raises(eff.ConfigError, match=said):
        name_labels(data, found, {}, CARD)


def test_one_number_with_two_names_is_refused(tmp_path):
    cases = []
    for case, name in (("a", "cyst"), ("b", "tumour")):
        labels = eff.LabelMap(np.ones((3, 4, 2), np.uint8), np.eye(4), names={1: name})
        path = eff.save(labels, tmp_path / f"{case}.nii.gz")
        cases.append(CaseFiles(case, (path,), path))
    with pytest.raises(eff.ConfigError, match="'cyst' in a and 'tumour' in b"):
        find_labels(cases)


def test_what_occurs_is_told_by_case():
    first, second = (CaseFiles(name, (), None) for name in "ab")
    found = FoundLabels({first: frozenset({1}), second: frozenset({2})}, {}, {}, {})
    assert found.occurring([first]) == {1}
    assert found.occurring([]) == set()
