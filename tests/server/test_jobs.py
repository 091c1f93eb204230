"""Automatic segmentation on a server."""

import threading

import numpy as np
import pytest

import napari_effseg as eff
from napari_effseg.server import connect

from .conftest import KEYS
from .engines import MODELS


def test_models_are_told_as_they_are(client):
    assert client.models() == MODELS


def test_a_result_comes_back_as_it_was(client, volume, engine):
    found = client.segment(volume, "bright")
    expected = engine.segment(volume, "bright", None, lambda *_: None, lambda: False)
    assert found.labels.data.dtype == expected.labels.data.dtype
    assert (found.labels.data == expected.labels.data).all()
    assert (found.labels.affine == volume.affine).all()
    assert found.labels.names == expected.labels.names
    assert found.labels.colours == expected.labels.colours
    assert found.labels.codes == expected.labels.codes
    assert found.doubt.dtype == np.float32
    assert (found.doubt == expected.doubt).all()
    assert found.report["model"] == "bright"


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64", ">i2", "bool"])
def test_the_engine_sees_the_image_as_it_lies_here(client, engine, dtype, order):
    data = np.asarray((np.random.default_rng(0).random((7, 6, 5)) * 9).astype(dtype), order=order)
    volume = eff.Volume(data, np.diag([1, 2, 3, 1.0]), modality="CT", window=(40.0, 400.0))
    client.segment(volume)
    seen = engine.seen[-1]
    assert seen.data.dtype == volume.data.dtype
    assert seen.data.flags.f_contiguous == volume.data.flags.f_contiguous
    assert (seen.data == volume.data).all()
    assert (seen.affine == volume.affine).all()
    assert (seen.modality, seen.window) == ("CT", (40.0, 400.0))


def test_channels_travel_with_their_names(client, engine):
    data = np.random.default_rng(0).random((2, 5, 6, 7)).astype(np.float32)
    with pytest.raises(eff.EffsegError):  # the labels of this fake have the channels' axis
        client.segment(eff.Volume(data, np.eye(4), channel_names=("t1", "flair")))
    assert engine.seen[-1].channel_names == ("t1", "flair")
    assert (engine.seen[-1].data == data).all()


def test_what_the_reader_had_to_say_stays_here_and_is_in_the_report(client, engine):
    data = np.random.default_rng(0).random((5, 6, 7)).astype(np.float32)
    volume = eff.Volume(data, np.eye(4), warnings=("Doe^John.nii: no form code",))
    found = client.segment(volume)
    assert engine.seen[-1].warnings == ()
    assert found.report["warnings"] == ["Doe^John.nii: no form code", "a fake"]


def test_a_region_alone_is_labelled(client, volume):
    found = client.segment(volume, roi=((2, 2, 1), (6, 7, 4)))
    outside = found.labels.data.copy()
    outside[2:6, 2:7, 1:4] = 0
    assert found.labels.data.any()
    assert not outside.any()


def test_an_image_is_sent_once(client, volume, engine):
    client.segment(volume)
    client.segment(volume)
    assert engine.seen[-1] is engine.seen[-2]


def test_progress_rises_to_one(client, volume):
    said = []
    client.segment(volume, progress=lambda fraction, message: said.append(fraction))
    assert said == sorted(said)
    assert said[-1] == 1.0


def test_cancelling_stops_the_engine(client, volume, engine):
    engine.hold.clear()
    engine.began.clear()
    try:
        with pytest.raises(eff.Cancelled):
            client.segment(volume, cancel=engine.began.is_set)
    finally:
        engine.hold.set()
    assert client.segment(volume).labels.data.any()


@pytest.mark.parametrize(
    ("model", "shape", "error", "words"),
    [
        ("brihgt", (4, 4, 4), eff.UnknownModel, "Did you mean bright"),
        (None, (4, 4, 1), eff.VolumeError, "one slice"),
    ],
)
def test_errors_are_those_of_the_engine(client, model, shape, error, words):
    with pytest.raises(error, match=words):
        client.segment(eff.Volume(np.ones(shape), np.eye(4)), model)


def test_the_name_of_a_model_is_never_a_path(client, volume):
    for name in ("/etc/passwd", "../card.toml", "a\nb", "C:\\x"):
        with pytest.raises(eff.ServerError, match="no name of a model"):
            client.segment(volume, name)


def test_clicks_are_answered_while_a_job_runs(server, client, volume, engine):
    session = client.open_session(volume)
    engine.hold.clear()
    engine.began.clear()
    with connect(server.url, KEYS["bert"]) as other:
        job = threading.Thread(target=other.segment, args=(volume,))
        job.start()
        assert engine.began.wait(10)
        session.add(eff.Point((5, 5, 2)))  # would never return behind the job
        assert job.is_alive()
        engine.hold.set()
        job.join(20)
    assert session.mask.any()


def test_a_job_that_tells_much_is_not_asked_much(client, volume, engine, monkeypatch):
    asked = []
    call = client._transport.call
    monkeypatch.setattr(client._transport, "call", lambda *a, **k: asked.append(a) or call(*a, **k))
    monkeypatch.setattr(engine, "steps", 400)
    monkeypatch.setattr(engine, "pause", 0.001)
    client.segment(volume, progress=lambda fraction, message: None)
    assert len(asked) < 100
