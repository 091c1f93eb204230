"""Work for the device: one computation at a time, users in turn, clicks between the windows of long jobs."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

from ..errors import Cancelled, EffsegError, ServerBusy, ServerLost

__all__ = ["Task", "Workshop"]

State = Literal["queued", "running", "done", "failed", "cancelled"]
Work = Callable[["Task"], Any]
_TOLD_EVERY = 0.1
_log = logging.getLogger(__name__)


class Task:
    """Something to compute, and how far it is.

    Parameters
    ----------
    user : str
        Whose turn it takes.
    work : callable
        ``work(task)`` -> result; it may call `task.progress` and `task.is_cancelled`.
    is_long : bool
        Whether clicks of others may come between.
    holds : object
        What it needs, and keeps until it is over.
    """

    def __init__(self, user: str, work: Work, is_long: bool = False, holds: object = None) -> None:
        self.user, self.is_long, self.holds = user, is_long, holds
        self.state: State = "queued"
        self.fraction, self.message, self.revision = 0.0, "waiting", 0
        self.result: Any = None
        self.error: BaseException | None = None
        self.pause: Callable[[], None] = lambda: None
        self._work: Work | None = work
        self._reason: EffsegError | None = None
        self._is_cancelled = False
        self._lock = threading.Lock()
        self._wakers: list[Callable[[], object]] = []

    @property
    def is_over(self) -> bool:
        """Whether nothing more will change."""
        return self.state in ("done", "failed", "cancelled")

    def progress(self, fraction: float, message: str) -> None:
        """Say how far it is."""
        self.fraction, self.message = fraction, message
        self._changed()

    def is_cancelled(self) -> bool:
        """Let others compute for a moment, and say whether to stop."""
        self.pause()
        return self._is_cancelled

    def cancel(self, reason: EffsegError | None = None) -> None:
        """Ask it to stop; one that waits is over at once.

        Parameters
        ----------
        reason : EffsegError, optional
            What who asked for it is told; None: that it was stopped on request.
        """
        self._reason = self._reason or reason
        self._is_cancelled = True
        with self._lock:
            was_waiting = self.state == "queued"
            if was_waiting:
                self.state, self._work, self.holds = "cancelled", None, None
                self.error = self._reason or Cancelled("stopped on request; nothing was written")
        if was_waiting:
            self._changed()

    def run(self) -> None:
        """Do the work, on the thread that calls."""
        with self._lock:
            if self.state != "queued":
                return
            self.state, work, self._work = "running", self._work, None
        self._changed()
        assert work is not None
        try:
            self.result = work(self)
            self.state = "done"
        except Cancelled as err:
            self.error, self.state = self._reason or err, "cancelled"
        except BaseException as err:  # noqa: BLE001  whatever it is, who asked is told, and the thread goes on
            self.error, self.state = err, "failed"
        self.pause, self.holds = (lambda: None), None
        self._changed()

    async def changed(self, after: int, seconds: float) -> None:
        """Wait until its revision is beyond a number, or it is over, or time is up.

        What changes many times a second is told ten times a second.
        """
        await self._wait(lambda: self.revision > after or self.is_over, seconds)
        await self.over(min(_TOLD_EVERY, seconds))

    async def over(self, seconds: float) -> bool:
        """Wait until it is over, or time is up; say which."""
        await self._wait(lambda: self.is_over, seconds)
        return self.is_over

    async def _wait(self, is_so: Callable[[], bool], seconds: float) -> None:
        loop, event = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # of a loop that has been closed
                loop.call_soon_threadsafe(event.set)

        with self._lock:
            self._wakers.append(wake)
        try:
            ends = loop.time() + seconds
            while not is_so() and (left := ends - loop.time()) > 0:
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(event.wait(), left)
                event.clear()
        finally:
            with self._lock:
                self._wakers.remove(wake)

    def _changed(self) -> None:
        with self._lock:
            self.revision += 1
            wakers = tuple(self._wakers)
        for wake in wakers:
            wake()


class _Turn:
    """Who computes: a long task, or a brief one, which goes first."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._is_taken = False
        self._brief_waiting = 0

    def take(self, is_long: bool) -> None:
        with self._free:
            if is_long:
                self._free.wait_for(lambda: not self._is_taken and not self._brief_waiting)
            else:
                self._brief_waiting += 1
                self._free.wait_for(lambda: not self._is_taken)
                self._brief_waiting -= 1
            self._is_taken = True

    def leave(self) -> None:
        with self._free:
            self._is_taken = False
            self._free.notify_all()

    def let_brief_ones_pass(self) -> None:
        """Let clicks be answered between two steps of a long task."""
        if self._brief_waiting:
            self.leave()
            self.take(is_long=True)


class _Lane:
    """A thread that takes tasks of one length, users in turn."""

    def __init__(self, name: str, turn: _Turn, most: int) -> None:
        self._turn, self._most = turn, most
        self._queues: OrderedDict[str, deque[Task]] = OrderedDict()
        self._filled = threading.Condition()
        self._is_open = True
        self._current: Task | None = None
        self._thread = threading.Thread(target=self._loop, name=f"effseg-{name}", daemon=True)
        self._thread.start()

    def put(self, task: Task) -> None:
        with self._filled:
            if not self._is_open:
                raise ServerBusy("the server is shutting down")
            queue = self._queues.setdefault(task.user, deque())
            if len(queue) >= self._most:
                raise ServerBusy(f"{len(queue)} tasks of yours are waiting already; wait for one of them")
            queue.append(task)
            self._filled.notify()

    def ahead_of(self, task: Task) -> int:
        """How many tasks come first, as it looks now: of each user as many as of this one."""
        with self._filled:
            own = self._queues.get(task.user)
            if own is None or task not in own:
                return 0
            place = own.index(task)
            others = (len(q) for user, q in self._queues.items() if user != task.user)
            return place + sum(min(length, place + 1) for length in others) + (self._current is not None)

    def close(self, seconds: float) -> None:
        with self._filled:
            self._is_open = False
            waiting = [task for queue in self._queues.values() for task in queue]
            current = self._current
            self._queues.clear()
            self._filled.notify_all()
        for task in (*waiting, *([current] if current else [])):
            task.cancel(ServerLost("the server was stopped; begin again when it is back"))
        self._thread.join(seconds)

    def _next(self) -> Task | None:
        with self._filled:
            self._filled.wait_for(lambda: self._queues or not self._is_open)
            if not self._queues:
                return None
            user, queue = next(iter(self._queues.items()))
            self._current = queue.popleft()
            del self._queues[user]
            if queue:
                self._queues[user] = queue  # behind the others
            return self._current

    def _loop(self) -> None:
        while (task := self._next()) is not None:
            self._turn.take(task.is_long)
            if task.is_long:
                task.pause = self._turn.let_brief_ones_pass
            try:
                task.run()
            finally:
                self._turn.leave()
                self._current = None
            if task.state == "failed":
                _log.debug("a task failed", exc_info=task.error)
            del task  # and what it holds, while the thread waits for the next


class Workshop:
    """Runs tasks, one computation at a time.

    Parameters
    ----------
    most_waiting : int
        Tasks of a user that may wait.
    """

    def __init__(self, most_waiting: int = 64) -> None:
        turn = _Turn()
        self._brief = _Lane("clicks", turn, most_waiting)
        self._long = _Lane("jobs", turn, most_waiting)

    def put(self, task: Task) -> Task:
        """Queue a task.

        Raises
        ------
        ServerBusy
            If too many of this user wait already, or the workshop is closed.
        """
        self._lane(task).put(task)
        return task

    def ahead_of(self, task: Task) -> int:
        """How many tasks come before one that waits."""
        return self._lane(task).ahead_of(task)

    def close(self, seconds: float = 10.0) -> None:
        """Stop what runs, forget what waits."""
        for lane in (self._long, self._brief):
            lane.close(seconds)

    def _lane(self, task: Task) -> _Lane:
        return self._long if task.is_long else self._brief
