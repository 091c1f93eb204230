"""What a machine remembers of runs: the fastest of each size, the largest first; none of other machines."""

import dataclasses
import json
import platform

import pytest

from napari_effseg import zoo
from napari_effseg.zoo._places import times_file
from napari_effseg.zoo.measured import measured_here, remember, with_measured_here

from .synthetic import draft_card

RUN = zoo.Performance("cpu: CPU, 2 threads", "10 x 20 x 30 voxels", 2.0, 100.0)
CARD = dataclasses.replace(draft_card(), performance=(zoo.Performance("a lab", "1 x 2 x 3", 1.0, 1.0),))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EFFSEG_CACHE", str(tmp_path / "cache"))


def test_nothing_is_known_before_a_run():
    assert measured_here(CARD) == ()
    assert with_measured_here(CARD) == CARD


def test_a_run_comes_before_what_others_measured():
    remember(CARD, RUN)
    assert with_measured_here(CARD).performance == (RUN, *CARD.performance)


def test_runs_of_the_largest_image_come_first_and_the_fastest_of_a_size_counts():
    large = dataclasses.replace(RUN, case="100 x 20 x 30 voxels", seconds=9.0)
    newer = dataclasses.replace(RUN, seconds=1.0)
    for run in (RUN, large, newer, RUN):
        remember(CARD, run)
    assert measured_here(CARD) == (large, newer)


def test_a_few_runs_are_kept():
    for side in range(1, 30):
        remember(CARD, dataclasses.replace(RUN, case=f"{side} x 1 x 1 voxels"))
    assert len(measured_here(CARD)) == 8


def test_runs_of_another_machine_with_the_same_home_are_not_of_here(monkeypatch):
    remember(CARD, RUN)
    monkeypatch.setattr(platform, "node", lambda: "elsewhere")
    assert measured_here(CARD) == ()
    remember(CARD, dataclasses.replace(RUN, seconds=5.0))
    monkeypatch.undo()


@pytest.mark.parametrize("text", ["", "{", "3", "[{}]", '[{"machine": "a"}]', "[1]", '{"a": 1}'])
def test_a_broken_file_is_as_none(text):
    remember(CARD, RUN)
    times_file(CARD).write_text(text)
    assert measured_here(CARD) == ()
    remember(CARD, RUN)
    assert measured_here(CARD) == (RUN,)


def test_times_that_are_none_are_not_believed():
    remember(CARD, RUN)
    document = json.loads(times_file(CARD).read_text())
    document[0]["seconds"] = -1.0
    times_file(CARD).write_text(json.dumps(document))
    assert measured_here(CARD) == ()


def test_where_nothing_can_be_written_nothing_happens(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("EFFSEG_CACHE", str(tmp_path / "file"))
    remember(CARD, RUN)
    assert measured_here(CARD) == ()
