"""Actions and prompts as JSON whose arrays stand apart and are named by number; no torch.

``.effseg`` files and the server's wire format share it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import ImageReadError
from .history import Action, Add, Bring, Choose, Commit, Edit, Propagate, Remove, Stroke
from .prompts import Box, Lasso, Mask, Point, Prompt, Scribble
from .types import IndexBox

__all__ = ["ArraySource", "action_of", "box_of", "of_action", "of_prompt", "prompt_of", "stored"]

_HIGHEST_LABEL = 65535
_MOST_PATH = 64 * 2**20


class ArraySource(Protocol):
    """Gives arrays by their numbers, each looked at before it is read."""

    def read(self, number: int, dtype: type[np.generic], most: int) -> NDArray[Any]:
        """Read an array of a type, of at most so many bytes."""
        ...


def of_action(action: Action, arrays: list[NDArray[Any]]) -> dict[str, Any]:
    """JSON of an action; arrays are appended and named by number."""
    kind = type(action).__name__.lower()
    if isinstance(action, Add):
        return {
            "do": kind,
            "id": action.id,
            "shown": _maybe(action.shown),
            "prompt": of_prompt(action.prompt, arrays),
        }
    if isinstance(action, Edit):
        return {"do": kind, "id": action.id, "prompt": of_prompt(action.prompt, arrays)}
    if isinstance(action, Remove):
        return {"do": kind, "id": action.id}
    if isinstance(action, Stroke):
        bits = stored(np.packbits(action.inside), arrays)
        return {"do": kind, "id": action.id, "box": action.box, "inside": bits, "positive": action.positive}
    if isinstance(action, Bring):
        return {"do": kind, "box": action.box, "inside": stored(np.packbits(action.inside), arrays)}
    if isinstance(action, Choose):
        return {"do": kind, "axis": action.axis, "index": action.index, "hypothesis": action.hypothesis}
    if isinstance(action, Propagate):
        return {"do": kind, "axis": action.axis, "low": action.low, "high": action.high}
    return {"do": kind, "label": action.label, "name": action.name, "colour": list(action.colour)}


def action_of(entry: Mapping[str, Any], arrays: ArraySource, shape: tuple[int, int, int]) -> Action:
    """Read an action on an image of a shape back; the reverse of `of_action`.

    Raises
    ------
    ImageReadError, PromptError, KeyError, TypeError, ValueError
        If it is none.
    """
    kind = entry["do"]
    if kind == "add":
        shown = None if entry["shown"] is None else int(entry["shown"])
        return Add(int(entry["id"]), prompt_of(entry["prompt"], arrays, shape), shown)
    if kind == "edit":
        return Edit(int(entry["id"]), prompt_of(entry["prompt"], arrays, shape))
    if kind == "remove":
        return Remove(int(entry["id"]))
    if kind == "stroke":
        box = box_of(entry["box"], shape)
        return Stroke(int(entry["id"]), box, _inside(box, entry, arrays), bool(entry["positive"]))
    if kind == "bring":
        box = box_of(entry["box"], shape)
        return Bring(box, _inside(box, entry, arrays))
    if kind == "choose":
        return Choose(int(entry["axis"]), int(entry["index"]), int(entry["hypothesis"]))
    if kind == "propagate":
        low, high = (None if entry[end] is None else int(entry[end]) for end in ("low", "high"))
        return Propagate(int(entry["axis"]), low, high)
    if kind == "commit":
        return _commit(entry)
    raise ImageReadError(f"holds an action {kind!r} that this program does not know; update napari-effseg")


def _inside(box: IndexBox, entry: Mapping[str, Any], arrays: ArraySource) -> NDArray[np.bool_]:
    return _mask(arrays, entry["inside"], [high - low for low, high in zip(*box, strict=True)])


def _commit(entry: Mapping[str, Any]) -> Commit:
    label, (red, green, blue) = int(entry["label"]), (int(value) for value in entry["colour"])
    if not 1 <= label <= _HIGHEST_LABEL or not all(0 <= part <= 255 for part in (red, green, blue)):
        raise ImageReadError(f"holds an object of label {label} and colour {(red, green, blue)}")
    return Commit(label, str(entry["name"]), (red, green, blue))


def of_prompt(prompt: Prompt, arrays: list[NDArray[Any]]) -> dict[str, Any]:
    """JSON of a prompt; arrays are appended and named by number."""
    kind = {"kind": type(prompt).__name__.lower(), "positive": bool(prompt.positive)}
    if isinstance(prompt, Point):
        return {**kind, "index": prompt.index, "axis": _maybe(prompt.axis)}
    if isinstance(prompt, Box):
        return {**kind, "low": prompt.low, "high": prompt.high}
    if isinstance(prompt, Scribble):
        return {**kind, "points": stored(prompt.points, arrays), "radius": float(prompt.radius)}
    if isinstance(prompt, Lasso):
        return {**kind, "vertices": stored(prompt.vertices, arrays)}
    return {**kind, "bits": stored(np.packbits(prompt.array), arrays)}


def prompt_of(entry: Mapping[str, Any], arrays: ArraySource, shape: tuple[int, int, int]) -> Prompt:
    """Read a prompt for an image of a shape back; the reverse of `of_prompt`.

    Raises
    ------
    ImageReadError, PromptError, KeyError, TypeError, ValueError
        If it is none.
    """
    kind, positive = entry["kind"], bool(entry["positive"])
    if kind == "point":
        axis = None if entry["axis"] is None else int(entry["axis"])
        return Point(tuple(entry["index"]), positive=positive, axis=axis)
    if kind == "box":
        return Box(tuple(entry["low"]), tuple(entry["high"]), positive=positive)
    if kind == "scribble":
        points = arrays.read(entry["points"], np.float64, _MOST_PATH)
        return Scribble(points, float(entry["radius"]), positive=positive)
    if kind == "lasso":
        return Lasso(arrays.read(entry["vertices"], np.float64, _MOST_PATH), positive=positive)
    if kind == "mask":
        return Mask(_mask(arrays, entry["bits"], shape), positive=positive)
    raise ImageReadError(f"holds a prompt {kind!r} that this program does not know; update napari-effseg")


def stored(array: NDArray[Any], arrays: list[NDArray[Any]]) -> int:
    """Append an array, and return its number."""
    arrays.append(array)
    return len(arrays) - 1


def _maybe(axis: int | None) -> int | None:
    return None if axis is None else int(axis)  # of numpy, which JSON does not take


def _mask(arrays: ArraySource, number: int, shape: Sequence[int]) -> NDArray[np.bool_]:
    voxels = math.prod(shape)
    bits = arrays.read(number, np.uint8, (voxels + 7) // 8)
    if bits.shape != ((voxels + 7) // 8,):
        raise ImageReadError(f"holds a mask of {bits.size} bytes; {voxels} voxels were expected")
    return np.unpackbits(bits, count=voxels).reshape(shape).view(bool)


def box_of(given: Sequence[Sequence[int]], shape: tuple[int, int, int]) -> IndexBox:
    """Read a half-open box inside an image of a shape.

    Raises
    ------
    ImageReadError, TypeError, ValueError
        If it is none.
    """
    low, high = ([int(value) for value in corner] for corner in given)
    if len(low) != 3 or not all(0 <= a < b <= s for a, b, s in zip(low, high, shape, strict=True)):
        raise ImageReadError(f"holds a stroke in {given}, outside an image of {shape}")
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])
