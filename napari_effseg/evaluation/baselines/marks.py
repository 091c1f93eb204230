"""Prompts of a slice as these methods take them: seeds on a smaller image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from ...engine.session.body import PlanePrompt
from ...types import BoolArray

__all__ = ["MarkSettings", "Marks", "marks_of"]


_MARGIN = 3
"""Pixels around what is looked at."""


@dataclass(frozen=True)
class MarkSettings:
    """How prompts become seeds.

    Attributes
    ----------
    side : int
        Larger slices are made smaller to this many pixels on their longer side.
    smooth : float
        Standard deviation of a Gaussian blur, in those pixels.
    radius : float
        Of a click, in those pixels.
    core : float
        Part of a box, along each side, in whose middle the object is taken for certain.
    core_stays : bool
        Whether it is after clicks on the object, too.
    reach : float
        Farther than this fraction of the longer side from what was marked as the object, there is background.
    """

    side: int = 192
    smooth: float = 0.0
    radius: float = 2.0
    core: float = 0.3
    core_stays: bool = True
    reach: float = 1.0


@dataclass(frozen=True, eq=False)
class Marks:
    """What is known of a slice.

    Attributes
    ----------
    pixels : ndarray, shape (R, C, 3), float32
        In [0, 1].
    inside, outside : ndarray of bool, shape (R, C)
        Seeds; nowhere both. The border of the slice is outside where nothing says otherwise.
    clicks, not_clicks : ndarray of int, shape (N, 2)
        Rows and columns of clicks and scribbles.
    allowed : ndarray of bool, shape (R, C)
        Where the object may be: in the boxes, if there are any, and within reach.
    window : (slice, slice)
        Part of the slice that is looked at: around the boxes, if there are any.
    """

    pixels: NDArray[np.float32]
    inside: BoolArray
    outside: BoolArray
    clicks: NDArray[np.int_]
    not_clicks: NDArray[np.int_]
    allowed: BoolArray
    window: tuple[slice, slice] = (slice(None), slice(None))


def marks_of(
    pixels: Tensor, prompts: Sequence[PlanePrompt], locked: Tensor | None, settings: MarkSettings
) -> Marks:
    """Bring a slice and its prompts to a smaller size, as seeds.

    Parameters
    ----------
    pixels : Tensor, shape (3, I, J)
    prompts : sequence of PlanePrompt
    locked : Tensor, shape (I, J), or None
        Objects that are finished: background.
    settings : MarkSettings
    """
    window = _window(prompts)
    pixels = pixels[:, window[0], window[1]]
    scale = min(1.0, settings.side / max(pixels.shape[1:]))
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[2] * scale)))
    small = _resized(pixels, size).permute(1, 2, 0).numpy()
    if settings.smooth:
        small = ndimage.gaussian_filter(small, (settings.smooth, settings.smooth, 0))
    clicks = _places(prompts, True, pixels, window, size)
    not_clicks = _places(prompts, False, pixels, window, size)
    inside, outside = _disks(clicks, size, settings.radius), _disks(not_clicks, size, settings.radius)
    boxed = np.zeros(size, bool)
    for prompt in prompts:
        if prompt.region is None:
            continue
        region = _resized(prompt.region[window][None], size)[0].numpy() > 0.5
        if prompt.positive:
            boxed |= region
            if settings.core_stays or not len(clicks):
                inside |= _core(region, settings.core)
        else:
            outside |= region
    allowed = _near(inside, settings.reach * max(size))
    if boxed.any():
        allowed = boxed
    if locked is not None:
        allowed = allowed & ~(_resized(locked[window][None], size)[0].numpy() > 0.5)
    inside &= allowed & ~outside
    inside[clicks[:, 0], clicks[:, 1]] = True
    outside = (outside | ~allowed | _border(size)) & ~inside
    return Marks(small, inside, outside, clicks, not_clicks, allowed, window)


def _window(prompts: Sequence[PlanePrompt]) -> tuple[slice, slice]:
    """Rows and columns of boxes and clicks on the object, with a margin; without a box all of the slice."""
    regions = [one.region for one in prompts if one.positive and one.region is not None]
    if not regions:
        return slice(None), slice(None)
    places = [one.places for one in prompts if one.positive and one.places is not None]
    found = np.concatenate([*(np.argwhere(region.numpy() > 0.5) for region in regions), *places])
    if not len(found):
        return slice(None), slice(None)
    low, high = np.floor(found.min(axis=0)).astype(int), np.ceil(found.max(axis=0)).astype(int) + 1
    low, high = np.maximum(low - _MARGIN, 0), high + _MARGIN
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))


def _resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(image.shape[1:]) == size:
        return image.float()
    return F.interpolate(image[None].float(), size, mode="area")[0]


def _places(
    prompts: Sequence[PlanePrompt],
    positive: bool,
    pixels: Tensor,
    window: tuple[slice, slice],
    size: tuple[int, int],
) -> NDArray[np.int_]:
    found = [one.places for one in prompts if one.places is not None and one.positive == positive]
    if not found:
        return np.zeros((0, 2), int)
    scales = np.asarray(size) / np.asarray(pixels.shape[1:])
    start = [part.start or 0 for part in window]
    places = np.rint((np.concatenate(found) - start + 0.5) * scales - 0.5).astype(int)
    within = ((places >= 0) & (places < size)).all(axis=1)
    seen: NDArray[np.int_] = np.unique(places[within], axis=0)
    return seen


def _disks(places: NDArray[np.int_], size: tuple[int, int], radius: float) -> BoolArray:
    drawn = np.zeros(size, bool)
    drawn[places[:, 0], places[:, 1]] = True
    return _near(drawn, radius) if len(places) else drawn


def _near(marked: BoolArray, distance: float) -> BoolArray:
    if not marked.any():
        return np.ones(marked.shape, bool)
    near: BoolArray = ndimage.distance_transform_edt(~marked) <= distance
    return near


def _border(size: tuple[int, int]) -> BoolArray:
    border = np.ones(size, bool)
    border[1:-1, 1:-1] = False
    return border


def _core(region: BoolArray, part: float) -> BoolArray:
    """Middle of a box, or of what a lasso encloses."""
    places = np.argwhere(region)
    core = np.zeros(region.shape, bool)
    if len(places):
        low, high = places.min(axis=0), places.max(axis=0) + 1
        cut = np.floor((high - low) * (1 - part) / 2).astype(int)
        core[low[0] + cut[0] : high[0] - cut[0], low[1] + cut[1] : high[1] - cut[1]] = True
    middle: BoolArray = core & region
    return middle
