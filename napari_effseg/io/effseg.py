"""``.effseg`` files: a click session as a zip of JSON and packed masks, without pickle.

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
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EffsegError, ExportError, ImageReadError
from ..history import Action, Add, Choose, Commit, Edit, History, Propagate, Remove, Stroke
from ..prompts import Box, Lasso, Mask, Point, Prompt, Scribble
from ..session_state import ObjectVoxels, SessionState
from ..types import IndexBox, PathLike
from .atomic import Replacement, place_files, staging_path

__all__ = ["read_session", "write_session"]

_MAJOR, _MINOR = 1, 0
_JSON = "session.json"
_MOST_JSON = 64 * 2**20
_MOST_ARRAY = 2**31
_MOST_VOXELS = 2**36
_MOST_ARRAYS = 200_000
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
    target = Path(path)
    if target.suffix.lower() != ".effseg":
        raise ExportError(f"{target}: expected a name that ends in .effseg")
    arrays: list[NDArray[Any]] = []
    document = _document(state, arrays)
    try:
        with staging_path(target) as staged:
            with zipfile.ZipFile(staged, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as file:
                file.writestr(_JSON, json.dumps(document))
                for number, array in enumerate(arrays):
                    file.writestr(f"arrays/{number}.npy", _bytes_of(array))
            with staged.open("rb+") as written:
                os.fsync(written.fileno())
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
        with zipfile.ZipFile(source) as file:
            document = json.loads(_member(file, _JSON, _MOST_JSON))
            return _state(document, _Arrays(file))
    except FileNotFoundError as err:
        raise ImageReadError(f"{source}: there is no such file") from err
    except EffsegError as err:
        raise ImageReadError(f"{source}: {err}") from err
    except _DAMAGE as err:
        raise ImageReadError(f"{source}: is no session file, or a damaged one ({err})") from err


class _Arrays:
    """The arrays of a file, each read when it is asked for, its size looked at before."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file

    def read(self, number: int, dtype: type[np.generic], most: int) -> NDArray[Any]:
        """Read an array of a type, of at most so many bytes."""
        if not 0 <= int(number) < _MOST_ARRAYS:
            raise ImageReadError(f"names array {number}")
        stream = io.BytesIO(_member(self._file, f"arrays/{int(number)}.npy", min(most, _MOST_ARRAY) + 1024))
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise ImageReadError(f"array {number} is of an unknown form")
        shape, fortran, found = np.lib.format.read_array_header_1_0(stream)
        if fortran or found != np.dtype(dtype) or math.prod(shape) * found.itemsize > most:
            raise ImageReadError(f"array {number} is {found} {shape}; not what belongs there")
        return np.frombuffer(stream.read(), found, count=math.prod(shape)).reshape(shape)


def _member(file: zipfile.ZipFile, name: str, most: int) -> bytes:
    """Read a member, refusing one that unpacks to more than it may."""
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
        "written_by": f"napari-effseg {version('napari-effseg')}",
        "image": {
            "sha256": state.image_sha256,
            "shape": list(state.shape),
            "affine": np.asarray(state.affine).tolist(),
        },
        "model": {"card": state.model, "weights_sha256": state.weights_sha256},
        "history": {
            "actions": [_of_action(action, arrays) for action in history.actions],
            "applied": len(history.applied),
            "last_id": history.last_id,
        },
        "objects": [_stored(one.bits, arrays) for one in state.objects],
        "mask": _stored(state.mask_bits, arrays),
        "review": None,
    }


def _state(document: Mapping[str, Any], arrays: _Arrays) -> SessionState:
    major = int(str(document["version"]).split(".")[0])
    if document["format"] != "effseg session" or major > _MAJOR:
        raise ImageReadError(
            f"is of version {document['version']}; this program reads {_MAJOR}. Update napari-effseg"
        )
    i, j, k = (int(side) for side in document["image"]["shape"])
    voxels = i * j * k
    if min(i, j, k) < 1 or voxels > _MOST_VOXELS:
        raise ImageReadError(f"is of an image of {i} x {j} x {k} voxels")
    affine = np.asarray(document["image"]["affine"], np.float64)
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise ImageReadError("has no affine of 4 x 4 numbers")
    bits = (voxels + 7) // 8
    kept = document["history"]
    actions = [_action(entry, arrays, (i, j, k)) for entry in kept["actions"]]
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


def _of_action(action: Action, arrays: list[NDArray[Any]]) -> dict[str, Any]:
    """JSON of an action; arrays are appended and named by number."""
    kind = type(action).__name__.lower()
    if isinstance(action, Add):
        return {
            "do": kind,
            "id": action.id,
            "shown": action.shown,
            "prompt": _of_prompt(action.prompt, arrays),
        }
    if isinstance(action, Edit):
        return {"do": kind, "id": action.id, "prompt": _of_prompt(action.prompt, arrays)}
    if isinstance(action, Remove):
        return {"do": kind, "id": action.id}
    if isinstance(action, Stroke):
        bits = _stored(np.packbits(action.inside), arrays)
        return {"do": kind, "id": action.id, "box": action.box, "inside": bits, "positive": action.positive}
    if isinstance(action, Choose):
        return {"do": kind, "axis": action.axis, "index": action.index, "hypothesis": action.hypothesis}
    if isinstance(action, Propagate):
        return {"do": kind, "axis": action.axis, "low": action.low, "high": action.high}
    return {"do": kind, "label": action.label, "name": action.name, "colour": list(action.colour)}


def _action(entry: Mapping[str, Any], arrays: _Arrays, shape: tuple[int, int, int]) -> Action:
    kind = entry["do"]
    if kind == "add":
        shown = None if entry["shown"] is None else int(entry["shown"])
        return Add(int(entry["id"]), _prompt(entry["prompt"], arrays, shape), shown)
    if kind == "edit":
        return Edit(int(entry["id"]), _prompt(entry["prompt"], arrays, shape))
    if kind == "remove":
        return Remove(int(entry["id"]))
    if kind == "stroke":
        box = _box(entry["box"], shape)
        inside = _mask(arrays, entry["inside"], [high - low for low, high in zip(*box, strict=True)])
        return Stroke(int(entry["id"]), box, inside, bool(entry["positive"]))
    if kind == "choose":
        return Choose(int(entry["axis"]), int(entry["index"]), int(entry["hypothesis"]))
    if kind == "propagate":
        low, high = (None if entry[end] is None else int(entry[end]) for end in ("low", "high"))
        return Propagate(int(entry["axis"]), low, high)
    if kind == "commit":
        red, green, blue = (int(value) for value in entry["colour"])
        return Commit(int(entry["label"]), str(entry["name"]), (red, green, blue))
    raise ImageReadError(f"holds an action {kind!r} that this program does not know; update napari-effseg")


def _of_prompt(prompt: Prompt, arrays: list[NDArray[Any]]) -> dict[str, Any]:
    kind = {"kind": type(prompt).__name__.lower(), "positive": prompt.positive}
    if isinstance(prompt, Point):
        return {**kind, "index": prompt.index, "axis": prompt.axis}
    if isinstance(prompt, Box):
        return {**kind, "low": prompt.low, "high": prompt.high}
    if isinstance(prompt, Scribble):
        return {**kind, "points": _stored(prompt.points, arrays), "radius": prompt.radius}
    if isinstance(prompt, Lasso):
        return {**kind, "vertices": _stored(prompt.vertices, arrays)}
    return {**kind, "bits": _stored(np.packbits(prompt.array), arrays)}


def _prompt(entry: Mapping[str, Any], arrays: _Arrays, shape: tuple[int, int, int]) -> Prompt:
    kind, positive = entry["kind"], bool(entry["positive"])
    if kind == "point":
        axis = None if entry["axis"] is None else int(entry["axis"])
        return Point(tuple(entry["index"]), positive=positive, axis=axis)
    if kind == "box":
        return Box(tuple(entry["low"]), tuple(entry["high"]), positive=positive)
    if kind == "scribble":
        points = arrays.read(entry["points"], np.float64, _MOST_JSON)
        return Scribble(points, float(entry["radius"]), positive=positive)
    if kind == "lasso":
        return Lasso(arrays.read(entry["vertices"], np.float64, _MOST_JSON), positive=positive)
    if kind == "mask":
        return Mask(_mask(arrays, entry["bits"], shape), positive=positive)
    raise ImageReadError(f"holds a prompt {kind!r} that this program does not know; update napari-effseg")


def _stored(array: NDArray[Any], arrays: list[NDArray[Any]]) -> int:
    arrays.append(array)
    return len(arrays) - 1


def _mask(arrays: _Arrays, number: int, shape: Sequence[int]) -> NDArray[np.bool_]:
    voxels = math.prod(shape)
    bits = arrays.read(number, np.uint8, (voxels + 7) // 8)
    return np.unpackbits(bits, count=voxels).reshape(shape).view(bool)


def _box(given: Sequence[Sequence[int]], shape: tuple[int, int, int]) -> IndexBox:
    low, high = ([int(value) for value in corner] for corner in given)
    if len(low) != 3 or not all(0 <= a < b <= s for a, b, s in zip(low, high, shape, strict=True)):
        raise ImageReadError(f"holds a stroke in {given}, outside an image of {shape}")
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])
