"""Threads for compiled loops that release the GIL.

Numba's own threading layers abort the process when two Python threads enter them (workqueue) or after a
fork (OpenMP), so kernels are plain serial code, and this module runs one on several threads at once; they
share the work out among themselves. The caller works too; helpers come from one pool a process, made on
first use and made anew after a fork.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

__all__ = ["run_together"]

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None


def run_together(work: Callable[[], None], threads: int) -> None:
    """Call `work` here and on up to ``threads - 1`` more threads at once, and wait until all have returned.

    `work` returns when nothing is left to do, so a helper that has not started by then is not waited for.
    The first exception is raised here, after every thread has ended.
    """
    helpers = [_start(work) for _ in range(threads - 1)]
    try:
        work()
    finally:
        # Cancelling, not waiting, matters: others may keep the pool busy, or wait for it in their turn.
        started = [helper for helper in helpers if helper is not None and not helper.cancel()]
        failures = [helper.exception() for helper in started]
    for failure in failures:
        if failure is not None:
            raise failure


def _start(work: Callable[[], None]) -> Future[None] | None:
    """Give `work` to a pool thread; None where no thread can start any more (the interpreter is ending)."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="effseg-scan")
        try:
            return _pool.submit(work)
        except RuntimeError:  # "cannot schedule new futures after interpreter shutdown"
            return None


def _forget_pool() -> None:
    """Drop what a forked child inherited: a pool without threads, and perhaps a lock that is held."""
    global _lock, _pool
    _lock = threading.Lock()
    _pool = None


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_pool)
