"""An evaluation counts every case and structure, in any guise, and says what it cannot compare."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from napari_effseg import ConfigError, LabelMap, Volume, save
from napari_effseg.evaluation import EvaluationOptions, evaluate, transform_names
from napari_effseg.evaluation.accuracy import pair_labels
from napari_effseg.zoo import Card
from tests.zoo.synthetic import draft_card

AFFINE = np.array([[0.0, -1.2, 0, 30], [0.9, 0, 0, -10], [0, 0, 1.5, 4], [0, 0, 0, 1]])
NAMES = {"0": "background", "1": "Liver", "2": "left kidney"}
SECOND = 150.0
"""Voxels brighter than this are the left kidney; those brighter than half of it the liver."""


def threshold_model(volume: Volume, model: Card, **_: Any) -> SimpleNamespace:
    """Find structures by their brightness, in the numbers of the synthetic card: 1 left kidney, 2 liver."""
    labels = np.where(volume.data > SECOND, 1, np.where(volume.data > SECOND / 2, 2, 0))
    found = LabelMap(labels.astype(np.uint8), volume.affine, model.label_names)
    return SimpleNamespace(labels=found, report=SimpleNamespace(warnings=("looks odd",)))


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two cases of a liver and, in the first, a kidney; labels are numbered otherwise than in the card."""
    monkeypatch.setattr("napari_effseg.evaluation.accuracy.segment", threshold_model)
    entries = []
    for name, with_kidney in (("a", True), ("b", False)):
        truth = np.zeros((24, 20, 16), np.uint8)
        truth[3:12, 4:15, 2:13] = 1
        truth[14:22, 3:12, 4:14] = 2 * with_kidney
        image = np.choose(truth, [0.0, 100.0, 200.0]).astype(np.float32)
        save(Volume(image, AFFINE), tmp_path / f"{name}.nii.gz")
        save(LabelMap(truth, AFFINE), tmp_path / f"{name}_label.nii.gz")
        entries.append({"image": f"{name}.nii.gz", "label": f"{name}_label.nii.gz"})
    document = {"name": "two cases", "labels": NAMES, "test": entries}
    (tmp_path / "dataset.json").write_text(json.dumps(document), encoding="utf-8")
    return tmp_path


def test_a_perfect_model_scores_one_whatever_the_numbers(dataset: Path) -> None:
    found = evaluate(draft_card(), dataset)
    assert found.labels == {1: "Liver", 2: "left kidney"}
    assert [case.case for case in found.cases] == ["a", "b"]
    assert found.over_cases("dice").mean == 1
    assert found.over_cases("hausdorff95_mm", 1).mean == 0
    assert found.cases[0].warnings == ("looks odd",)


@pytest.mark.parametrize("transform", transform_names())
def test_the_guise_of_a_case_does_not_change_a_good_model(dataset: Path, transform: str) -> None:
    found = evaluate(draft_card(), dataset, EvaluationOptions(transform=transform))
    assert found.over_cases("dice").mean > (0.95 if transform == "resample" else 0.9999)


def test_a_missed_structure_counts_with_nothing_and_the_diagonal(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.evaluation.test_accuracy.SECOND", 1000.0)
    found = evaluate(draft_card(), dataset)
    diagonal = float(np.linalg.norm(np.multiply((24, 20, 16), (0.9, 1.2, 1.5))))
    assert found.missed(2) == 1
    assert found.over_cases("dice", 2).mean == 0.5  # absent in the second case: right
    assert found.over_cases("hausdorff95_mm", 2).mean == pytest.approx(diagonal / 2)


def test_the_spread_is_that_of_the_sample(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.evaluation.test_accuracy.SECOND", 1000.0)
    assert evaluate(draft_card(), dataset).over_cases("dice", 2).std == pytest.approx(0.5**0.5)


def test_the_limit_takes_the_first_cases(dataset: Path) -> None:
    assert [case.case for case in evaluate(draft_card(), dataset, EvaluationOptions(limit=1)).cases] == ["a"]


def test_progress_runs_over_all_cases(dataset: Path) -> None:
    seen: list[float] = []

    def note(fraction: float, message: str) -> None:
        seen.append(fraction)

    evaluate(draft_card(), dataset, progress=note)
    assert seen == sorted(seen)


def test_a_case_without_a_reference_is_said(dataset: Path) -> None:
    document = json.loads((dataset / "dataset.json").read_text(encoding="utf-8"))
    document["test"] = [document["test"][0]["image"]]
    (dataset / "dataset.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ConfigError, match="no reference"):
        evaluate(draft_card(), dataset)


def test_a_reference_on_another_grid_is_said(dataset: Path) -> None:
    save(LabelMap(np.zeros((24, 20, 16), np.uint8), np.eye(4)), dataset / "a_label.nii.gz")
    with pytest.raises(ConfigError, match="different grids"):
        evaluate(draft_card(), dataset)


def test_structures_are_paired_by_name_first() -> None:
    assert pair_labels({1: "Liver ", 2: "left kidney"}, {1: "left kidney", 2: "liver"}) == ({2: 1, 1: 2}, ())


def test_structures_of_other_names_are_paired_by_number_with_a_warning() -> None:
    numbers, (warning,) = pair_labels({1: "anterior"}, {1: "front", 2: "back"})
    assert numbers == {1: 1}
    assert "1: anterior / front" in warning


def test_structures_that_the_model_lacks_are_said() -> None:
    with pytest.raises(ConfigError, match="spleen"):
        pair_labels({3: "spleen"}, {1: "liver"})


def test_a_folder_without_a_list_is_scored_by_the_models_numbers_and_says_so(
    dataset: Path, tmp_path: Path
) -> None:
    for kind, end in (("images", ""), ("labels", "_label")):
        (tmp_path / "plain" / kind).mkdir(parents=True)
        for case in "ab":
            (dataset / f"{case}{end}.nii.gz").rename(tmp_path / "plain" / kind / f"{case}.nii.gz")
    found = evaluate(draft_card(), tmp_path / "plain", EvaluationOptions("validation", held_back=0.5))
    assert len(found.cases) == 1
    assert found.labels == {1: "left kidney", 2: "liver"}
    assert "taken for the model's" in found.warnings[0]
    named = EvaluationOptions("training", names={1: "Liver", 2: "Left_Kidney"})
    assert evaluate(draft_card(), tmp_path / "plain", named).over_cases("dice").mean == 1
