"""The one thread that computes: a queue of one, the newest job wins, stale answers are dropped.

One thread for everything and for as long as the window lives: cuDNN keeps its plans by thread, and two jobs
at once would share memory and cores for nothing. What the thread has to say is handed to `deliver`, which a
window sets to "run this in the GUI thread"; nothing here knows Qt.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ..errors import Cancelled
from ..server import answering_to
from ..types import CancelCheck, Progress

__all__ = ["Deliver", "Handlers", "Inference", "Ticket"]

_Answer = TypeVar("_Answer")

Work = Callable[[Progress, CancelCheck], _Answer]
"""``work(progress, cancel)`` -> answer; it asks `cancel` often, and raises `Cancelled` when told so."""
Deliver = Callable[[Callable[[], None]], None]
"""Runs a function later in the thread that owns the window."""

_EXIT_SECONDS = 10.0
"""How long the end of the program waits for a job that was told to stop."""

_log = logging.getLogger(__name__)


def _ignore(*_: object) -> None:
    pass


@dataclass(frozen=True)
class Handlers(Generic[_Answer]):
    """Who is told what a job does; called in the thread of the window.

    Attributes
    ----------
    done : callable
        ``done(answer)``.
    failed : callable
        ``failed(error)``; `Cancelled` if the job was cancelled. Nobody is told of a job that a newer one of
        its lane has replaced.
    progress : callable
        ``progress(fraction, message)``; the newest only, if several came while the window was busy.
    """

    done: Callable[[_Answer], None] = _ignore
    failed: Callable[[Exception], None] = _ignore
    progress: Progress = _ignore


@dataclass(eq=False)
class Ticket:
    """A job that was submitted."""

    lane: str
    _work: Work[Any] = field(repr=False)
    _handlers: Handlers[Any] = field(repr=False)
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)
    _said: tuple[float, str] | None = field(default=None, repr=False)

    def cancel(self) -> None:
        """Ask the job to stop; it does so at the next place where it can."""
        self._stop.set()

    @property
    def is_cancelled(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop.is_set()


class Inference:
    """A thread that works through jobs, one at a time.

    Jobs have lanes. A new job replaces the waiting job of its lane, cancels the running one of its lane, and
    makes their answers stale. Lanes wait for each other, in the order in which their jobs came.

    Parameters
    ----------
    deliver : callable
        ``deliver(function)`` has the function run in the thread of the window; called from any thread.
        Default: at once, in the thread that computes.

    Attributes
    ----------
    deliver : callable
        The same, for whoever wants something done later in the thread of the window.

    Examples
    --------
    >>> inference = Inference()
    >>> answers = []
    >>> ticket = inference.submit("add", lambda progress, cancel: 1 + 1, Handlers(answers.append))
    >>> inference.close(wait_seconds=5)
    True
    """

    def __init__(self, deliver: Deliver = lambda function: function()) -> None:
        self.deliver = deliver
        self._waiting: list[Ticket] = []
        self._newest: dict[str, Ticket] = {}
        self._running: Ticket | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def submit(self, lane: str, work: Work[_Answer], handlers: Handlers[_Answer]) -> Ticket:
        """Hand over a job; older ones of its lane are cancelled and forgotten.

        Raises
        ------
        RuntimeError
            If the thread was closed.
        """
        ticket = Ticket(lane, work, handlers)
        with self._changed:
            if self._closed:
                raise RuntimeError("the inference thread is closed")
            self._forget(lane)
            self._newest[lane] = ticket
            self._waiting.append(ticket)
            self._start()
            self._changed.notify_all()
        return ticket

    def forget(self, lane: str) -> None:
        """Cancel the jobs of a lane; nobody is told."""
        with self._changed:
            self._forget(lane)

    def close(self, wait_seconds: float = 0.0) -> bool:
        """Cancel everything and end the thread; nobody is told of anything any more.

        Parameters
        ----------
        wait_seconds : float
            How long to wait for the running job to notice.

        Returns
        -------
        bool
            Whether the thread has ended. If not, it does so at the next place where its job can stop; the
            end of the program waits for it.
        """
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._newest.clear()
            if self._running is not None:
                self._running.cancel()
            self._changed.notify_all()
            thread = self._thread
        if thread is None or thread is threading.current_thread():
            return thread is None
        thread.join(wait_seconds)
        return not thread.is_alive()

    @property
    def is_closed(self) -> bool:
        """Whether it takes no more jobs."""
        return self._closed

    # --- the thread ---

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work_through, name="effseg-inference", daemon=True)
            # A daemon, so that a job stuck in a driver cannot keep the program alive; but one that stops
            # when told so is waited for, since native code that outlives the interpreter crashes.
            atexit.register(self.close, _EXIT_SECONDS)
            self._thread.start()

    def _work_through(self) -> None:
        while (ticket := self._next()) is not None:
            self._run(ticket)
            del ticket  # with it goes the image that it worked on
            with self._changed:
                self._running = None
        atexit.unregister(self.close)

    def _next(self) -> Ticket | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            self._running = self._waiting.pop(0)
            return self._running

    def _run(self, ticket: Ticket) -> None:
        try:
            if ticket.is_cancelled:
                raise Cancelled("stopped before it began")
            with answering_to(ticket._stop.is_set):  # so that no server that is silent keeps the thread
                answer = ticket._work(lambda *said: self._say(ticket, *said), ticket._stop.is_set)
        except Exception as err:  # noqa: BLE001  # whatever it is, the window is told, and the thread lives on
            error = err  # the name in the clause above is gone when the function runs
            if not isinstance(err, Cancelled):
                _log.info("job %s failed", ticket.lane, exc_info=err)
            self._tell(ticket, lambda: self._finish(ticket, ticket._handlers.failed, error))
        else:
            self._tell(ticket, lambda: self._finish(ticket, ticket._handlers.done, answer))

    def _say(self, ticket: Ticket, fraction: float, message: str) -> None:
        """Pass progress on; what came while the window was busy is left out."""
        with self._changed:
            pending, ticket._said = ticket._said is not None, (fraction, message)
        if not pending:
            self._tell(ticket, lambda: self._say_newest(ticket))

    def _say_newest(self, ticket: Ticket) -> None:
        with self._changed:
            said, ticket._said = ticket._said, None
        if said is not None:
            ticket._handlers.progress(*said)

    def _finish(self, ticket: Ticket, handler: Callable[[Any], None], answer: Any) -> None:
        with self._changed:
            self._newest.pop(ticket.lane, None)
        handler(answer)

    def _tell(self, ticket: Ticket, function: Callable[[], None]) -> None:
        if not self._closed:
            self.deliver(lambda: function() if self._is_wanted(ticket) else None)

    def _is_wanted(self, ticket: Ticket) -> bool:
        with self._changed:
            return not self._closed and self._newest.get(ticket.lane) is ticket

    def _forget(self, lane: str) -> None:
        self._waiting = [ticket for ticket in self._waiting if ticket.lane != lane]
        self._newest.pop(lane, None)
        if self._running is not None and self._running.lane == lane:
            self._running.cancel()
