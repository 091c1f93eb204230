"""Pseudo-objects: what is of about one brightness, or lies between edges, in volumes that nobody labelled."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ...types import BoolArray

__all__ = ["pseudo_object"]

_BALL = ndimage.generate_binary_structure(3, 1)
_SHARE = (0.01, 0.35)
"""Of the block, smallest and largest."""


def pseudo_object(image: Tensor, inside: Tensor, random: np.random.Generator) -> Tensor | None:
    """Find something around the middle of a block that might be an object.

    Parameters
    ----------
    image, inside : Tensor, shape (S, S, S)
        Brightness; 1 inside the volume.
    random : numpy.random.Generator

    Returns
    -------
    Tensor, shape (S, S, S), bool, or None
        None if what was found is too small or too large.
    """
    smooth = ndimage.gaussian_filter(image.numpy(), float(random.uniform(0.6, 1.8)))
    size = len(smooth)
    seed = tuple(random.integers(size // 3, size - size // 3, 3).tolist())
    found = _flooded(smooth, seed, random) if random.random() < 0.6 else _between_edges(smooth, seed, random)
    found = ndimage.binary_opening(found, _BALL, iterations=int(random.integers(0, 2)))
    pieces, count = ndimage.label(found)
    if not count:
        return None
    largest = pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax())
    whole: BoolArray = ndimage.binary_fill_holes(largest) & (inside.numpy() > 0)
    return torch.from_numpy(whole) if _SHARE[0] < whole.mean() < _SHARE[1] else None


def _flooded(smooth: np.ndarray, seed: tuple[int, ...], random: np.random.Generator) -> BoolArray:
    """Voxels joined to one by brightness that differs little from its own."""
    tolerance = float(random.uniform(0.15, 0.7)) * float(smooth.std())
    pieces, _ = ndimage.label(np.abs(smooth - smooth[seed]) < tolerance)
    found: BoolArray = pieces == pieces[seed]
    return found


def _between_edges(smooth: np.ndarray, seed: tuple[int, ...], random: np.random.Generator) -> BoolArray:
    """Watershed of the edges' strength from random markers: the region of one voxel."""
    edges = ndimage.generic_gradient_magnitude(smooth, ndimage.sobel)
    steps = (255 * edges / max(float(edges.max()), 1e-6)).astype(np.uint8)
    markers = np.zeros(smooth.shape, np.int32)
    count = int(random.integers(6, 50))
    places = random.integers(0, len(smooth), (count, 3))
    quiet = ndimage.minimum_filter(steps, 5)
    for number, place in enumerate(places, start=2):
        at = tuple(place.tolist())
        if steps[at] <= quiet[at] + 10:
            markers[at] = number
    markers[seed] = 1
    found: BoolArray = ndimage.watershed_ift(steps, markers) == 1
    return found
