"""The image of a session, its slices scaled to [0, 1] as networks see them."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ...session_state import image_sha256
from ...types import Spacing, SpatialShape
from ...volume import Grid, Volume
from .blocks import Block
from .body import SliceImage
from .in_planes import SliceKey
from .planes import Plane
from .tones import Tones

__all__ = ["Scene"]


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
    def tones(self) -> Tones:
        """What turns its values into brightness."""
        return Tones.of(np.asarray(self.volume.data), self.volume.modality)

    def slice(self, key: SliceKey) -> SliceImage:
        """Return a slice as networks see it, with three channels."""
        axis, index = key
        pixels = self.tones.apply(self.planes[axis].image(np.asarray(self.volume.data), index))
        pixels = pixels[:3] if len(pixels) >= 3 else pixels[:1].expand(3, -1, -1)
        return SliceImage((self.sha256, axis, index), pixels)

    def within(self, block: Block) -> Tensor:
        """Return what a block shows as networks see it: the mean of the channels, shape (S, S, S)."""
        data = np.asarray(self.volume.data)
        channels = data[:3] if data.ndim == 4 else data[None]
        return self.tones.apply(torch.stack([block.show(channel) for channel in channels])).mean(dim=0)
