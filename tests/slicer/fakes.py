"""An engine without networks: what is bright is the structure."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_effseg import Cancelled, Code, LabelMap, PromptError
from napari_effseg.engine.session.local import LocalSession
from napari_effseg.io.effseg import read_session, write_session
from napari_effseg.protocols import LabelInfo, ModelInfo, Segmented
from tests.session.fake import FakeBody

LEFT = Code("SCT", "4421005", "Hippocampus", "left")
NAMES = {1: "anterior", 2: "posterior"}
COLOURS = {1: (220, 60, 40), 2: (40, 90, 220)}
CODES = {1: LEFT}


def model(name="bright", task="automatic", channels=(("image", "any"),), **other):
    """Card of a model that does not exist."""
    labels = tuple(LabelInfo(at, NAMES[at], COLOURS[at], CODES.get(at)) for at in NAMES)
    given = {
        "title": name.title(),
        "summary": "Finds what is bright.",
        "dimensions": 3,
        "modality": ("MR",),
        "licence": "CC-BY-4.0",
        "accuracy": "Dice 0.9 on 3 cases",
        "recommended": False,
        **other,
    }
    return ModelInfo(name=name, task=task, channels=tuple(channels), labels=labels, **given)


MODELS = (
    model("bright", recommended=True),
    model("pictures", dimensions=2),
    model(
        "four", channels=(("t1", "T1"), ("t1ce", "T1 with contrast agent"), ("t2", "T2"), ("flair", "FLAIR"))
    ),
    model("clicks", task="promptable"),
)


def bright(volume):
    """What the fake model finds: label 1 the brighter, 2 the brightest voxels of the first channel."""
    grey = np.asarray(volume.each_channel()[0])
    labels = (grey > 100).astype(np.uint8) + (grey > 200).astype(np.uint8)
    return LabelMap(labels, volume.affine, NAMES, COLOURS, CODES)


class FakeSegmenter:
    """A Segmenter; remembers what it was asked."""

    def __init__(self, steps=3):
        self.steps, self.asked, self.sessions = steps, [], []
        self.is_closed = False

    def models(self):
        return MODELS

    def segment(self, volume, model=None, *, roi=None, progress=None, cancel=None):
        self.asked.append((volume, model, roi))
        for step in range(self.steps):
            if progress:
                progress(step / self.steps, f"window {step + 1} of {self.steps}")
            if cancel and cancel():
                raise Cancelled("cancelled")
        labels = bright(volume)
        if roi:
            inside = np.zeros(volume.shape, bool)
            for low, high in roi:
                inside[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
            labels = LabelMap(np.where(inside, labels.data, 0), volume.affine, NAMES, COLOURS, CODES)
        return Segmented(labels, None, {"model": model, "warnings": ["the image is made up"]})

    def open_session(self, volume, model="auto"):
        self.sessions.append(LocalSession(volume, FakeBody(), write=_write))
        return self.sessions[-1]

    def resume(self, path, volume):
        self.sessions.append(LocalSession.restored(volume, FakeBody(), read_session(path), _write))
        return self.sessions[-1]

    def close(self):
        self.is_closed = True


def _write(session, path):
    write_session(session.state("clicks", "0" * 64), Path(path))


class BrokenSegmenter(FakeSegmenter):
    """One that cannot."""

    def segment(self, volume, model=None, **_):
        raise PromptError("the engine says no")
