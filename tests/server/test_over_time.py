"""A session over time on a server is the one that would run here, at all time points, to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_effseg as eff
from napari_effseg import Point, PromptError, Volume
from napari_effseg.engine.session.local import LocalSession
from napari_effseg.engine.session.over_time import over_time
from napari_effseg.server import connect
from napari_effseg.server.run import Place, Server
from napari_effseg.server.settings import Settings
from napari_effseg.session_time_file import read_time_session
from napari_effseg.time_session import TimeSession

from ..session.fake import FakeBody
from ..session.test_over_time import FRAMES, SHAPE, beating, volumes
from .conftest import KEYS
from .engines import FakeEngine
from .test_sessions import assert_equal

MOVES = st.lists(
    st.sampled_from(
        ["point", "point", "not", "time", "time", "through", "paint", "commit", "undo", "redo", "go", "lose"]
    ),
    max_size=9,
)


def local():
    body = FakeBody()
    return over_time([LocalSession(one, body) for one in volumes()], body)


def move(session, kind, seed):
    """Do one thing, or the same refusal; return what came of it."""
    random = np.random.default_rng(seed)
    try:
        if kind in ("point", "not"):
            place = (int(random.integers(5, 16)), int(random.integers(8, 14)), int(random.integers(SHAPE[2])))
            return session.add(Point(place, positive=kind == "point"))
        if kind == "time":
            return session.propagate("time")
        if kind == "through":
            return session.propagate(2)
        if kind == "paint":
            return session.paint(((4, 4, 1), (6, 7, 2)), np.ones((2, 3, 1), bool))
        if kind == "commit":
            return session.commit(name="ventricle" if seed % 2 else "")
        if kind == "go":
            session.frame = int(random.integers(FRAMES))
            return session.frame
        return getattr(session, kind)()
    except PromptError as err:
        return str(err)


def assert_equal_at_all_times(one, other):
    assert (one.frame, one.done) == (other.frame, other.done)
    assert_equal(one, other)
    for here, there in zip(one.sessions, other.sessions, strict=True):
        assert_equal(here, there)


@pytest.fixture(scope="module")
def client_of_all(server):
    with connect(server.url, KEYS["anna"]) as client:
        yield client


@given(MOVES, st.integers(0, 9))
@settings(max_examples=12)
def test_remote_and_local_are_equal_at_all_times_after_every_action(client_of_all, moves, seed):
    here = local()
    with client_of_all.open_session(volumes()) as there:
        for at, kind in enumerate(["point", *moves]):
            if kind == "lose":
                one = there.sessions[seed % FRAMES]
                client_of_all.call("DELETE", one._path)
            else:
                assert move(here, kind, seed + at) == move(there, kind, seed + at)
            assert_equal_at_all_times(here, there)


def test_it_is_saved_without_the_server_and_goes_on_there_or_here(client, tmp_path):
    path = tmp_path / "beat.effseg"
    there = client.open_session(volumes())
    there.frame = 1
    there.add(Point((10, 11, 1)))
    there.propagate()
    there.close()
    there.save(path)
    state, body = read_time_session(path), FakeBody()
    pairs = zip(volumes(), state.frames, strict=True)
    kept = [LocalSession.restored(volume, body, frame) for volume, frame in pairs]
    with client.resume(path, volumes()) as again:
        here = over_time(kept, body, state.done)
        assert_equal_at_all_times(here, again)
        for kind in ("point", "time", "undo", "undo", "undo"):
            assert move(here, kind, 3) == move(again, kind, 3)
            assert_equal_at_all_times(here, again)


def test_progress_rises_and_cancelling_changes_nothing(client):
    said = []
    with client.open_session(volumes()) as session:
        session.add(Point((9, 11, 1)))
        with pytest.raises(eff.Cancelled):
            session.propagate(cancel=lambda: True)
        assert [bool(mask.any()) for mask in session.masks] == [True] + [False] * (FRAMES - 1)
        session.add(Point((9, 12, 1)))
        session.propagate(progress=lambda fraction, words: said.append(fraction))
        assert said == sorted(said)
        assert all(mask.any() for mask in session.masks)


def test_a_server_that_dies_between_two_time_points_leaves_what_can_be_undone():
    server = Server(Settings(keys=KEYS), FakeEngine()).start()
    port = int(server.url.rpartition(":")[2])
    client = connect(server.url, KEYS["anna"], timeout=0.3)
    session = client.open_session(volumes())
    session.add(Point((9, 11, 1)))
    bring = session.sessions[3].bring
    session.sessions[3].bring = lambda mask: server.stop() or bring(mask)
    with pytest.raises(eff.ServerLost):
        session.propagate()
    assert session.done == ((0,), (1, 2))
    with Server(Settings(keys=KEYS), FakeEngine(), Place(port=port)), client:
        assert session.undo() == "propagate"
        assert [bool(mask.any()) for mask in session.masks] == [True] + [False] * (FRAMES - 1)


def test_images_of_several_places_are_refused_before_they_are_sent(client, monkeypatch):
    monkeypatch.setattr(client, "send", lambda *_: pytest.fail("was sent"))
    other = Volume(beating(0, (24, 22, 1)), np.eye(4))
    with pytest.raises(eff.VolumeError, match="share one grid"):
        client.open_session([*volumes(), other])
    with pytest.raises(eff.VolumeError, match="no image"):
        client.open_session([])


def test_a_file_of_another_number_of_time_points_is_refused(client, tmp_path):
    with client.open_session(volumes()) as session:
        session.save(tmp_path / "beat.effseg")
    with pytest.raises(PromptError, match="5 time points; 4 images"):
        client.resume(tmp_path / "beat.effseg", volumes()[:4])


def test_a_model_that_is_not_there_leaves_no_session(client, server):
    with pytest.raises(eff.UnknownModel):
        client.open_session(volumes(), "nonsense")
    assert server.service.leases.counts()["sessions"] == 0


def test_names_that_are_none_are_refused(client):
    with client.open_session(volumes()) as session:
        mine = session.sessions[0].name_there()
        for names, error in [([], 400), ("x", 400), ([mine, mine], 400), ([mine, None], 404), ([9], 404)]:
            assert _status(client, names) == error
        session.add(Point((9, 11, 1)))
        with client.open_session(Volume(beating(0, (24, 22, 1)), np.eye(4))) as other:
            names = [mine, other.name_there()]
            with pytest.raises(eff.VolumeError, match="share one grid"):
                client._run({"sessions": names}, None, None)


def test_users_never_reach_the_sessions_of_others(client, server):
    with client.open_session(volumes()) as session, connect(server.url, KEYS["bert"]) as bert:
        names = [one.name_there() for one in session.sessions]
        assert _status(bert, names) == 404


def _status(client, names):
    transport = client._transport
    sent = {"body": {"sessions": names}, "lease": client._lease.name()}
    statuses = []
    check = transport._checked
    transport._checked = lambda answer: statuses.append(answer.status) or answer
    try:
        transport.call("PUT", f"/v1/jobs/{'7' * 32}", **sent)
    finally:
        transport._checked = check
    return statuses[0]


def test_it_is_a_session_over_time(client):
    with client.open_session(volumes()) as session:
        assert isinstance(session, TimeSession)
