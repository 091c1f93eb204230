"""Addresses of the server but for sessions: what it has, leases, images, automatic jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response

from .. import __version__
from ..errors import PromptError
from ..session_state import image_sha256, packed
from .bodies import read_json, read_message
from .faults import Refusal
from .held import HeldVolume
from .hosting import Answer
from .leases import Lease
from .memory import free_bytes
from .payloads import labels_message, model_json, volume_of
from .service import (
    CompressParameter,
    IdParameter,
    LeaseOf,
    Service,
    ServiceOf,
    UserOf,
    WaitParameter,
    model_name,
    progress_json,
    sent,
)
from .wire import PROTOCOL, Malformed, encode, whole
from .work import Task

__all__ = ["OPEN_PATHS", "router"]

OPEN_PATHS = ("/health",)
"""What needs no key."""
router = APIRouter()


@router.get("/health")
async def health() -> dict[str, Any]:
    """Say that an effseg server is here, and which protocols it speaks; needs no key."""
    return {"server": "effseg", "version": __version__, "protocols": [".".join(map(str, PROTOCOL))]}


@router.get("/v1/capabilities")
async def capabilities(service: ServiceOf, user: UserOf) -> dict[str, Any]:
    """Say what the server has: models, device, limits."""
    settings = service.settings
    models = await asyncio.to_thread(service.engine.models)
    return {
        "user": user,
        "device": service.engine.device,
        "models": [model_json(model) for model in models],
        "limits": {
            "lease_seconds": settings.lease_seconds,
            "volume_bytes": settings.volume_bytes,
            "user_bytes": settings.user_bytes,
            "action_bytes": settings.action_bytes,
        },
    }


@router.post("/v1/leases")
async def open_lease(service: ServiceOf, user: UserOf) -> dict[str, Any]:
    """Begin to hold things on the server."""
    lease = service.leases.open(user)
    return {"lease": lease.id, "seconds": service.settings.lease_seconds}


@router.post("/v1/leases/{name}/beat")
async def beat(name: IdParameter, service: ServiceOf, user: UserOf) -> dict[str, Any]:
    """Say that the client is still there."""
    service.leases.get(user, name)
    return {"seconds": service.settings.lease_seconds}


@router.delete("/v1/leases/{name}")
async def close_lease(name: IdParameter, service: ServiceOf, user: UserOf) -> dict[str, Any]:
    """End a lease; all that it holds is freed."""
    with suppress(Refusal):
        service.leases.close(service.leases.get(user, name))
    return {}


@router.put("/v1/volumes/{name}")
async def put_volume(
    name: IdParameter, request: Request, lease: LeaseOf, service: ServiceOf
) -> dict[str, Any]:
    """Take an image: a message of one array and its geometry."""
    if len(lease.volumes) >= service.settings.most_volumes and name not in lease.volumes:
        raise Refusal(429, "ServerBusy", f"{service.settings.most_volumes} images of yours are here already")
    message = await read_message(
        request, service.settings.volume_limits, service.settings.body_seconds, _Room(service, lease.user)
    )
    volume = volume_of(message)
    sha256 = await asyncio.to_thread(image_sha256, volume)
    expected = message.header.get("sha256")
    if expected is not None and expected != sha256:
        raise Malformed("the image does not have the checksum that was announced")
    if not lease.is_open:
        raise Refusal(404, "NoLease", "the server has given this client up")
    lease.volumes[name] = HeldVolume(volume, sha256)
    return {"volume": name, "sha256": sha256}


@router.delete("/v1/volumes/{name}")
async def delete_volume(name: IdParameter, lease: LeaseOf) -> dict[str, Any]:
    """Forget an image; sessions and jobs that use it go on."""
    lease.volumes.pop(name, None)
    return {}


@router.put("/v1/jobs/{name}")
async def put_job(name: IdParameter, request: Request, lease: LeaseOf, service: ServiceOf) -> dict[str, Any]:
    """Begin to segment an image, or to carry an object through time; a job that is there already stays."""
    about = await read_json(request, service.settings)
    if name not in lease.jobs:
        if len(lease.jobs) >= service.settings.most_jobs:
            raise Refusal(429, "ServerBusy", f"{service.settings.most_jobs} jobs of yours are here already")
        begin = _through_time if "sessions" in about else _segmentation
        lease.jobs[name] = begin(about, lease, service)
    return progress_json(lease.jobs[name], service)


@router.get("/v1/jobs/{name}")
async def job_state(
    name: IdParameter, lease: LeaseOf, service: ServiceOf, after: int = -1, wait: WaitParameter = 0
) -> dict[str, Any]:
    """Say how far a job is, at once or when there is something new beyond revision `after`."""
    task = lease.job(name)
    await task.changed(after, wait)
    return progress_json(task, service)


@router.get("/v1/jobs/{name}/result")
async def job_result(name: IdParameter, lease: LeaseOf, compress: CompressParameter = True) -> Response:
    """Give the result of a job that is done: labels, doubt and report; or the masks of time points."""
    task = lease.job(name)
    if task.state != "done":
        raise task.error or Refusal(409, "NotDone", f"the job is {task.state}")
    header, arrays = task.result
    return sent(await asyncio.to_thread(encode, header, arrays, compress=compress))


@router.delete("/v1/jobs/{name}")
async def delete_job(name: IdParameter, lease: LeaseOf) -> dict[str, Any]:
    """Stop a job, if it runs, and forget it."""
    if (task := lease.jobs.pop(name, None)) is not None:
        task.cancel()
    return {}


def _segmentation(about: Mapping[str, Any], lease: Lease, service: Service) -> Task:
    """Queue the segmentation of an image."""
    held = lease.volume(about.get("volume"))
    model = None if about.get("model") is None else model_name(about["model"])
    roi, engine = _regions(about.get("roi")), service.engine

    def work(task: Task) -> Answer:
        found = engine.segment(held.volume, model, roi, task.progress, task.is_cancelled)
        header, arrays = labels_message(found.labels)
        arrays += [] if found.doubt is None else [found.doubt]
        return {**header, "report": dict(found.report)}, arrays

    return service.workshop.put(Task(lease.user, work, is_long=True, holds=held))


def _through_time(about: Mapping[str, Any], lease: Lease, service: Service) -> Task:
    """Queue the way of an object through the sessions of time points."""
    names = about["sessions"]
    if not isinstance(names, list) or not names or len(set(map(str, names))) != len(names):
        raise Malformed("sessions: expected a list of names, each once")
    hosted, engine = [lease.session(name) for name in names], service.engine
    if len({one.model for one in hosted}) > 1:
        raise PromptError("the sessions of an object through time must be of one model")
    tasks = [task for one in hosted for task in (one.task, one.through) if task is not None]
    if not all(task.is_over for task in tasks):
        raise Refusal(503, "Waiting", "an action of a session is being done; ask again")

    def work(task: Task) -> Answer:
        sessions = [one.session for one in hosted]
        found = engine.through_time(sessions, task.progress, task.is_cancelled)
        masks = [packed(mask) for mask in found.values()]
        return {"frames": list(found)}, [np.concatenate(masks)] if masks else []

    task = service.workshop.put(Task(lease.user, work, is_long=True))
    for one in hosted:
        one.through = task
    return task


class _Room:
    """Books memory for an image that is on its way."""

    def __init__(self, service: Service, user: str) -> None:
        self._leases, self._user, self._size = service.leases, user, 0

    def book(self, size: int) -> None:
        self._leases.make_room(self._user, size)
        if size > free_bytes() // 2:
            raise Refusal(507, "OutOfMemory", f"the server has no room for an image of {size} bytes now")
        self._size = size
        self._leases.arriving(self._user, size)

    def release(self) -> None:
        self._leases.arriving(self._user, -self._size)
        self._size = 0


def _regions(given: object) -> Any:
    """Read regions, boxes [[i0, j0, k0], [i1, j1, k1]]; whether they lie in the image the engine says."""
    if given is None:
        return None
    if not isinstance(given, list) or not 1 <= len(given) <= 1000:
        raise Malformed("roi: expected a list of boxes")
    try:
        return [tuple(tuple(whole(n, 0, 2**31, "roi") for n in corner) for corner in box) for box in given]
    except TypeError as err:
        raise Malformed("roi: expected boxes [[i0, j0, k0], [i1, j1, k1]]") from err
