"""What all requests of a server share, and how they reach it."""

from __future__ import annotations

import asyncio
import gc
import re
import weakref
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from .engines import Engine
from .faults import error_json, status_of
from .guard import Audit
from .hosting import HostedSession, Stateful
from .leases import Lease, Leases
from .settings import Settings
from .shelf import Shelves
from .wire import MEDIA_TYPE, Malformed
from .work import Task, Workshop

__all__ = [
    "LONGEST_WAIT",
    "CompressParameter",
    "IdParameter",
    "LeaseOf",
    "Service",
    "ServiceOf",
    "UserOf",
    "WaitParameter",
    "model_name",
    "progress_json",
    "sent",
    "service_of",
    "user_of",
]

LONGEST_WAIT = 25.0
"""Seconds for which a request may be kept waiting."""
IdParameter = Annotated[str, Path(pattern="^[0-9a-f]{16,64}$")]
WaitParameter = Annotated[float, Query(ge=0, le=LONGEST_WAIT)]
CompressParameter = Annotated[bool, Query()]
_MODEL = re.compile(r"[\w .+-]{1,200}")


class Service:
    """What all requests share.

    Parameters
    ----------
    settings : Settings
    engine : Engine
    """

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self.settings, self.engine = settings, engine
        self.leases = Leases(settings)
        self.shelves = Shelves(settings)
        self.workshop = Workshop()
        self.audit = Audit(settings.audit_file)
        self._opened: weakref.WeakSet[Stateful] = weakref.WeakSet()

    async def sweep(self) -> None:
        """End what has run out, for as long as the server runs."""
        while True:
            await asyncio.sleep(min(self.settings.lease_seconds / 4, 5.0))
            self.leases.sweep()
            self.shelves.sweep()
            if self._has_left_sessions():
                await asyncio.to_thread(gc.collect)

    def opened(self, hosted: HostedSession) -> None:
        """Note a session, to see to it that nothing of it stays when it is closed."""
        self._opened.add(hosted.session)

    def _has_left_sessions(self) -> bool:
        """Whether sessions that nobody holds are here still: they refer to themselves."""
        held = {id(hosted.session) for hosted in self.leases.sessions()}
        return any(id(session) not in held for session in self._opened)

    def close(self) -> None:
        """Free everything."""
        self.leases.close_all()
        self.shelves.clear()
        self.workshop.close()
        self.audit.close()


def service_of(request: Request) -> Service:
    """Return what all requests share."""
    found = request.app.state.service
    assert isinstance(found, Service)
    return found


def user_of(request: Request) -> str:
    """Return whose request it is."""
    return str(request.state.user)


def lease_of(request: Request) -> Lease:
    """Return the lease that a request names."""
    name = request.headers.get("x-effseg-lease", "")
    return service_of(request).leases.get(user_of(request), name)


LeaseOf = Annotated[Lease, Depends(lease_of)]
ServiceOf = Annotated[Service, Depends(service_of)]
UserOf = Annotated[str, Depends(user_of)]


def model_name(given: object) -> str:
    """Check that something can be the name of a model; never a path.

    Raises
    ------
    Malformed
        If it cannot.
    """
    if not isinstance(given, str) or not _MODEL.fullmatch(given):
        raise Malformed(f"{str(given)[:40]!r} is no name of a model")
    return given


def progress_json(task: Task, service: Service) -> dict[str, Any]:
    """Say how far a task is."""
    error = None if task.error is None else {**error_json(task.error), "status": status_of(task.error)}
    ahead = service.workshop.ahead_of(task) if task.state == "queued" else 0
    return {
        "state": task.state,
        "revision": task.revision,
        "fraction": task.fraction,
        "message": f"waiting for {ahead} before" if ahead else task.message,
        "ahead": ahead,
        "error": error,
    }


def sent(pieces: Sequence[bytes | memoryview]) -> Response:
    """Answer with a message."""
    length = sum(len(piece) for piece in pieces)

    async def stream() -> AsyncIterator[bytes | memoryview]:
        for piece in pieces:
            for at in range(0, len(piece), 2**20):
                yield piece[at : at + 2**20]

    return StreamingResponse(stream(), media_type=MEDIA_TYPE, headers={"content-length": str(length)})
