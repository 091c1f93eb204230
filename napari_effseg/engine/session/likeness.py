"""What looks otherwise than an object does where it is known is not carried on as a part of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from ...types import BoolArray
from .blocks import KnownSlice
from .scene import Scene

__all__ = ["Likeness"]

# Chosen on choice sets and on the training list of the hippocampus, with masks in up to four slices that were
# the true ones, or wider by a pixel or two.
_SHARE = 0.01
"""Of the known pixels, the darkest and the brightest so many are left out of account."""
_MARGIN, _LEAST_MARGIN = 0.05, 0.02
"""By how much brightness may lie outside of theirs: of its range, and of that of the image."""
_LEVELS, _BLUR, _FLOOR = 48, 2.0, 0.1
"""Of histograms: levels, how many are joined, and what each holds at least, as a share of an even one."""
_RATHER = 1.0
"""Brightness that is so much likelier (by its logarithm) around the object than in it is not its own."""
_AROUND = 3.0
"""Pixels; what lies around an object is a ring as wide as the radius of a disk of its size, at least this."""
_COUNTS = 6.0
_SMOOTH = 0.7
"""Pixels of a Gaussian: a single odd pixel says little."""


@dataclass(frozen=True, eq=False)
class Likeness:
    """Brightness, in [0, 1], that an object does not have where it is known.

    Attributes
    ----------
    low, high : float
        What is darker or brighter is another thing.
    first, last : float
        Brightness of the first and the last level of a scale.
    others : ndarray of bool, shape (L,)
        Levels that are those of what lies around the object.
    """

    low: float
    high: float
    first: float
    last: float
    others: BoolArray

    @classmethod
    def of(cls, known: Sequence[KnownSlice], scene: Scene) -> Likeness:
        """Look at slices that are known, and at what lies around the object there."""
        inside, around = [np.zeros(0, np.float32)], [np.zeros(0, np.float32)]
        for one in known:
            mask: BoolArray = (scene.planes[one.axis].mask(one.mask) > 0.5).numpy()
            if mask.any():
                seen = _brightness(scene, one.axis, one.index)
                inside.append(seen[mask])
                around.append(seen[_ring(mask)])
        own, other = np.concatenate(inside), np.concatenate(around)
        if not len(own):
            return cls(-np.inf, np.inf, 0.0, 1.0, np.zeros(_LEVELS, bool))
        low, high = np.quantile(own, (_SHARE, 1 - _SHARE)).tolist()
        margin = _MARGIN * (high - low) + _LEAST_MARGIN
        first, last = np.quantile(np.concatenate([own, other]), (_SHARE, 1 - _SHARE)).tolist()
        last = max(last, first + 1e-6)
        ratio = np.log(_shares(own, first, last) / _shares(other, first, last))
        return cls(low - margin, high + margin, first, last, ratio < -_RATHER)

    def doubts(self, scene: Scene, axis: int, index: int) -> Tensor:
        """Logits to be added in a slice, (I, J) in pixels of its plane: negative where it looks otherwise."""
        seen = _brightness(scene, axis, index)
        other = (seen < self.low) | (seen > self.high) | self.others[_levels(seen, self.first, self.last)]
        return torch.from_numpy(-_COUNTS * ndimage.gaussian_filter(other.astype(np.float32), _SMOOTH))


def _brightness(scene: Scene, axis: int, index: int) -> NDArray[np.float32]:
    found: NDArray[np.float32] = scene.slice((axis, index)).pixels.mean(dim=0).numpy()
    return found


def _ring(mask: BoolArray) -> BoolArray:
    """Return what lies around a mask, but for its very border."""
    away = ndimage.distance_transform_edt(~mask)
    found: BoolArray = (away > 1) & (away <= max(_AROUND, float(np.sqrt(mask.sum() / np.pi))))
    return found


def _levels(values: NDArray[np.float32], first: float, last: float) -> NDArray[np.intp]:
    found: NDArray[np.intp] = np.clip((values - first) / (last - first) * _LEVELS, 0, _LEVELS - 1).astype(
        np.intp
    )
    return found


def _shares(values: NDArray[np.float32], first: float, last: float) -> NDArray[np.float64]:
    """Share of each level, a little blurred; an even one where there are no values."""
    counts = np.bincount(_levels(values, first, last), minlength=_LEVELS).astype(float)
    blurred = ndimage.gaussian_filter1d(counts if len(values) else np.ones(_LEVELS), _BLUR, mode="nearest")
    found: NDArray[np.float64] = blurred / blurred.sum() + _FLOOR / _LEVELS
    return found
