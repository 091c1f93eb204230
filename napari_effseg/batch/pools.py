"""Who works on the cases: this process, processes beside it, or a cluster; all behind one seam."""

from __future__ import annotations

from typing import Protocol

from ..types import CancelCheck
from .results import CaseResult
from .work import Task, do_case

__all__ = ["InProcessPool", "Pool"]


class Pool(Protocol):
    """Takes as many cases as it can work on at once, and gives back what became of them.

    Never more cases are handed over than `room` says, so that however many there are, few wait in memory.
    """

    @property
    def room(self) -> int:
        """How many more cases it takes now."""
        ...

    @property
    def replaces_lost(self) -> bool:
        """Whether it gives a lost worker's case to another worker by itself."""
        ...

    def submit(self, task: Task) -> None:
        """Take a case; only while there is room."""
        ...

    def collect(self) -> list[CaseResult]:
        """Wait a moment, and return what has ended since; each case that was taken comes back once.

        Raises
        ------
        ServerLost
            If those who work cannot be reached any more.
        """
        ...

    def close(self) -> list[CaseResult]:
        """Stop what still runs, let the workers go, and return what has ended meanwhile."""
        ...


class InProcessPool:
    """One case after the other, in this process.

    Parameters
    ----------
    cancel : callable, optional
        ``cancel()`` -> True to stop in the midst of a case.
    """

    replaces_lost = False

    def __init__(self, cancel: CancelCheck | None = None) -> None:
        self._cancel = cancel
        self._waiting: list[Task] = []

    @property
    def room(self) -> int:
        """One case at a time."""
        return 1 - len(self._waiting)

    def submit(self, task: Task) -> None:
        """Take a case."""
        self._waiting.append(task)

    def collect(self) -> list[CaseResult]:
        """Do the case that was taken."""
        return [do_case(self._waiting.pop(), self._cancel)] if self._waiting else []

    def close(self) -> list[CaseResult]:
        """Forget what was taken."""
        self._waiting.clear()
        return []
