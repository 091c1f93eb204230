"""The built-in hippocampus models on real cases that were never trained on: the promises of their cards."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from napari_effseg import zoo
from napari_effseg.evaluation import Evaluation, EvaluationOptions, evaluate

MODELS = sorted(name for name in zoo.cards() if name.startswith("hippocampus-"))
SOME_CASES = 6

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not MODELS, reason="needs a built-in hippocampus model, and there is none yet"),
]


@cache
def whole_test_split(folder: Path, model: str) -> Evaluation:
    return evaluate(model, folder / "msd_hippocampus")


@pytest.mark.parametrize("model", MODELS)
def test_whole_volumes_of_the_test_split_reach_the_accuracy_on_the_card(
    shared_data: Path, model: str
) -> None:
    found = whole_test_split(shared_data, model)
    stated = {
        (entry.metric, entry.label): entry.mean
        for entry in zoo.find_card(model).accuracy
        if entry.split == "test"
    }
    assert found.over_cases("dice").mean == pytest.approx(stated["dice", "mean"], abs=0.005)
    assert found.over_cases("dice").mean >= 0.87
    assert found.over_cases("hausdorff95_mm").mean <= 2.0
    assert not any(found.missed(label) for label in found.labels)


@pytest.mark.parametrize("transform", ["mirror", "reorient", "oblique", "resample"])
@pytest.mark.parametrize("model", ["hippocampus-slim-unetr"])  # the quickest: what is tested is the engine
def test_no_guise_of_a_case_costs_more_than_a_hundredth(
    shared_data: Path, model: str, transform: str
) -> None:
    whole = whole_test_split(shared_data, model)
    plain = replace(whole, cases=whole.cases[:SOME_CASES])
    options = EvaluationOptions(transform=transform, limit=SOME_CASES)
    disguised = evaluate(model, shared_data / "msd_hippocampus", options)
    assert disguised.over_cases("dice").mean >= plain.over_cases("dice").mean - 0.01
