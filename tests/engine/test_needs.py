"""What a card needs on this machine, how that is known, and what a run teaches."""

import dataclasses

import numpy as np
import pytest

from napari_effseg import engine, zoo
from napari_effseg.engine import DeviceInfo, known_by, needs_of, observed, resolve_device
from napari_effseg.volume import Volume
from napari_effseg.zoo.measured import remember, with_measured_here
from tests.zoo.synthetic import draft_card, synthetic_card

from .builders import OBLIQUE, card_for

CPU = DeviceInfo("cpu", "CPU, 2 threads", 8 * 10**9, 8 * 10**9, 3 * 10**8, 2)
MEASURED = zoo.Performance("CPU, 4 threads", "24 x 32 x 32 voxels at 1 mm, whole", 7.0, 600.0)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EFFSEG_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def card(tmp_path):
    return synthetic_card(tmp_path / "cards")


def volume(shape=(30, 20, 25)):
    return Volume(np.random.default_rng(0).normal(0, 100, shape).astype(np.float32), OBLIQUE)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_card_that_nobody_measured_is_estimated_for_a_window(dimensions):
    needs = needs_of(draft_card(dimensions), CPU)
    assert needs.known_by == "estimated"
    assert needs.case.startswith("one window of 24 x 16")
    assert needs.seconds > 0
    assert needs.memory_bytes > CPU.process_bytes


def test_a_measured_card_is_estimated_for_the_same_case():
    needs = needs_of(dataclasses.replace(card_for(), performance=(MEASURED,)), CPU)
    assert needs.known_by == "estimated from CPU, 4 threads"
    assert needs.case == MEASURED.case
    assert needs.seconds == pytest.approx(MEASURED.seconds, rel=0.01)


def test_a_run_on_another_kind_of_device_tells_nothing():
    card = dataclasses.replace(card_for(), performance=(MEASURED,))
    assert known_by(card, DeviceInfo("cuda:0", "a GPU", 1, 1, 1, 2)) == "estimated"


def test_after_a_run_here_the_time_is_measured_here(card):
    result = engine.segment(volume(), card, "cpu")
    run = observed(result, card)
    assert run.case == "30 x 20 x 25 voxels of the network's image"
    remember(card, run)
    assert known_by(card, resolve_device("cpu")) == "measured here"
    plan = engine.plan_segmentation(volume(), with_measured_here(card), "cpu")
    assert plan.seconds == pytest.approx(result.report.seconds, rel=0.05, abs=0.01)


def test_a_run_with_other_threads_here_is_said(card):
    run = observed(engine.segment(volume(), card, "cpu"), card)
    remember(card, dataclasses.replace(run, device="cpu: CPU, 77 threads"))
    assert known_by(card, resolve_device("cpu")) == "estimated from runs here"


def test_several_regions_and_windows_that_shrank_teach_nothing(card):
    boxes = [((0, 0, 0), (9, 9, 9)), ((10, 10, 10), (20, 20, 20))]
    result = engine.segment(volume(), card, "cpu", boxes)
    assert observed(result, card, boxes) is None
    report = dataclasses.replace(result.report, windows=99)
    assert observed(dataclasses.replace(result, report=report), card, boxes[:1]) is None


def test_a_mirrored_card_is_not_counted_twice():
    mirrored = dataclasses.replace(card_for(), performance=(MEASURED,))
    window = dataclasses.replace(mirrored.window, mirror=(0, 1, 2))
    again = dataclasses.replace(mirrored, window=window)
    assert needs_of(again, CPU).seconds == pytest.approx(needs_of(mirrored, CPU).seconds, rel=0.01)
