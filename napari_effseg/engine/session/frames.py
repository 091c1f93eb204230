"""Frames: the square part of a slice that a network is shown, and its answer brought back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["OUTSIDE", "Framing", "normalised", "put_back", "show"]

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
        (torch.arange(side, dtype=torch.float32) - centre) * (2 / framing.side)
        for side, centre in zip(sides, framing.centre, strict=True)
    )
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
    # Pixels of the image that are finer than the frame's see its border stretched by half a pixel of its own.
    found = F.grid_sample(answer[None], grid[None], padding_mode="border", align_corners=False)[0]
    beyond = (rows.abs() > 1)[:, None] | (columns.abs() > 1)[None, :]
    return found.masked_fill(beyond, OUTSIDE)


def normalised(image: Tensor, inside: Tensor) -> Tensor:
    """Mean 0 and standard deviation 1 of what lies inside the image, all channels together; 0 outside.

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
    return (image - mean) / spread * weight
