"""Following an object from the slice before: along paths of least contrast, or by prompts made from it."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ...nets.geodesic import Contrast
from ...types import BoolArray
from .body import Hypothesis, PlanePrompt, SliceBody, SliceImage

__all__ = ["asked_again", "followed", "looks_other"]

_CORE, _AROUND = 0.7, 0.6
"""What lies this deep in the last mask, as a fraction of its deepest, is the object; what lies farther away
than this is not. Chosen with `_CHANGED` on three hippocampi (validation) and one left atrium."""
_SMOOTH = 1.0
"""Pixels of a Gaussian, so that the border does not fray from slice to slice."""
_LONGEST = 14.0
"""Of a path: what is farther counts no more."""
_SHARP = 4.0
_CHANGED = 0.5
"""Of the standard deviation of brightness in the last mask; the mean may change by so much, and a little."""
_LITTLE = 0.02
_GROWN = 0.15
"""The box around the last mask is wider than it by this fraction on each side."""


def followed(contrast: Contrast, before: Tensor) -> Tensor:
    """Find an object again near where it was: what its core reaches better than what lies around it does.

    Parameters
    ----------
    contrast : Contrast
        Of the slice as it is shown.
    before : Tensor, shape (I, J), bool
        The object in the slice before.

    Returns
    -------
    Tensor, shape (I, J), float32
        Logits, in [-4, 4].
    """
    mask: BoolArray = before.numpy()
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    core = depth >= max(_CORE * depth.max(), 1)
    beyond = ndimage.distance_transform_edt(~mask) > max(_AROUND * depth.max(), 1.5)
    inside, outside = (
        contrast.length(torch.from_numpy(seeds)).clamp_max(_LONGEST) for seeds in (core, beyond)
    )
    difference = outside - inside
    smooth = ndimage.gaussian_filter(difference.numpy(), _SMOOTH)
    return torch.from_numpy(smooth).clamp(-_SHARP, _SHARP)


def looks_other(last: SliceImage, before: Tensor, image: SliceImage, now: Tensor) -> bool:
    """Whether what was found is of another brightness than the object was: it has ended.

    Parameters
    ----------
    last, image : SliceImage
        The slice before, and this one.
    before, now : Tensor, shape (I, J), bool
        The object in them, neither of them empty.
    """
    was, found = last.pixels.mean(dim=0)[before], image.pixels.mean(dim=0)[now]
    allowed = _CHANGED * float(was.std(correction=0)) + _LITTLE
    return abs(float(found.mean()) - float(was.mean())) > allowed


def asked_again(body: SliceBody, image: SliceImage, before: Tensor, locked: Tensor | None) -> Hypothesis:
    """Answer `SliceBody.carry` with the mask before as the last answer, a box around it and a click in it."""
    mask: BoolArray = (before > 0).numpy()
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    deepest = np.asarray([np.unravel_index(int(depth.argmax()), depth.shape)], float)
    prompts = (_box_prompt(mask), PlanePrompt(positive=True, places=deepest))
    return body.answer(image, prompts, before, locked)[0]


def _box_prompt(mask: BoolArray) -> PlanePrompt:
    places = np.argwhere(mask)
    low, high = places.min(axis=0), places.max(axis=0) + 1
    grow = np.ceil(_GROWN * (high - low)).astype(int)
    top, left = np.maximum(low - grow, 0)
    bottom, right = np.minimum(high + grow, mask.shape)
    region = torch.zeros(mask.shape)
    region[top:bottom, left:right] = 1
    return PlanePrompt(
        positive=True, region=region, box=(float(top), float(left), float(bottom), float(right))
    )
