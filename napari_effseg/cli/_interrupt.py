"""Ctrl-C, a cluster's SIGTERM, a closed terminal: at once while reading, between steps while computing."""

from __future__ import annotations

import enum
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interrupt"]

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
_SIGNALS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))


class _Mode(enum.Enum):
    AT_ONCE = "raise KeyboardInterrupt"
    ASKED = "wait until the computation asks; a second signal raises"
    HELD = "ignore: the files are being put in place, or are there"


class Interrupt:
    """What a signal does, from the beginning of a command to its end.

    Used as a context manager, which puts the old handlers back. Outside the main thread Python allows no
    handlers, and nothing is changed.
    """

    def __init__(self) -> None:
        self.requested = False
        self._mode = _Mode.AT_ONCE
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        """Install the handlers."""
        if threading.current_thread() is threading.main_thread():
            wanted = [number for number in _SIGNALS if not _under_nohup(number)]
            self._before = {number: signal.signal(number, self._on_signal) for number in wanted}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the old handlers back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def cancel(self) -> bool:
        """Answer the engine's question "shall I stop?"."""
        return self.requested

    @contextmanager
    def between_steps(self) -> Iterator[None]:
        """Let a computation finish its step: it asks `cancel`; a second signal stops at once."""
        self._mode = _Mode.ASKED
        try:
            yield
        finally:
            self._mode = _Mode.AT_ONCE
        if self.requested:
            raise KeyboardInterrupt

    def hold(self) -> None:
        """Ignore signals from now on: what follows takes no time and must not be half done.

        Raises
        ------
        KeyboardInterrupt
            If the user has asked to stop before.
        """
        if self.requested:
            raise KeyboardInterrupt
        self._mode = _Mode.HELD

    def shield(self) -> None:
        """Ignore signals from now on, also if one came before: what is left is tidying up."""
        self._mode = _Mode.HELD

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        again, self.requested = self.requested, True
        if self._mode is _Mode.AT_ONCE or (self._mode is _Mode.ASKED and again):
            raise KeyboardInterrupt


def _under_nohup(number: int) -> bool:
    """Whether the user has asked that a closed terminal shall not end the command."""
    return number == getattr(signal, "SIGHUP", None) and signal.getsignal(number) is signal.SIG_IGN
