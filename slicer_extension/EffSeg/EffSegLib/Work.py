"""Work beside the window: one thread that lives as long as the module, asked in order, heard in turn.

In Slicer the window's thread holds Python's lock while nothing happens, so that other threads hardly run.
Whoever waits therefore calls `Worker.poll` often, from a timer; it waits a moment for news, and in that
moment the lock is free. The work itself is done in another process, and mostly waits for it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .rooms import Cancelled, answering_to

__all__ = ["Job", "Worker"]

_LISTENING_S = 0.02
_BREATH_S = 0.001


@dataclass(eq=False)
class Job:
    """Something to be done beside the window.

    Attributes
    ----------
    work : callable
        ``work(job)``, in the other thread. May call `Job.say`, and ask `Job.is_cancelled`.
    done : callable
        ``done(result)``, in the window's thread.
    failed : callable
        ``failed(error)``, in the window's thread; of a job that was cancelled too.
    progress : callable or None
        ``progress(fraction, message)``, in the window's thread.
    """

    work: Callable[[Job], Any]
    done: Callable[[Any], None]
    failed: Callable[[Exception], None]
    progress: Callable[[float, str], None] | None = None
    _news: Callable[[Job, str, Any], None] | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        """Ask it to stop; `failed` is called with `Cancelled` when it did."""
        self._stop.set()

    def is_cancelled(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop.is_set()

    def say(self, fraction: float, message: str) -> None:
        """Tell the window how far it is."""
        if self._news is not None:
            self._news(self, "progress", (fraction, message))


class Worker:
    """A thread and its queue."""

    def __init__(self) -> None:
        self._jobs: queue.Queue[Job | None] = queue.Queue()
        self._news: queue.Queue[tuple[Job, str, Any]] = queue.Queue()
        self._open: list[Job] = []
        self._thread: threading.Thread | None = None

    @property
    def is_busy(self) -> bool:
        """Whether something is being done, or waits to be."""
        return bool(self._open)

    def do(self, job: Job) -> Job:
        """Do a job after all that were given before."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="EffSeg", daemon=True)
            self._thread.start()
        job._news = self._tell
        self._open.append(job)
        self._jobs.put(job)
        return job

    def poll(self, seconds: float = _LISTENING_S) -> None:
        """Wait a moment for news, and pass on what there is; in the window's thread."""
        if not self._open:
            time.sleep(_BREATH_S)  # for the thread that tells a server that somebody is still there
            return
        try:
            news = self._news.get(timeout=seconds)
        except queue.Empty:
            return
        self._pass_on(*news)
        while not self._news.empty():
            self._pass_on(*self._news.get())

    def finish(self, seconds: float = 60.0) -> None:
        """Wait until everything is done; for tests, and before a scene is saved.

        Raises
        ------
        TimeoutError
        """
        end = time.monotonic() + seconds
        while self._open and time.monotonic() < end:
            self.poll()
        if self._open:
            raise TimeoutError(f"the engine has not answered within {seconds:g} seconds")

    def cancel(self) -> None:
        """Ask everything to stop."""
        for job in self._open:
            job.cancel()

    def close(self) -> None:
        """Ask everything to stop, and end the thread when it has."""
        self.cancel()
        self._open.clear()
        self._jobs.put(None)
        self._thread = None

    def _tell(self, job: Job, kind: str, what: Any) -> None:
        self._news.put((job, kind, what))

    def _run(self) -> None:
        jobs = self._jobs
        while (job := jobs.get()) is not None:
            try:
                if job.is_cancelled():
                    raise Cancelled("cancelled before it began")
                with answering_to(job.is_cancelled):  # so that no server that is silent keeps the thread
                    result = job.work(job)
            except Exception as error:  # noqa: BLE001 - whatever went wrong is told to the window
                self._tell(job, "failed", error)
            else:
                self._tell(job, "done", result)

    def _pass_on(self, job: Job, kind: str, what: Any) -> None:
        if job not in self._open:  # closed meanwhile
            return
        if kind == "progress":
            if job.progress is not None and not job.is_cancelled():
                job.progress(*what)
            return
        self._open.remove(job)
        (job.done if kind == "done" else job.failed)(what)
