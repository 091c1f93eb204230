"""What is much darker or brighter than an object is where it is known is not carried on as a part of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from .blocks import KnownSlice
from .scene import Scene

__all__ = ["Likeness"]

_SHARE = 0.01
"""Of the known pixels, the darkest and the brightest so many are left out of account."""
_MARGIN, _LEAST_MARGIN = 0.05, 0.02
"""By how much brightness may lie outside of theirs: of its range, and of that of the image. Chosen, with the
others here, on choice sets and the training list of the hippocampus, with true masks in up to four slices."""
_COUNTS = 6.0
_SMOOTH = 0.7
"""Pixels of a Gaussian: a single odd pixel says little."""


@dataclass(frozen=True)
class Likeness:
    """Brightness, in [0, 1], that an object has where it is known.

    Attributes
    ----------
    low, high : float
    """

    low: float
    high: float

    @classmethod
    def of(cls, known: Sequence[KnownSlice], scene: Scene) -> Likeness:
        """Look at slices that are known."""
        seen = [
            _brightness(scene, one.axis, one.index)[scene.planes[one.axis].mask(one.mask) > 0.5]
            for one in known
        ]
        values = torch.cat(seen).numpy()
        if not len(values):
            return cls(-np.inf, np.inf)
        low, high = np.quantile(values, (_SHARE, 1 - _SHARE)).tolist()
        margin = _MARGIN * (high - low) + _LEAST_MARGIN
        return cls(low - margin, high + margin)

    def doubts(self, scene: Scene, axis: int, index: int) -> Tensor:
        """Logits to be added in a slice, (I, J) in pixels of its plane: negative where it looks otherwise."""
        seen = _brightness(scene, axis, index)
        other = ((seen < self.low) | (seen > self.high)).float().numpy()
        return torch.from_numpy(-_COUNTS * ndimage.gaussian_filter(other, _SMOOTH))


def _brightness(scene: Scene, axis: int, index: int) -> Tensor:
    return scene.slice((axis, index)).pixels.mean(dim=0)
