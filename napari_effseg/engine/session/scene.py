"""The image of a session, its slices scaled to [0, 1] as networks see them."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ...session_state import image_sha256
from ...types import Spacing, SpatialShape
from ...volume import Grid, Volume
from .body import SliceImage
from .cubes import Cube
from .in_planes import SliceKey
from .planes import Plane

__all__ = ["Scene"]

_PERCENTILES = (0.5, 99.5)
_SAMPLED = 2_000_000
"""Voxels from which the range of brightness is taken, at most."""


class Scene:
    """An image, seen slice by slice.

    Parameters
    ----------
    volume : Volume
        One, three or more channels; of more than three the first three are seen.
    """

    def __init__(self, volume: Volume) -> None:
        self.volume = volume
        self.grid: Grid = volume.grid
        self.planes = (Plane.across(self.grid, 0), Plane.across(self.grid, 1), Plane.across(self.grid, 2))

    @property
    def shape(self) -> SpatialShape:
        """Voxels along the array axes."""
        return self.volume.shape

    @property
    def spacing(self) -> Spacing:
        """Millimetres a voxel."""
        return self.volume.spacing

    @cached_property
    def sha256(self) -> str:
        """Hash of the voxels and of where they lie."""
        return image_sha256(self.volume)

    @cached_property
    def range(self) -> tuple[float, float]:
        """Brightness that becomes 0 and 1: 8-bit images from end to end, others but for half a percent."""
        data = np.asarray(self.volume.data)
        if data.dtype == np.uint8:
            return 0.0, 255.0
        step = max(1, data.size // _SAMPLED)
        sample = data.reshape(-1)[::step].astype(np.float32)
        sample = sample[np.isfinite(sample)]
        if sample.size == 0:
            return 0.0, 1.0
        low, high = np.percentile(sample, _PERCENTILES)
        return float(low), float(max(high, low + 1e-6))

    def slice(self, key: SliceKey) -> SliceImage:
        """Return a slice as networks see it, with three channels."""
        axis, index = key
        low, high = self.range
        pixels = self.planes[axis].image(np.asarray(self.volume.data), index)
        pixels = _scaled(pixels, low, high)
        pixels = pixels[:3] if len(pixels) >= 3 else pixels[:1].expand(3, -1, -1)
        return SliceImage((self.sha256, axis, index), pixels)

    def within(self, cube: Cube) -> Tensor:
        """Return what a cube shows as networks see it: the mean of the channels, shape (S, S, S)."""
        low, high = self.range
        data = np.asarray(self.volume.data)
        channels = data[:3] if data.ndim == 4 else data[None]
        return _scaled(torch.stack([cube.show(channel) for channel in channels]), low, high).mean(dim=0)


def _scaled(values: Tensor, low: float, high: float) -> Tensor:
    return torch.nan_to_num((values - low) / (high - low), 0.0, 1.0, 0.0).clamp(0, 1)
