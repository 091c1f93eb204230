"""HTTP with the standard library: connections kept, errors told apart, short breaks survived; no torch."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from ..errors import (
    ServerBusy,
    ServerError,
    ServerLost,
    ServerRefused,
    UntrustedServer,
    WrongAddress,
    WrongKey,
)
from ..types import PathLike
from .faults import raised_from
from .reader import MessageReader
from .stopping import Line, is_watched, pause, watched
from .wire import MEDIA_TYPE, Limits, Malformed, Message, strict_json

__all__ = ["Answer", "Gone", "Transport"]

_STEP = 2**20
_SENT_STEP = 2**17
_ANSWERS = Limits(header=2**26, arrays=8, bytes=2**40, side=2**40)
"""What a server may answer, which is trusted more than its clients are."""
_READ_SECONDS = 120.0
"""So long a server that has a request may take for the next byte; it answers waiting requests sooner."""
_PAUSES = (0.0, 0.1, 0.3, 0.6, 1.0)
_BROKEN = (ConnectionError, http.client.HTTPException, TimeoutError, ssl.SSLError, OSError)
_UNAVAILABLE = 503
_GONE = frozenset({"NoLease", "NoVolume", "NoJob", "NoSession", "OutOfStep", "Waiting"})


class Gone(Exception):
    """The server does not hold (any more) what a request named, or not yet: begin again.

    Parameters
    ----------
    kind : str
    message : str
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, eq=False)
class Answer:
    """What a server answered; JSON or a message."""

    status: int
    json: Any = None
    message: Message | None = None
    content: bytes = b""


_Heard = tuple[int, http.client.HTTPMessage, Answer]


class Transport:
    """Requests to one server; safe between threads.

    Attributes
    ----------
    is_known : bool
        Whether it was seen to be an effseg server.

    Parameters
    ----------
    url : str
    key : str
    timeout : float
        Seconds to wait for a connection, and for a broken one to come back.
    certificate : path or None
        PEM file to trust besides those of the system.
    """

    def __init__(self, url: str, key: str, timeout: float, certificate: PathLike | None) -> None:
        self._host, self._port, self._path, is_safe = _parts_of(url)
        self.url, self._key, self._timeout = url, key.strip(), timeout
        self._context = _context(certificate) if is_safe else None
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self._was_here = self._is_closed = False
        self.is_known = False
        if not (self._key.isascii() and self._key.isprintable()):
            raise WrongKey("a key is made of printable ASCII characters")

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine, where packing costs more time than it saves."""
        return self._host in ("localhost", "::1") or self._host.startswith("127.")

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        pieces: Sequence[bytes | memoryview] | None = None,
        lease: str = "",
        with_key: bool = True,
        patience: float | None = None,
        sending: Callable[[int], None] | None = None,
    ) -> Answer:
        """Make a request; where the connection breaks, make it again for a while.

        Every request may be made twice: the server does nothing twice. Who may stop it is said by
        `stopping.answering_to`.

        Parameters
        ----------
        method, path : str
        body : JSON, optional
        pieces : sequence of bytes, optional
            A message.
        lease : str
        with_key : bool
        patience : float, optional
            Seconds for which a broken connection is tried again; None: the timeout.
        sending : callable, optional
            Told again and again how many bytes of the message have left.

        Raises
        ------
        Gone
            If the server does not hold what was named.
        CutOff
            If it was stopped.
        EffsegError
            As the server says; a `ServerError` if it cannot be reached.
        """
        sent = _Sent(method, self._path + path, body, pieces, self._headers(lease, with_key))
        ends = time.monotonic() + (self._timeout if patience is None else patience)
        pauses = iter(_PAUSES)
        while True:
            try:
                status, headers, answer = self._made(sent, sending)
            except Malformed as err:
                raise ServerError(f"{self.url}: the server's answer cannot be read ({err})") from err
            except _BROKEN as err:
                seconds = next(pauses, _PAUSES[-1])
                if not self._was_here or time.monotonic() + seconds > ends:
                    raise self._told(err) from err
                pause(seconds)
                continue
            self._was_here = True
            wait = _retry_seconds(status, headers)
            if wait is not None and time.monotonic() + wait < ends:
                pause(wait)
                continue
            return self._checked(answer)

    def _checked(self, answer: Answer) -> Answer:
        """Raise what an answer stands for, if it is an error."""
        if answer.status < 300:
            return answer
        about = answer.json.get("error") if isinstance(answer.json, Mapping) else None
        if not isinstance(about, Mapping):
            if answer.status == _UNAVAILABLE:
                raise ServerBusy(
                    f"{self.url}: what answers there takes no more connections just now; try later"
                )
            if self.is_known:
                raise ServerError(
                    f"{self.url}: the server answered {answer.status} without a reason; try later"
                )
            raise WrongAddress(f"{self.url}: what answers there is no effseg server (status {answer.status})")
        if about.get("kind") in _GONE:
            raise Gone(str(about["kind"]), str(about.get("message", "")))
        raise raised_from(about, answer.status)

    def close(self) -> None:
        """Close all connections; one that is used just now, by a heartbeat, when its answer is here."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _made(self, sent: _Sent, sending: Callable[[int], None] | None) -> _Heard:
        """Make a request once, beside this thread if somebody may want to stop it, or to see it go."""
        line = Line()
        if sending is None and not is_watched():
            return self._once(sent, line)
        look = None if sending is None else _Counter(line, sending)
        return watched(lambda: self._once(sent, line), line, look)

    def _once(self, sent: _Sent, line: Line) -> _Heard:
        connection = self._borrowed()
        try:
            line.take(connection)
            with suppress(BrokenPipeError):  # it may have refused the request before the end
                connection.request(sent.method, sent.path, body=sent.body(line), headers=sent.headers)
            line.is_waiting = True
            response = connection.getresponse()
            answer = _read(response)
        except BaseException:
            connection.close()
            raise
        with self._lock:
            keeps = not (response.will_close or self._is_closed or line.is_cut)
            if keeps:
                self._idle.append(connection)
        if not keeps:
            connection.close()
        return response.status, response.headers, answer

    def _borrowed(self) -> http.client.HTTPConnection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        connection = (
            http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
            if self._context is None
            else http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout, context=self._context
            )
        )
        connection.connect()
        assert connection.sock is not None
        connection.sock.settimeout(max(_READ_SECONDS, self._timeout))
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _headers(self, lease: str, with_key: bool) -> dict[str, str]:
        headers = {"Accept": f"{MEDIA_TYPE}, application/json"}
        if with_key:
            headers["Authorization"] = f"Bearer {self._key}"
        if lease:
            headers["X-Effseg-Lease"] = lease
        return headers

    def _told(self, error: BaseException) -> ServerError:
        """Say what is in the way of reaching the server."""
        where = f"{self._host}:{self._port}"
        if isinstance(error, ssl.SSLCertVerificationError):
            return UntrustedServer(
                f"{where}: the server's certificate is not trusted ({error.verify_message}); give its "
                "certificate, or ask who runs it"
            )
        if isinstance(error, ssl.SSLError):
            return UntrustedServer(
                f"{where} does not speak TLS, or not as it should ({error.reason}); try http:// if it is "
                "on this machine"
            )
        if self._was_here:
            return ServerLost(
                f"the connection to {where} broke and did not come back ({_words(error)}); prompts and masks "
                "are still here: save them, or go on when the server is back"
            )
        if isinstance(error, socket.gaierror):
            return WrongAddress(f"there is no machine called {self._host}; check the address")
        if isinstance(error, ConnectionRefusedError):
            return ServerRefused(f"nothing listens at {where}; is effseg serve running, and at this port?")
        if isinstance(error, http.client.RemoteDisconnected | ConnectionResetError) and self._context is None:
            return UntrustedServer(f"{where} hung up at once; if it speaks TLS, write https://")
        if isinstance(error, http.client.HTTPException):
            return WrongAddress(f"what answers at {where} is no effseg server")
        return WrongAddress(f"nobody answers at {where} ({_words(error)}); check address and network")


@dataclass(frozen=True, eq=False)
class _Sent:
    """A request, to be sent as often as it takes."""

    method: str
    path: str
    json: Any
    pieces: Sequence[bytes | memoryview] | None
    headers: dict[str, str]

    def __post_init__(self) -> None:
        if self.pieces is not None:
            self.headers["Content-Type"] = MEDIA_TYPE
            self.headers["Content-Length"] = str(sum(len(piece) for piece in self.pieces))
        elif self.json is not None:
            self.headers["Content-Type"] = "application/json"

    def body(self, line: Line) -> Any:
        """Return the body; what of a message has left is noted."""
        if self.pieces is not None:
            return _steps(self.pieces, line)
        return None if self.json is None else json.dumps(self.json).encode()


class _Counter:
    """Tells how much of a message has left, where that has changed.

    Parameters
    ----------
    line : Line
    sending : callable
    """

    def __init__(self, line: Line, sending: Callable[[int], None]) -> None:
        self._line, self._sending, self._told = line, sending, 0

    def __call__(self) -> None:
        if self._line.sent != self._told and not self._line.is_waiting:
            self._told = self._line.sent
            self._sending(self._told)


def _steps(pieces: Sequence[bytes | memoryview], line: Line) -> Iterator[bytes | memoryview]:
    """Cut pieces so small that each is soon away."""
    for piece in pieces:
        for begin in range(0, len(piece), _SENT_STEP):
            step = piece[begin : begin + _SENT_STEP]
            yield step
            line.sent += len(step)


def _parts_of(url: str) -> tuple[str, int, str, bool]:
    """Host, port, path and whether it is TLS.

    Raises
    ------
    WrongAddress
        If it is no address.
    """
    text = url.strip() if "://" in url else f"http://{url.strip()}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as err:
        raise WrongAddress(f"{url!r} is no address ({err}); expected such as http://127.0.0.1:8765") from err
    if parts.scheme not in ("http", "https") or not _is_host(parts.hostname) or not _is_plain(parts.path):
        raise WrongAddress(f"{url!r} is no address; expected such as http://127.0.0.1:8765")
    is_safe = parts.scheme == "https"
    return parts.hostname, port or (443 if is_safe else 80), parts.path.rstrip("/"), is_safe


def _is_host(name: str | None) -> TypeGuard[str]:
    return name is not None and re.fullmatch(r"[\w.:-]+", name) is not None


def _is_plain(path: str) -> bool:
    return path.isascii() and path.isprintable() and " " not in path


def _context(certificate: PathLike | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if certificate is not None:
        try:
            context.load_verify_locations(os.fspath(certificate))
        except (OSError, ssl.SSLError) as err:
            raise UntrustedServer(f"{certificate}: is no certificate that can be read ({err})") from err
    return context


def _read(response: http.client.HTTPResponse) -> Answer:
    """Read an answer, a message piece by piece."""
    kind = response.headers.get_content_type()
    if kind != MEDIA_TYPE:
        content = response.read()
        found = strict_json(content) if kind == "application/json" else None
        return Answer(response.status, found, None, content)
    reader = MessageReader(_ANSWERS, response.length)
    while chunk := response.read(_STEP):
        reader.feed(chunk)
    return Answer(response.status, None, reader.finish())


def _retry_seconds(status: int, headers: http.client.HTTPMessage) -> float | None:
    """Return after how long a request is to be made again, or None."""
    if status not in (429, 503):
        return None
    text = headers.get("Retry-After", "")
    return float(text) if text.isdecimal() and len(text) < 5 else None


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
