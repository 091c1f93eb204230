"""Other programs, run and heard line by line, and stopped when asked."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

from .rooms import CancelCheck, Cancelled, EffsegError

__all__ = ["CommandFailed", "end", "run", "spawn"]

_LOOKING_S = 0.1
_ENDING_S = 5.0
_TAIL = 8


class CommandFailed(EffsegError):
    """Another program ended with an error; the message holds its last lines."""


def spawn(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start a program whose input and output are pipes, without a window of its own."""
    return subprocess.Popen(
        list(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(environment),
        cwd=Path.home(),
        text=True,
        encoding="utf-8",
        errors="replace",
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        start_new_session=os.name != "nt",  # so that what it starts can be ended with it
    )


def end(process: subprocess.Popen[str]) -> None:
    """End a program, first by closing its input, then by force."""
    if process.stdin is not None:
        with suppress(OSError):  # it has gone already
            process.stdin.close()
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    heard: Callable[[str], None] | None = None,
    cancel: CancelCheck | None = None,
) -> str:
    """Run a program to its end, and return what it wrote.

    Parameters
    ----------
    command : sequence of str
    environment : mapping
    heard : callable
        Called with each line as it comes.
    cancel : callable
        Asked often whether to stop.

    Raises
    ------
    CommandFailed
        If it cannot be started, or ends with an error.
    Cancelled
        If it was stopped.
    """
    try:
        process = spawn(command, environment)
    except OSError as err:
        raise CommandFailed(f"{command[0]} cannot be started: {err}") from err
    lines: Queue[str | None] = Queue()
    reader = Thread(target=_read, args=(process, lines), daemon=True)
    reader.start()
    text: list[str] = []
    try:
        while (line := _next(lines, cancel)) is not None:
            text.append(line)
            if heard is not None:
                heard(line)
        code = process.wait()
    finally:
        end(process)
        reader.join(_ENDING_S)
    if code:
        raise CommandFailed("\n".join(text[-_TAIL:]) or f"{command[0]} ended with code {code}")
    return "\n".join(text)


def _read(process: subprocess.Popen[str], lines: Queue[str | None]) -> None:
    assert process.stdout is not None
    try:
        for line in process.stdout:
            lines.put(line.rstrip())
    except ValueError:  # closed while it was read
        pass
    lines.put(None)


def _next(lines: Queue[str | None], cancel: CancelCheck | None) -> str | None:
    while True:
        if cancel is not None and cancel():
            raise Cancelled("stopped")
        try:
            return lines.get(timeout=_LOOKING_S)
        except Empty:
            continue
