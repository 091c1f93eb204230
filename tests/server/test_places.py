"""Where a server listens, and what a client is told when it finds none."""

import json
import socket
import threading
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import napari_effseg as eff
from napari_effseg.errors import ConfigError
from napari_effseg.server import connect
from napari_effseg.server.run import Place, Server, check_place
from napari_effseg.server.settings import Settings

from .conftest import KEYS
from .engines import FakeEngine
from .gate import silent_address

TLS = Path(__file__).parent / "tls"
CERTIFICATE, PRIVATE_KEY = TLS / "certificate.pem", TLS / "private_key.pem"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_this_machine_alone_needs_no_tls(host):
    check_place(Place(host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gpu.hospital.example", ""])
def test_a_network_needs_tls_or_somebody_who_says_it_does_not(host):
    with pytest.raises(ConfigError, match="--tls-cert"):
        check_place(Place(host))
    check_place(Place(host, certificate=CERTIFICATE, private_key=PRIVATE_KEY))
    check_place(Place(host, is_insecure=True))


@pytest.fixture(scope="module")
def safe():
    place = Place(certificate=CERTIFICATE, private_key=PRIVATE_KEY)
    with Server(Settings(keys=KEYS), FakeEngine(), place) as server:
        yield server


def test_tls_works_with_a_certificate_of_ones_own(safe, volume):
    assert safe.url.startswith("https://")
    with connect(safe.url, KEYS["anna"], certificate=CERTIFICATE) as client:
        assert client.segment(volume).labels.data.any()


def test_a_certificate_that_is_not_trusted_is_told(safe):
    with pytest.raises(eff.UntrustedServer, match="not trusted"):
        connect(safe.url, KEYS["anna"])


def test_http_where_tls_is_spoken_is_told(safe):
    with pytest.raises(eff.UntrustedServer, match="https://"):
        connect(safe.url.replace("https", "http"), KEYS["anna"])


def test_tls_where_http_is_spoken_is_told(server):
    with pytest.raises(eff.UntrustedServer, match="does not speak TLS"):
        connect(server.url.replace("http", "https"), KEYS["anna"])


def test_a_certificate_that_is_none_is_told(safe, tmp_path):
    (tmp_path / "x.pem").write_text("no certificate")
    for path in (tmp_path / "x.pem", tmp_path / "nowhere.pem"):
        with pytest.raises(eff.UntrustedServer, match="no certificate that can be read"):
            connect(safe.url, KEYS["anna"], certificate=path)


@pytest.mark.parametrize(
    "url", ["", "ftp://127.0.0.1", "http://", "http://127.0.0.1:99999", "http://a b", "http://[::1"]
)
def test_what_is_no_address_is_told(url):
    with pytest.raises(eff.WrongAddress, match="no address"):
        connect(url, "key")


def test_a_name_that_no_machine_has_is_told():
    with pytest.raises(eff.WrongAddress, match="no machine called"):
        connect("http://nowhere.invalid:1", "key")


def test_a_port_where_nothing_listens_is_told():
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    with pytest.raises(eff.ServerRefused, match="nothing listens"):
        connect(f"http://127.0.0.1:{port}", "key")


def test_who_does_not_answer_is_told():
    with silent_address() as url, pytest.raises(eff.WrongAddress, match="nobody answers"):
        connect(url, "key", timeout=0.3)


class Other(BaseHTTPRequestHandler):
    answer = (200, b"<html>")

    def do_GET(self):
        status, content = self.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "application/json" if content[:1] == b"{" else "text/html")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def other():
    with HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"<html>"),
        (404, b"<html>"),
        (404, b'{"detail": "Not Found"}'),
        (200, b'{"server": "another"}'),
        (302, b""),
        (200, b"{}"),
    ],
)
def test_somebody_else_is_told_and_gets_no_key(other, monkeypatch, answer):
    monkeypatch.setattr(Other, "answer", answer)
    with pytest.raises(eff.WrongAddress, match="no effseg server"):
        connect(other, "key")


def test_a_server_that_takes_no_more_connections_is_no_wrong_address(volume):
    with Server(Settings(keys=KEYS), FakeEngine()) as server, ExitStack() as held:
        place = urlsplit(server.url)
        for _ in range(256):
            held.enter_context(socket.create_connection((place.hostname, place.port)))
        with pytest.raises(eff.ServerBusy, match="no more connections"):
            connect(server.url, KEYS["anna"])
        held.close()
        with connect(server.url, KEYS["anna"], timeout=10) as client:
            assert client.segment(volume).labels.data.any()


def test_a_server_of_another_time_is_told(other, monkeypatch):
    about = {"server": "effseg", "version": "9.0", "protocols": ["7.1", "8.0"]}
    monkeypatch.setattr(Other, "answer", (200, json.dumps(about).encode()))
    with pytest.raises(eff.VersionMismatch, match=r"protocol 7\.1, 8\.0; this client speaks 1\.0"):
        connect(other, "key")


def test_a_server_of_a_newer_minor_version_is_spoken_with(other, monkeypatch):
    about = {"server": "effseg", "version": "0.9", "protocols": ["1.9"]}
    monkeypatch.setattr(Other, "answer", (200, json.dumps(about).encode()))
    connect(other, "key").close()


def test_the_errors_are_connection_errors_too():
    for error in (eff.WrongAddress, eff.ServerRefused, eff.WrongKey, eff.UntrustedServer, eff.ServerLost):
        assert issubclass(error, eff.ServerError)
        assert issubclass(error, ConnectionError)
