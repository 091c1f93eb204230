"""The slice before as prompts, for bodies that were not taught to follow an object."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ...types import BoolArray
from .body import Hypothesis, PlanePrompt, SliceBody, SliceImage

__all__ = ["asked_again"]

_GROWN = 0.15
"""The box around the last mask is wider than it by this fraction on each side."""


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
