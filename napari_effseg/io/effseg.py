"""``.effseg`` files: a click session, as `session_file` lays it out, at its place or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import EffsegError, ExportError, ImageReadError
from ..session_file import read_state, write_state
from ..session_state import SessionState
from ..types import PathLike
from .atomic import Replacement, place_files, staging_path

__all__ = ["read_session", "write_session"]


def write_session(state: SessionState, path: PathLike) -> Path:
    """Write a session; an older file is replaced when the new one is whole.

    Parameters
    ----------
    state : SessionState
    path : path
        Ending in ``.effseg``.

    Raises
    ------
    ExportError
        If the name ends otherwise, or the file cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() != ".effseg":
        raise ExportError(f"{target}: expected a name that ends in .effseg")
    try:
        with staging_path(target) as staged:
            with staged.open("wb") as file:
                write_state(state, file)
                file.flush()
                os.fsync(file.fileno())
            place_files([Replacement(target, staged)])
    except OSError as err:
        raise ExportError(f"{target}: cannot be written ({err})") from err
    return target


def read_session(path: PathLike) -> SessionState:
    """Read a session.

    Raises
    ------
    ImageReadError
        If the file is missing, damaged, of a newer major version, or claims more than it may.
    """
    source = Path(path)
    try:
        with source.open("rb") as file:
            return read_state(file)
    except FileNotFoundError as err:
        raise ImageReadError(f"{source}: there is no such file") from err
    except OSError as err:
        raise ImageReadError(f"{source}: cannot be read ({err.strerror or err})") from err
    except EffsegError as err:
        raise ImageReadError(f"{source}: {err}") from err
