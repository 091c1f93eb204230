import dataclasses
import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from napari_effseg import Cancelled, WeightsError, zoo
from napari_effseg.zoo.fetch import check_address

from .synthetic import synthetic_card


class Server(ThreadingHTTPServer):
    """Serves one file to this machine, breaking off after `piece` bytes of each answer if told to."""

    daemon_threads = True

    def __init__(self, content, piece=None, ranges=True, status=None, location=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.piece, self.ranges = content, piece, ranges
        self.fixed_status, self.location = status, location
        self.starts = []

    def handle_error(self, request, client_address):
        """A client that hangs up is no fault here."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        if self.server.fixed_status:
            self.send_response(self.server.fixed_status)
            if self.server.location:
                self.send_header("Location", self.server.location)
            self.end_headers()
            return
        asked = self.headers.get("Range")
        start = int(asked[len("bytes=") : -1]) if asked and self.server.ranges else 0
        self.server.starts.append(start)
        rest = self.server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.server.piece])

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    """Start servers that end with the test; returns the address of the one started."""
    started = []

    def start(*arguments, **options):
        server = Server(*arguments, **options)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        started.append((server, thread))
        return server, f"http://127.0.0.1:{server.server_port}/net.safetensors"

    yield start
    for server, thread in started:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EFFSEG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


@pytest.fixture
def remote(tmp_path):
    """A card whose file is gone from its place, and the file's content."""
    card = synthetic_card(tmp_path / "cards")
    path = zoo.weights_path(card)
    content = path.read_bytes()
    path.unlink()
    return card, content


def test_a_fetched_file_is_found_and_loads(remote, cache, serve):
    card, content = remote
    _, url = serve(content)
    path = zoo.fetch_weights(card, url=url)
    assert path.read_bytes() == content
    assert zoo.weights_path(card) == path
    zoo.load_network(card)


def test_a_file_that_is_there_is_not_fetched_again(remote, cache, serve):
    card, content = remote
    server, url = serve(content)
    assert zoo.fetch_weights(card, url=url) == zoo.fetch_weights(card, url=url)
    assert server.starts == [0]


def test_a_damaged_file_in_the_cache_is_fetched_again(remote, cache, serve):
    card, content = remote
    _, url = serve(content)
    zoo.fetch_weights(card, url=url).write_bytes(b"damaged")
    assert zoo.fetch_weights(card, url=url).read_bytes() == content


def test_a_connection_that_breaks_off_is_resumed(remote, cache, serve):
    card, content = remote
    piece = len(content) // 3 + 1
    server, url = serve(content, piece=piece)
    assert zoo.fetch_weights(card, url=url).read_bytes() == content
    assert server.starts == [0, piece, 2 * piece]


def test_what_a_killed_program_left_is_resumed(remote, cache, serve):
    card, content = remote
    server, url = serve(content)
    cache.mkdir(parents=True)
    (cache / f"{card.weights.sha256}.part").write_bytes(content[:100])
    assert zoo.fetch_weights(card, url=url).read_bytes() == content
    assert server.starts == [100]


def test_a_server_that_cannot_resume_starts_again(remote, cache, serve):
    card, content = remote
    _, url = serve(content, ranges=False)
    cache.mkdir(parents=True)
    (cache / f"{card.weights.sha256}.part").write_bytes(b"x" * 100)
    assert zoo.fetch_weights(card, url=url).read_bytes() == content


@pytest.mark.parametrize("change", ["other bytes", "longer", "endless", "shorter", "breaks off"])
def test_a_wrong_download_leaves_nothing_behind(change, remote, cache, serve):
    card, content = remote
    served = {
        "other bytes": content[:-1] + bytes([content[-1] ^ 1]),
        "longer": content + b"0",
        "endless": content + bytes(10_000_000),
        "shorter": content[:-1],
        "breaks off": content,
    }
    _, url = serve(served[change], piece=10 if change == "breaks off" else None)
    with pytest.raises(WeightsError, match=url):
        zoo.fetch_weights(card, url=url)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("status", [404, 403, 500, 416])
def test_a_refusal_is_told(status, remote, cache, serve):
    card, content = remote
    _, url = serve(content, status=status)
    with pytest.raises(WeightsError, match=f"0 of {len(content)} bytes arrived: HTTP Error {status}"):
        zoo.fetch_weights(card, url=url)
    assert list(cache.iterdir()) == []


def test_nobody_at_the_address_is_told(remote, cache, serve):
    card, _ = remote
    with pytest.raises(WeightsError, match="bytes arrived"):
        zoo.fetch_weights(card, url="http://127.0.0.1:1/x.safetensors")


@pytest.mark.parametrize("location", ["http://example.org/x", "file:///etc/passwd", "ftp://example.org/x"])
def test_a_redirect_to_an_unsafe_address_is_refused(location, remote, cache, serve):
    card, content = remote
    _, url = serve(content, status=302, location=location)
    with pytest.raises(
        WeightsError, match=f"{location}(: expected an address that begins with https|. is not allowed)"
    ):
        zoo.fetch_weights(card, url=url)
    assert list(cache.iterdir()) == []


def test_cancelling_leaves_nothing_behind(remote, cache, serve):
    card, content = remote
    _, url = serve(content)
    with pytest.raises(Cancelled):
        zoo.fetch_weights(card, url=url, cancel=lambda: True)
    assert list(cache.iterdir()) == []


def test_progress_ends_at_one(remote, cache, serve):
    card, content = remote
    _, url = serve(content)
    fractions = []
    zoo.fetch_weights(card, url=url, progress=lambda fraction, _: fractions.append(fraction))
    assert fractions[-1] == 1.0
    assert fractions == sorted(fractions)


@pytest.mark.parametrize(
    "url", ["http://example.org/x", "file:///etc/passwd", "x", "http://127.0.0.1.example.org/x"]
)
def test_an_unsafe_address_is_refused(url):
    with pytest.raises(WeightsError, match="begins with https"):
        check_address(url)


def test_the_cards_own_address_is_asked(remote, cache):
    card, content = remote
    card = dataclasses.replace(
        card, weights=dataclasses.replace(card.weights, url="https://example.org/x.safetensors")
    )
    asked = []

    class Answer(io.BytesIO):
        status = 200

        def close(self):
            asked.append("closed")

    def opener(url, start):
        asked.append((url, start))
        return Answer(content)

    zoo.fetch_weights(card, opener=opener)
    assert asked[:2] == [("https://example.org/x.safetensors", 0), "closed"]


def test_a_card_without_an_address_says_so(remote, cache):
    with pytest.raises(WeightsError, match="names no address"):
        zoo.fetch_weights(remote[0])
