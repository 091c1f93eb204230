"""Real servers on loopback."""

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra [server]")
pytest.importorskip("uvicorn", reason="needs the extra [server]")

import napari_effseg as eff
from napari_effseg.server import connect
from napari_effseg.server.run import Place, Server
from napari_effseg.server.settings import Settings

from .engines import FakeEngine

KEYS = {"anna": "anna's key, long enough", "bert": "bert's key, long enough"}


@pytest.fixture(scope="module")
def engine():
    return FakeEngine()


@pytest.fixture(scope="module")
def settings():
    return Settings(keys=KEYS, requests_per_second=1e5, request_burst=1e5, failure_burst=1e5)


@pytest.fixture(scope="module")
def server(engine, settings):
    with Server(settings, engine, Place()) as running:
        yield running


@pytest.fixture
def client(server):
    with connect(server.url, KEYS["anna"]) as client:
        yield client


@pytest.fixture
def volume():
    data = np.random.default_rng(0).random((14, 12, 6)).astype(np.float32)
    affine = np.array([[0, -1.5, 0, 3], [0.8, 0, 0.1, -7], [0, 0.2, -3, 11], [0, 0, 0, 1.0]])
    return eff.Volume(data, affine, modality="CT")
