"""Processes on this machine: each loads the model once; one that dies is replaced."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from .local_worker import THREAD_VARIABLES, serve
from .results import CaseResult, Status
from .work import Task, failure

__all__ = ["LocalPool"]

_WAIT_SECONDS = 0.2
_GRACE_SECONDS = 6.0  # for a worker to end its step after it was told to stop
_STOP = None


@dataclass
class _Worker:
    """A process, the way to it, and what it does."""

    process: BaseProcess
    connection: Connection
    task: Task | None = None


class LocalPool:
    """Worker processes that are started afresh, one case at a time each.

    They end by themselves when this process does, however it ends.

    Parameters
    ----------
    workers : int
        At least 1; each gets an equal share of the cores.
    threads : int, optional
        Cores for each worker; an equal share of all without it.
    """

    replaces_lost = False

    def __init__(self, workers: int, threads: int | None = None) -> None:
        self._size = workers
        self._threads = threads or threads_for(workers)
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []

    @property
    def room(self) -> int:
        """As many cases as there are workers without one."""
        return self._size - sum(worker.task is not None for worker in self._workers)

    @property
    def processes(self) -> tuple[int, ...]:
        """Numbers of the processes that run now."""
        return tuple(worker.process.pid or 0 for worker in self._workers)

    def submit(self, task: Task) -> None:
        """Give a case to a worker that has none; the first ones start it."""
        idle = [worker for worker in self._workers if worker.task is None]
        worker = idle[0] if idle else self._start()
        worker.task = task
        with contextlib.suppress(OSError):  # it is dead: `collect` finds out
            worker.connection.send(task)

    def collect(self) -> list[CaseResult]:
        """Wait for an answer or the end of a worker."""
        ready = wait([worker.connection for worker in self._workers], _WAIT_SECONDS)
        answers = [self._receive(worker) for worker in list(self._workers) if worker.connection in ready]
        return [answer for answer in answers if answer is not None]

    def close(self) -> list[CaseResult]:
        """Tell every worker to stop, end those that do not, and return the last answers."""
        for worker in self._workers:
            with contextlib.suppress(OSError):
                worker.connection.send(_STOP)
        for end in (lambda worker: None, _terminate, _kill):
            self._join(end)
        answers = [_last_answer(worker) for worker in self._workers if worker.task is not None]
        for worker in self._workers:
            worker.connection.close()
            worker.process.close()
        self._workers.clear()
        return [answer for answer in answers if answer is not None]

    def _join(self, end: Callable[[_Worker], None]) -> None:
        alive = [worker for worker in self._workers if worker.process.is_alive()]
        for worker in alive:
            end(worker)
        for worker in alive:
            worker.process.join(_GRACE_SECONDS)

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=serve, args=(theirs, self._threads), daemon=True)
        with _environment({name: str(self._threads) for name in THREAD_VARIABLES}), _ctrl_c_held():
            process.start()
        theirs.close()  # so that the end of the process is the end of the pipe
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _receive(self, worker: _Worker) -> CaseResult | None:
        try:
            answer = worker.connection.recv()
        except (EOFError, OSError):
            return self._bury(worker)
        worker.task = None
        assert isinstance(answer, CaseResult)
        return answer

    def _bury(self, worker: _Worker) -> CaseResult | None:
        """Let a dead worker go; the next case starts a new one."""
        worker.process.join(_GRACE_SECONDS)
        code, task = worker.process.exitcode, worker.task
        self._workers.remove(worker)
        worker.connection.close()
        return None if task is None else lost(task, _how_it_ended(code))


def _last_answer(worker: _Worker) -> CaseResult | None:
    """Read what a worker said before it ended."""
    with contextlib.suppress(EOFError, OSError):
        if worker.connection.poll() and isinstance(answer := worker.connection.recv(), CaseResult):
            return answer
    return None


def threads_for(workers: int) -> int:
    """Share the cores among workers, at least one for each."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    given = os.environ.get("OMP_NUM_THREADS", "")
    cores = min(cores, int(given)) if given.isdecimal() and int(given) else cores
    return max(1, cores // workers)


def lost(task: Task, words: str) -> CaseResult:
    """Return the result of a case whose worker ended."""
    return replace(failure(task, RuntimeError()), status=Status.LOST, words=words, details="", worker="")


def _how_it_ended(code: int | None) -> str:
    how = f"by signal {-code}" if code is not None and code < 0 else f"with code {code}"
    return (
        f"the process that worked on it ended {how}; the system does this where memory runs out: use fewer "
        "workers, or crop the image"
    )


def _terminate(worker: _Worker) -> None:
    worker.process.terminate()


def _kill(worker: _Worker) -> None:
    worker.process.kill()


@contextlib.contextmanager
def _ctrl_c_held() -> Iterator[None]:
    """Let Ctrl-C wait; a process that starts now never gets it, where the system has such masks."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set variables that a new process reads when it starts."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
