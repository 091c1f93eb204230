"""Prompts as images: the channels that an early-fusion network sees beside the picture."""

from __future__ import annotations

import torch
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


def stamp(plane: Tensor, index: tuple[float, float]) -> None:
    """Set a point's disk, in place.

    Parameters
    ----------
    plane : Tensor, shape (I, J)
    index : (float, float)
        Centre, in pixels of the plane.
    """
    rows, columns = plane.shape
    reach = int(RADIUS) + 1
    top, left = max(0, round(index[0]) - reach), max(0, round(index[1]) - reach)
    bottom, right = min(rows, round(index[0]) + reach + 1), min(columns, round(index[1]) + reach + 1)
    if bottom <= top or right <= left:
        return
    i = torch.arange(top, bottom)[:, None] - index[0]
    j = torch.arange(left, right)[None, :] - index[1]
    part = plane[top:bottom, left:right]
    part[i.square() + j.square() <= RADIUS**2] = 1
