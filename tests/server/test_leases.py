"""Clients that are gone leave nothing behind."""

import gc
import time
import weakref

import pytest

import napari_effseg as eff
from napari_effseg.server import connect
from napari_effseg.server.faults import Refusal
from napari_effseg.server.held import HeldVolume
from napari_effseg.server.leases import Leases
from napari_effseg.server.run import Server
from napari_effseg.server.settings import Settings
from napari_effseg.session_state import image_sha256

from .conftest import KEYS
from .engines import FakeEngine


def until(is_so, seconds=10.0):
    ends = time.monotonic() + seconds
    while not is_so() and time.monotonic() < ends:
        time.sleep(0.02)
    return is_so()


@pytest.fixture(scope="module")
def quick():
    """A server that gives clients up after a second."""
    settings = Settings(keys=KEYS, lease_seconds=1.0)
    with Server(settings, FakeEngine()) as server:
        yield server


def die(client):
    """Give no sign of life any more."""
    client._lease._ended.set()
    client._transport.close()


def held_by(server):
    return server.service.leases.counts()


@pytest.fixture
def no_chance():
    """What refers to itself is freed by nobody but the server."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_chance")
def test_a_client_that_dies_leaves_nothing(quick, volume):
    client = connect(quick.url, KEYS["anna"])
    client.open_session(volume).add(eff.Point((5, 5, 2)))
    assert held_by(quick) == {"leases": 1, "volumes": 1, "jobs": 0, "sessions": 1}
    (lease,) = quick.service.leases._leases.values()
    (session,), (image,) = lease.sessions.values(), lease.volumes.values()
    seen = [weakref.ref(session), weakref.ref(image.volume)]
    del lease, session, image
    quick.service.engine.live.clear()
    die(client)
    assert until(lambda: held_by(quick)["leases"] == 0)
    assert until(lambda: not any(one() for one in seen))


def test_a_client_that_only_waits_stays(quick, volume):
    with connect(quick.url, KEYS["anna"]) as client, client.open_session(volume) as session:
        session.add(eff.Point((5, 5, 2)))
        path = session._path
        time.sleep(2.2)
        session.add(eff.Point((7, 5, 2)))
        assert session._path == path


def test_a_client_that_was_given_up_goes_on_as_if_nothing_had_been(quick, volume):
    with connect(quick.url, KEYS["anna"]) as client, client.open_session(volume) as session:
        session.add(eff.Point((5, 5, 2)))
        path, mask = session._path, session.mask.copy()
        quick.service.leases.close_all()
        second = session.add(eff.Point((9, 9, 2)))
        assert session._path != path
        assert list(session.prompts) == [1, second]
        session.undo()
        assert (session.mask == mask).all()
        quick.service.leases.close_all()
        assert client.segment(volume).labels.data.any()


def test_closing_a_client_frees_what_it_holds(quick, volume):
    with connect(quick.url, KEYS["anna"]) as client:
        client.open_session(volume)
        client.segment(volume)
    assert held_by(quick) == {"leases": 0, "volumes": 0, "jobs": 0, "sessions": 0}


def test_a_job_of_a_client_that_dies_is_stopped(quick, volume):
    engine = quick.service.engine
    engine.hold.clear()
    engine.began.clear()
    client = connect(quick.url, KEYS["anna"])
    image = client.send(volume, image_sha256(volume))
    client.call("PUT", f"/v1/jobs/{'3' * 32}", body={"volume": image})
    assert engine.began.wait(10)
    (lease,) = quick.service.leases._leases.values()
    (job,) = lease.jobs.values()
    die(client)
    try:
        assert until(lambda: job.state == "cancelled")
    finally:
        engine.hold.set()


def test_leases_end_when_nothing_is_heard():
    now = [0.0]
    leases = Leases(Settings(keys=KEYS, lease_seconds=10), lambda: now[0])
    lease = leases.open("anna")
    now[0] = 9.0
    assert leases.get("anna", lease.id) is lease
    now[0] = 18.0
    assert leases.get("anna", lease.id) is lease
    now[0] = 29.0
    with pytest.raises(Refusal, match="given it up"):
        leases.get("anna", lease.id)
    assert not lease.is_open


def test_room_is_counted_for_all_clients_of_a_user(volume):
    leases = Leases(Settings(keys=KEYS, user_bytes=2 * volume.data.nbytes))
    one, two = leases.open("anna"), leases.open("anna")
    one.volumes["a"] = HeldVolume(volume, "")
    leases.make_room("anna", volume.data.nbytes)
    two.volumes["b"] = HeldVolume(volume, "")
    with pytest.raises(Refusal, match="together"):
        leases.make_room("anna", 1)
    leases.make_room("bert", volume.data.nbytes)
