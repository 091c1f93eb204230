"""The folder of results while a batch runs: one batch at a time, and no trace of one that was killed."""

from __future__ import annotations

import json
import os
import platform
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import psutil

from ..errors import ConfigError, ExportError
from .places import HIDDEN

__all__ = ["OutputRoom"]

_LOCK = "lock.json"
_TRIES = 3
_LOOKS, _LOOKS_EVERY = 10, 0.1  # seconds; a lock is a hundred bytes


class OutputRoom:
    """Holds a folder of results for one run.

    Entering creates it and clears away what an earlier run that was killed has left. Leaving removes
    everything hidden.

    Parameters
    ----------
    folder : Path
        Its parent exists.

    Raises
    ------
    ConfigError
        On entering, if another batch is at work in it.
    ExportError
        If nothing can be written there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._hidden = folder, folder / HIDDEN
        self.run = secrets.token_hex(8)

    def __enter__(self) -> OutputRoom:
        """Take the folder."""
        try:
            self._folder.mkdir(exist_ok=True)
            self._hidden.mkdir(exist_ok=True)
            self._lock()
            self._clear()
            (self._hidden / self.run).mkdir()
        except OSError as err:
            raise ExportError(f"{self._folder}: cannot be written: {err.strerror or err}") from err
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back."""
        shutil.rmtree(self._hidden, ignore_errors=True)

    def _lock(self) -> None:
        """Write who is at work, unless somebody is."""
        path = self._hidden / _LOCK
        mine = {"machine": platform.node(), "pid": os.getpid(), "since": psutil.Process().create_time()}
        for _ in range(_TRIES):
            try:
                with path.open("x", encoding="utf-8") as file:
                    file.write(json.dumps(mine))
            except FileExistsError:
                self._take_away(path, self._refuse_living(path))
            except FileNotFoundError:  # a batch that ends just now took the hidden folder with it
                self._hidden.mkdir(exist_ok=True)
            else:
                return
        raise self._is_taken("another batch")

    def _refuse_living(self, path: Path) -> str:
        """Refuse, if who wrote a lock is at work still; return what it says otherwise."""
        text = _read_soon(path)
        try:
            holder = json.loads(text)
            machine, pid, since = str(holder["machine"]), int(holder["pid"]), float(holder["since"])
        except (ValueError, KeyError, TypeError):
            return text  # cut off by a crash
        if machine != platform.node():
            raise ConfigError(
                f"a batch on {machine} writes to {self._folder}; if it does not run any more, delete {path}"
            )
        if _is_at_work(pid, since):
            raise self._is_taken(f"another batch (process {pid})")
        return text

    def _take_away(self, path: Path, text: str) -> None:
        """Remove a lock that was found to be dead; put it back if it is another one by now."""
        moved = path.with_name(f"{_LOCK}.{self.run}")
        try:
            path.rename(moved)
        except FileNotFoundError:
            return  # somebody else did
        if moved.read_text(encoding="utf-8", errors="replace") != text:
            moved.rename(path)
            raise self._is_taken("another batch")
        moved.unlink()

    def _is_taken(self, by: str) -> ConfigError:
        return ConfigError(f"{by} writes to {self._folder}; wait for its end, or give another folder")

    def _clear(self) -> None:
        for left in self._hidden.iterdir():
            if left.name != _LOCK:
                shutil.rmtree(left, ignore_errors=True)


def _is_at_work(pid: int, since: float) -> bool:
    """Whether a process of this machine lives; one that was killed may be listed until its parent looks."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - since) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _read_soon(path: Path) -> str:
    """Read a lock; one that is being written is waited for."""
    text = ""
    for _ in range(_LOOKS):
        with suppress(OSError):
            text = path.read_text(encoding="utf-8", errors="replace")
        if text.endswith("}"):
            break
        time.sleep(_LOOKS_EVERY)
    return text
