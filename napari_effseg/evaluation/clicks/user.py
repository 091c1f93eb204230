"""Where the simulated user of an evaluation clicks: into the depth of the largest piece that is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ...engine.simulate import Click
from ...types import BoolArray, IndexBox

__all__ = ["correcting_click", "flat_box"]


def correcting_click(truth: BoolArray, mask: BoolArray, spacing: Sequence[float]) -> Click | None:
    """Click at the deepest place of the largest connected piece that is missing or too much.

    Nothing is drawn: the same masks give the same click. Of equals the missing piece is taken, and the first
    place in the order of the array.

    Parameters
    ----------
    truth, mask : ndarray of bool, shape (I, J)
    spacing : (float, float)
        Of the pixels, in mm.

    Returns
    -------
    Click or None
        None where nothing is wrong.
    """
    parts = ((truth & ~mask, True), (mask & ~truth, False))
    pieces = [(*_largest_piece(part), positive) for part, positive in parts]
    found = [piece for piece in pieces if piece[0]]
    if not found:
        return None
    _, piece, low, positive = max(found, key=lambda one: one[0])
    depth = ndimage.distance_transform_edt(np.pad(piece, 1), sampling=spacing)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return Click((low[0] + int(row), low[1] + int(column)), positive)


def flat_box(truth: BoolArray, axis: int, index: int) -> IndexBox:
    """Box around an object of a slice, half-open, one voxel thick.

    Parameters
    ----------
    truth : ndarray of bool
        Of the slice.
    axis, index : int
        The slice.
    """
    low, high = [], []
    for side in range(2):
        found = np.flatnonzero(truth.any(axis=1 - side))
        low.append(int(found[0]))
        high.append(int(found[-1]) + 1)
    low.insert(axis, index)
    high.insert(axis, index + 1)
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def _largest_piece(mask: BoolArray) -> tuple[int, BoolArray, tuple[int, int]]:
    """Size of the largest connected piece, the piece cut out, and its first row and column."""
    pieces, count = ndimage.label(mask, structure=np.ones((3, 3)))
    if not count:
        return 0, mask, (0, 0)
    sizes = np.bincount(pieces.ravel())[1:]
    number = int(sizes.argmax()) + 1
    rows, columns = ndimage.find_objects(pieces)[number - 1]
    return int(sizes[number - 1]), pieces[rows, columns] == number, (rows.start, columns.start)
