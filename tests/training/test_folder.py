"""What a run folder shows while the run goes on."""

import json
from types import SimpleNamespace

import pytest

from napari_effseg.training import curves
from napari_effseg.training import folder as run_folder
from napari_effseg.training.state import HistoryPoint, TrainingState


@pytest.fixture
def drawn(monkeypatch):
    """Draw really, as runs outside these tests do, and list the numbers of points that were drawn."""
    counts = []

    def draw(history, path, *rest):
        counts.append(len(history))
        curves.draw_curves(history, path, *rest)

    monkeypatch.setattr(run_folder, "draw_curves", draw)
    return counts


@pytest.fixture
def run(tmp_path):
    state = TrainingState()
    return SimpleNamespace(folder=tmp_path, card=SimpleNamespace(title="Balls"), state=state)


def validate(run, dice):
    step = len(run.state.history) + 1
    run.state.history.append(HistoryPoint(step, 1.0 / step, 0.0, {"ball": dice}, dice))


def test_the_curves_are_drawn_again_after_each_validation_and_not_between(run, drawn):
    report = run_folder.drawing(run, None, {"ball": 0.1})
    pictures = []
    for dice in (0.2, 0.9):
        validate(run, dice)
        report(0.5, "a validation")
        report(0.6, "a step")
        pictures.append((run.folder / "curves.png").read_bytes())
    assert drawn == [1, 2]
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
    assert pictures[0] != pictures[1]
    assert [point["mean_dice"] for point in json.loads((run.folder / "history.json").read_text())] == [
        0.2,
        0.9,
    ]
