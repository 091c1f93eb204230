"""Slices of an image as networks see them: upright in the body, pixels square, whatever the storage order.

Pixels of a plane run, first axis before second, towards the patient's left, back or feet: the two of these
that the plane has. A picture, stored as it is looked at, is therefore taken as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ...volume import Grid
from .upright import body_axis, runs_upright

__all__ = ["Plane"]

_SQUARE = 0.02
"""Pixels whose sides differ by less than this fraction count as square."""


@dataclass(frozen=True)
class Plane:
    """How slices across one array axis become pixels.

    Attributes
    ----------
    axis : int
        Array axis across the slices.
    axes : (int, int)
        Array axes along which the pixels' first and second axes run.
    flips : (bool, bool)
        Whether they run against them.
    voxels, pixels : (int, int)
        Sides of a slice, along `axes`.
    """

    axis: int
    axes: tuple[int, int]
    flips: tuple[bool, bool]
    voxels: tuple[int, int]
    pixels: tuple[int, int]

    @classmethod
    def across(cls, grid: Grid, axis: int) -> Plane:
        """Plane of a grid across an array axis.

        Examples
        --------
        >>> Plane.across(Grid((5, 6, 7), np.diag([1.0, 1.0, 1.0, 1.0])), 2).flips  # towards R and A
        (True, True)
        """
        one, other = sorted((a for a in range(3) if a != axis), key=lambda a: body_axis(grid, a))
        finest = min(grid.spacing[one], grid.spacing[other])
        pixels = [_pixels(grid.shape[a], grid.spacing[a] / finest) for a in (one, other)]
        return cls(
            axis,
            (one, other),
            (not runs_upright(grid, one), not runs_upright(grid, other)),
            (grid.shape[one], grid.shape[other]),
            (pixels[0], pixels[1]),
        )

    def image(self, data: NDArray[np.generic], index: int) -> Tensor:
        """Take a slice.

        Parameters
        ----------
        data : ndarray, shape (I, J, K) or (C, I, J, K)
        index : int
            Along the plane's axis.

        Returns
        -------
        Tensor, shape (C, *pixels), float32
        """
        volume = data if data.ndim == 4 else data[None]
        # not ndarray.take, which copies the whole of an image whose axes are turned
        part = np.ascontiguousarray(np.moveaxis(volume, 1 + self.axis, 0)[index], dtype=np.float32)
        return _scaled(self._turned(torch.from_numpy(part)), self.pixels)

    def mask(self, voxels: NDArray[np.bool_] | NDArray[np.float32]) -> Tensor:
        """Bring a mask of a slice, or logits, without the axis across it, to the pixels.

        Returns
        -------
        Tensor, shape pixels, float32
            Fractions where pixels and voxels differ.
        """
        given = torch.from_numpy(np.ascontiguousarray(voxels, dtype=np.float32))[None]
        return _scaled(self._turned(given), self.pixels)[0]

    def places(self, points: ArrayLike) -> NDArray[np.float64]:
        """Pixels of voxels.

        Parameters
        ----------
        points : array-like, shape (N, 3)
            Voxel indices.

        Returns
        -------
        ndarray, shape (N, 2)
            Centres of pixels at whole numbers.
        """
        given = np.asarray(points, float).reshape(-1, 3)[:, self.axes]
        sides = np.asarray(self.voxels)
        given = np.where(self.flips, sides - 1 - given, given)
        places: NDArray[np.float64] = (given + 0.5) * np.asarray(self.pixels) / sides - 0.5
        return places

    def voxels_at(self, places: ArrayLike) -> NDArray[np.int_]:
        """Voxels in which pixels lie: the inverse of `places`.

        Returns
        -------
        ndarray of int, shape (N, 2)
            Indices in a slice, along the array axes other than the one across, in their order.
        """
        given = np.asarray(places, float).reshape(-1, 2)
        sides = np.asarray(self.voxels)
        found: NDArray[np.int_] = np.rint((given + 0.5) * sides / np.asarray(self.pixels) - 0.5).astype(int)
        found = np.where(self.flips, sides - 1 - found, found)
        found = np.clip(found, 0, sides - 1).reshape(-1, 2)
        return found if self.axes[0] < self.axes[1] else found[:, ::-1]

    def back(self, pixels: Tensor) -> Tensor:
        """Bring pixels to the voxels of a slice.

        Parameters
        ----------
        pixels : Tensor, shape (C, *pixels)

        Returns
        -------
        Tensor
            (C, and the array axes other than the one across, in their order).
        """
        turned = _scaled(pixels, self.voxels)
        dims = [1 + place for place, flip in enumerate(self.flips) if flip]
        turned = turned.flip(dims) if dims else turned
        return turned if self.axes[0] < self.axes[1] else turned.transpose(1, 2)

    def _turned(self, part: Tensor) -> Tensor:
        """(C, rest of the array axes in their order) -> upright."""
        upright = part if self.axes[0] < self.axes[1] else part.transpose(1, 2)
        dims = [1 + place for place, flip in enumerate(self.flips) if flip]
        return upright.flip(dims) if dims else upright.contiguous()


def _pixels(voxels: int, ratio: float) -> int:
    return voxels if ratio < 1 + _SQUARE else max(1, round(voxels * ratio))


def _scaled(part: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(part.shape[1:]) == size:
        return part
    smaller = size[0] < part.shape[1] or size[1] < part.shape[2]
    return F.interpolate(part[None], size, mode="bilinear", align_corners=False, antialias=smaller)[0]
