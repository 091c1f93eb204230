"""Results of several models as one: labels, doubt, report."""

import dataclasses
import json

import numpy as np
import pytest

from napari_effseg import engine
from napari_effseg.engine.several import combine, part_of, together
from napari_effseg.volume import Volume
from tests.zoo.synthetic import synthetic_card

from .builders import OBLIQUE


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cards")
    values = np.random.default_rng(0).normal(0, 300, (20, 16, 12)).astype(np.float32)
    volume = Volume(values, OBLIQUE)
    cards = [synthetic_card(folder, name=name, seed=seed) for seed, name in enumerate(("one", "two"))]
    found = [engine.segment(volume, card, "cpu") for card in cards]
    half = found[0].labels.data.copy()
    half[10:] = 0  # so that the second has voxels of its own
    labels = dataclasses.replace(found[0].labels, data=half)
    return [dataclasses.replace(found[0], labels=labels), found[1]]


def test_one_result_stays_what_it_is(results):
    combined = combine(results[:1])
    assert combined.labels is results[0].labels
    assert combined.doubt is results[0].doubt
    assert combined.to_json() == results[0].report.to_json()


def test_earlier_labels_stay_and_later_ones_fill_what_is_free(results):
    first, second = results
    combined = combine(results)
    ours = first.labels.data > 0
    assert np.array_equal(combined.labels.data[ours], first.labels.data[ours])
    assert np.array_equal(combined.labels.data[~ours] > 0, second.labels.data[~ours] > 0)
    assert combined.labels.names == {
        1: "left kidney",
        2: "liver",
        3: "left kidney (two)",
        4: "liver (two)",
    }


def test_later_models_replace_labels_when_told(results):
    combined = combine(results, later_wins=True)
    theirs = results[1].labels.data
    assert np.array_equal(combined.labels.data[theirs > 0], theirs[theirs > 0] + 2)


def test_doubt_is_that_of_the_model_whose_label_it_is(results):
    first, second = results
    combined = combine(results)
    ours = first.labels.data > 0
    theirs = ~ours & (second.labels.data > 0)
    assert np.array_equal(combined.doubt[ours], first.doubt[ours])
    assert np.array_equal(combined.doubt[theirs], second.doubt[theirs])
    free = ~ours & ~theirs
    assert np.array_equal(combined.doubt[free], np.maximum(first.doubt, second.doubt)[free])


def test_the_report_tells_of_each_model(results):
    document = combine(results).to_json()
    json.dumps(document)
    assert document["model"] == "one + two"
    assert [one["model"] for one in document["models"]] == ["one", "two"]
    assert document["models"][1]["numbers"] == [[1, 3], [2, 4]]
    assert document["seconds"] == pytest.approx(sum(one.report.seconds for one in results), abs=0.01)
    assert set(results[0].report.to_json()) <= set(document)


def test_warnings_say_which_model_they_are_about(results):
    report = dataclasses.replace(results[1].report, warnings=("look",))
    combined = combine([results[0], dataclasses.replace(results[1], report=report)])
    assert "two: look" in combined.warnings


def test_times_add_up_and_memory_is_the_largest(results):
    volume = Volume(np.zeros((20, 16, 12), np.float32), OBLIQUE)
    plan = engine.plan_segmentation(volume, "hippocampus-lightm-unet", "cpu")
    long = dataclasses.replace(plan, seconds=300.0, peak_memory_bytes=2 * 10**9)
    said = together([dataclasses.replace(plan, seconds=120.0, peak_memory_bytes=10**9), long])
    assert said == "2 models one after the other: about 7 min in all, and at most 2.0 GB"
    assert together([plan]) == ""


def test_progress_of_a_run_is_a_part_of_all():
    said = []
    part_of(lambda *words: said.append(words), 1, 4, "two")(0.5, "window 1 of 2")
    part_of(lambda *words: said.append(words), 0, 1, "two")(0.5, "window 1 of 2")
    part_of(None, 0, 1, "two")(0.5, "nobody listens")
    assert said == [(0.375, "2 of 4, two: window 1 of 2"), (0.5, "window 1 of 2")]
