"""Sessions without a network for the panel *Click segmentation*, and images to click on."""

import threading
from functools import partial

import numpy as np
from napari.layers import Layer

from napari_effseg.engine.session.local import LocalSession
from napari_effseg.engine.session.over_time import over_time
from napari_effseg.io.effseg import read_session, write_session
from napari_effseg.session_time_file import TimeState, read_time_session, write_time_session
from napari_effseg.viewer.click_desk import ClickDesk
from napari_effseg.viewer.click_opening import Opener
from napari_effseg.viewer.click_places import layer_points, show_slice_of
from napari_effseg.viewer.click_state import ModelChoice, Tool
from napari_effseg.viewer.layers import image_layers, mm_per_world_unit, world_of_index
from napari_effseg.viewer.reading_view import spatial_axes_shown
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

        def write_all(moments, done, undone, path):
            frames = [one.state("fake", "0" * 64) for one in moments]
            write_time_session(TimeState(tuple(frames), done, undone), path)

        def joined(moments, done=(), undone=()):
            return over_time(moments, body, done, undone, partial(write_all, moments))

        def open_one(images, model):
            if isinstance(images, Volume):
                opened.append(LocalSession(images, body, write=write))
            else:
                opened.append(joined([LocalSession(one, body) for one in images]))
            return opened[-1]

        def resume_one(path, images, model):
            if isinstance(images, Volume):
                opened.append(LocalSession.restored(images, body, read_session(path), write))
            else:
                state = read_time_session(path)
                both = zip(images, state.frames, strict=True)
                moments = [LocalSession.restored(image, body, frame) for image, frame in both]
                opened.append(joined(moments, state.done, state.undone))
            return opened[-1]

        super().__init__(open_one, resume_one, lambda: self.known)
        object.__setattr__(self, "body", body)
        object.__setattr__(self, "known", MODELS)
        object.__setattr__(self, "sessions", opened)

    @property
    def session(self):
        return self.sessions[-1]

    def know(self, models):
        object.__setattr__(self, "known", models)


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


class Clicks:
    """A panel without a window, and a hand that clicks voxels of its image."""

    def __init__(self, viewer, inference, desk, fakes, setting=None, engines=None):
        self.viewer, self.fakes, self._desk = viewer, fakes, desk
        self.panel = ClickDesk(viewer, inference, fakes, setting, engines)

    @property
    def now(self):
        return self.panel.store.now

    @property
    def image(self):
        return self.now.image

    @property
    def labels(self):
        return self.panel.room.layer.layer

    @property
    def session(self):
        return self.fakes.session

    def settle(self):
        """Wait until every action is answered."""
        self._desk.until(
            lambda: not self._desk.waiting and self.now.is_ready and self.panel.queue.is_empty, "the answer"
        )
        return self

    def close(self):
        """Close the panel, and wait until it is gone."""
        gone = []
        self.panel.close(lambda: gone.append(True))
        self._desk.until(lambda: gone, "the end of the panel")

    def until(self, condition):
        self._desk.until(condition)

    def show(self, index):
        """Move the sliders so that the slice of a voxel is shown; returns where the voxel is drawn."""
        show_slice_of(self.viewer, self.image, self.panel.room.grid, index)
        return self.where(index)

    def where(self, index):
        shown, unit = spatial_axes_shown(self.viewer), mm_per_world_unit(self.viewer.layers)
        world = world_of_index(self.image, index, shown, unit)
        point = list(self.viewer.dims.point)
        for axis in shown:
            point[self.viewer.dims.ndim - 3 + axis] = world[axis]
        return tuple(point)

    def click(self, index, positive=True, settles=True):
        self.panel.gesture(Tool.POINT, [self.show(index)], positive)
        return self.settle() if settles else self

    def draw(self, tool, indices, positive=True):
        self.show(indices[0])
        self.panel.gesture(tool, [self.where(index) for index in indices], positive)
        return self.settle()

    def paint(self, index, label=None, settles=True):
        """Dab napari's brush at a voxel."""
        (place,) = layer_points(self.image, self.panel.room.grid, [index])
        self.show(index)
        self.labels.brush_size = 1
        self.labels.paint(tuple(place), self.now.label if label is None else label)
        return self.settle() if settles else self

    def shown_at(self, index):
        """Label that the layer of labels has at a voxel of the image."""
        (place,) = layer_points(self.image, self.panel.room.grid, [index]).astype(int)
        return self.labels.data[(..., *place)].item()
