"""A dask cluster: the scheduler hands the cases to its workers, on however many machines."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._extras import require
from ..errors import ServerError, ServerLost
from .local_pool import lost
from .results import CaseResult
from .work import Task, do_case, failure

__all__ = ["DaskPool"]

_CONNECT_SECONDS = 10.0
_WAIT_SECONDS = 0.2
_ASK_SECONDS = 5.0  # for how many workers there are, of a scheduler whose cable may be out
_TIMES = 3  # a case is handed over, where the scheduler forgets it


class DaskPool:
    """The workers of a scheduler, each as many cases at a time as it has threads.

    A lost worker's case is given to another one by the scheduler, a few times. A connection that breaks and
    comes back within seconds loses nothing: what the scheduler has forgotten by then is handed over again.
    Images, results and the model's files must lie under the same paths everywhere.

    Parameters
    ----------
    scheduler : str
        Its address, such as ``tcp://head:8786``, or the path of its ``--scheduler-file``.

    Raises
    ------
    ServerError
        If nobody answers there.
    MissingExtra
        If distributed is not installed.
    """

    replaces_lost = True

    def __init__(self, scheduler: str) -> None:
        distributed = require("distributed", "dask", "effseg batch --scheduler")
        address = _address(scheduler)
        if address.startswith("tls://") and not _has_certificates(distributed):
            raise ServerError(
                f"the dask scheduler at {address} wants certificates; name them as dask does, such as in "
                "DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ..__TLS__CLIENT__CERT and ..__TLS__CLIENT__KEY"
            )
        try:
            self._client: Any = distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError, MemoryError) as err:  # a timeout is an OSError
            # MemoryError: another program's answer, such as "HTTP/1.1", is taken for the size of what follows
            raise ServerError(
                f"no dask scheduler answers at {scheduler}; start one with `dask scheduler`, and give its "
                "address (tcp://...), which is not that of its dashboard, or its scheduler file"
            ) from err
        self._running: dict[Any, Task] = {}
        self._forgotten: list[Task] = []
        self._times: Counter[str] = Counter()
        self._last: list[CaseResult] = []
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()

    @property
    def room(self) -> int:
        """As many cases as the workers have threads; one while there is no worker yet."""
        if self._client.status != "running":
            return 0
        threads = sum(self._threads().values())
        return max(1, threads) - len(self._running) - len(self._forgotten)

    @property
    def workers(self) -> int:
        """How many workers the scheduler knows now."""
        return len(self._threads())

    def submit(self, task: Task) -> None:
        """Hand a case to the scheduler."""
        self._times[task.case.name] += 1
        future = self._client.submit(_do, task, pure=False)
        self._running[future] = task
        future.add_done_callback(self._ended.put)  # on a thread of the client

    def collect(self) -> list[CaseResult]:
        """Return what has ended."""
        found = self._answers(_WAIT_SECONDS)
        if self._client.status not in ("running", "connecting"):
            self._last = [one for one in found if one.is_done]
            raise ServerLost("the dask scheduler is gone; run the same command again to go on")
        while self._forgotten and self._client.status == "running":
            self.submit(self._forgotten.pop())
        return found

    def close(self) -> list[CaseResult]:
        """Take back what has not begun; what runs ends on its worker, unrecorded."""
        last = [*self._last, *self._answers(0.0)]
        with contextlib.suppress(Exception):  # the scheduler may be gone
            self._client.cancel(list(self._running), force=True)
        self._running.clear()
        with contextlib.suppress(Exception):
            self._client.close(timeout=_CONNECT_SECONDS)
        return last

    def _answers(self, seconds: float) -> list[CaseResult]:
        """Return what has ended, after a wait for the first."""
        ended: list[Any] = []
        with contextlib.suppress(queue.Empty):
            ended.append(self._ended.get(timeout=seconds) if seconds else self._ended.get_nowait())
            while True:
                ended.append(self._ended.get_nowait())
        return [one for future in ended for one in self._read(future, self._running.pop(future))]

    def _read(self, future: Any, task: Task) -> Iterator[CaseResult]:
        """Yield what became of a case, if anything did."""
        if future.status in ("cancelled", "lost") and self._times[task.case.name] < _TIMES:
            self._forgotten.append(task)
        else:
            yield _result(future, task)

    def _threads(self) -> dict[str, int]:
        """Return how many threads each worker has; nothing while the scheduler does not say."""
        try:
            found: dict[str, int] = self._client.nthreads(callback_timeout=_ASK_SECONDS)
        except (OSError, RuntimeError, ValueError, asyncio.TimeoutError, AttributeError, MemoryError):
            return {}  # AttributeError: a client that closes just now, without a scheduler
        return found


def _address(scheduler: str) -> str:
    """Return the address of a scheduler, or that in its file.

    Raises
    ------
    ServerError
        If it is a file, and none of a scheduler.
    """
    file = Path(scheduler)
    if not file.is_file():
        return scheduler
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise ServerError(f"{scheduler}: is no file that a dask scheduler wrote ({err})") from err


def _has_certificates(distributed: Any) -> bool:
    given: dict[str, Any] = distributed.Security().get_connection_args("client")
    return given.get("ssl_context") is not None


def _do(task: Task) -> CaseResult:
    """Do a case on a worker, with its share of the cores."""
    import torch
    from distributed import get_worker

    threads = max(1, int(get_worker().state.nthreads))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(max(1, min(torch.get_num_threads(), cores // threads)))
    return do_case(task)


def _result(future: Any, task: Task) -> CaseResult:
    if future.status == "finished":
        answer = future.result()
        assert isinstance(answer, CaseResult)
        return answer
    if future.status in ("cancelled", "lost"):
        return lost(task, "the scheduler has forgotten it; run the same command again to do it")
    error = future.exception()
    if type(error).__name__ == "KilledWorker":
        return lost(task, "every worker that took it ended; the system does this where memory runs out")
    found = failure(task, error)
    return replace(found, worker="", words=f"on the cluster: {found.words}")
