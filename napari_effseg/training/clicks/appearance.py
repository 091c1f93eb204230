"""Random changes of brightness, contrast and sharpness, and images that never were."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

__all__ = ["change_appearance", "smooth_noise", "synthetic"]

_HOLLOW = 0.5
"""Chance that some shapes of a synthetic image are shells, such as the walls of organs."""
_TUBE = 0.3
"""Chance that a tube winds through a synthetic image."""


def change_appearance(image: Tensor, random: np.random.Generator) -> Tensor:
    """Change an image of values in [0, 1] as another scanner, stain or window might have made it.

    Parameters
    ----------
    image : Tensor, shape (3, I, J)
    random : numpy.random.Generator
    """
    chance = random.random
    if chance() < 0.4:
        image = image.clamp_min(0) ** float(np.exp(random.uniform(-0.7, 0.7)))
    if chance() < 0.15:
        image = 1 - image
    if chance() < 0.15:
        image = _remapped(image, random)
    if chance() < 0.15:
        image = image.mean(dim=0, keepdim=True).expand_as(image)
    if chance() < 0.25:
        gains = torch.tensor(random.uniform(0.7, 1.3, 3), dtype=torch.float32)
        image = image * gains[:, None, None]
    if chance() < 0.3:
        field = smooth_noise(image.shape[1:], int(random.integers(2, 5)), random)
        image = image * (1 + float(random.uniform(0.1, 0.5)) * field)
    if chance() < 0.25:
        image = _blurred(image, float(random.uniform(0.4, 1.5)))
    if chance() < 0.35:
        noise = torch.from_numpy(random.standard_normal(image.shape).astype(np.float32))
        image = image + float(random.uniform(0.01, 0.12)) * noise
    if chance() < 0.2:
        low, high = sorted(random.uniform(0, 1, 2))
        if high - low > 0.3:
            image = ((image - float(low)) / float(high - low)).clamp(0, 1)
    return image


def smooth_noise(shape: torch.Size | tuple[int, ...], cells: int, random: np.random.Generator) -> Tensor:
    """Noise in about [-1, 1] that varies over a `cells`-th of the sides.

    Returns
    -------
    Tensor, shape (1, I, J)
    """
    coarse = torch.from_numpy(random.standard_normal((1, 1, cells + 1, cells + 1)).astype(np.float32))
    return F.interpolate(coarse, tuple(shape), mode="bicubic", align_corners=True)[0].clamp(-2, 2) / 2


def synthetic(size: int, random: np.random.Generator, apart: float = 0.0) -> list[tuple[Tensor, Tensor]]:
    """Make two images of random shapes, each with a brightness and a texture of its own.

    Returns
    -------
    list of (image, labels)
        Images (3, size, size) of values in [0, 1], labels (size, size), int32, from 1 on. The shapes of the
        second one have changed, or vanished, by as much as `apart` says; at 0 it is left out.
    """
    shapes = int(random.integers(2, 9))
    cells = int(random.integers(2, 9))
    extras = _Extras.draw(shapes, random)
    count = shapes + extras.count
    fields = torch.cat([smooth_noise((size, size), cells, random) for _ in range(shapes)])
    detail = torch.cat([smooth_noise((size, size), 4 * cells, random) for _ in range(shapes)])
    fields = fields + float(random.uniform(0, 0.25)) * detail
    colours = torch.from_numpy(
        random.uniform(0, 1, (count, 3 if random.random() < 0.3 else 1)).astype(np.float32)
    )
    strengths = random.uniform(0, 0.15, count)
    textures = [smooth_noise((size, size), int(random.integers(8, 48)), random) for _ in range(count)]
    sharpness = float(random.uniform(0.3, 1.2))
    pictures = []
    others = (
        torch.cat([smooth_noise((size, size), cells, random) for _ in range(shapes)]) if apart else fields
    )
    for angle in (0.0, apart) if apart else (0.0,):
        mixed = math.cos(angle) * fields + math.sin(angle) * others
        labels = extras.add(mixed.argmax(dim=0), mixed[0])
        image = colours[labels].permute(2, 0, 1).expand(3, -1, -1).clone()
        for label, (strength, texture) in enumerate(zip(strengths, textures, strict=True)):
            image += float(strength) * texture * (labels == label)
        pictures.append((_blurred(image, sharpness).clamp(0, 1), (labels + 1).int()))
    return pictures


@dataclass(frozen=True)
class _Extras:
    """Shells and a tube, which no division of a plane by smooth fields makes.

    Attributes
    ----------
    first : int
        Number of the first of them.
    walls : tuple of (int, float)
        A shape that becomes a shell, and how thick its wall is, as a share of the shape's greatest depth.
    tube : float
        Half the width of a tube around a line of equal value in a field; 0: none.
    """

    first: int
    walls: tuple[tuple[int, float], ...]
    tube: float

    @classmethod
    def draw(cls, shapes: int, random: np.random.Generator) -> _Extras:
        walls = []
        if random.random() < _HOLLOW:
            chosen = random.permutation(shapes)[: random.integers(1, 4)]
            walls = [(int(shape), float(random.uniform(0.1, 0.7))) for shape in chosen]
        tube = float(np.exp(random.uniform(*np.log((0.02, 0.1))))) if random.random() < _TUBE else 0.0
        return cls(shapes, tuple(walls), tube)

    @property
    def count(self) -> int:
        return len(self.walls) + (self.tube > 0)

    def add(self, labels: Tensor, field: Tensor) -> Tensor:
        """Give numbers of their own to what is inside of shells, and to the tube: (S, S)."""
        found = labels.clone()
        for number, (shape, share) in enumerate(self.walls):
            depth = torch.from_numpy(ndimage.distance_transform_edt((labels == shape).numpy()))
            found[depth > share * float(depth.max())] = self.first + number
        if self.tube:
            found[field.abs() < self.tube] = self.first + len(self.walls)
        return found


def _remapped(image: Tensor, random: np.random.Generator) -> Tensor:
    """Map brightness through a random curve that may fall as well as rise."""
    knots = torch.from_numpy(random.uniform(0, 1, 6).astype(np.float32))
    place = image.clamp(0, 1) * (len(knots) - 1)
    low = place.floor().long().clamp(max=len(knots) - 2)
    share = place - low
    return knots[low] * (1 - share) + knots[low + 1] * share


def _blurred(image: Tensor, sigma: float) -> Tensor:
    reach = max(1, round(3 * sigma))
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum()).expand(len(image), 1, -1)
    padded = F.pad(image[None], (reach,) * 4, mode="replicate")
    along = F.conv2d(padded, kernel[:, :, None, :], groups=len(image))
    return F.conv2d(along, kernel[:, :, :, None], groups=len(image))[0]
