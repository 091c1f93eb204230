"""Whoever waits for a server can stop waiting, whatever the network does.

Clients here are patient: without that, a test would take minutes.
"""

import socket
import threading

import numpy as np
import pytest

import napari_effseg as eff
from napari_effseg.engine.session.local import LocalSession
from napari_effseg.server import answering_to, connect, remote
from napari_effseg.server import client as client_room
from napari_effseg.server.run import Server
from napari_effseg.server.settings import Settings

from ..session.fake import FakeBody
from .conftest import KEYS
from .engines import FakeEngine
from .gate import Gate, silent_address
from .test_sessions import assert_equal

PATIENT = 300.0


@pytest.fixture
def gate(server):
    with Gate(server.url) as gate:
        yield gate


@pytest.fixture
def there(gate, monkeypatch):
    """A client behind the gate that says good-bye quickly."""
    for room in (client_room, remote):
        monkeypatch.setattr(room, "_PARTING_SECONDS", 0.1)
    with connect(gate.url, KEYS["anna"], timeout=PATIENT) as client:
        yield client
        gate.open()


@pytest.fixture
def large():
    """An image that no buffer on the way holds."""
    return eff.Volume(np.random.default_rng(0).random((200, 200, 200)), np.eye(4), modality="CT")


@pytest.fixture
def silent():
    with silent_address() as url:
        yield url


def asked_before(times=3):
    """Say yes from then on."""
    left = iter(range(times))
    return lambda: next(left, None) is None


def test_connecting_to_a_silent_address_can_be_stopped(silent):
    with pytest.raises(eff.Cancelled), answering_to(asked_before()):
        connect(silent, "key", timeout=PATIENT)


def test_looking_up_a_name_can_be_stopped(monkeypatch):
    asked, answer = threading.Event(), threading.Event()

    def look_up(*_, **__):
        asked.set()
        answer.wait(PATIENT)
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    try:
        with pytest.raises(eff.Cancelled), answering_to(asked.is_set):
            connect("http://gpu.lab:8765", "key", timeout=PATIENT)
    finally:
        answer.set()


def test_what_is_said_to_stop_for_one_thing_does_not_stop_the_next(server, silent):
    with answering_to(lambda: False):
        connect(server.url, KEYS["anna"]).close()
    with pytest.raises(eff.Cancelled), answering_to(lambda: True), answering_to(lambda: False):
        connect(silent, "key", timeout=PATIENT)
    connect(server.url, KEYS["anna"]).close()


def test_sending_an_image_can_be_stopped(there, gate, engine, large, volume):
    seen = len(engine.seen)
    gate.shut_after(2**20)
    with pytest.raises(eff.Cancelled):
        there.segment(large, cancel=gate.is_shut)
    gate.open()
    assert len(engine.seen) == seen
    assert there.segment(volume).labels.data.any()


def test_sending_an_image_is_told_in_megabytes(there, large):
    said = []
    there.segment(large, progress=lambda fraction, words: said.append((fraction, words)))
    sending = [fraction for fraction, words in said if words.endswith("of 64.0 MB")]
    assert sending
    assert set(sending) == {0.0}


def test_opening_a_session_can_be_stopped(there, gate, large, volume):
    gate.shut_after(2**20)
    with pytest.raises(eff.Cancelled), answering_to(gate.is_shut):
        there.open_session(large)
    gate.open()
    with there.open_session(volume) as session:
        session.add(eff.Point((5, 5, 2)))
        assert session.mask.any()


def test_a_job_whose_answer_never_comes_can_be_stopped(there, gate, engine, volume):
    engine.hold.clear()
    engine.began.clear()

    def cancel():
        if engine.began.is_set():
            gate.shut()
        return gate.is_shut()

    try:
        with pytest.raises(eff.Cancelled):
            there.segment(volume, cancel=cancel)
    finally:
        engine.hold.set()


def test_an_action_that_was_cut_off_is_not_done_and_the_session_goes_on(there, gate, volume):
    here = LocalSession(volume, FakeBody())
    session = there.open_session(volume)
    for one in (here, session):
        one.add(eff.Point((5, 5, 2)))
    gate.shut()
    with pytest.raises(eff.Cancelled), answering_to(asked_before()):
        session.add(eff.Point((9, 9, 4)))
    assert_equal(here, session)
    gate.open()
    for one in (here, session):
        one.add(eff.Point((6, 5, 2)))
        one.commit(name="one")
        one.undo()
    assert_equal(here, session)


def test_a_server_that_is_gone_is_not_waited_for_longer_than_wished(volume):
    with Server(Settings(keys=KEYS), FakeEngine()) as server:
        client = connect(server.url, KEYS["anna"], timeout=PATIENT)
    with pytest.raises(eff.Cancelled):
        client.segment(volume, cancel=asked_before())
    with pytest.raises(eff.Cancelled), answering_to(asked_before()):
        client.models()
    client.close()


def test_a_client_of_a_silent_server_can_be_closed(there, gate, volume):
    there.open_session(volume)
    gate.shut()
    there.close()


def test_a_check_that_fails_stops_the_request(there, volume):
    def cancel():
        raise RuntimeError("the window is gone")

    with pytest.raises(RuntimeError, match="the window is gone"):
        there.segment(volume, cancel=cancel)
    assert there.segment(volume).labels.data.any()
