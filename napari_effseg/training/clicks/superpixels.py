"""Superpixels: pieces of an image that look alike, as objects of images that nobody labelled."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..._extras import require

__all__ = ["superpixel_labels"]

_SIDE = 160


def superpixel_labels(image: Tensor, random: np.random.Generator) -> Tensor:
    """Divide an image into pieces of a random coarseness (Felzenszwalb and Huttenlocher, IJCV 59, 2004).

    Parameters
    ----------
    image : Tensor, shape (C, I, J), uint8
    random : numpy.random.Generator

    Returns
    -------
    Tensor, shape (I, J), int32
        From 1 on.
    """
    segmentation = require("skimage.segmentation", "train", "superpixels")
    zoom = min(1.0, _SIDE / max(image.shape[1:]))
    small = image.float()[None] / 255
    if zoom < 1:
        small = F.interpolate(small, scale_factor=zoom, mode="area")
    scale = float(np.exp(random.uniform(np.log(60), np.log(600))))
    found = segmentation.felzenszwalb(
        small[0].permute(1, 2, 0).numpy(), scale=scale, sigma=0.8, min_size=40, channel_axis=2
    )
    labels = torch.from_numpy(found.astype(np.float32) + 1)[None, None]
    return F.interpolate(labels, image.shape[1:], mode="nearest")[0, 0].int()
