"""From cases to results: hand them out, keep the ledger, try again what may pass, sum up."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from ..errors import Cancelled
from ..types import CancelCheck, Progress
from .bids import derivative_description
from .cases import Found
from .ledger import Ledger, key_of
from .places import check_suffix
from .pools import InProcessPool, Pool
from .results import CaseResult, Status
from .room import OutputRoom
from .summary import write_summary, write_text
from .work import Task

__all__ = ["BatchOptions", "BatchResult", "Outcome", "run_batch"]

_DESCRIPTION = "dataset_description.json"


@dataclass(frozen=True)
class BatchOptions:
    """How cases are worked on.

    Attributes
    ----------
    suffix : str
        Ending of the label maps.
    overlay : bool
        Whether each case gets a picture of the result over the image.
    device : str
    workers : int
        Processes on this machine; 1 works in this one.
    scheduler : str or None
        Of a dask cluster, which works instead.
    retries : int
        How often a case is tried again after memory ran out or its worker ended.
    """

    suffix: str = ".nii.gz"
    overlay: bool = False
    device: str = "auto"
    workers: int = 1
    scheduler: str | None = None
    retries: int = 1


@dataclass(frozen=True)
class Outcome:
    """A result, and whether it is of an earlier run."""

    result: CaseResult
    is_old: bool = False


@dataclass(frozen=True)
class BatchResult:
    """What became of all cases, in their order.

    Attributes
    ----------
    outcomes : tuple of Outcome
    files : tuple of Path
        The summaries.
    """

    outcomes: tuple[Outcome, ...]
    files: tuple[Path, ...]

    @property
    def failed(self) -> tuple[CaseResult, ...]:
        """Results of the cases that are not done."""
        return tuple(one.result for one in self.outcomes if not one.result.is_done)


def run_batch(
    found: Found,
    output: Path,
    options: BatchOptions,
    progress: Progress | None = None,
    cancel: CancelCheck | None = None,
    tell: Callable[[CaseResult], None] | None = None,
) -> BatchResult:
    """Segment every case that is not done yet.

    Parameters
    ----------
    found : Found
    output : Path
        Folder of results; created where its parent exists.
    options : BatchOptions
    progress, cancel : callable, optional
    tell : callable, optional
        Told each result as it comes.

    Raises
    ------
    Cancelled
        If `cancel` said so; what was finished stays, and the same call goes on from there.
    ConfigError, ExportError
        If the options or the folder are wrong.
    ServerError
        If the cluster cannot be reached, or is lost.
    """
    suffix = check_suffix(options.suffix, found.is_bids)
    output = output.absolute()
    with OutputRoom(output) as room:
        tasks = [
            Task(case, output, room.run, suffix, options.overlay, options.device) for case in found.cases
        ]
        batch = _Batch(tasks, Ledger(output), options, progress, tell)
        try:
            batch.work(_make_pool(options, cancel), cancel)
        finally:
            outcomes = batch.outcomes()
            files = write_summary(output, [one.result for one in outcomes]) if outcomes else ()
            if found.is_bids:
                _describe(output)
    return BatchResult(outcomes, files)


class _Batch:
    """The cases that are left, how often each was tried, and the results so far."""

    def __init__(
        self,
        tasks: Sequence[Task],
        ledger: Ledger,
        options: BatchOptions,
        progress: Progress | None,
        tell: Callable[[CaseResult], None] | None,
    ) -> None:
        self._tasks = {task.case.name: task for task in tasks}
        self._keys = {name: key_of(task.case, _lasting(task)) for name, task in self._tasks.items()}
        self._ledger, self._options, self._progress, self._tell = ledger, options, progress, tell
        self._ended: dict[str, Outcome] = {}
        for name, key in self._keys.items():
            old = ledger.finished(name, key)
            if old is not None:
                self._ended[name] = Outcome(old, is_old=True)
        self._left = deque(task for task in tasks if task.case.name not in self._ended)

    def work(self, pool: Pool, cancel: CancelCheck | None) -> None:
        """Hand out cases as there is room, until all have ended; however it ends, what is done is kept."""
        try:
            self._hand_out(pool, cancel)
        finally:
            for result in pool.close():
                if result.is_done:
                    self._take(result, pool)

    def outcomes(self) -> tuple[Outcome, ...]:
        """Return what has ended, in the order of the cases."""
        return tuple(self._ended[name] for name in self._tasks if name in self._ended)

    def _hand_out(self, pool: Pool, cancel: CancelCheck | None) -> None:
        self._say("")
        while len(self._ended) < len(self._tasks):
            if cancel is not None and cancel():
                raise Cancelled("stopped; what is done stays, and the same command goes on from there")
            while self._left and pool.room > 0:
                pool.submit(self._left.popleft())
            for result in pool.collect():
                self._take(result, pool)

    def _take(self, result: CaseResult, pool: Pool) -> None:
        if result.status is Status.CANCELLED:
            return  # `cancel` says so too
        task = self._tasks[result.case]
        if self._may_try_again(result, pool):
            again = replace(task, attempt=task.attempt + 1)
            self._tasks[result.case] = again
            self._left.append(again)  # last, when others have given their memory back
            return
        self._ledger.append(self._keys[result.case], result)
        self._ended[result.case] = Outcome(result)
        if self._tell is not None:
            self._tell(result)
        self._say(result.case)

    def _may_try_again(self, result: CaseResult, pool: Pool) -> bool:
        if result.status is Status.LOST and pool.replaces_lost:
            return False
        return result.status.may_pass and result.attempt <= self._options.retries

    def _say(self, last: str) -> None:
        if self._progress is None:
            return
        failed = sum(not one.result.is_done for one in self._ended.values())
        words = f"{len(self._ended)} of {len(self._tasks)} cases" + (f", {failed} failed" if failed else "")
        self._progress(len(self._ended) / len(self._tasks), f"{words}: {last}" if last else words)


def _lasting(task: Task) -> dict[str, Any]:
    """Options that change what is written; where it is computed does not."""
    return {"suffix": task.suffix, "overlay": task.overlay}


def _make_pool(options: BatchOptions, cancel: CancelCheck | None) -> Pool:
    if options.scheduler is not None:
        from .dask_pool import DaskPool

        return DaskPool(options.scheduler)
    if options.workers > 1:
        from .local_pool import LocalPool

        return LocalPool(options.workers)
    return InProcessPool(cancel)


def _describe(output: Path) -> None:
    """Write what BIDS wants to know of a folder of derivatives, unless the user has."""
    path = output / _DESCRIPTION
    if not path.exists():
        document = derivative_description(metadata.version("napari-effseg"))
        write_text(path, json.dumps(document, indent=2) + "\n")
