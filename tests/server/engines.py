"""An engine without networks for tests of the server, quick and exact."""

from __future__ import annotations

import threading
import time

import numpy as np

from napari_effseg import Code, LabelMap, UnknownModel, VolumeError
from napari_effseg.engine.session.local import LocalSession
from napari_effseg.errors import Cancelled
from napari_effseg.protocols import LabelInfo, ModelInfo, Segmented
from napari_effseg.server.engines import Opened, check_history, through_time

from ..session.fake import FakeBody

MODELS = (
    ModelInfo(
        "bright",
        "What is bright",
        "A threshold.",
        "automatic",
        3,
        ("CT",),
        (("ct", "Hounsfield units"),),
        (LabelInfo(1, "bright", (230, 159, 0), Code("SCT", "10200004", "Liver", "left")),),
        "CC0-1.0",
        "not measured",
        True,
        ("It has learned nothing.",),
    ),
    ModelInfo(
        "clicks", "Clicks", "Fake.", "promptable", 2, ("OT",), (("grey", ""),), (), "CC0-1.0", "", True
    ),
)


class FakeEngine:
    """Labels what is brighter than the mean; answers clicks with a fake body."""

    device = "cpu (tests)"

    def __init__(self):
        self.steps, self.pause = 4, 0.0
        self.hold = threading.Event()
        self.hold.set()
        self.began = threading.Event()
        self.seen, self.threads = [], set()
        self.live = []

    def models(self):
        return MODELS

    def segment(self, volume, model, roi, progress, cancel):
        self.seen.append(volume)
        self.threads.add(threading.get_ident())
        if model not in (None, "bright"):
            raise UnknownModel(f"no model is called {model!r}. Did you mean bright?")
        if volume.is_flat:
            raise VolumeError("one slice was given; expected a volume")
        self.began.set()
        for step in range(self.steps):
            progress(step / self.steps, f"window {step} of {self.steps}")
            if cancel():
                raise Cancelled("stopped on request; nothing was written")
            time.sleep(self.pause)
            while not self.hold.wait(0.01):
                if cancel():
                    raise Cancelled("stopped on request; nothing was written")
        data = np.asarray(volume.data)
        found = (data > data.mean()).astype(np.uint8)
        for box in [] if roi is None else [roi[0]]:
            kept = np.zeros_like(found)
            there = tuple(slice(low, high) for low, high in zip(*box, strict=True))
            kept[there] = found[there]
            found = kept
        labels = LabelMap(
            found, volume.affine, {1: "bright"}, {1: (230, 159, 0)}, {1: MODELS[0].labels[0].code}
        )
        progress(1.0, "done")
        return Segmented(labels, found.astype(np.float32) / 3, {"model": "bright", "warnings": ["a fake"]})

    def through_time(self, sessions, progress, cancel):
        return through_time(sessions, progress, cancel)

    def open(self, volume, sha256, model, state):
        if model not in ("auto", "clicks"):
            raise UnknownModel(f"no model is called {model!r}")
        if state is None:
            session = LocalSession(volume, FakeBody())
        else:
            check_history(state.history, volume.shape)
            session = LocalSession.restored(volume, FakeBody(), state)
        self.live.append(session)
        return Opened(session, "clicks", "0" * 64)
