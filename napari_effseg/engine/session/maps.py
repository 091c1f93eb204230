"""Prompts as images: the channels that an early-fusion network sees beside the picture."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from ...nets.geodesic import Contrast

__all__ = ["MAPS", "RADIUS", "STRENGTHS", "blank_maps", "border_strength", "stamp", "strengths"]

MAPS = ("previous", "positive", "negative", "region", "locked")
"""What each map shows: the last answer's probabilities; where points and scribbles lie on the object, and off
it; what boxes and lassos enclose; objects that are finished."""
STRENGTHS = ("positive", "negative", "border")
"""Further maps that follow from these and from the image: how strongly marks on the object, marks off it, and
the border of what is shown reach each pixel along the path of least contrast. Behind them stand two more,
where an object is followed from the slice before: that slice's brightness, and the object in it."""
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


def border_strength(contrast: Contrast, inside: Tensor) -> Tensor:
    """Return how strongly the border of what is shown reaches each pixel.

    Parameters
    ----------
    contrast : Contrast
        Of the image as the network sees it.
    inside : Tensor, shape (1, I, J)
        1 inside the image, 0 in the margin around it.

    Returns
    -------
    Tensor, shape (I, J)
        In [0, 1].
    """
    border = inside[0] < 0.5
    border[[0, -1]] = border[:, [0, -1]] = True
    return contrast.strength(border)


def strengths(contrast: Contrast, maps: Tensor, border: Tensor, before: Tensor) -> Tensor:
    """Return the maps that follow from the prompts and the image.

    Boxes and lassos say that what lies outside of them is off the object. The core of the object in the slice
    before stands for a mark on it.

    Parameters
    ----------
    contrast : Contrast
        Of the image as the network sees it.
    maps : Tensor, shape (len(MAPS), I, J)
    border : Tensor, shape (I, J)
        As of `border_strength`.
    before : Tensor, shape (I, J)
        Probabilities of the object in the slice before; 0 where none is followed.

    Returns
    -------
    Tensor, shape (len(STRENGTHS), I, J)
        In [0, 1].
    """
    _, positive, negative, region, locked = maps > 0.5
    if (before > 0.5).any():
        positive = positive | _core(before > 0.5)
    off = negative | locked
    if region.any():
        off = off | ~region
    return torch.stack([contrast.strength(positive), contrast.strength(off & ~positive), border])


def _core(mask: Tensor) -> Tensor:
    """Return what lies at least half as deep in a mask as its deepest pixel."""
    depth = ndimage.distance_transform_edt(np.pad(mask.numpy(), 1))[1:-1, 1:-1]
    return torch.from_numpy(depth >= max(depth.max() / 2, 1))


_REACH = np.arange(-int(RADIUS), int(RADIUS) + 1)
_DISK = np.asarray([(i, j) for i in _REACH for j in _REACH if i**2 + j**2 <= RADIUS**2])
