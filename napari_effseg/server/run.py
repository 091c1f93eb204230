"""A server that listens: loopback by default, and nowhere else without key and TLS."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from .._extras import require
from ..errors import ConfigError, ServerError
from .engines import Engine
from .settings import Settings

if TYPE_CHECKING:
    import uvicorn

__all__ = ["Place", "Server", "check_place"]

_STARTS_WITHIN = 30.0
_LONGEST_HEADERS = 64 * 2**10
_CONNECTIONS = 256


@dataclass(frozen=True)
class Place:
    """Where a server listens.

    Attributes
    ----------
    host : str
    port : int
        0: any that is free.
    certificate, private_key : Path or None
        PEM files for TLS.
    is_insecure : bool
        Whether somebody said that a network may listen in.
    """

    host: str = "127.0.0.1"
    port: int = 0
    certificate: Path | None = None
    private_key: Path | None = None
    is_insecure: bool = False

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def check_place(place: Place) -> None:
    """Refuse to listen on a network without TLS.

    Raises
    ------
    ConfigError
        If it would, or certificate and key do not go together.
    """
    if (place.certificate is None) != (place.private_key is None):
        raise ConfigError("TLS needs both: --tls-cert FILE and --tls-key FILE")
    for file in (place.certificate, place.private_key):
        if file is not None and not file.is_file():
            raise ConfigError(f"{file}: there is no such file")
    if not place.is_loopback and place.certificate is None and not place.is_insecure:
        raise ConfigError(
            f"{place.host} can be reached from the network: keys and images would travel in the clear. Give "
            "--tls-cert and --tls-key, or listen on 127.0.0.1 behind ssh; --insecure does it all the same"
        )


class Server:
    """A server on a thread of its own, from `start` to `stop`; also a context manager.

    Parameters
    ----------
    settings : Settings
    engine : Engine
    place : Place

    Raises
    ------
    ConfigError
        As `check_place`; or if the port is taken.
    MissingExtra
        If the extra [server] is not installed.
    """

    def __init__(self, settings: Settings, engine: Engine, place: Place | None = None) -> None:
        place = place or Place()
        check_place(place)
        require("uvicorn", "server", "effseg serve")
        require("fastapi", "server", "effseg serve")
        require("python_multipart", "server", "effseg serve")
        from .app import create_app
        from .service import Service

        self._socket = _listening(place)
        scheme = "http" if place.certificate is None else "https"
        host, port = self._socket.getsockname()[:2]
        self.url = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
        self.service = Service(settings, engine)
        self._server = _uvicorn(create_app(self.service), place, settings.header_seconds)
        self._thread = threading.Thread(target=self._run, name="effseg-server", daemon=True)

    def start(self) -> Server:
        """Begin to answer; returns when it does.

        Raises
        ------
        ServerError
            If it does not.
        """
        self._thread.start()
        ends = time.monotonic() + _STARTS_WITHIN
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > ends:
                raise ServerError("the server did not start; see the log (effseg serve --verbose)")
            time.sleep(0.01)
        return self

    @property
    def is_running(self) -> bool:
        """Whether it answers."""
        return self._thread.is_alive()

    def stop(self, seconds: float = 15.0) -> None:
        """Stop answering, and free everything."""
        self.service.workshop.close()  # who waits for a task is told at once
        self._server.should_exit = True
        self._thread.join(seconds / 2)
        if self._thread.is_alive():
            self._server.force_exit = True
            self._thread.join(seconds / 2)
        self._socket.close()

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])


def _uvicorn(app: object, place: Place, header_seconds: float) -> uvicorn.Server:
    import uvicorn

    class Quiet(uvicorn.Server):
        """Leaves signals to who started it."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    config = uvicorn.Config(
        app,  # type: ignore[arg-type]  # an ASGI application; uvicorn's own type is narrower
        http=_protocol(header_seconds),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=3,
        limit_concurrency=_CONNECTIONS,
        h11_max_incomplete_event_size=_LONGEST_HEADERS,
        ssl_certfile=place.certificate,
        ssl_keyfile=place.private_key,
    )
    return Quiet(config)


class _Closing:
    """Closes a connection after some time, unless it is stopped."""

    def __init__(self, transport: asyncio.Transport, seconds: float) -> None:
        self._transport, self._seconds = transport, seconds
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Let the time run; it goes on running where it does."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._seconds, self._transport.close)

    def stop(self) -> None:
        """Do not close it; more than once does no harm."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _protocol(header_seconds: float) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol, strict with who opens connections and asks nothing.

    What is no HTTP at all is explained in JSON, as all else is explained.
    """
    from h11 import IDLE, SEND_BODY, Data, EndOfMessage, Response
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Strict(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._silent = _Closing(transport, header_seconds)  # nothing is asked
            self._unread = _Closing(transport, header_seconds)  # it was answered, and its body goes on
            self._silent.begin()

        def connection_lost(self, exc: Exception | None) -> None:
            self._silent.stop()
            self._unread.stop()
            super().connection_lost(exc)

        def on_response_complete(self) -> None:
            """Give a client whose body nobody reads any more the time to see why, and no longer."""
            super().on_response_complete()
            if self.conn.their_state is SEND_BODY:
                self._unread.begin()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state is not SEND_BODY:
                self._unread.stop()
            if self.conn.their_state is IDLE:
                self._silent.begin()
            else:
                self._silent.stop()

        def send_400_response(self, msg: str) -> None:
            error = {"kind": "Malformed", "message": msg}
            body = json.dumps({"error": error}).encode()
            headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
            events = (
                Response(status_code=400, headers=[*headers, ("connection", "close")], reason=b"Bad Request"),
                Data(data=body),
                EndOfMessage(),
            )
            for event in events:
                self.transport.write(self.conn.send(event) or b"")
            self.transport.close()

    return Strict


def _listening(place: Place) -> socket.socket:
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    # Only of sockets that say TCP does asyncio switch Nagle's delay of 40 ms off.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let others take the port over
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((place.host, place.port))
    except OSError as err:
        found.close()
        raise ConfigError(
            f"cannot listen at {place.host}:{place.port} ({err.strerror or err}); choose another --port, or 0"
        ) from err
    return found
