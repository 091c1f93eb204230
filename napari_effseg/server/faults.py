"""Errors as they travel: a status, a kind and a message; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import errors
from ..errors import EffsegError, ServerError
from .wire import Malformed, TooLarge

__all__ = ["Refusal", "error_json", "raised_from", "status_of"]

_STATUSES: tuple[tuple[type[BaseException], int], ...] = (
    (TooLarge, 413),
    (Malformed, 400),
    (errors.WrongKey, 401),
    (errors.ServerBusy, 429),
    (errors.ServerLost, 503),
    (errors.OutOfMemory, 507),
    (errors.Cancelled, 409),
    (errors.WeightsError, 503),
    (errors.DeviceError, 503),
    (errors.MissingExtra, 503),
    (EffsegError, 422),
    (MemoryError, 507),
)
_INTERNAL = "a fault of the server; its log has more under this request's id"


class Refusal(Exception):
    """A request that is answered by a status and a reason.

    Parameters
    ----------
    status : int
    kind : str
        For programs: "NoLease", "NoVolume", "NoJob", "NoSession", "OutOfStep", "Waiting", ...
    message : str
        For people.
    headers : mapping
    """

    def __init__(
        self, status: int, kind: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.kind, self.headers = status, kind, dict(headers or {})


def status_of(error: BaseException) -> int:
    """Return the HTTP status of an error."""
    if isinstance(error, Refusal):
        return error.status
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def error_json(error: BaseException) -> dict[str, Any]:
    """Return an error as plain values; of a fault of ours no more than that there was one."""
    if isinstance(error, Refusal):
        return {"kind": error.kind, "message": str(error)}
    if isinstance(error, Malformed):
        return {"kind": type(error).__name__, "message": str(error)}
    if isinstance(error, EffsegError):
        return {"kind": type(error).__name__, "message": str(error)}
    if isinstance(error, MemoryError):
        return {"kind": "OutOfMemory", "message": "the server has not enough memory for this"}
    return {"kind": "Fault", "message": _INTERNAL}


def raised_from(entry: object, status: int) -> EffsegError:
    """Return the error that a server's answer stands for, of the class that the local engine would raise."""
    about = entry if isinstance(entry, Mapping) else {}
    kind, message = str(about.get("kind", "")), str(about.get("message", f"the server answered {status}"))
    found = getattr(errors, kind, None) if kind in errors.__all__ else None
    if isinstance(found, type) and issubclass(found, EffsegError):
        return found(message)
    return ServerError(message)
