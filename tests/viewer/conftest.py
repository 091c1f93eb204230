"""A viewer without a window, the inference thread, and a model that answers fast."""

import dataclasses
import os
import sys

import numpy as np
import pytest

pytest.importorskip("napari", reason="needs the extra [napari]")

from napari_effseg import zoo
from napari_effseg.viewer.inference import Inference
from napari_effseg.volume import Volume
from tests.conftest import WINDOWS
from tests.zoo.synthetic import draft_card, synthetic_card

from .builders import affine_of
from .click_cases import Clicks, Fakes
from .desk import SECONDS, Desk


@pytest.fixture(autouse=True)
def _settings_of_the_test(tmp_path, monkeypatch):
    """Remember servers where neither the user's own nor another test's are."""
    monkeypatch.setenv("EFFSEG_CONFIG", str(tmp_path / "config"))


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def inference(desk):
    made = Inference(desk)
    yield made
    assert made.close(SECONDS), "the inference thread did not end"


@pytest.fixture
def viewer_model():
    from napari.components import ViewerModel

    return ViewerModel()


@pytest.fixture
def cards(tmp_path, monkeypatch):
    """Folder of a small CT model that may go anywhere; the built-in models are there as well."""
    folder = tmp_path / "cards"
    synthetic_card(folder, name="quick", title="Kidney and liver, quick")
    monkeypatch.setenv("EFFSEG_CARDS", str(folder))
    return folder


@pytest.fixture
def kept_sessions(monkeypatch, tmp_path):
    """Sessions without a file go into a folder of the test."""
    monkeypatch.setenv("EFFSEG_SESSIONS", str(tmp_path / "sessions"))


@pytest.fixture
def fakes():
    return Fakes()


@pytest.fixture
def panel_on(viewer_model, inference, desk, fakes):
    """Open the panel on the layers that are in the viewer."""
    made = []

    def opened():
        made.append(Clicks(viewer_model, inference, desk, fakes))
        return made[-1].settle()

    yield opened
    fakes.body.go.set()
    for clicks in made:
        clicks.panel.close()


@pytest.fixture
def two_channel_card(cards):
    draft = draft_card()
    roles = (zoo.ChannelRole("t1", "T1"), zoo.ChannelRole("flair", "FLAIR"))
    return synthetic_card(
        cards,
        name="two-channels",
        title="Two channels",
        input=dataclasses.replace(draft.input, channels=roles, modality=("MR",)),
        constructor={**draft.constructor, "in_channels": 2},
    )


@pytest.fixture
def ct():
    """An oblique CT volume; larger than what the hippocampus model takes."""
    values = np.random.default_rng(3).normal(0, 300, (32, 36, 28)).astype(np.int16)
    return Volume(values, affine_of("LPS", 12, spacing=(2.5, 2.5, 3.0)), modality="CT")


def pytest_collection_modifyitems(items):
    """Skip what starts Qt where there is no display: Qt would end the whole run, before any fixture could."""
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        skip = pytest.mark.skip(reason="needs a display: set DISPLAY, or run under xvfb-run")
        for item in items:
            if not WINDOWS.isdisjoint(getattr(item, "fixturenames", ())):
                item.add_marker(skip)


@pytest.fixture
def window(request):
    """Make real viewers, as napari does for tests; skipped where there is no display."""
    return request.getfixturevalue("make_napari_viewer")
