"""The process that finetunes, as the window knows it: told what to do, and heard line by line. No Qt."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from .inference import Deliver

__all__ = ["FinetuneProcess", "Said"]

Said = Mapping[str, Any]
"""A line that the process says, as `napari_effseg.training.finetune.worker` lists them."""

_COMMAND = (sys.executable, "-m", "napari_effseg.training.finetune.worker")
_ROOT = Path(__file__).parents[2]
_LAST_WORDS = 4000  # characters of what a process that died had written
_LAST = ("done", "failed")


class FinetuneProcess:
    """Starts the process, tells it what to do, and hands what it says to the thread of the window.

    Parameters
    ----------
    deliver : callable
        ``deliver(function)`` has the function run in the thread of the window.
    told : callable
        ``told(line)`` for each line; the last is "done" or "failed", whatever becomes of the process. There
        the `kind` "died" says that it ended without a word.
    command : sequence of str
        Program and arguments.
    """

    def __init__(
        self, deliver: Deliver, told: Callable[[Said], None], command: Sequence[str] = _COMMAND
    ) -> None:
        self._deliver, self._told = deliver, told
        self._is_closed = False
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed by the thread that listens
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            env=_environment(),
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        threading.Thread(target=self._listen, name="effseg-finetuning", daemon=True).start()

    def prepare(self, model: str, dataset: Path, options: Mapping[str, Any]) -> None:
        """Have it read the cases and measure what a step costs."""
        self._tell(do="prepare", model=model, dataset=str(dataset), options=dict(options))

    def run(self) -> None:
        """Have it finetune."""
        self._tell(do="run")

    def stop(self) -> None:
        """Have it stop after the step that it is at; its checkpoint is up to date then."""
        self._tell(do="stop")

    def end(self) -> None:
        """End it at once, in the middle of whatever it does; the last checkpoint stays."""
        self._process.kill()

    def close(self) -> None:
        """Have it stop, and hear no more of it; it ends by itself."""
        self._is_closed = True
        with contextlib.suppress(OSError, ValueError):
            if self._process.stdin is not None:
                self._process.stdin.close()

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def _tell(self, **command: Any) -> None:
        """Write a line; of a process that is gone, the thread that listens tells."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()

    def _listen(self) -> None:
        is_over = False
        assert self._process.stdout is not None
        with self._process.stdout, self._errors:
            for line in self._process.stdout:
                said = json.loads(line)
                is_over = is_over or said["said"] in _LAST
                self._hand_over(said)
            code = self._process.wait()
            if not is_over:
                self._hand_over(_died(code, self._errors))
        with contextlib.suppress(OSError, ValueError):
            if self._process.stdin is not None:
                self._process.stdin.close()

    def _hand_over(self, said: Said) -> None:
        self._deliver(lambda: None if self._is_closed else self._told(said))


def _died(code: int, errors: IO[bytes]) -> Said:
    errors.seek(0)
    words = errors.read().decode("utf-8", "replace")[-_LAST_WORDS:]
    return {"said": "failed", "kind": "died", "message": f"exit code {code}", "details": words}


def _environment() -> dict[str, str]:
    """Return the environment in which the process finds this package, wherever it was imported from."""
    known = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), known)))}
