"""Sessions without a network for the panel *Click segmentation*, and images to click on."""

import threading

import numpy as np
from napari.layers import Layer

from napari_effseg.engine.session.local import LocalSession
from napari_effseg.io.effseg import read_session, write_session
from napari_effseg.viewer.click_opening import Opener
from napari_effseg.viewer.click_state import ModelChoice
from napari_effseg.viewer.layers import image_layers
from napari_effseg.volume import Volume
from tests.session.fake import FakeBody

from .builders import affine_of

SHAPE = (30, 26, 12)
MODELS = (ModelChoice("fake", "A fake model"),)


class SlowBody(FakeBody):
    """Answers when it is told to."""

    def __init__(self):
        super().__init__()
        self.go = threading.Event()
        self.go.set()

    def answer(self, *given):
        assert self.go.wait(30)
        return super().answer(*given)


class Fakes(Opener):
    """Opens sessions of a body that needs no network; keeps them for tests to look at."""

    def __init__(self, body=None):
        body = body or SlowBody()
        opened = []

        def write(session, path):
            write_session(session.state("fake", "0" * 64), path)

        def open_one(volume, model):
            opened.append(LocalSession(volume, body, write=write))
            return opened[-1]

        def resume_one(path, volume, model):
            opened.append(LocalSession.restored(volume, body, read_session(path), write))
            return opened[-1]

        super().__init__(open_one, resume_one)
        object.__setattr__(self, "body", body)
        object.__setattr__(self, "sessions", opened)

    @property
    def session(self):
        return self.sessions[-1]


def balls(shape=SHAPE, seed=0):
    """Two bright balls on a dark ground."""
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"))
    data = np.random.default_rng(seed).random(shape) * 20
    for centre, radius in (((9, 8, 5), 4.2), ((21, 18, 6), 4.6)):
        near = sum((axis - at) ** 2 for axis, at in zip(grid, centre, strict=True)) < radius**2
        data[near] += 80
    return data.astype(np.float32)


def add_balls(viewer, axcodes="RAS", tilt=0.0, spacing=(1.0, 1.25, 2.0), **keywords):
    """Add an image as our reader would."""
    volume = Volume(balls(), affine_of(axcodes, tilt, spacing))
    (triple,) = image_layers(volume, "balls", **keywords)
    return viewer.add_layer(Layer.create(*triple))
