"""Who is let in, how often, and what is noted of it."""

import http.client
import json
import socket
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

import napari_effseg as eff
from napari_effseg.errors import ConfigError
from napari_effseg.server import connect
from napari_effseg.server.keys import Bucket, Keyring, Throttle, read_keys
from napari_effseg.server.run import Server
from napari_effseg.server.settings import Settings
from napari_effseg.server.wire import MEDIA_TYPE, encode

from .conftest import KEYS
from .engines import FakeEngine


def ask(server, method, path, headers=None, body=None, key=KEYS["anna"]):
    """Make one request by hand; return status, headers and JSON."""
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    given = {"Authorization": f"Bearer {key}"} if key else {}
    connection.request(method, path, body, {**given, **(headers or {})})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    is_json = response.headers.get_content_type() == "application/json"
    return response.status, response.headers, json.loads(content) if is_json else content


def test_anybody_may_ask_whether_it_is_here_and_nothing_else(server):
    status, _, about = ask(server, "GET", "/health", key=None)
    assert (status, about["server"]) == (200, "effseg")
    for method, path in [("GET", "/v1/capabilities"), ("POST", "/v1/leases"), ("GET", "/openapi.json")]:
        status, headers, about = ask(server, method, path, key=None)
        assert (status, about["error"]["kind"]) == (401, "WrongKey")
        assert headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "key", ["", "x", KEYS["anna"][:-1], KEYS["anna"] + "x", "é" * 30, "sha256:" + "0" * 64]
)
def test_a_wrong_key_is_told_apart(server, key):
    with pytest.raises(eff.WrongKey):
        connect(server.url, key)


def test_keys_are_compared_to_the_end_whoever_matches():
    ring = Keyring({"anna": "a" * 16, "bert": "b" * 16})
    assert ring.user_of("a" * 16) == "anna"
    assert ring.user_of("b" * 16) == "bert"
    assert ring.user_of("a" * 15) is None


def test_a_page_in_a_browser_is_refused(server):
    status, _, about = ask(server, "GET", "/v1/capabilities", {"Origin": "https://evil.example"})
    assert (status, about["error"]["kind"]) == (403, "NoBrowsers")


def test_no_answer_may_be_read_by_other_pages_or_kept(server):
    _, headers, _ = ask(server, "GET", "/health")
    assert "Access-Control-Allow-Origin" not in headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "server" not in headers


def test_a_request_keeps_its_id_or_gets_one(server):
    _, headers, _ = ask(server, "GET", "/health", {"X-Request-ID": "my-1.x"})
    assert headers["X-Request-ID"] == "my-1.x"
    _, headers, about = ask(server, "GET", "/nowhere", {"X-Request-ID": "a b\u00ff"})
    assert len(headers["X-Request-ID"]) == 16
    assert about["error"]["request"] == headers["X-Request-ID"]


def test_addresses_that_are_none_are_told_in_json(server):
    assert ask(server, "GET", "/nowhere")[0] == 404
    assert ask(server, "PATCH", "/health")[0] == 405
    assert ask(server, "GET", "/v1/../../etc/passwd")[2]["error"]["kind"] == "NoSuchPlace"


def test_the_description_of_the_interface_is_there(server):
    _, _, about = ask(server, "GET", "/openapi.json")
    assert "/v1/sessions/{name}/actions/{number}" in about["paths"]


def test_users_never_see_what_others_hold(server, volume):
    with connect(server.url, KEYS["anna"]) as anna, connect(server.url, KEYS["bert"]) as bert:
        session = anna.open_session(volume)
        session.add(eff.Point((5, 5, 2)))
        lease = anna._lease.name()
        image = anna.send(volume, session._mirror.sha256)
        paths = [session._path, f"{session._path}/labels", f"{session._path}/file", f"/v1/jobs/{'0' * 32}"]
        for path in paths:
            for name in (lease, bert._lease.name()):
                status, _, about = ask(server, "GET", path, {"X-Effseg-Lease": name}, key=KEYS["bert"])
                assert status == 404
                assert about["error"]["kind"] in ("NoLease", "NoSession", "NoJob")
        job = json.dumps({"volume": image}).encode()
        status, _, about = ask(
            server,
            "PUT",
            f"/v1/jobs/{'1' * 32}",
            {"X-Effseg-Lease": bert._lease.name()},
            job,
            KEYS["bert"],
        )
        assert (status, about["error"]["kind"]) == (404, "NoVolume")
        assert ask(server, "DELETE", f"/v1/leases/{lease}", key=KEYS["bert"])[0] == 200
        session.add(eff.Point((6, 5, 2)))  # anna's is still there


def test_every_request_is_noted_without_names_ids_or_contents(tmp_path, volume):
    audit = tmp_path / "audit.jsonl"
    settings = Settings(keys=KEYS, audit_file=audit)
    with Server(settings, FakeEngine()) as server, connect(server.url, KEYS["anna"]) as client:
        named = eff.Volume(volume.data, volume.affine, warnings=("Doe^John",), channel_names=("Doe_John",))
        with client.open_session(named) as session:
            session.add(eff.Point((5, 5, 2)))
            session.commit(name="tumour of John Doe")
            ids = [session._path.rpartition("/")[2], client._lease.name()]
        ask(server, "GET", "/patients/Doe_John", key="wrong")
        ask(server, "GET", "/v1/sessions/Doe_John")
    text = audit.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert {"method": "PUT", "route": "/v1/sessions/{name}/actions/{number}", "status": 200} in [
        {name: line[name] for name in ("method", "route", "status")} for line in lines
    ]
    assert {line["user"] for line in lines} == {"anna", ""}
    for secret in ("Doe", "John", "tumour", *ids, *KEYS.values()):
        assert secret not in text


def test_too_many_requests_are_slowed_down_and_too_many_wrong_keys_locked_out():
    settings = Settings(keys=KEYS, requests_per_second=1.0, request_burst=3.0, failure_burst=2.0)
    with Server(settings, FakeEngine()) as server:
        codes = [ask(server, "GET", "/v1/capabilities")[0] for _ in range(5)]
        assert codes[:3] == [200, 200, 200]
        status, headers, about = ask(server, "GET", "/v1/capabilities")
        assert (status, about["error"]["kind"]) == (429, "ServerBusy")
        assert int(headers["Retry-After"]) >= 1
        assert ask(server, "GET", "/v1/capabilities", key=KEYS["bert"])[0] == 200
        codes = [ask(server, "GET", "/v1/capabilities", key="a wrong one")[0] for _ in range(4)]
        assert codes == [401, 401, 429, 429]
        assert ask(server, "GET", "/v1/capabilities", key=KEYS["bert"])[0] == 429  # of this address
        assert ask(server, "GET", "/health", key=None)[0] == 200


def test_a_client_waits_where_it_is_told_to(volume):
    settings = Settings(keys=KEYS, requests_per_second=20.0, request_burst=4.0)
    with Server(settings, FakeEngine()) as server, connect(server.url, KEYS["anna"]) as client:
        assert client.segment(volume).labels.data.any()


def test_a_bucket_fills_again():
    now = [0.0]
    bucket = Bucket(2.0, 3.0, lambda: now[0])
    assert [bucket.take() for _ in range(4)] == [0, 0, 0, 0.5]
    now[0] = 0.5
    assert bucket.peek() == 0
    assert bucket.take() == 0
    assert bucket.take() > 0


def test_throttles_forget_the_oldest():
    throttle = Throttle(1.0, 1.0, most=2)
    throttle.of("a").take()
    throttle.of("b"), throttle.of("c")
    assert throttle.of("a").take() == 0


def limits_of(**limits):
    return Settings(keys=KEYS, **limits)


def test_what_is_too_large_is_refused_and_said(volume):
    settings = limits_of(volume_bytes=2000, user_bytes=3000, most_sessions=1, most_leases=2)
    with Server(settings, FakeEngine()) as server, connect(server.url, KEYS["anna"]) as client:
        with pytest.raises(eff.ServerError, match="at most 2000"):
            client.segment(volume)
        small = [eff.Volume(volume.data[:, :, at : at + 2], volume.affine) for at in range(3)]
        client.open_session(small[0])
        with pytest.raises(eff.ServerBusy, match="1 sessions of yours"):
            client.open_session(small[1])
        with pytest.raises(eff.ServerError, match="your images would take more than 3000"):
            client.segment(small[2])  # the session keeps the first, whether it is named or not
        with connect(server.url, KEYS["anna"]) as second, connect(server.url, KEYS["anna"]) as third:
            second.call("GET", "/health")
            with pytest.raises(eff.ServerBusy, match="2 clients of yours"):
                third.open_session(small[0])


def test_a_body_longer_than_any_image_is_refused_unread(server):
    status, _, about = ask(server, "PUT", "/v1/volumes/" + "0" * 32, {"Content-Length": str(10**13)}, b"x")
    assert (status, about["error"]["kind"]) == (413, "TooLarge")


def test_a_body_that_never_comes_is_given_up():
    with (
        Server(limits_of(body_seconds=0.2), FakeEngine()) as server,
        connect(server.url, KEYS["anna"]) as client,
    ):
        parts = urlsplit(server.url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
        connection.putrequest("PUT", "/v1/volumes/" + "0" * 32)
        for name, value in {
            "Authorization": f"Bearer {KEYS['anna']}",
            "X-Effseg-Lease": client._lease.name(),
            "Content-Type": MEDIA_TYPE,
            "Content-Length": "1000",
        }.items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(b"EFS1")
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["error"]["kind"]) == (408, "TooSlow")
        connection.close()


TOKEN = b"POST /auth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"


def answer_to(url, head, body=b"", pieces=0):
    """Send a request whose body comes byte by byte and never ends; return all that comes back."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=0.02) as connection:
        connection.sendall(head + body)
        found = b""
        for _ in range(500):
            try:
                with suppress(TimeoutError):
                    got = connection.recv(4096)
                    if not got:
                        return found
                    found += got
                connection.sendall(b"a")
            except OSError:  # closed, with some of the body unread
                return found
    pytest.fail("the connection was held for ever")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"PUT /v1/volumes/" + b"0" * 32 + b" HTTP/1.1\r\nHost: x\r\n", b"401"),
        (b"GET /health HTTP/1.1\r\nHost: x\r\n", b"200"),
        (TOKEN, b"408"),
    ],
)
def test_who_has_no_key_cannot_hold_a_connection_by_a_body_that_never_ends(head, status):
    with Server(limits_of(header_seconds=1.0), FakeEngine()) as server:
        assert answer_to(server.url, head + b"Content-Length: 60000\r\n\r\n")[9:12] == status


def test_who_has_no_key_cannot_send_much(server):
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request(
        "POST", "/auth/token", iter([b"password=", bytes(2**17)]), kind
    )  # in chunks, unannounced
    with suppress(BrokenPipeError, ConnectionResetError):
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["error"]["kind"]) == (413, "TooLarge")
    connection.close()
    status, _, about = ask(server, "POST", "/auth/token", kind, bytes(2**17), key=None)
    assert (status, about["error"]["kind"]) == (413, "TooLarge")


def test_a_form_that_never_comes_is_given_up():
    with Server(limits_of(body_seconds=0.2), FakeEngine()) as server:
        parts = urlsplit(server.url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
        connection.putrequest("PUT", "/datastore/?image=x")
        connection.putheader("Authorization", f"Bearer {KEYS['anna']}")
        connection.putheader("Content-Type", "multipart/form-data; boundary=b")
        connection.putheader("Content-Length", "1000")
        connection.endheaders()
        connection.send(b"--b\r\n")
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["error"]["kind"]) == (408, "TooSlow")
        connection.close()


@pytest.mark.parametrize("content", [b"", b"GET /health HTTP/1.1\r\nHost: x\r\nX-"])
@pytest.mark.parametrize("is_first", [True, False])
def test_who_opens_a_connection_and_asks_nothing_is_hung_up_on(content, is_first):
    """But a connection that was of use may rest for a while."""
    with Server(limits_of(header_seconds=0.2), FakeEngine()) as server:
        parts = urlsplit(server.url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=2)
        connection.connect()
        if not is_first:
            connection.request("GET", "/health")
            assert connection.getresponse().read()
        connection.sock.sendall(content)
        if content or is_first:
            assert connection.sock.recv(1) == b""
        else:
            with pytest.raises(TimeoutError):
                connection.sock.recv(1)
        connection.close()


def test_an_image_that_changed_on_its_way_is_refused(client, volume):
    from napari_effseg.server.payloads import volume_message

    header, arrays = volume_message(volume)
    pieces = encode({**header, "sha256": "0" * 64}, arrays)
    with pytest.raises(eff.ServerError, match="checksum"):
        client.call("PUT", f"/v1/volumes/{'2' * 32}", pieces=pieces)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("anna", "line 1"),
        ("anna short", "at least 16"),
        ("# all right\n\nanna sha256:12", "line 3"),
        (f"anna {'x' * 16}\nanna {'y' * 16}", "already"),
        ("../anna " + "x" * 16, "a name and a key"),
        ("# nobody", "holds no key"),
    ],
)
def test_a_keys_file_that_is_none_is_refused_without_telling_keys(tmp_path, text, words):
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        read_keys(path)
    assert "y" * 16 not in str(caught.value)


def test_keys_may_be_kept_as_hashes(tmp_path):
    import hashlib

    path = tmp_path / "keys"
    path.write_text(f"anna sha256:{hashlib.sha256(b'secret of anna, long').hexdigest()}  # a remark\n")
    ring = Keyring(read_keys(path))
    assert ring.user_of("secret of anna, long") == "anna"
    assert ring.user_of(read_keys(path)["anna"]) is None


def test_a_fault_of_ours_tells_no_more_than_its_id(server, client, engine, monkeypatch):
    def fail():
        raise RuntimeError("a secret")

    monkeypatch.setattr(engine, "models", fail)
    status, headers, about = ask(server, "GET", "/v1/capabilities")
    assert (status, about["error"]["kind"]) == (500, "Fault")
    assert "secret" not in str(about)
    assert about["error"]["request"] == headers["X-Request-ID"]
