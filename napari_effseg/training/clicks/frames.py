"""Framing: which part of an image the network is shown, how large, and turned which way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...types import BoolArray

__all__ = ["Framing", "draw_framing", "show"]


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
    turn: float
    flip: bool


def draw_framing(target: BoolArray, whole: float, random: np.random.Generator) -> Framing:
    """Draw a framing: the whole image, or a part in which the object fills a fifth to nearly all of a side.

    Parameters
    ----------
    target : ndarray of bool, shape (I, J)
    whole : float
        Chance of the whole image.
    random : numpy.random.Generator
    """
    sides = np.asarray(target.shape, float)
    turn = random.uniform(-0.4, 0.4) if random.random() < 0.5 else 0.0
    turn += np.pi / 2 * random.integers(4)
    flip = bool(random.random() < 0.5)
    if random.random() < whole:
        return Framing(tuple((sides - 1) / 2), float(sides.max() * random.uniform(1.0, 1.1)), turn, flip)
    places = np.argwhere(target)
    low, high = places.min(axis=0), places.max(axis=0) + 1
    size = float((high - low).max())
    side = size * np.exp(random.uniform(np.log(1.15), np.log(5.0)))
    side = float(np.clip(side, 24.0, 1.1 * sides.max()))
    slack = max(0.0, 0.5 * (side - 1.1 * size))
    centre = (low + high - 1) / 2 + random.uniform(-slack, slack, 2)
    return Framing((float(centre[0]), float(centre[1])), side, turn, flip)


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
