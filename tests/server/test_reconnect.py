"""Broken connections, servers that end and come back: nothing is done twice, and nothing is lost."""

import http.client
import socket
import threading

import numpy as np
import pytest

import napari_effseg as eff
from napari_effseg.engine.session.local import LocalSession
from napari_effseg.server import connect
from napari_effseg.server.run import Place, Server
from napari_effseg.server.wire import encode

from ..session.fake import FakeBody
from .conftest import KEYS
from .engines import FakeEngine
from .test_sessions import assert_equal


class Wire:
    """Stands between client and server, and cuts the connection when told to.

    `cut_answers` swallows so many answers: the server has done what was asked, the client never hears of it.
    `cut_requests` swallows so many requests.
    """

    def __init__(self, monkeypatch):
        self.cut_answers = self.cut_requests = 0
        self._answer, self._request = (
            http.client.HTTPConnection.getresponse,
            http.client.HTTPConnection.request,
        )
        wire = self

        def getresponse(connection):
            response = wire._answer(connection)
            if wire.cut_answers and "/beat" not in wire.last:
                wire.cut_answers -= 1
                response.read()
                raise ConnectionResetError("cut")
            return response

        def request(connection, method, url, **rest):
            wire.last = url
            if wire.cut_requests and "/beat" not in url:
                wire.cut_requests -= 1
                raise ConnectionResetError("cut")
            return wire._request(connection, method, url, **rest)

        monkeypatch.setattr(http.client.HTTPConnection, "getresponse", getresponse)
        monkeypatch.setattr(http.client.HTTPConnection, "request", request)


@pytest.fixture
def wire(monkeypatch):
    return Wire(monkeypatch)


@pytest.mark.parametrize("cut", ["cut_answers", "cut_requests"])
def test_an_action_whose_answer_was_lost_is_done_once(client, volume, wire, cut):
    here = LocalSession(volume, FakeBody())
    with client.open_session(volume) as there:
        for at in range(4):
            setattr(wire, cut, at % 3)
            assert here.add(eff.Point((3 + at, 5, 2))) == there.add(eff.Point((3 + at, 5, 2)))
            assert_equal(here, there)
        setattr(wire, cut, 2)
        assert here.undo() == there.undo()
        assert_equal(here, there)
        setattr(wire, cut, 1)
        assert here.commit(name="one") == there.commit(name="one")
        assert_equal(here, there)


@pytest.mark.parametrize("cut", ["cut_answers", "cut_requests"])
def test_a_job_survives_a_broken_connection(client, volume, engine, wire, cut):
    setattr(wire, cut, 3)
    runs = len(engine.seen)
    assert client.segment(volume).labels.data.any()
    assert len(engine.seen) == runs + 1


def test_an_action_that_is_repeated_gets_the_same_answer(client, volume):
    with client.open_session(volume) as session:
        body = {"do": "add", "prompt": {"kind": "point", "index": [5, 5, 2], "axis": None, "positive": True}}
        answers = [
            client.call("PUT", f"{session._path}/actions/1", pieces=encode(body)).message for _ in range(3)
        ]
        assert {answer.header["value"] for answer in answers} == {1}
        assert all((answer.arrays[0] == answers[0].arrays[0]).all() for answer in answers)
        status = client.call("GET", session._path).json
        assert (status["number"], status["last_id"]) == (1, 1)


def test_a_refused_action_that_is_repeated_is_refused_again_and_not_done(client, volume):
    with client.open_session(volume) as session:
        body = {"do": "add", "prompt": {"kind": "point", "index": [99, 5, 2], "axis": None, "positive": True}}
        for _ in range(2):
            with pytest.raises(eff.PromptError, match="reaches from 99"):
                client.call("PUT", f"{session._path}/actions/1", pieces=encode(body))
        assert client.call("GET", session._path).json["last_id"] == 1


def test_actions_out_of_step_are_refused(client, volume):
    from napari_effseg.server.transport import Gone

    with client.open_session(volume) as session:
        for number in (0, 2, -1, 10**12):
            with pytest.raises(Gone, match="was the last"):
                client.call("PUT", f"{session._path}/actions/{number}", pieces=encode({"do": "undo"}))


def test_a_server_that_comes_back_is_gone_on_with(volume):
    """As after an update: same place, same key, nothing kept."""
    port = _free_port()
    here = LocalSession(volume, FakeBody())
    with Server(_settings(), FakeEngine(), Place(port=port)) as server:
        client = connect(server.url, KEYS["anna"])
        there = client.open_session(volume)
        for session in (here, there):
            session.add(eff.Point((5, 5, 2)))
            session.commit(name="one")
            session.add(eff.Point((8, 8, 3)))
    with Server(_settings(), FakeEngine(), Place(port=port)), client:
        for session in (here, there):
            session.add(eff.Point((6, 8, 3)))
        assert_equal(here, there)
        assert here.undo() == there.undo()
        assert_equal(here, there)
        assert client.segment(volume).labels.data.any()


def test_a_server_that_ends_in_a_job_is_told_and_prompts_stay(volume, tmp_path):
    engine = FakeEngine()
    server = Server(_settings(), engine).start()
    client = connect(server.url, KEYS["anna"], timeout=0.5)
    session = client.open_session(volume)
    session.add(eff.Point((5, 5, 2)))
    mask = session.mask.copy()
    engine.hold.clear()
    caught = []

    def run():
        try:
            client.segment(volume)
        except eff.EffsegError as err:
            caught.append(err)

    job = threading.Thread(target=run)
    job.start()
    assert engine.began.wait(10)
    server.stop()
    job.join(30)
    assert isinstance(caught[0], eff.ServerLost | eff.Cancelled)
    with pytest.raises(eff.ServerLost, match="prompts and masks are still here"):
        session.add(eff.Point((6, 6, 2)))
    assert (session.mask == mask).all()
    assert list(session.prompts) == [1]
    assert session.undo_words == "point"
    session.save(tmp_path / "case.effseg")
    with Server(_settings(), FakeEngine()) as other, connect(other.url, KEYS["anna"]) as second:
        again = second.resume(tmp_path / "case.effseg", volume)
        assert_equal(session, again)
    client.close()


def _settings():
    from napari_effseg.server.settings import Settings

    return Settings(keys=KEYS)


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def test_many_threads_share_a_client(client, volume):
    sessions = [client.open_session(volume) for _ in range(4)]

    def click(session):
        for at in range(5):
            session.add(eff.Point((2 + at, 5, 2)))

    threads = [threading.Thread(target=click, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    masks = np.array([session.mask for session in sessions])
    assert (masks == masks[0]).all()
