"""The application: addresses, and what is done there. docs/server.md describes them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

import numpy as np
from fastapi import Depends, FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from .. import __version__
from ..errors import Cancelled, EffsegError
from ..session_file import read_state
from ..session_state import image_sha256
from .bodies import read_json, read_message
from .engines import Engine
from .faults import Refusal, error_json, status_of
from .guard import App, Audit, Guard
from .held import HeldVolume
from .hosting import HostedSession, encoded
from .leases import Lease, Leases
from .payloads import labels_message, model_json, volume_of
from .settings import Settings
from .wire import MEDIA_TYPE, PROTOCOL, Malformed, encode, whole
from .work import Task, Workshop

__all__ = ["Service", "create_app"]

_ID = Annotated[str, Path(pattern="^[0-9a-f]{16,64}$")]
_LONGEST_WAIT = 25.0
_Wait = Annotated[float, Query(ge=0, le=_LONGEST_WAIT)]
_Compress = Annotated[bool, Query()]
_OPEN_PATHS = ("/health",)
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
        self.workshop = Workshop()
        self.audit = Audit(settings.audit_file)

    async def sweep(self) -> None:
        """End leases that have run out, for as long as the server runs."""
        while True:
            await asyncio.sleep(min(self.settings.lease_seconds / 4, 5.0))
            self.leases.sweep()

    def close(self) -> None:
        """Free everything."""
        self.leases.close_all()
        self.workshop.close()
        self.audit.close()


def create_app(service: Service) -> App:
    """Make the ASGI application of a server.

    Parameters
    ----------
    service : Service
        Closed when the application ends.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(service.sweep())
        try:
            yield
        finally:
            sweeping.cancel()
            with suppress(asyncio.CancelledError):
                await sweeping
            await asyncio.to_thread(service.close)

    app = FastAPI(
        title="effseg",
        version=__version__,
        description="Medical image segmentation; see docs/server.md for the format of messages.",
        docs_url=None,  # pages that load scripts from elsewhere
        redoc_url=None,
        openapi_url="/openapi.json",
        lifespan=lifespan,
        telemetry={"tracing": False, "metrics": False},  # nothing is told to anybody else
    )
    app.state.service = service
    for kind in (Refusal, Malformed, EffsegError, MemoryError, Exception):
        app.add_exception_handler(kind, _explained)
    app.add_exception_handler(HTTPException, _explained_http)
    app.add_exception_handler(RequestValidationError, _explained_parameter)
    _add_routes(app)
    return Guard(app, service.settings, service.audit, _OPEN_PATHS)


def _add_routes(app: FastAPI) -> None:
    app.get("/health")(health)
    app.get("/v1/capabilities")(capabilities)
    app.post("/v1/leases")(open_lease)
    app.post("/v1/leases/{name}/beat")(beat)
    app.delete("/v1/leases/{name}")(close_lease)
    app.put("/v1/volumes/{name}")(put_volume)
    app.delete("/v1/volumes/{name}")(delete_volume)
    app.put("/v1/jobs/{name}")(put_job)
    app.get("/v1/jobs/{name}")(job_state)
    app.get("/v1/jobs/{name}/result")(job_result)
    app.delete("/v1/jobs/{name}")(delete_job)
    app.put("/v1/sessions/{name}")(put_session)
    app.get("/v1/sessions/{name}")(session_state)
    app.put("/v1/sessions/{name}/actions/{number}")(put_action)
    app.get("/v1/sessions/{name}/actions/{number}")(action_state)
    app.delete("/v1/sessions/{name}/actions/{number}")(cancel_action)
    app.post("/v1/sessions/{name}/preview")(preview)
    app.get("/v1/sessions/{name}/slices/{axis}/{index}")(slice_info)
    app.get("/v1/sessions/{name}/file")(session_file)
    app.get("/v1/sessions/{name}/labels")(session_labels)
    app.delete("/v1/sessions/{name}")(delete_session)


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


_Lease = Annotated[Lease, Depends(lease_of)]
_Service = Annotated[Service, Depends(service_of)]
_User = Annotated[str, Depends(user_of)]


async def health() -> dict[str, Any]:
    """Say that an effseg server is here, and which protocols it speaks; needs no key."""
    return {"server": "effseg", "version": __version__, "protocols": [".".join(map(str, PROTOCOL))]}


async def capabilities(service: _Service, user: _User) -> dict[str, Any]:
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


async def open_lease(service: _Service, user: _User) -> dict[str, Any]:
    """Begin to hold things on the server."""
    lease = service.leases.open(user)
    return {"lease": lease.id, "seconds": service.settings.lease_seconds}


async def beat(name: _ID, service: _Service, user: _User) -> dict[str, Any]:
    """Say that the client is still there."""
    service.leases.get(user, name)
    return {"seconds": service.settings.lease_seconds}


async def close_lease(name: _ID, service: _Service, user: _User) -> dict[str, Any]:
    """End a lease; all that it holds is freed."""
    with suppress(Refusal):
        service.leases.close(service.leases.get(user, name))
    return {}


async def put_volume(name: _ID, request: Request, lease: _Lease, service: _Service) -> dict[str, Any]:
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


async def delete_volume(name: _ID, lease: _Lease) -> dict[str, Any]:
    """Forget an image; sessions and jobs that use it go on."""
    lease.volumes.pop(name, None)
    return {}


async def put_job(name: _ID, request: Request, lease: _Lease, service: _Service) -> dict[str, Any]:
    """Begin to segment an image; a job of that name that is there already stays as it is."""
    about = await read_json(request, service.settings)
    if name not in lease.jobs:
        if len(lease.jobs) >= service.settings.most_jobs:
            raise Refusal(429, "ServerBusy", f"{service.settings.most_jobs} jobs of yours are here already")
        held = lease.volume(about.get("volume"))
        model = None if about.get("model") is None else model_name(about["model"])
        roi = _regions(about.get("roi"))
        engine = service.engine
        lease.jobs[name] = service.workshop.put(
            Task(
                lease.user,
                lambda task: engine.segment(held.volume, model, roi, task.progress, task.is_cancelled),
                is_long=True,
                holds=held,
            )
        )
    return _progress(lease.jobs[name], service)


async def job_state(
    name: _ID, lease: _Lease, service: _Service, after: int = -1, wait: _Wait = 0
) -> dict[str, Any]:
    """Say how far a job is, at once or when there is something new beyond revision `after`."""
    task = lease.job(name)
    await task.changed(after, wait)
    return _progress(task, service)


async def job_result(name: _ID, lease: _Lease, compress: _Compress = True) -> Response:
    """Give the result of a job that is done: labels, doubt and report."""
    task = lease.job(name)
    if task.state != "done":
        raise task.error or Refusal(409, "NotDone", f"the job is {task.state}")
    found = task.result
    header, arrays = labels_message(found.labels)
    arrays += [] if found.doubt is None else [found.doubt]
    header["report"] = dict(found.report)
    return _sent(await asyncio.to_thread(encode, header, arrays, compress=compress))


async def delete_job(name: _ID, lease: _Lease) -> dict[str, Any]:
    """Stop a job, if it runs, and forget it."""
    if (task := lease.jobs.pop(name, None)) is not None:
        task.cancel()
    return {}


async def put_session(
    name: _ID, request: Request, lease: _Lease, service: _Service, wait: _Wait = 10
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
            state = None if file is None else read_state_bytes(file, held.volume.shape, most)
            opened = engine.open(held.volume, model, state)
            return HostedSession(opened.session, held, opened.model, opened.weights_sha256)

        lease.opening[name] = service.workshop.put(Task(lease.user, work, holds=held))
    return await _opened(name, lease, service, wait)


async def session_state(name: _ID, lease: _Lease, service: _Service, wait: _Wait = 0) -> Response:
    """Say whether a session is open yet, and what it is."""
    return await _opened(name, lease, service, wait)


async def put_action(
    name: _ID,
    number: int,
    request: Request,
    lease: _Lease,
    service: _Service,
    wait: _Wait = 10,
    compress: _Compress = True,
) -> Response:
    """Do an action of a session; one that was done already is not done again, its answer is given again."""
    session = lease.session(name)
    message = await read_message(request, service.settings.action_limits, service.settings.body_seconds)
    async with session.alone:
        if session.check_number(number):
            if session.task is not None and not session.task.is_over:
                raise Refusal(409, "OutOfStep", f"action {session.number} is still being done")
            session.begin(number, message, lease.user, service.workshop)
    return await _acted(session, number, service, wait, compress)


async def action_state(
    name: _ID, number: int, lease: _Lease, service: _Service, wait: _Wait = 0, compress: _Compress = True
) -> Response:
    """Give the answer of the last action again, or say how far it is."""
    session = lease.session(name)
    if number != session.number:
        raise Refusal(409, "OutOfStep", f"action {session.number} was the last that was done")
    return await _acted(session, number, service, wait, compress)


async def cancel_action(name: _ID, number: int, lease: _Lease) -> dict[str, Any]:
    """Stop an action, if it is the one that is being done."""
    session = lease.session(name)
    if number == session.number and session.task is not None:
        session.task.cancel()
    return {}


async def preview(
    name: _ID, request: Request, lease: _Lease, service: _Service, compress: _Compress = True
) -> Response:
    """Say what a prompt would make of the mask."""
    session = lease.session(name)
    message = await read_message(request, service.settings.action_limits, service.settings.body_seconds)
    answer = await _asked(session, lease, service, lambda task: session.preview(message))
    return _sent(await asyncio.to_thread(encoded, answer, compress))


async def slice_info(
    name: _ID,
    axis: Annotated[int, Path(ge=0, le=2)],
    index: Annotated[int, Path(ge=0, le=2**31)],
    lease: _Lease,
    service: _Service,
) -> Any:
    """Say what the prompts of a slice may mean, and which of it is shown."""
    session = lease.session(name)
    return await _asked(session, lease, service, lambda task: session.slice_info(axis, index))


async def session_file(name: _ID, lease: _Lease, service: _Service) -> Response:
    """Give a session as an ``.effseg`` file."""
    session = lease.session(name)
    content = await _asked(session, lease, service, lambda task: session.file())
    return Response(content, media_type="application/octet-stream")


async def session_labels(name: _ID, lease: _Lease, service: _Service, compress: _Compress = True) -> Response:
    """Give all finished objects of a session as a label map."""
    session = lease.session(name)
    answer = await _asked(session, lease, service, lambda task: session.labels())
    return _sent(await asyncio.to_thread(encoded, answer, compress))


async def delete_session(name: _ID, lease: _Lease) -> dict[str, Any]:
    """Close a session."""
    if (opening := lease.opening.pop(name, None)) is not None:
        opening.cancel()
    if (session := lease.sessions.pop(name, None)) is not None:
        session.close()
    return {}


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


def read_state_bytes(content: bytes, shape: tuple[int, int, int], most: int) -> Any:
    """Read an ``.effseg`` file that came over the wire."""
    import io

    return read_state(io.BytesIO(content), shape=shape, most=most)


class _Room:
    """Books memory for an image that is on its way."""

    def __init__(self, service: Service, user: str) -> None:
        self._leases, self._user, self._size = service.leases, user, 0

    def book(self, size: int) -> None:
        from .memory import free_bytes

        self._leases.make_room(self._user, size)
        if size > free_bytes() // 2:
            raise Refusal(507, "OutOfMemory", f"the server has no room for an image of {size} bytes now")
        self._size = size
        self._leases.arriving(self._user, size)

    def release(self) -> None:
        self._leases.arriving(self._user, -self._size)
        self._size = 0


async def _opened(name: str, lease: Lease, service: Service, wait: float) -> Response:
    task = lease.opening.get(name)
    if task is not None:
        if not await task.over(wait):
            return JSONResponse(_progress(task, service), 202)
        if lease.opening.pop(name, None) is not None and task.state == "done":
            if not lease.is_open:
                raise Refusal(404, "NoLease", "the server has given this client up")
            lease.sessions[name] = task.result
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
        return JSONResponse(_progress(task, service), 202)
    if task.error is not None:
        raise task.error
    return _sent(await asyncio.to_thread(encoded, task.result, compress))


async def _asked(session: HostedSession, lease: Lease, service: Service, work: Callable[[Task], Any]) -> Any:
    """Ask a session something that changes nothing; while it is answered, no action begins."""
    async with session.alone:
        if session.task is not None and not await session.task.over(_LONGEST_WAIT):
            raise Refusal(503, "Waiting", "an action of the session is being done; ask again")
        task = service.workshop.put(Task(lease.user, work))
        while not await task.over(_LONGEST_WAIT):
            task.cancel()  # if it has not begun
    if isinstance(task.error, Cancelled):
        raise Refusal(503, "Waiting", "others are being served; ask again")
    if task.error is not None:
        raise task.error
    return task.result


def _progress(task: Task, service: Service) -> dict[str, Any]:
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


def _sent(pieces: Sequence[bytes | memoryview]) -> Response:
    length = sum(len(piece) for piece in pieces)

    async def stream() -> AsyncIterator[bytes | memoryview]:
        for piece in pieces:
            for at in range(0, len(piece), 2**20):
                yield piece[at : at + 2**20]

    return StreamingResponse(stream(), media_type=MEDIA_TYPE, headers={"content-length": str(length)})


async def _explained(request: Request, error: Exception) -> Response:
    about = {**error_json(error), "request": request.state.request_id}
    headers = error.headers if isinstance(error, Refusal) else None
    return JSONResponse({"error": about}, status_of(error), headers)


async def _explained_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = {404: "NoSuchPlace", 405: "NoSuchMethod"}.get(error.status_code, "Refused")
    return await _explained(request, Refusal(error.status_code, kind, str(error.detail)[:300], error.headers))


async def _explained_parameter(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    said = "; ".join(f"{entry['loc'][-1]}: {entry['msg']}" for entry in error.errors()[:3])
    return await _explained(request, Refusal(422, "Malformed", said[:300]))
