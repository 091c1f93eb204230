"""``.effseg`` files of sessions over time: a zip of the sessions of all time points; no torch.

::

    time.json           format, and which time points each action has changed, or would change again, in order
    frames/N.effseg     session of a time point, as `session_file` writes it
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .errors import EffsegError, ImageReadError
from .session_file import read_member, read_state, write_atomically, write_state
from .session_state import SessionState
from .types import PathLike

__all__ = ["TimeState", "is_over_time", "read_time_session", "write_time_session"]

_JSON, _ONE_JSON = "time.json", "session.json"
_FORMAT = "effseg session over time"
_MAJOR, _MINOR = 1, 1
_MOST_FRAMES = 100_000
_MOST_JSON = 64 * 2**20


@dataclass(frozen=True)
class TimeState:
    """What a session over time is made of.

    Attributes
    ----------
    frames : tuple of SessionState
    done : tuple of (tuple of int)
        The time points that each action has changed, in order.
    undone : tuple of (tuple of int)
        Those of each action that was undone, the last one undone last.
    """

    frames: tuple[SessionState, ...]
    done: tuple[tuple[int, ...], ...]
    undone: tuple[tuple[int, ...], ...] = ()


def is_over_time(path: PathLike) -> bool:
    """Whether a file is a session over time; no if it cannot be read."""
    try:
        with zipfile.ZipFile(path) as file:
            return _JSON in file.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def write_time_session(state: TimeState, path: PathLike) -> Path:
    """Write a session over time; an older file is replaced when the new one is whole.

    Raises
    ------
    ExportError
        If the name does not end in ``.effseg``, or the file cannot be written.
    """

    def write(stream: IO[bytes]) -> None:
        document = {
            "format": _FORMAT,
            "version": f"{_MAJOR}.{_MINOR}",
            "frames": len(state.frames),
            "done": state.done,
            "undone": state.undone,
        }
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as file:  # what is inside is packed
            file.writestr(_JSON, json.dumps(document))
            for number, frame in enumerate(state.frames):
                packed = io.BytesIO()
                write_state(frame, packed)
                file.writestr(f"frames/{number}.effseg", packed.getvalue())

    return write_atomically(path, write)


def read_time_session(path: PathLike) -> TimeState:
    """Read a session over time.

    Raises
    ------
    ImageReadError
        If the file is missing, damaged, of a newer major version, or claims more than it may.
    """
    source = Path(path)
    try:
        with zipfile.ZipFile(source) as file:
            if _ONE_JSON in file.namelist():
                raise ImageReadError("is no session over time but one of a single image; give it alone")
            document = json.loads(read_member(file, _JSON, _MOST_JSON))
            major = int(str(document["version"]).split(".")[0])
            if document["format"] != _FORMAT or major > _MAJOR:
                raise ImageReadError(f"is of version {document['version']}; this program reads {_MAJOR}")
            count = int(document["frames"])
            if not 1 <= count <= _MOST_FRAMES:
                raise ImageReadError(f"claims {count} time points")
            done = _time_points(document["done"], count)
            undone = _time_points(document.get("undone", ()), count)
            most = source.stat().st_size  # they are stored as they are
            names = (f"frames/{number}.effseg" for number in range(count))
            frames = tuple(read_state(io.BytesIO(read_member(file, name, most))) for name in names)
            return TimeState(frames, done, undone)
    except FileNotFoundError as err:
        raise ImageReadError(f"{source}: there is no such file") from err
    except EffsegError as err:
        raise ImageReadError(f"{source}: {err}") from err
    except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError, RuntimeError) as err:
        raise ImageReadError(f"{source}: is no session over time, or a damaged one ({err})") from err


def _time_points(given: Sequence[Sequence[int]], count: int) -> tuple[tuple[int, ...], ...]:
    found = tuple(tuple(int(frame) for frame in frames) for frames in given)
    if any(not frames or not all(0 <= one < count for one in frames) for frames in found):
        raise ImageReadError("names time points that it does not have")
    return found
