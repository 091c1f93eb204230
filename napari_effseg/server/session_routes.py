"""Addresses of click sessions."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response

from ..errors import Cancelled
from ..session_file import read_state
from .bodies import read_message
from .faults import Refusal
from .hosting import HostedSession, encoded
from .leases import Lease
from .service import (
    LONGEST_WAIT,
    CompressParameter,
    IdParameter,
    LeaseOf,
    Service,
    ServiceOf,
    WaitParameter,
    model_name,
    progress_json,
    sent,
)
from .work import Task

__all__ = ["router"]

router = APIRouter()


@router.put("/v1/sessions/{name}")
async def put_session(
    name: IdParameter, request: Request, lease: LeaseOf, service: ServiceOf, wait: WaitParameter = 10
) -> Response:
    """Open a click session on an image; an array of bytes is an ``.effseg`` file to go on with."""
    message = await read_message(request, service.settings.action_limits, service.settings.body_seconds)
    if name not in lease.sessions and name not in lease.opening:
        if len(lease.sessions) + len(lease.opening) >= service.settings.most_sessions:
            limit = service.settings.most_sessions
            raise Refusal(429, "ServerBusy", f"{limit} sessions of yours are open already")
        held = lease.volume(message.header.get("volume"))
        model = model_name(message.header.get("model", "auto"))
        most = service.settings.action_bytes
        file = message.read(0, np.uint8, most).tobytes() if message.arrays else None
        engine = service.engine

        def work(task: Task) -> HostedSession:
            state = None if file is None else read_state(io.BytesIO(file), shape=held.volume.shape, most=most)
            opened = engine.open(held.volume, held.sha256, model, state)
            return HostedSession(opened.session, held, opened.model, opened.weights_sha256)

        lease.opening[name] = service.workshop.put(Task(lease.user, work, holds=held))
    return await _opened(name, lease, service, wait)


@router.get("/v1/sessions/{name}")
async def session_state(
    name: IdParameter, lease: LeaseOf, service: ServiceOf, wait: WaitParameter = 0
) -> Response:
    """Say whether a session is open yet, and what it is."""
    return await _opened(name, lease, service, wait)


@router.put("/v1/sessions/{name}/actions/{number}")
async def put_action(
    name: IdParameter,
    number: int,
    request: Request,
    lease: LeaseOf,
    service: ServiceOf,
    wait: WaitParameter = 10,
    compress: CompressParameter = True,
) -> Response:
    """Do an action of a session; one that was done already is not done again, its answer is given again."""
    session = lease.session(name)
    message = await read_message(request, service.settings.action_limits, service.settings.body_seconds)
    async with session.alone:
        await _wait_for_time(session)
        if session.check_number(number):
            if session.task is not None and not session.task.is_over:
                raise Refusal(409, "OutOfStep", f"action {session.number} is still being done")
            session.begin(number, message, lease.user, service.workshop)
    return await _acted(session, number, service, wait, compress)


@router.get("/v1/sessions/{name}/actions/{number}")
async def action_state(
    name: IdParameter,
    number: int,
    lease: LeaseOf,
    service: ServiceOf,
    wait: WaitParameter = 0,
    compress: CompressParameter = True,
) -> Response:
    """Give the answer of the last action again, or say how far it is."""
    session = lease.session(name)
    if number != session.number:
        raise Refusal(409, "OutOfStep", f"action {session.number} was the last that was done")
    return await _acted(session, number, service, wait, compress)


@router.delete("/v1/sessions/{name}/actions/{number}")
async def cancel_action(name: IdParameter, number: int, lease: LeaseOf) -> dict[str, Any]:
    """Stop an action, if it is the one that is being done."""
    session = lease.session(name)
    if number == session.number and session.task is not None:
        session.task.cancel()
    return {}


@router.post("/v1/sessions/{name}/preview")
async def preview(
    name: IdParameter,
    request: Request,
    lease: LeaseOf,
    service: ServiceOf,
    compress: CompressParameter = True,
) -> Response:
    """Say what a prompt would make of the mask."""
    session = lease.session(name)
    message = await read_message(request, service.settings.action_limits, service.settings.body_seconds)
    answer = await _asked(session, lease, service, lambda task: session.preview(message))
    return sent(await asyncio.to_thread(encoded, answer, compress))


@router.get("/v1/sessions/{name}/slices/{axis}/{index}")
async def slice_info(
    name: IdParameter,
    axis: Annotated[int, Path(ge=0, le=2)],
    index: Annotated[int, Path(ge=0, le=2**31)],
    lease: LeaseOf,
    service: ServiceOf,
) -> Any:
    """Say what the prompts of a slice may mean, and which of it is shown."""
    session = lease.session(name)
    return await _asked(session, lease, service, lambda task: session.slice_info(axis, index))


@router.get("/v1/sessions/{name}/file")
async def session_file(name: IdParameter, lease: LeaseOf, service: ServiceOf) -> Response:
    """Give a session as an ``.effseg`` file."""
    session = lease.session(name)
    content = await _asked(session, lease, service, lambda task: session.file())
    return Response(content, media_type="application/octet-stream")


@router.get("/v1/sessions/{name}/labels")
async def session_labels(
    name: IdParameter, lease: LeaseOf, service: ServiceOf, compress: CompressParameter = True
) -> Response:
    """Give all finished objects of a session as a label map."""
    session = lease.session(name)
    answer = await _asked(session, lease, service, lambda task: session.labels())
    return sent(await asyncio.to_thread(encoded, answer, compress))


@router.delete("/v1/sessions/{name}")
async def delete_session(name: IdParameter, lease: LeaseOf) -> dict[str, Any]:
    """Close a session."""
    if (opening := lease.opening.pop(name, None)) is not None:
        opening.cancel()
    if (session := lease.sessions.pop(name, None)) is not None:
        session.close()
    return {}


async def _opened(name: str, lease: Lease, service: Service, wait: float) -> Response:
    task = lease.opening.get(name)
    if task is not None:
        if not await task.over(wait):
            return JSONResponse(progress_json(task, service), 202)
        if lease.opening.pop(name, None) is not None and task.state == "done":
            if not lease.is_open:
                raise Refusal(404, "NoLease", "the server has given this client up")
            lease.sessions[name] = task.result
            service.opened(task.result)
        elif task.error is not None:
            raise task.error
    return JSONResponse(lease.session(name).about())


async def _acted(
    session: HostedSession, number: int, service: Service, wait: float, compress: bool
) -> Response:
    task = session.task
    if task is None:
        raise Refusal(409, "OutOfStep", "no action was done yet")
    if not await task.over(wait):
        return JSONResponse(progress_json(task, service), 202)
    if task.error is not None:
        raise task.error
    return sent(await asyncio.to_thread(encoded, task.result, compress))


async def _asked(session: HostedSession, lease: Lease, service: Service, work: Callable[[Task], Any]) -> Any:
    """Ask a session something that changes nothing; while it is answered, no action begins."""
    async with session.alone:
        await _wait_for_time(session)
        if session.task is not None and not await session.task.over(LONGEST_WAIT):
            raise Refusal(503, "Waiting", "an action of the session is being done; ask again")
        task = service.workshop.put(Task(lease.user, work))
        while not await task.over(LONGEST_WAIT):
            task.cancel()  # if it has not begun
    if isinstance(task.error, Cancelled):
        raise Refusal(503, "Waiting", "others are being served; ask again")
    if task.error is not None:
        raise task.error
    return task.result


async def _wait_for_time(session: HostedSession) -> None:
    """Wait until what carries objects through time is over, which must not see the session change."""
    if session.through is not None and not await session.through.over(LONGEST_WAIT):
        raise Refusal(503, "Waiting", "an object is being carried through time; ask again")
