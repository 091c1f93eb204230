"""The application of a server. docs/server.md describes its addresses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from .. import __version__
from ..errors import EffsegError
from . import monai_label, routes, session_routes
from .faults import Refusal, error_json, status_of
from .guard import App, Guard
from .service import Service
from .wire import Malformed

__all__ = ["create_app"]


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
    for room in (routes, session_routes, monai_label):
        app.include_router(room.router)
    return Guard(app, service.settings, service.audit, (*routes.OPEN_PATHS, *monai_label.OPEN_PATHS))


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
