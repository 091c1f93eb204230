"""``.effseg`` files: a click session as a zip of JSON and packed masks, without pickle; no torch.

::

    session.json     format, image, model, history; arrays are named by number
    arrays/N.npy     masks and strokes, eight voxels a byte; paths of scribbles and lassos

The version is ``major.minor``: a newer minor version opens, a newer major version is refused in words.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import secrets
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from .errors import EffsegError, ExportError, ImageReadError
from .history import Commit, History
from .session_json import action_of, of_action, stored
from .session_state import ObjectVoxels, SessionState
from .types import PathLike

__all__ = ["read_member", "read_session", "read_state", "write_atomically", "write_session", "write_state"]

_MAJOR, _MINOR = 1, 0
_JSON = "session.json"
_MOST_JSON = 64 * 2**20
_MOST_ARRAY = 2**31
_MOST_VOXELS = 2**36
_MOST_ARRAYS = 200_000
_MOST_BYTES = 2**36
_TIME_JSON = "time.json"
_LEFT_SECONDS = 3600.0
"""No file takes as long to be written."""
_DAMAGE = (
    OSError,
    zipfile.BadZipFile,
    zlib.error,
    KeyError,
    TypeError,
    ValueError,
    IndexError,
    AttributeError,
    EOFError,
    OverflowError,
    RecursionError,
    NotImplementedError,  # of compressions that zipfile does not know
    RuntimeError,  # of encrypted members
)


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
    return write_atomically(path, lambda file: write_state(state, file))


def write_atomically(path: PathLike, write: Callable[[IO[bytes]], None]) -> Path:
    """Have an ``.effseg`` file written; an older one is replaced when the new one is whole.

    Parameters
    ----------
    path : path
        Ending in ``.effseg``.
    write : callable
        Given the open file.

    Raises
    ------
    ExportError
        If the name ends otherwise, or the file cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() != ".effseg":
        raise ExportError(f"{target}: expected a name that ends in .effseg")
    beside = f".{target.stem[:100]}."
    staged = target.with_name(f"{beside}{secrets.token_hex(4)}.effseg")
    _clear_away(target.parent, beside)
    try:
        with staged.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(staged, target)
        _flush_folder(target.parent)
    except OSError as err:
        raise ExportError(f"{target}: cannot be written ({err.strerror or err})") from err
    finally:
        with suppress(OSError):  # the same that was said before
            staged.unlink(missing_ok=True)
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


def write_state(state: SessionState, stream: IO[bytes]) -> None:
    """Write a session to an open file.

    Parameters
    ----------
    state : SessionState
    stream : binary file
    """
    arrays: list[NDArray[Any]] = []
    document = _document(state, arrays)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as file:
        file.writestr(_JSON, json.dumps(document))
        for number, array in enumerate(arrays):
            file.writestr(f"arrays/{number}.npy", _bytes_of(array))


def read_state(
    stream: IO[bytes], *, shape: tuple[int, int, int] | None = None, most: int = _MOST_BYTES
) -> SessionState:
    """Read a session from an open file.

    Parameters
    ----------
    stream : binary file
    shape : (I, J, K), optional
        Of the image that it must be of.
    most : int
        Bytes to which all its arrays together may unpack.

    Raises
    ------
    ImageReadError
        If it is damaged, of a newer major version, of an image of another shape, or claims more than it may.
    """
    try:
        with zipfile.ZipFile(stream) as file:
            if _TIME_JSON in file.namelist():
                raise ImageReadError(
                    "is a session over time; give the images of all its time points, in order"
                )
            document = json.loads(read_member(file, _JSON, min(_MOST_JSON, most)))
            return _state(document, _Arrays(file, most), shape)
    except EffsegError as err:
        raise ImageReadError(str(err)) from err
    except _DAMAGE as err:
        raise ImageReadError(f"is no session file, or a damaged one ({err})") from err


class _Arrays:
    """The arrays of a file, each read when it is asked for, its size looked at before."""

    def __init__(self, file: zipfile.ZipFile, most: int) -> None:
        self._file, self._left = file, most

    def read(self, number: int, dtype: type[np.generic], most: int) -> NDArray[Any]:
        """Read an array of a type, of at most so many bytes."""
        if not 0 <= int(number) < _MOST_ARRAYS:
            raise ImageReadError(f"names array {number}")
        allowed = min(most, _MOST_ARRAY, self._left)
        stream = io.BytesIO(read_member(self._file, f"arrays/{int(number)}.npy", allowed + 1024))
        self._left -= stream.getbuffer().nbytes
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise ImageReadError(f"array {number} is of an unknown form")
        shape, fortran, found = np.lib.format.read_array_header_1_0(stream)
        if fortran or found != np.dtype(dtype) or math.prod(shape) * found.itemsize > most:
            raise ImageReadError(f"array {number} is {found} {shape}; not what belongs there")
        return np.frombuffer(stream.read(), found, count=math.prod(shape)).reshape(shape)


def read_member(file: zipfile.ZipFile, name: str, most: int) -> bytes:
    """Read a member of an archive, refusing one that unpacks to more than it may.

    Raises
    ------
    ImageReadError
        If it claims, or is, more than `most` bytes.
    KeyError
        If there is none of that name.
    """
    size = file.getinfo(name).file_size
    if size > most:
        raise ImageReadError(f"{name} claims {size} bytes; at most {most} belong there")
    with file.open(name) as member:
        content = member.read(most + 1)
    if len(content) > most:
        raise ImageReadError(f"{name} unpacks to more than {most} bytes")
    return content


def _bytes_of(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.ascontiguousarray(array), (1, 0), allow_pickle=False)
    return stream.getvalue()


def _document(state: SessionState, arrays: list[NDArray[Any]]) -> dict[str, Any]:
    history = state.history
    return {
        "format": "effseg session",
        "version": f"{_MAJOR}.{_MINOR}",
        "written_by": f"napari-effseg {_version()}",
        "image": {
            "sha256": state.image_sha256,
            "shape": list(state.shape),
            "affine": np.asarray(state.affine).tolist(),
        },
        "model": {"card": state.model, "weights_sha256": state.weights_sha256},
        "history": {
            "actions": [of_action(action, arrays) for action in history.actions],
            "applied": len(history.applied),
            "last_id": history.last_id,
        },
        "objects": [stored(one.bits, arrays) for one in state.objects],
        "mask": stored(state.mask_bits, arrays),
        "review": None,
    }


def _version() -> str:
    try:
        return version("napari-effseg")
    except PackageNotFoundError:  # a copy without the package around it, as in Slicer
        return ""


def _state(document: Mapping[str, Any], arrays: _Arrays, shape: tuple[int, int, int] | None) -> SessionState:
    major = int(str(document["version"]).split(".")[0])
    if document["format"] != "effseg session" or major > _MAJOR:
        raise ImageReadError(
            f"is of version {document['version']}; this program reads {_MAJOR}. Update napari-effseg"
        )
    i, j, k = (int(side) for side in document["image"]["shape"])
    voxels = i * j * k
    if min(i, j, k) < 1 or voxels > _MOST_VOXELS:
        raise ImageReadError(f"is of an image of {i} x {j} x {k} voxels")
    if shape is not None and (i, j, k) != shape:
        raise ImageReadError(f"is of an image of {(i, j, k)} voxels; this one has {shape}")
    affine = np.asarray(document["image"]["affine"], np.float64)
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise ImageReadError("has no affine of 4 x 4 numbers")
    bits = (voxels + 7) // 8
    kept = document["history"]
    actions = [action_of(entry, arrays, (i, j, k)) for entry in kept["actions"]]
    history = History(actions, int(kept["applied"]), int(kept["last_id"]))
    commits = [action for action in history.applied if isinstance(action, Commit)]
    masks = [arrays.read(number, np.uint8, bits) for number in document["objects"]]
    return SessionState(
        str(document["image"]["sha256"]),
        (i, j, k),
        affine,
        str(document["model"]["card"]),
        str(document["model"]["weights_sha256"]),
        history,
        tuple(ObjectVoxels(commit, mask) for commit, mask in zip(commits, masks, strict=True)),
        arrays.read(document["mask"], np.uint8, bits),
    )


def _clear_away(folder: Path, beside: str) -> None:
    """Remove what a process that was killed while it saved has left; what another one writes now stays."""
    is_left = re.compile(re.escape(beside) + r"[0-9a-f]{8}\.effseg")
    with suppress(OSError):  # the writing itself will say what is wrong with the folder
        for entry in list(os.scandir(folder)):
            if is_left.fullmatch(entry.name) and time.time() - entry.stat().st_mtime > _LEFT_SECONDS:
                os.unlink(entry.path)


def _flush_folder(folder: Path) -> None:
    """Make a rename itself durable, where the system can (not on Windows)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems refuse; the file itself is flushed
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
