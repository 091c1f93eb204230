"""Requests that can be stopped, whatever the network does; standard library only.

A request blocks the thread that makes it: while a name is looked up, a dead address is waited for, an image
travels, an answer does not come. Where somebody may want to stop it, it is made in a thread of its own, and
cut off when they do.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TypeVar

from ..errors import Cancelled
from ..types import CancelCheck

__all__ = ["CutOff", "Line", "answering_to", "at_most", "is_watched", "pause", "watched"]

_LOOK_SECONDS = 0.05
_GRACE_SECONDS = 1.0
"""So long the server may still answer a request that it has: what it did is then known."""
_Found = TypeVar("_Found")

_checks: ContextVar[tuple[CancelCheck, ...]] = ContextVar("effseg_checks", default=())


class CutOff(Cancelled):
    """A request was stopped here; what the server did of it is not known."""

    def __init__(self) -> None:
        super().__init__("stopped on request; nothing was written")


@contextlib.contextmanager
def answering_to(cancel: CancelCheck | None) -> Iterator[None]:
    """Have all requests of this thread stop when `cancel` says so, besides what they answered to before.

    Parameters
    ----------
    cancel : callable or None
        Asked in this thread. A request that is stopped raises `Cancelled`.

    Examples
    --------
    >>> import threading
    >>> import napari_effseg as eff
    >>> stop = threading.Event()  # set by another thread
    >>> with answering_to(stop.is_set), eff.connect("http://gpu.lab:8765", key) as engine:  # doctest: +SKIP
    ...     session = engine.open_session(eff.load("scan.nii.gz"))
    """
    with _checked_by(_checks.get() if cancel is None else (*_checks.get(), cancel)):
        yield


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Have all requests of this thread stop after a while, and for nothing else: for tidying up."""
    ends = time.monotonic() + seconds
    with _checked_by((lambda: time.monotonic() > ends,)):
        yield


def is_watched() -> bool:
    """Whether somebody may want to stop the requests of this thread."""
    return bool(_checks.get())


class Line:
    """The connection of one request, which may be cut from another thread.

    Attributes
    ----------
    sent : int
        Bytes of the body that have left.
    is_waiting : bool
        Whether the server has the whole request.
    """

    def __init__(self) -> None:
        self.sent, self.is_waiting = 0, False
        self._lock = threading.Lock()
        self._connection: http.client.HTTPConnection | None = None
        self._is_cut = False

    @property
    def is_cut(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self._is_cut

    def take(self, connection: http.client.HTTPConnection) -> None:
        """Note the connection that the request uses.

        Raises
        ------
        CutOff
            If it was cut meanwhile.
        """
        with self._lock:
            self._connection = connection
            if self._is_cut:
                raise CutOff

    def cut(self) -> None:
        """Wake up whoever sends or reads."""
        with self._lock:
            self._is_cut = True
            found = None if self._connection is None else self._connection.sock
            if found is not None:
                with contextlib.suppress(OSError):  # it broke by itself
                    socket.socket.shutdown(found, socket.SHUT_RDWR)


def watched(
    work: Callable[[], _Found], line: Line | None = None, look: Callable[[], None] | None = None
) -> _Found:
    """Do some work in a thread of its own, and leave it alone if it is to be stopped.

    Parameters
    ----------
    work : callable
    line : Line, optional
        What it waits for.
    look : callable, optional
        Called in this thread, again and again meanwhile.

    Raises
    ------
    CutOff
        If who was named to `answering_to` said so.
    """
    found: list[_Found] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as err:  # noqa: BLE001  # raised again in the thread that waits
            failed.append(err)

    thread = threading.Thread(target=run, name="effseg-request", daemon=True)
    thread.start()
    try:
        _wait(thread, line or Line(), look)
    except BaseException:
        if line is not None:
            line.cut()
        raise
    if failed:
        raise failed.pop()
    return found[0]


def pause(seconds: float) -> None:
    """Sleep.

    Raises
    ------
    CutOff
        If who was named to `answering_to` said so.
    """
    ends = time.monotonic() + seconds
    while True:
        _raise_if_stopped()
        left = ends - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, _LOOK_SECONDS) if is_watched() else left)


@contextlib.contextmanager
def _checked_by(checks: tuple[CancelCheck, ...]) -> Iterator[None]:
    before = _checks.set(checks)
    try:
        yield
    finally:
        _checks.reset(before)


def _is_stopped() -> bool:
    return any(check() for check in _checks.get())


def _raise_if_stopped() -> None:
    if _is_stopped():
        raise CutOff


def _wait(thread: threading.Thread, line: Line, look: Callable[[], None] | None) -> None:
    """Wait for a thread; one that only waits for an answer is given a moment more when it is to stop."""
    stopped_at = None
    while thread.is_alive():
        thread.join(_LOOK_SECONDS)
        if look is not None:
            look()
        if not thread.is_alive() or not _is_stopped():
            continue
        stopped_at = time.monotonic() if stopped_at is None else stopped_at
        if not line.is_waiting or time.monotonic() - stopped_at > _GRACE_SECONDS:
            raise CutOff
