"""Objects that nobody labelled: what lies around a piece of a real image, hollow or filled.

Walls around a cavity, rims and crescents are rare among labelled objects; and a click off the object, in the
middle of a box, must take away all that looks like where it was made.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ...types import BoolArray, IntArray
from .appearance import smooth_noise
from .cases import ObjectCase
from .superpixels import superpixel_labels
from .targets import drawn_by_size

__all__ = ["composed_object", "painted"]

_LARGEST = 0.4
"""Largest part of an image that the piece in the middle may take."""
_LEAST_PIXELS = 24
_COMPACT = 0.4
"""Least part of its box that it fills."""
_REACH = (0.15, 0.8)
"""How far the object goes around the piece, as a share of the radius of a disk as large."""
_NEAR = 0.6
"""Pieces are taken as a whole if this much of them is near."""
_CUT = 0.6
"""Chance that of other pieces the near part is taken."""
_COLOURED = 0.3
"""Chance that what is painted into a picture with colours has one."""
_FILLED = 0.3
"""Chance that the piece in the middle belongs to the object."""


def composed_object(case: ObjectCase, random: np.random.Generator) -> BoolArray | None:
    """Draw a piece of an image, labelled or a superpixel, and take the pieces that lie around it.

    Parameters
    ----------
    case : ObjectCase
    random : numpy.random.Generator

    Returns
    -------
    ndarray of bool, shape (I, J), or None
        None if the draw is too small or too large.
    """
    pieces = _pieces(case, random)
    present = np.unique(pieces)
    core = _largest_piece(pieces == drawn_by_size(pieces, present, random))
    if core.sum() < _LEAST_PIXELS or core.mean() > _LARGEST or _filling(core) < _COMPACT:
        return None
    reach = max(2.0, float(np.sqrt(core.sum() / np.pi)) * random.uniform(*_REACH))
    distance = ndimage.distance_transform_edt(~core)
    near = (distance > 0) & (distance <= reach)
    share = np.bincount(pieces[near], minlength=len(present)) / np.bincount(
        pieces[~core], minlength=len(present)
    ).clip(1)
    cut = (share > 0) & (share < _NEAR) & (random.random(len(share)) < _CUT)
    found = ((share >= _NEAR)[pieces] & (distance <= 3 * reach)) | (cut[pieces] & near)
    found &= ~core
    if random.random() < _FILLED:
        found |= core
    found = _largest_piece(found)
    return found if found.sum() >= _LEAST_PIXELS else None


def painted(image: Tensor, mask: BoolArray, random: np.random.Generator) -> Tensor:
    """Give an object a brightness, a texture and an edge of its own, in an image that goes on around it.

    Parameters
    ----------
    image : Tensor, shape (C, I, J), uint8
    mask : ndarray of bool, shape (I, J)
    random : numpy.random.Generator

    Returns
    -------
    Tensor, shape (C, I, J), uint8
    """
    soft = torch.from_numpy(ndimage.gaussian_filter(mask.astype(np.float32), random.uniform(0.4, 1.5)))
    tones = random.uniform(0, 255, len(image) if random.random() < _COLOURED else 1)
    tone = torch.from_numpy(tones.astype(np.float32))[:, None, None]
    texture = smooth_noise(image.shape[1:], int(random.integers(4, 64)), random) * float(
        random.uniform(0, 40)
    )
    kept = float(random.uniform(0, 0.6))
    own = kept * image.float() + (1 - kept) * tone + texture
    return (image.float() * (1 - soft) + own * soft).round().clamp(0, 255).to(torch.uint8)


def _pieces(case: ObjectCase, random: np.random.Generator) -> IntArray:
    """Return a number for each piece of an image, from 0 on: its labels, and superpixels of the rest."""
    labels: IntArray = case.labels.numpy()
    superpixels = superpixel_labels(case.image, random).numpy()
    numbers: IntArray = np.where(labels > 0, labels + superpixels.max() + 1, superpixels)
    pieces: IntArray = np.unique(numbers, return_inverse=True)[1].reshape(labels.shape)
    return pieces


def _largest_piece(mask: BoolArray) -> BoolArray:
    """Return the largest connected piece."""
    numbered, count = ndimage.label(mask, structure=np.ones((3, 3)))
    if count < 2:
        return mask
    largest: BoolArray = numbered == np.bincount(numbered.ravel())[1:].argmax() + 1
    return largest


def _filling(mask: BoolArray) -> float:
    """Say how much of its box a mask fills."""
    sides = [int(np.ptp(np.flatnonzero(mask.any(axis=1 - axis)))) + 1 for axis in range(2)]
    return float(mask.sum()) / (sides[0] * sides[1])
