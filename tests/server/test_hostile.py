"""Bad bytes at every address: always a refusal in JSON, never a fault, never much memory."""

import io
import json
import resource
import socket
import tracemalloc
import zipfile
import zlib
from contextlib import suppress
from urllib.parse import urlsplit

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_effseg as eff
from napari_effseg.server import connect
from napari_effseg.server.transport import Gone
from napari_effseg.server.wire import encode
from napari_effseg.session_file import write_state

from ..session.test_local import image
from .conftest import KEYS
from .test_door import ask
from .test_wire import DESCRIBED, JSON

ID = "a" * 32


@pytest.fixture(scope="module")
def attacker(server):
    with connect(server.url, KEYS["anna"]) as client:
        yield client


@pytest.fixture(scope="module")
def session(attacker):
    with attacker.open_session(image()) as session:
        session.add(eff.Point((5, 5, 2)))
        yield session


def refused(server, attacker, method, path, body):
    """Ask, and return the status; anything but a plain answer or a refusal in JSON fails."""
    lease = {"X-Effseg-Lease": attacker._lease.name(), "Content-Type": "application/x-effseg"}
    status, headers, about = ask(server, method, path, lease, body)
    assert status < 500, about
    if status >= 400:
        assert headers["Content-Type"] == "application/json"
        assert about["error"]["kind"]
        assert about["error"]["request"]
    return status


PLACES = [
    ("PUT", f"/v1/volumes/{ID}"),
    ("PUT", f"/v1/jobs/{ID}"),
    ("PUT", f"/v1/sessions/{ID}?wait=0"),
    ("PUT", "SESSION/actions/2"),
    ("POST", "SESSION/preview"),
]


def place_of(path, session):
    return path.replace("SESSION", session._path)


@pytest.mark.parametrize(("method", "path"), PLACES)
@given(content=st.binary(max_size=64))
@settings(max_examples=15)
def test_random_bytes(server, attacker, session, method, path, content):
    assert refused(server, attacker, method, place_of(path, session), content) >= 400


@pytest.mark.parametrize(("method", "path"), PLACES)
@given(header=st.dictionaries(st.text(max_size=8), JSON, max_size=3), arrays=st.lists(DESCRIBED, max_size=2))
@settings(max_examples=25)
def test_headers_that_claim_anything(server, attacker, session, method, path, header, arrays):
    text = json.dumps({**header, "arrays": arrays}).encode()
    content = b"EFS1" + len(text).to_bytes(4, "little") + text + b"xyz"
    assert refused(server, attacker, method, place_of(path, session), content) >= 400


NUMBERS = st.integers(-(2**70), 2**70) | st.integers(-3, 20) | st.floats() | JSON
INDEX = st.lists(NUMBERS, max_size=4)
PROMPTS = st.fixed_dictionaries(
    {"kind": st.sampled_from(["point", "box", "scribble", "lasso", "mask", "spell"]), "positive": JSON},
    optional={
        "index": INDEX | JSON,
        "axis": NUMBERS,
        "low": INDEX,
        "high": INDEX,
        "points": NUMBERS,
        "vertices": NUMBERS,
        "radius": NUMBERS,
        "bits": NUMBERS,
    },
)
DEEDS = [
    "add",
    "remove",
    "edit",
    "stroke",
    "bring",
    "choose",
    "propagate",
    "commit",
    "undo",
    "redo",
    "rm -rf",
]
ACTIONS = st.fixed_dictionaries(
    {"do": st.sampled_from(DEEDS) | JSON},
    optional={
        "prompt": PROMPTS | JSON,
        "shown": NUMBERS,
        "id": NUMBERS,
        "box": st.lists(INDEX, max_size=3),
        "inside": NUMBERS,
        "axis": NUMBERS,
        "index": NUMBERS,
        "hypothesis": NUMBERS,
        "label": NUMBERS,
        "name": st.text(max_size=4) | JSON,
        "colour": st.lists(NUMBERS, max_size=4) | JSON,
    },
)
ARRAYS = st.lists(
    st.sampled_from(
        [
            np.zeros(0, np.uint8),
            np.full(4, 255, np.uint8),
            np.full(126, 255, np.uint8),
            np.full((3, 3), 2.0),
            np.full((3, 3), np.nan),
            np.full((2, 3), 1e300),
            np.full((3, 2), 4.0),
            np.zeros((0, 3)),
            np.array([[1.0, 1, 1], [9, 9, 1], [1, 9, 1]]),
            np.ones((2, 2), np.float32),
        ]
    ),
    max_size=2,
)


@given(action=ACTIONS, arrays=ARRAYS)
@settings(max_examples=100)
def test_actions_that_are_none_are_refused_and_change_nothing(server, attacker, action, arrays):
    with attacker.open_session(image()) as session:
        session.add(eff.Point((5, 5, 2)))
        text = json.dumps(action)
        try:
            pieces = encode(json.loads(text), arrays)
        except ValueError:  # NaN, which is refused elsewhere
            return
        status = refused(server, attacker, "PUT", f"{session._path}/actions/2", b"".join(pieces))
        if status >= 400:
            assert (session.preview(eff.Point((6, 5, 2), axis=2))[0][1]).any()
            assert session._asked("GET", "").json["last_id"] >= 1
        status = refused(server, attacker, "POST", f"{session._path}/preview", b"".join(pieces))


def test_a_number_that_is_none_on_the_wire(server, attacker, session):
    text = b'{"do": "choose", "axis": NaN, "index": Infinity, "hypothesis": 1e999}'
    content = b"EFS1" + len(text).to_bytes(4, "little") + text
    assert refused(server, attacker, "PUT", f"{session._path}/actions/2", content) == 400


def affine_message(affine, shape=(2, 2, 2), dtype="float32"):
    data = np.zeros(shape, dtype)
    text = json.dumps({"affine": affine})
    array = {"dtype": dtype, "shape": list(shape), "bytes": data.nbytes}
    header = f'{{"volume": {text}, "arrays": [{json.dumps(array)}]}}'.encode()
    return b"EFS1" + len(header).to_bytes(4, "little") + header + data.tobytes()


@pytest.mark.parametrize(
    "content",
    [
        affine_message(np.full((4, 4), np.nan).tolist()),
        affine_message(np.zeros((4, 4)).tolist()),
        affine_message([[1e308] * 4] * 4),
        affine_message([["x"] * 4] * 4),
        affine_message([[10**400] * 4] * 4),
        affine_message(np.eye(3).tolist()),
        affine_message(None),
        affine_message(np.eye(4).tolist(), (2, 0, 2)),
        affine_message(np.eye(4).tolist(), (2, 2)),
        affine_message(np.eye(4).tolist(), (1, 2, 2, 2, 2)),
    ],
)
def test_images_that_are_none(server, attacker, content):
    assert refused(server, attacker, "PUT", f"/v1/volumes/{ID}", content) in (400, 422)


@pytest.mark.parametrize(
    "roi", [[], [[]], [[[0, 0, 0]]], [[[0, 0, 0], [1, 1, -1]]], "x", [[[0] * 3] * 2] * 2000, 7]
)
def test_regions_that_are_none(server, attacker, session, roi):
    image_id = attacker.send(image(), session._mirror.sha256)
    body = json.dumps({"volume": image_id, "roi": roi}).encode()
    assert refused(server, attacker, "PUT", f"/v1/jobs/{'b' * 32}", body) in (200, 400)
    attacker.call("DELETE", f"/v1/jobs/{'b' * 32}")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/volumes/..%2f..%2fetc",
        "/v1/sessions/x",
        f"/v1/jobs/{ID}?wait=nan",
        f"/v1/jobs/{ID}?wait=1e9",
        f"/v1/jobs/{ID}?after=x",
        f"/v1/sessions/{ID}/actions/x",
        f"/v1/sessions/{ID}/slices/7/1",
        f"/v1/sessions/{ID}/slices/1/{10**30}",
        "/%00",
        "/" + "x" * 5000,
    ],
)
def test_addresses_that_are_none(server, attacker, path):
    assert refused(server, attacker, "GET", path, None) in (400, 404, 405, 422)


def saved(session):
    stream = io.BytesIO()
    write_state(session.state(), stream)
    return stream.getvalue()


def opened(server, attacker, session, content):
    """Try to go on with a file; return the status."""
    name = attacker.send(image(), session._mirror.sha256)
    body = b"".join(encode({"volume": name, "model": "clicks"}, [np.frombuffer(content, np.uint8)]))
    path = f"/v1/sessions/{'c' * 32}"
    status = refused(server, attacker, "PUT", f"{path}?wait=20", body)
    attacker.call("DELETE", path)
    return status


@given(data=st.data())
@settings(max_examples=30)
def test_sessions_whose_file_is_damaged(server, attacker, session, data):
    content = bytearray(saved(session))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    opened(server, attacker, session, bytes(content))


@given(data=st.data())
@settings(max_examples=40)
def test_sessions_whose_history_is_none(server, attacker, session, data):
    """Every value of the JSON may be anything."""
    with zipfile.ZipFile(io.BytesIO(saved(session))) as file:
        document = json.loads(file.read("session.json"))
        arrays = {name: file.read(name) for name in file.namelist() if name != "session.json"}
    odd = st.sampled_from([None, -1, 0, 7, 2**80, 1.5, "x", [], {}, [0, 0, 0], True])
    actions = [
        {"do": "propagate", "axis": data.draw(odd), "low": data.draw(odd), "high": data.draw(odd)},
        {"do": "choose", "axis": data.draw(odd), "index": data.draw(odd), "hypothesis": data.draw(odd)},
        {"do": "commit", "label": data.draw(odd), "name": data.draw(odd), "colour": data.draw(odd)},
        {"do": "add", "id": data.draw(odd), "shown": data.draw(odd), "prompt": data.draw(PROMPTS)},
        {"do": "remove", "id": data.draw(odd)},
        {"do": "stroke", "id": 9, "box": data.draw(odd), "inside": data.draw(odd), "positive": True},
    ]
    history = document["history"]
    history["actions"] += data.draw(st.lists(st.sampled_from(actions), max_size=3))
    history["applied"] = data.draw(st.sampled_from([0, 1, len(history["actions"])]) | odd)
    history["last_id"] = data.draw(st.just(history["last_id"]) | odd)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("session.json", json.dumps(document))
        for name, content in arrays.items():
            file.writestr(name, content)
    opened(server, attacker, session, stream.getvalue())


def test_a_session_that_is_a_bomb(server, attacker, session):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("session.json", b" " * 2**27)
    tracemalloc.start()
    assert opened(server, attacker, session, stream.getvalue()) == 422
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24


def test_an_image_that_is_a_bomb_takes_no_more_than_it_says(server, attacker):
    bomb = zlib.compress(bytes(2**26), 9)
    array = {"dtype": "uint8", "shape": [64, 64, 16], "encoding": "zlib", "bytes": len(bomb)}
    header = json.dumps({"volume": {"affine": np.eye(4).tolist()}, "arrays": [array]}).encode()
    content = b"EFS1" + len(header).to_bytes(4, "little") + header + bomb
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refused(server, attacker, "PUT", f"/v1/volumes/{ID}", content) == 400
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**15


def raw(server, content):
    """Send bytes that need not be HTTP; return what comes back."""
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
        found = b""
        with suppress(ConnectionError, OSError):  # it may hang up at any time
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                found += chunk
    return found


@pytest.mark.parametrize(
    "content",
    [
        b"\x00\x01\x02\xff\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
        b"GET /health HTTP/1.1\r\n" + b"".join(b"X%d: y\r\n" % at for at in range(20_000)) + b"\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"PUT /v1/volumes/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    ],
    ids=["bytes", "version", "long header", "many headers", "negative length", "bad chunk"],
)
def test_what_is_no_http(server, content):
    found = raw(server, content)
    if found:
        assert found.split()[1][:1] == b"4"
        assert json.loads(found.partition(b"\r\n\r\n")[2])["error"]["kind"]
    assert ask(server, "GET", "/health")[0] == 200


def test_after_all_this_the_server_still_works(server, volume):
    with connect(server.url, KEYS["anna"]) as client, client.open_session(volume) as session:
        session.add(eff.Point((5, 5, 2)))
        assert session.mask.any()
        with pytest.raises(Gone):
            client.call("GET", f"/v1/sessions/{'e' * 32}")
