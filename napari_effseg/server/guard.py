"""The door of the server: request ids, keys, rates, sizes, and one line of audit for each request.

An ASGI middleware, so that nothing of a request is read before it was let in.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any

from ..errors import ServerLost
from .faults import Refusal, error_json, status_of
from .keys import Keyring, Throttle
from .settings import Settings

__all__ = ["Audit", "Guard"]

_log = logging.getLogger(__name__)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_FOLDED = re.compile(r"/[0-9a-f]{16,64}(?=/|$)")
_OPEN_BODY = 2**16  # bytes; a form with a name and a key
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Audit:
    """Writes who asked for what, when, and what came of it; of images neither names nor contents.

    Parameters
    ----------
    path : Path or None
        JSON lines; None: only the log of Python.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = None if path is None else path.open("a", encoding="utf-8", buffering=1)
        self._log = logging.getLogger("napari_effseg.server.audit")

    def write(self, **entry: object) -> None:
        """Write a line."""
        line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **entry})
        self._log.info("%s", line)
        if self._file is not None:
            self._file.write(line + "\n")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


class Guard:
    """Lets requests in that may be made.

    Parameters
    ----------
    app : ASGI application
    settings : Settings
    audit : Audit
    open_paths : collection of str
        Paths that need no key.
    """

    def __init__(self, app: App, settings: Settings, audit: Audit, open_paths: Iterable[str]) -> None:
        self._app, self._settings, self._audit = app, settings, audit
        self._open = frozenset(open_paths)
        self._keys = Keyring(settings.keys)
        self._rates = Throttle(settings.requests_per_second, settings.request_burst)
        self._failures = Throttle(settings.failures_per_minute / 60, settings.failure_burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        visit = _Visit(scope, send)
        try:
            scope["state"]["user"] = visit.user = self._let_in(visit)
            scope["state"]["request_id"] = visit.id
            scope["state"]["check_key"] = lambda key: self._user_of(key, visit)
            if visit.path in self._open:
                seconds = self._settings.header_seconds
                await asyncio.wait_for(self._app(scope, self._counted(receive, visit), visit.send), seconds)
            else:
                await self._app(scope, self._counted(receive, visit), visit.send)
        except asyncio.TimeoutError:
            await self._explain(Refusal(408, "TooSlow", "the request took too long to come"), visit)
        except asyncio.CancelledError:  # uvicorn's last word when it ends
            await self._explain(ServerLost("the server was stopped; begin again when it is back"), visit)
        except Exception as err:  # noqa: BLE001  the edge: every error becomes an answer
            await self._explain(err, visit)
        finally:
            self._audit.write(**visit.summary())

    def _let_in(self, visit: _Visit) -> str:
        """Return whose request it is.

        Raises
        ------
        Refusal
            If it may not be made.
        """
        if visit.header(b"origin"):
            raise Refusal(403, "NoBrowsers", "pages in a browser may not use this server")
        length = visit.header(b"content-length")
        most = self._largest(visit)
        if length and (not length.isdigit() or int(length[:20]) > most):
            raise Refusal(413, "TooLarge", f"a body of at most {most} bytes is taken")
        if visit.path in self._open:
            if seconds := self._rates.of(f"?{visit.address}").take():
                raise _too_often(seconds)
            return ""
        user = self._user_of(visit.key(), visit)
        if seconds := self._rates.of(user).take():
            raise _too_often(seconds)
        return user

    def _user_of(self, key: str, visit: _Visit) -> str:
        """Return whose key it is; an address that gave too many wrong ones has to wait, whatever it gives.

        Raises
        ------
        Refusal
            If it is nobody's.
        """
        failures = self._failures.of(visit.address)
        if seconds := failures.peek():
            raise _too_often(seconds)
        user = self._keys.user_of(key)
        if user is None:
            failures.take()
            raise Refusal(
                401, "WrongKey", "the server does not know this key", {"WWW-Authenticate": "Bearer"}
            )
        return user

    def _counted(self, receive: Receive, visit: _Visit) -> Receive:
        """Return a reader of the body that ends where no body may go on, or none comes."""
        most, seconds = self._largest(visit), self._settings.body_seconds
        left, is_whole = most, False

        async def counted() -> MutableMapping[str, Any]:
            nonlocal left, is_whole
            if is_whole:  # who asks on wants to know when the client hangs up
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), seconds)
            except asyncio.TimeoutError as err:
                raise Refusal(408, "TooSlow", f"no byte came for {seconds:g} s") from err
            is_whole = not message.get("more_body", False)
            left -= len(message.get("body", b""))
            if left < 0:
                raise Refusal(413, "TooLarge", f"a body of at most {most} bytes is taken")
            return message

        return counted

    def _largest(self, visit: _Visit) -> int:
        """How many bytes a body may have; of those who have shown no key, few."""
        return _OPEN_BODY if visit.path in self._open else self._settings.volume_bytes + 2**20

    async def _explain(self, error: Exception, visit: _Visit) -> None:
        """Answer with the error, if nothing was answered yet."""
        status = status_of(error)
        if status == 500:
            _log.error("request %s failed", visit.id, exc_info=error)
        if visit.is_answered:
            return
        if visit.status is not None:
            raise error  # so that the connection is closed in the middle of the answer
        body = json.dumps({"error": {**error_json(error), "request": visit.id}}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if isinstance(error, Refusal):
            headers += [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
        await visit.send({"type": "http.response.start", "status": status, "headers": headers})
        await visit.send({"type": "http.response.body", "body": body})


class _Visit:
    """One request, as far as the audit is concerned."""

    def __init__(self, scope: Scope, send: Send) -> None:
        scope.setdefault("state", {})
        self._scope, self._send = scope, send
        self.path = str(scope["path"])
        self.address = str((scope.get("client") or ("", 0))[0])
        self.user, self._sent = "", 0
        self.status: int | None = None
        self.is_answered = False
        self._began = time.perf_counter()
        given = self.header(b"x-request-id")
        self.id = given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)

    def header(self, name: bytes) -> bytes:
        return next((bytes(value) for key, value in self._scope["headers"] if key == name), b"")

    def key(self) -> str:
        """Return the key that came with it, if any."""
        kind, _, key = self.header(b"authorization").decode("latin-1").partition(" ")
        return key.strip() if kind.lower() == "bearer" else ""

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
            extra = [*_HEADERS, (b"x-request-id", self.id.encode())]
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        else:
            self._sent += len(message.get("body", b""))
            self.is_answered = not message.get("more_body", False)
        await self._send(message)

    def summary(self) -> dict[str, object]:
        """Return what the audit keeps: of paths no ids and no names."""
        route = getattr(self._scope.get("route"), "path", None)
        return {
            "request": self.id,
            "user": self.user,
            "address": self.address,
            "method": str(self._scope["method"])[:16],
            "route": str(route) if route else _FOLDED.sub("/{}", self.path)[:100] if self.user else "?",
            "status": self.status,
            "bytes": self._sent,
            "ms": round(1000 * (time.perf_counter() - self._began)),
        }


def _too_often(seconds: float) -> Refusal:
    return Refusal(
        429,
        "ServerBusy",
        f"too many requests; try again in {seconds:.1f} s",
        {"Retry-After": str(int(seconds) + 1)},
    )
