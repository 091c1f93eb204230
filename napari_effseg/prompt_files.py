"""Label maps that somebody drew as prompts: which scribbles they hold. No torch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .errors import PromptError
from .prompts import Point, Prompt, Scribble
from .types import IntArray

__all__ = ["scribbles_of"]

_OBJECT, _BACKGROUND = 1, 2
_NEIGHBOURS = ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, -1), (-1, 1))


def scribbles_of(labels: IntArray, axis: int) -> Iterator[Prompt]:
    """Turn a drawn label map into prompts: a line for each connected piece of each slice.

    The lines cover exactly the voxels that are set. Those on the object come first.

    Parameters
    ----------
    labels : ndarray of int, shape (I, J, K)
        1 on the object, 2 outside of it, 0 nothing.
    axis : int
        Array axis across the slices. Lines along an axis lie in two planes: give the session this one as the
        one that is shown.

    Raises
    ------
    PromptError
        If there are other numbers, or nothing was drawn.
    """
    found = np.unique(labels)
    odd = found[(found != 0) & (found != _OBJECT) & (found != _BACKGROUND)]
    if odd.size:
        listed = ", ".join(str(number) for number in odd[:5])
        raise PromptError(f"it holds {listed}; expected 1 on the object, 2 outside of it, 0 nothing")
    if not found.any():
        raise PromptError("the scribble is empty; expected 1 on the object, 2 outside of it")
    for number in (_OBJECT, _BACKGROUND):
        yield from _lines(labels == number, axis, number == _OBJECT)


def _lines(drawn: NDArray[np.bool_], axis: int, positive: bool) -> Iterator[Prompt]:
    from scipy import ndimage

    others = tuple(other for other in range(3) if other != axis)
    for index in np.flatnonzero(drawn.any(axis=others)):
        numbered, count = ndimage.label(np.take(drawn, index, axis), structure=np.ones((3, 3)))
        for piece in range(1, count + 1):
            voxels = np.insert(_walk(np.argwhere(numbered == piece)), axis, index, axis=1)
            if len(voxels) > 1:
                yield Scribble(voxels.astype(np.float64), positive=positive)
            else:
                i, j, k = voxels[0].tolist()
                yield Point((i, j, k), positive=positive, axis=axis)


def _walk(pixels: IntArray) -> IntArray:
    """Go through all pixels of a connected piece in steps to neighbours, back along the way where it ends."""
    left = {(row, column) for row, column in pixels.tolist()}
    here = min(left)
    left.discard(here)
    way, path, end = [here], [here], 1
    while left:
        row, column = way[-1]
        near = ((row + down, column + right) for down, right in _NEIGHBOURS)
        there = next((pixel for pixel in near if pixel in left), None)
        if there is None:
            way.pop()
        else:
            left.discard(there)
            way.append(there)
        path.append(way[-1])
        end = len(path) if there is not None else end
    return np.asarray(path[:end])
