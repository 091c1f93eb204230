"""Bright balls with their labels as layers, a model to finetune, and a process that only plays one."""

import pytest
from napari.layers import Layer

from napari_effseg.viewer import layers
from napari_effseg.volume import LabelMap
from tests.training.balls import ball, ball_card

PLAN = {
    "said": "planned",
    "base": "balls",
    "name": "balls-finetuned",
    "folder": "somewhere",
    "training": ["ball_0", "ball_1"],
    "held_back": ["ball_2"],
    "rule": "a rule",
    "steps": 120,
    "minutes": 10.0,
    "step_seconds": 0.25,
    "seconds": 600.0,
    "memory_bytes": 10**9,
    "free_bytes": 8 * 10**9,
    "learning": "learning: 12,179 of the 12,179 values of balls",
    "device": "CPU, 2 threads",
    "licence": "CC0-1.0",
    "notes": ["one held-back case can tell a large change from none"],
}


class Played:
    """Stands in for the process; what it was told is kept, and tests say what it says."""

    def __init__(self, deliver, told):
        self._deliver, self._told = deliver, told
        self.asked, self.heard, self.is_closed = None, [], False

    def prepare(self, model, dataset, options):
        self.asked = (model, dataset, options)

    def run(self):
        self.heard.append("run")

    def stop(self):
        self.heard.append("stop")

    def end(self):
        self.heard.append("end")

    def close(self):
        self.is_closed = True

    def say(self, said, **fields):
        self._told({"said": said, **fields})

    def plan(self, **changes):
        self._told({**PLAN, **changes})


@pytest.fixture
def ball_model(tmp_path, monkeypatch):
    """The model "balls", and a place of its own for models that are made."""
    folder = tmp_path / "bases"
    monkeypatch.setenv("EFFSEG_CARDS", str(folder))
    monkeypatch.setenv("EFFSEG_MODELS", str(tmp_path / "user" / "models"))
    return ball_card(folder)


def add_ball(viewer, number, named=True):
    """Add a case as its two layers."""
    image, mask = ball(number)
    shown = viewer.add_layer(Layer.create(*layers.image_layers(image, f"ball_{number}")[0]))
    names = {1: "ball"} if named else {}
    made = layers.labels_layer(LabelMap(mask, image.affine, names), shown, name=f"ball_{number} labels")
    return shown, viewer.add_layer(Layer.create(*made))
