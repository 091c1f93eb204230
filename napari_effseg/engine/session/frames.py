"""Frames: the square part of a slice that a network is shown, and its answer brought back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["OUTSIDE", "Framing", "Scaling", "inside_of", "put_back", "show"]

OUTSIDE = -10.0
"""Logit of what lies outside a frame."""


@dataclass(frozen=True)
class Framing:
    """How a square frame is cut from an image.

    Attributes
    ----------
    centre : (float, float)
        Pixel in the middle of the frame.
    side : float
        Of the frame, in pixels of the image.
    turn : float
        In radians.
    flip : bool
        Whether the first axis is mirrored.
    """

    centre: tuple[float, float]
    side: float
    turn: float = 0.0
    flip: bool = False

    @classmethod
    def whole(cls, sides: tuple[int, int]) -> Framing:
        """Frame of a whole image."""
        return cls(((sides[0] - 1) / 2, (sides[1] - 1) / 2), float(max(sides)))


def show(image: Tensor, framing: Framing, size: int, mode: str = "bilinear") -> Tensor:
    """Cut a frame; beyond the image there is 0.

    Parameters
    ----------
    image : Tensor, shape (C, I, J), float
    framing : Framing
    size : int
        Side of the result in pixels. Where that makes the image smaller, it is averaged first.
    mode : {"bilinear", "nearest"}

    Returns
    -------
    Tensor, shape (C, size, size)
    """
    shrink = int(framing.side / size)
    centre = framing.centre
    if shrink > 1 and mode == "bilinear":
        image = F.avg_pool2d(image[None], shrink, ceil_mode=True, count_include_pad=False)[0]
        centre = ((centre[0] + 0.5) / shrink - 0.5, (centre[1] + 0.5) / shrink - 0.5)
    else:
        shrink = 1
    half = framing.side / shrink / 2
    cos, sin = np.cos(framing.turn) * half, np.sin(framing.turn) * half
    mirror = -1.0 if framing.flip else 1.0
    rows, columns = image.shape[1:]
    # Rows of theta give x (second axis), then y; grids of torch run from -1 to 1 over the image's edges.
    theta = torch.tensor(
        [
            [2 / columns * cos, 2 / columns * sin * mirror, (2 * centre[1] + 1) / columns - 1],
            [-2 / rows * sin, 2 / rows * cos * mirror, (2 * centre[0] + 1) / rows - 1],
        ],
        dtype=torch.float32,
    )
    grid = F.affine_grid(theta[None], [1, 1, size, size], align_corners=False)
    return F.grid_sample(image[None], grid, mode=mode, padding_mode="zeros", align_corners=False)[0]


def put_back(answer: Tensor, framing: Framing, sides: tuple[int, int]) -> Tensor:
    """Bring an upright frame back to its image.

    Parameters
    ----------
    answer : Tensor, shape (C, S, S)
        Logits.
    framing : Framing
        Neither turned nor mirrored.
    sides : (I, J)
        Of the image.

    Returns
    -------
    Tensor, shape (C, I, J)
        `OUTSIDE` the frame as named.
    """
    rows, columns = (
        _mixing(side, centre, framing.side, answer.shape[-1])
        for side, centre in zip(sides, framing.centre, strict=True)
    )
    (top, across), (left, along) = rows, columns
    found = answer.new_full((len(answer), *sides), OUTSIDE)
    found[:, top : top + len(across), left : left + len(along)] = across @ answer @ along.T
    return found


def _mixing(side: int, centre: float, frame_side: float, size: int) -> tuple[int, Tensor]:
    """Linear interpolation along one axis: the first pixel in the frame, and how pixels mix the frame's.

    Pixels of the image that are finer than the frame's see its border stretched by half a pixel of its own.
    """
    half = frame_side / 2
    low = max(0, int(np.ceil(centre - half)))
    high = max(low, min(side, int(np.floor(centre + half)) + 1))
    places = (torch.arange(low, high, dtype=torch.float32) - centre + half) * (size / frame_side) - 0.5
    places = places.clamp(0, size - 1)
    before = places.floor().clamp(max=max(size - 2, 0)).long()
    share = places - before
    mixing = torch.zeros(high - low, size)
    lines = torch.arange(high - low)
    mixing[lines, before] = 1 - share
    if size > 1:
        mixing[lines, before + 1] = share
    return low, mixing


def inside_of(framing: Framing, sides: tuple[int, int], size: int) -> Tensor:
    """Say which pixels of an upright frame lie inside the image.

    Returns
    -------
    Tensor, shape (1, size, size), float32
        1 inside, 0 beyond.
    """
    steps = (torch.arange(size, dtype=torch.float32) + 0.5) * (framing.side / size) - framing.side / 2
    rows, columns = (
        ((steps + centre >= -0.5) & (steps + centre < side - 0.5)).float()
        for side, centre in zip(sides, framing.centre, strict=True)
    )
    return (rows[:, None] * columns)[None]


@dataclass(frozen=True)
class Scaling:
    """What brings an image to mean 0 and standard deviation 1, all channels together.

    Attributes
    ----------
    mean, spread : float
    """

    mean: float
    spread: float

    @classmethod
    def of(cls, image: Tensor, inside: Tensor) -> Scaling:
        """Measure what lies inside an image.

        Parameters
        ----------
        image : Tensor, shape (C, I, J)
        inside : Tensor, shape (1, I, J)
            1 inside the image, 0 in the margin around it.
        """
        weight = inside.expand_as(image)
        count = weight.sum().clamp_min(1)
        mean = (image * weight).sum() / count
        spread = (((image - mean) * weight).square().sum() / count).sqrt().clamp_min(1e-3)
        return cls(float(mean), float(spread))

    def apply(self, image: Tensor, inside: Tensor) -> Tensor:
        """Scale an image; 0 in the margin around it."""
        return (image - self.mean) / self.spread * inside
