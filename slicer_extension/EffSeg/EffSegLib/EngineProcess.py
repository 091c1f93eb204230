"""The engine as a process of its own: `effseg serve`, on this machine alone, with a key of its own.

It is started when it is first needed, and ends with Slicer, however Slicer ends: it stops when the pipe to
it is closed.
"""

from __future__ import annotations

import re
import secrets
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

from .Commands import end, spawn
from .rooms import CancelCheck, Cancelled, ServerError

__all__ = ["Address", "EngineProcess"]

_SERVE = ("-c", "import sys; from napari_effseg.cli import main; sys.exit(main())")
_URL = re.compile(r"https?://(?:127\.0\.0\.1|localhost|\[::1\]):\d+")
_KEY = "EFFSEG_SERVER_KEY"
_STARTING_S = 180.0
_LOOKING_S = 0.1
_KEPT_LINES = 200


@dataclass(frozen=True)
class Address:
    """Where an engine listens, and what opens it.

    Attributes
    ----------
    url : str
    key : str
    certificate : str
        A file; empty for none.
    """

    url: str
    key: str
    certificate: str = ""

    def __repr__(self) -> str:
        """Leave the key out."""
        return f"Address({self.url!r})"


class EngineProcess:
    """One engine on this machine.

    Parameters
    ----------
    python : path
        Of an environment that has napari-effseg.
    environment : mapping
        See `engine_environment`.
    serve : sequence of str
        How that Python runs `effseg`; another program in tests.
    seconds : float
        How long it may take to start.
    """

    def __init__(
        self,
        python: Path,
        environment: Mapping[str, str],
        serve: Sequence[str] = _SERVE,
        seconds: float = _STARTING_S,
    ) -> None:
        self._python, self._environment = python, dict(environment)
        self._serve, self._seconds = tuple(serve), seconds
        self._process: subprocess.Popen[str] | None = None
        self._lines: Queue[str] = Queue()
        self.log: deque[str] = deque(maxlen=_KEPT_LINES)

    @property
    def is_running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def start(self, say: Callable[[str], None] | None = None, cancel: CancelCheck | None = None) -> Address:
        """Start it, and return its address once it listens.

        Raises
        ------
        ServerError
            If it cannot be started, ends at once, or takes too long; with its last words.
        Cancelled
        """
        self.stop()
        key = secrets.token_urlsafe(32)
        if say is not None:
            say("Starting the engine")
        try:
            self._process = spawn(self._command(), {**self._environment, _KEY: key})
        except OSError as err:
            self.stop()
            raise ServerError(f"the engine's Python, {self._python}, cannot be started: {err}") from err
        Thread(target=self._read, args=(self._process,), name="EffSeg engine", daemon=True).start()
        try:
            return Address(self._wait_for_url(cancel), key)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            end(self._process)
        self._process = None

    def _command(self) -> list[str]:
        """Return what starts it; the key goes by the environment, where no other user sees it."""
        options = ["--host", "127.0.0.1", "--port", "0", "--until-eof"]
        return [str(self._python), *self._serve, "serve", *options]

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                self.log.append(line.rstrip())
                self._lines.put(line)
        except ValueError:  # closed while it was read
            pass

    def _wait_for_url(self, cancel: CancelCheck | None) -> str:
        end = time.monotonic() + self._seconds
        while time.monotonic() < end:
            if cancel is not None and cancel():
                raise Cancelled("cancelled while the engine was starting")
            try:
                found = _URL.search(self._lines.get(timeout=_LOOKING_S))
            except Empty:
                if not self.is_running:
                    raise ServerError(f"the engine ended at once:\n{self._last_words()}") from None
                continue
            if found:
                return found[0]
        raise ServerError(f"the engine did not start within {self._seconds:g} s:\n{self._last_words()}")

    def _last_words(self) -> str:
        return "\n".join(list(self.log)[-8:]) or "(it said nothing)"
