"""Random changes of the appearance of volumes, and volumes that never were."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

__all__ = ["change_volume", "smooth_solid", "synthetic_volume"]


def change_volume(image: Tensor, random: np.random.Generator) -> Tensor:
    """Change a volume of values in [0, 1] as another scanner or sequence might have made it.

    Parameters
    ----------
    image : Tensor, shape (I, J, K)
    random : numpy.random.Generator
    """
    chance = random.random
    if chance() < 0.4:
        image = image.clamp_min(0) ** float(np.exp(random.uniform(-0.7, 0.7)))
    if chance() < 0.2:
        image = 1 - image
    if chance() < 0.15:
        knots = random.uniform(0, 1, 6)
        image = torch.from_numpy(np.interp(image.numpy(), np.linspace(0, 1, 6), knots).astype(np.float32))
    if chance() < 0.4:
        field = smooth_solid(tuple(image.shape), int(random.integers(2, 4)), random)
        image = image * (1 + float(random.uniform(0.1, 0.5)) * field)
    if chance() < 0.25:
        image = _blurred(image, float(random.uniform(0.4, 1.2)))
    if chance() < 0.4:
        noise = torch.from_numpy(random.standard_normal(tuple(image.shape)).astype(np.float32))
        image = image + float(random.uniform(0.01, 0.12)) * noise
    return image


def smooth_solid(shape: Sequence[int], cells: int, random: np.random.Generator) -> Tensor:
    """Noise in about [-1, 1] that varies over a `cells`-th of the sides, of that shape (I, J, K)."""
    sides = [min(cells + 1, side + 1) for side in shape]
    coarse = torch.from_numpy(random.standard_normal((1, 1, *sides)).astype(np.float32))
    found: Tensor = F.interpolate(coarse, tuple(shape), mode="trilinear", align_corners=True)[0, 0]
    return found.clamp(-2, 2) / 2


def synthetic_volume(size: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Make a volume of random shapes, each with a brightness and a texture of its own.

    Returns
    -------
    image : Tensor, shape (size, size, size)
        Values in [0, 1].
    labels : Tensor, shape (size, size, size), int32
        From 1 on.
    """
    count, cells = int(random.integers(3, 9)), int(random.integers(2, 7))
    shape = (size, size, size)
    fields = torch.stack([_waves(shape, cells, random) for _ in range(count)])
    labels = fields.argmax(dim=0)
    image = torch.from_numpy(random.uniform(0, 1, count).astype(np.float32))[labels]
    for label in range(count):
        texture = smooth_solid(shape, int(random.integers(6, 24)), random)
        image += float(random.uniform(0, 0.15)) * texture * (labels == label)
    return _blurred(image, float(random.uniform(0.3, 1.0))).clamp(0, 1), (labels + 1).int()


def _waves(shape: tuple[int, int, int], cells: int, random: np.random.Generator) -> Tensor:
    """Smooth noise with detail, without the edges of linear interpolation; often longer along one axis."""
    stretch = random.permutation([1.0, 1.0, float(random.uniform(0.3, 1.0))])
    sides = [max(2, round(cells * part)) + 1 for part in stretch]
    coarse = torch.from_numpy(random.standard_normal((1, 1, *sides)).astype(np.float32))
    found = F.interpolate(coarse, shape, mode="trilinear", align_corners=True)[0, 0]
    detail = smooth_solid(shape, 4 * cells, random)
    return _blurred(found, shape[0] / cells / 6) + float(random.uniform(0, 0.25)) * detail


def _blurred(image: Tensor, sigma: float) -> Tensor:
    return torch.from_numpy(ndimage.gaussian_filter(image.numpy(), sigma, mode="nearest"))
