"""Prompts as images: the channels that an early-fusion network sees beside the picture."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["MAPS", "RADIUS", "blank_maps", "stamp"]

MAPS = ("previous", "positive", "negative", "region", "locked")
"""What each map shows: the last answer's probabilities; where points and scribbles lie on the object, and off
it; what boxes and lassos enclose; objects that are finished."""
RADIUS = 2.5
"""Radius of a point's disk, in pixels that the network sees."""


def blank_maps(count: int, size: int) -> Tensor:
    """No prompt.

    Returns
    -------
    Tensor, shape (count, len(MAPS), size, size)
    """
    return torch.zeros(count, len(MAPS), size, size)


def stamp(plane: Tensor, places: NDArray[np.float64]) -> None:
    """Set the disks of points, in place; what lies outside is left out.

    Parameters
    ----------
    plane : Tensor, shape (I, J)
    places : ndarray, shape (N, 2)
        Centres, in pixels of the plane; taken to the nearest one.
    """
    marked = (np.rint(places).astype(np.int64)[:, None] + _DISK).reshape(-1, 2)
    marked = marked[((marked >= 0) & (marked < np.asarray(plane.shape))).all(axis=1)]
    rows, columns = torch.from_numpy(marked).T
    plane[rows, columns] = 1


_REACH = np.arange(-int(RADIUS), int(RADIUS) + 1)
_DISK = np.asarray([(i, j) for i in _REACH for j in _REACH if i**2 + j**2 <= RADIUS**2])
