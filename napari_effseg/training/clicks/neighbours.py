"""What an object looks like in the slice before: taken from a volume, or an object bent and shifted a little.

References
----------
Following an object from deformed masks of single images: Perazzi et al., MaskTrack, arXiv:1612.02646.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from ...types import BoolArray, IntArray
from .appearance import smooth_noise
from .cases import ObjectCase

__all__ = ["Bend", "followed_object"]

_SHIFT, _BENT, _LARGER = 0.12, 0.08, 0.2
"""Largest shift and bending as fractions of an object's side, largest change of its size's logarithm."""
_LEAST_PIXELS = 12
_PIECE = 0.7
"""Chance that one piece of a class is followed, where it has several."""
_REACH = 3
"""Pixels that a piece may move from one slice to the next, and still be the same."""


def followed_object(case: ObjectCase, random: np.random.Generator) -> tuple[BoolArray, BoolArray] | None:
    """Draw an object of the slice before, and find it in this one.

    Parameters
    ----------
    case : ObjectCase
        With `before`.
    random : numpy.random.Generator

    Returns
    -------
    before, target : ndarray of bool, shape (I, J), or None
        The target is empty where the object has ended. None if the draw is too small.
    """
    if case.before is None:
        return None
    there: IntArray = case.before.labels.numpy()
    present = np.setdiff1d(np.unique(there), [0])
    if len(present) == 0:
        return None
    label = random.choice(present)
    before, target = there == label, case.labels.numpy() == label
    numbered, count = ndimage.label(before, structure=np.ones((3, 3)))
    if count > 1 and random.random() < _PIECE:
        before = numbered == 1 + random.integers(count)
        near = ndimage.binary_dilation(before, iterations=_REACH)
        pieces, _ = ndimage.label(target, structure=np.ones((3, 3)))
        target = target & np.isin(pieces, pieces[near & target])
    return (before, target) if before.sum() >= _LEAST_PIXELS else None


@dataclass(frozen=True, eq=False)
class Bend:
    """A small random shift, change of size and bending of an object and of what lies around it.

    Attributes
    ----------
    grid : Tensor, shape (S, S, 2)
        Where each pixel comes from, as `torch.nn.functional.grid_sample` takes it.
    side : float
        Of the object, in pixels.
    strength : float
    """

    grid: Tensor
    side: float
    strength: float

    @classmethod
    def draw(cls, mask: Tensor, random: np.random.Generator, strength: float = 1.0) -> Bend:
        """Draw one for an object.

        Parameters
        ----------
        mask : Tensor, shape (S, S), bool
            Not empty.
        random : numpy.random.Generator
        strength : float
            0 changes nothing.
        """
        size = mask.shape[0]
        rows, columns = torch.nonzero(mask.any(dim=1)), torch.nonzero(mask.any(dim=0))
        low = torch.tensor([float(columns[0]), float(rows[0])])
        high = torch.tensor([float(columns[-1]), float(rows[-1])])
        side = float((high - low).max()) + 1
        middle = (low + high) / 2 * (2 / (size - 1)) - 1
        unit = strength * 2 * side / (size - 1)
        line = torch.linspace(-1, 1, size)
        grid = torch.stack([line[None, :].expand(size, size), line[:, None].expand(size, size)], dim=-1)
        zoom = float(np.exp(strength * random.uniform(-_LARGER, _LARGER)))
        shift = torch.from_numpy(random.uniform(-_SHIFT, _SHIFT, 2).astype(np.float32)) * unit
        cells = int(np.clip(round(size / side * random.uniform(1, 3)), 2, 16))
        waves = torch.stack([smooth_noise((size, size), cells, random)[0] for _ in range(2)], dim=-1)
        grid = (grid - middle) * zoom + middle + shift + float(random.uniform(0, _BENT)) * unit * waves
        return cls(grid, side, strength)

    def image(self, image: Tensor) -> Tensor:
        """Bend an image, shape (C, S, S); its border is stretched."""
        return F.grid_sample(image[None], self.grid[None], padding_mode="border", align_corners=True)[0]

    def mask(self, mask: Tensor, random: np.random.Generator) -> Tensor:
        """Bend a mask (S, S), thicken or thin it, and make its border more or less soft.

        Returns
        -------
        Tensor, shape (S, S), float32
            Probabilities.
        """
        moved = F.grid_sample(mask[None, None].float(), self.grid[None], align_corners=True)
        reach = int(self.strength * self.side * random.uniform(0, 0.06))
        if reach > 0:
            moved = F.avg_pool2d(moved, 2 * reach + 1, stride=1, padding=reach, count_include_pad=False)
        moved = moved - (0.5 + self.strength * float(random.uniform(-0.2, 0.2)))
        steep = float(np.exp(random.uniform(np.log(6), np.log(60))))
        return (steep * moved).sigmoid()[0, 0]
