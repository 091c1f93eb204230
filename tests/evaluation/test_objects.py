"""Models that number objects, against references that do, and against those that do not."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from napari_effseg import LabelMap, Volume, save
from napari_effseg.cli.evaluate import evaluation_as_json
from napari_effseg.evaluation import EvaluationOptions, evaluate
from napari_effseg.zoo import Card, Instances, Postprocess
from tests.shapes import packed_discs
from tests.zoo.synthetic import draft_card

AFFINE = np.diag([-1.0, -1.0, 1.0, 1.0])


def model_that_misses(missing: int) -> Any:
    """Return a model that finds all objects but the one with this number, by the image's values."""

    def run(volume: Volume, model: Card, **_: Any) -> SimpleNamespace:
        found = np.where(volume.data == missing, 0, volume.data).astype(np.uint16)
        names = {int(number): f"kidney {number}" for number in np.unique(found) if number}
        return SimpleNamespace(
            labels=LabelMap(found, volume.affine, names), report=SimpleNamespace(warnings=())
        )

    return run


@pytest.fixture
def card() -> Card:
    postprocess = Postprocess(instances=Instances(border=2))
    return dataclasses.replace(draft_card(2), postprocess=postprocess)


@pytest.fixture
def dish(tmp_path: Path) -> Path:
    """Two images of discs, the second without any, whose values are the discs' numbers."""
    entries = []
    for name, objects in (("a", packed_discs()), ("b", packed_discs() * 0)):
        save(Volume(objects.astype(np.float32), AFFINE), tmp_path / f"{name}.nii.gz")
        save(LabelMap(objects.astype(np.uint16), AFFINE), tmp_path / f"{name}_label.nii.gz")
        entries.append({"image": f"{name}.nii.gz", "label": f"{name}_label.nii.gz"})
    document = {"name": "dish", "labels": {"0": "background", "1..N": "discs"}, "test": entries}
    (tmp_path / "dataset.json").write_text(json.dumps(document), encoding="utf-8")
    return tmp_path


def renamed(dish: Path, labels: dict[str, str]) -> Path:
    document = json.loads((dish / "dataset.json").read_text(encoding="utf-8"))
    (dish / "dataset.json").write_text(json.dumps({**document, "labels": labels}), encoding="utf-8")
    return dish


def test_objects_and_their_foreground_are_scored(
    dish: Path, card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_effseg.evaluation.accuracy.segment", model_that_misses(0))
    found = evaluate(card, dish)
    assert found.labels == {1: "left kidney"}
    assert found.over_cases("dice").mean == 1
    assert found.ap50 is not None
    assert found.ap50.mean == 1
    assert found.warnings == ()


@pytest.mark.parametrize("transform", ["none", "mirror", "reorient"])
def test_a_missed_object_costs_its_share_of_the_image(
    dish: Path, card: Card, monkeypatch: pytest.MonkeyPatch, transform: str
) -> None:
    monkeypatch.setattr("napari_effseg.evaluation.accuracy.segment", model_that_misses(3))
    found = evaluate(card, dish, EvaluationOptions(transform=transform))
    count = int(packed_discs().max())
    score = found.cases[0].objects
    assert score is not None
    assert (score.matched, score.missed, score.extra) == (count - 1, 1, 0)
    assert found.ap50 is not None
    assert found.ap50.mean == pytest.approx((1 + (count - 1) / count) / 2)


def test_the_scores_go_to_json(dish: Path, card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_effseg.evaluation.accuracy.segment", model_that_misses(3))
    document = evaluation_as_json(evaluate(card, dish))
    assert document["cases"][0]["objects"]["missed"] == 1
    assert document["cases"][1]["objects"]["ap50"] == 1
    assert 0.9 < document["summary"]["ap50"]["mean"] < 1


def test_a_reference_of_one_structure_is_compared_with_all_objects(
    dish: Path, card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_effseg.evaluation.accuracy.segment", model_that_misses(0))
    save(LabelMap((packed_discs() > 0).astype(np.uint8), AFFINE), dish / "a_label.nii.gz")
    found = evaluate(card, renamed(dish, {"1": "left kidney"}))
    assert found.over_cases("dice").mean == 1
    assert found.ap50 is None


def test_a_model_of_structures_is_compared_with_all_objects_of_a_reference(
    dish: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(volume: Volume, model: Card, **_: Any) -> SimpleNamespace:
        labels = LabelMap((volume.data > 0).astype(np.uint8), volume.affine, model.label_names)
        return SimpleNamespace(labels=labels, report=SimpleNamespace(warnings=()))

    monkeypatch.setattr("napari_effseg.evaluation.accuracy.segment", run)
    found = evaluate(draft_card(2), dish)
    assert found.over_cases("dice", 1).mean == 1
    assert found.ap50 is None
