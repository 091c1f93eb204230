"""Progress, cancel and warnings of one run."""

from __future__ import annotations

from ..errors import Cancelled
from ..types import CancelCheck, Progress

__all__ = ["Watch"]

_BEFORE, _AFTER = 0.05, 0.95
"""Fractions of a run at which its windows begin and end; they begin later where much came before them."""


class Watch:
    """Tell the caller how far a run is, ask whether to stop, and collect what the report must warn of.

    Parameters
    ----------
    progress : callable or None
        ``progress(fraction, message)``; the fraction never falls.
    cancel : callable or None
        ``cancel()`` -> whether to stop.
    """

    def __init__(self, progress: Progress | None, cancel: CancelCheck | None) -> None:
        self._progress = progress
        self._cancel = cancel
        self._fraction = 0.0
        self._done = 0
        self._total = 1
        self._begin = _BEFORE
        self._is_cancelled = False
        self.warnings: list[str] = []

    @property
    def is_cancelled(self) -> bool:
        """Whether the caller wants the run to stop; once it did, it does."""
        self._is_cancelled = self._is_cancelled or (self._cancel is not None and self._cancel())
        return self._is_cancelled

    def check(self) -> None:
        """Stop the run if the caller wants it.

        Raises
        ------
        Cancelled
            If `cancel` says so.
        """
        if self.is_cancelled:
            raise Cancelled("stopped on request; nothing was written")

    def say(self, message: str, fraction: float | None = None) -> None:
        """Pass a message on, and check for cancel."""
        self._fraction = max(self._fraction, fraction or 0.0)
        if self._progress is not None:
            self._progress(self._fraction, message)
        self.check()

    def warn(self, *sentences: str) -> None:
        """Keep sentences for the report, each once."""
        self.warnings += [text for text in dict.fromkeys(sentences) if text not in self.warnings]

    def begin_windows(self, total: int) -> None:
        """Begin to count windows (again, if memory ran out)."""
        self._done, self._total = 0, total
        self._begin = max(_BEFORE, self._fraction)

    def count_windows(self, count: int) -> None:
        """Count finished windows, say so, and check for cancel."""
        self._done += count
        share = self._done / max(self._total, 1)
        self.say(f"window {self._done} of {self._total}", self._begin + (_AFTER - self._begin) * share)
