"""From an exception to one line and an exit code."""

from __future__ import annotations

import errno
import os
import platform
import sys
import tempfile
import time
import traceback
from pathlib import Path

import click

from ..errors import Cancelled, EffsegError, OutOfMemory

__all__ = ["BAD_INPUT", "CANCELLED", "DONE", "NO_MEMORY", "OUR_FAULT", "report"]

DONE, OUR_FAULT, BAD_INPUT, CANCELLED, NO_MEMORY = range(5)

_USERS_ERRNOS = frozenset(
    getattr(errno, name)
    for name in (
        "EACCES",
        "EPERM",
        "EROFS",
        "ENOSPC",
        "EDQUOT",
        "ENOENT",
        "ENOTDIR",
        "EISDIR",
        "ENAMETOOLONG",
        "EFBIG",
    )
    if hasattr(errno, name)
)
"""Refusals of the operating system that the user can mend: rights, space, paths."""


def report(error: BaseException, interrupted: bool) -> int:
    """Say what went wrong in one line on stderr.

    Parameters
    ----------
    error : BaseException
    interrupted : bool
        Whether the user has asked to stop; whatever broke after that is the stopping itself.

    Returns
    -------
    int
        The exit code.
    """
    if interrupted or isinstance(error, KeyboardInterrupt | click.Abort | Cancelled):
        return _say("cancelled", CANCELLED)
    if isinstance(error, click.ClickException):
        return _say(_usage(error), BAD_INPUT)
    if isinstance(error, OutOfMemory):
        return _say(str(error), NO_MEMORY)
    if isinstance(error, MemoryError):
        return _say("not enough memory for this image; crop it, or give a region with --roi", NO_MEMORY)
    if isinstance(error, EffsegError):
        return _say(str(error), BAD_INPUT)
    if isinstance(error, OSError) and error.errno in _USERS_ERRNOS:
        return _say(f"{error.filename or 'a file'}: {error.strerror}", BAD_INPUT)
    return _say(f"a fault in effseg ({type(error).__name__}); please report it with {_log(error)}", OUR_FAULT)


def _usage(error: click.ClickException) -> str:
    message = error.format_message()
    context = getattr(error, "ctx", None)
    own_words = type(error) is click.UsageError  # ours say themselves what to do
    if isinstance(error, click.UsageError) and context is not None and not own_words:
        return f"{message.rstrip('.')}. Try: {context.command_path} --help"
    return message


def _say(message: str, code: int) -> int:
    click.echo(f"effseg: {' '.join(message.split())}", err=True)
    return code


def _log(error: BaseException) -> Path:
    """Write what a developer needs to a file of its own."""
    from platformdirs import user_log_path

    from .. import __version__

    lines = [
        f"effseg {__version__}, Python {sys.version}, {platform.platform()}",
        f"command: {sys.argv}",
        *traceback.format_exception(error),
    ]
    name = time.strftime("effseg-%Y%m%d-%H%M%S-") + f"{os.getpid()}.log"
    for folder in (user_log_path("effseg", appauthor=False), Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("\n".join(lines), encoding="utf-8")
        except OSError:
            continue  # a home that cannot be written to, as in some containers
        return folder / name
    return Path(os.devnull)
