"""Blocks: the part of a volume that a three-dimensional network is shown, and its answer brought back.

A block stands upright in the body whatever the storage order, and has as many voxels along each axis. Axes of
the volume and of the block are parallel, so that each of them is resampled by a matrix of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ...nets.geodesic import SolidContrast
from ...types import BoolArray
from ...volume import Grid
from .upright import body_axis, runs_upright

__all__ = ["CHANNELS", "Block", "KnownSlice", "maps_of_slices", "seen_by_network"]

CHANNELS = ("image", "inside", "object", "other", "locked", "from_object", "from_other", "from_border")
"""What a network of blocks sees: the image, normalised; 1 inside of it; of the slices that are known, where
the object is and where it is not; objects that are finished; and how strongly three things reach each voxel
along the path of least contrast: the object, what is none of it, and the border of the block."""

_FLAT = 2.5
_STEEP = 3
"""Power of the strengths: in a volume nearly everything is reached by some path."""


@dataclass(frozen=True, eq=False)
class KnownSlice:
    """A slice in which the object is known.

    Attributes
    ----------
    axis, index : int
        Across which array axis, and where.
    mask : ndarray of bool
        Without that axis.
    """

    axis: int
    index: int
    mask: BoolArray


@dataclass(frozen=True)
class Block:
    """A block of a volume.

    Attributes
    ----------
    grid : Grid
        Of the volume.
    centre : (float, float, float)
        Voxel of the volume in the middle.
    sides : (float, float, float)
        Along the array axes of the volume, in mm.
    size : int
        Voxels of the block along each axis.
    """

    grid: Grid
    centre: tuple[float, float, float]
    sides: tuple[float, float, float]
    size: int

    @classmethod
    def around(cls, grid: Grid, centre: ArrayLike, sides: ArrayLike, size: int) -> Block:
        """Cut a block of about these sides; none is shorter than the longest one divided by `_FLAT`.

        Parameters
        ----------
        grid : Grid
        centre : array-like, shape (3,)
            In voxels of the volume.
        sides : array-like, shape (3,)
            In mm.
        size : int
            Voxels of the block along each axis.
        """
        i, j, k = np.asarray(centre, float).tolist()
        given = np.asarray(sides, float)
        first, second, third = np.maximum(given, given.max() / _FLAT).tolist()
        return cls(grid, (i, j, k), (first, second, third), size)

    def step(self, axis: int) -> float:
        """Voxels of the volume along an array axis that one of the block is long."""
        return self.sides[axis] / self.size / self.grid.spacing[axis]

    def places(self, axis: int) -> NDArray[np.float64]:
        """Where the block's voxels lie along an array axis, in voxels of the volume, upright.

        Returns
        -------
        ndarray, shape (size,)
        """
        steps = (np.arange(self.size) - (self.size - 1) / 2) * self.step(axis)
        turned = steps if runs_upright(self.grid, axis) else -steps
        return np.asarray(self.centre[axis] + turned, np.float64)

    def reading(self, axis: int) -> Tensor:
        """Matrix that resamples the volume along an array axis, averaging where the block is coarser.

        Returns
        -------
        Tensor, shape (size, voxels of the axis), float32
            Rows outside the volume are 0.
        """
        places, count = self.places(axis), self.grid.shape[axis]
        reach = max(1.0, self.step(axis))
        weights = np.clip(1 - np.abs(places[:, None] - np.arange(count)) / reach, 0, None)
        inside = (places >= -0.5) & (places < count - 0.5)
        weights *= inside[:, None] / np.maximum(weights.sum(axis=1, keepdims=True), 1e-6)
        return torch.from_numpy(weights.astype(np.float32))

    def show(self, data: NDArray[np.generic]) -> Tensor:
        """Cut the block from a volume; 0 beyond it.

        Parameters
        ----------
        data : ndarray, shape (I, J, K)

        Returns
        -------
        Tensor, shape (size, size, size), float32
        """
        first, second, third = (self.reading(axis) for axis in range(3))
        (j0, j1), (k0, k1) = _span(second), _span(third)
        found = torch.zeros(self.size, self.size, self.size)
        for index in torch.nonzero(first.any(dim=0)).ravel().tolist():  # slice by slice: volumes are large
            part = torch.from_numpy(np.ascontiguousarray(data[index, j0:j1, k0:k1], dtype=np.float32))
            seen = second[:, j0:j1] @ torch.nan_to_num(part, 0.0, 0.0, 0.0) @ third[:, k0:k1].T
            rows = torch.nonzero(first[:, index]).ravel()
            found[rows] += first[rows, index, None, None] * seen
        return found.permute(*self._order).contiguous()

    def inside(self) -> Tensor:
        """Say which voxels of the block lie in the volume: 1 there, else 0; shape (size, size, size)."""
        rows = [self.reading(axis).any(dim=1).float() for axis in range(3)]
        found = rows[0][:, None, None] * rows[1][:, None] * rows[2]
        return found.permute(*self._order).contiguous()

    def slices(self, answer: Tensor, axis: int, outside: float) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Bring the answer of a network back, slice by slice across an array axis.

        Parameters
        ----------
        answer : Tensor, shape (size, size, size)
        axis : int
        outside : float
            Value of what lies beyond the block.

        Yields
        ------
        int
            Index of a slice that meets the block.
        ndarray, float32
            Of the whole slice, without the axis.
        """
        mixing = [self._writing(a) for a in range(3)]
        turned = answer.permute(*np.argsort(self._order).tolist()).movedim(axis, 0)
        (low, across), (one, other) = mixing[axis], [mixing[a] for a in range(3) if a != axis]
        sides = [self.grid.shape[a] for a in range(3) if a != axis]
        for offset, weights in enumerate(across):
            part = torch.tensordot(weights, turned, dims=1)
            found = np.full(sides, outside, np.float32)
            (top, rows), (left, columns) = one, other
            found[top : top + len(rows), left : left + len(columns)] = (rows @ part @ columns.T).numpy()
            yield low + offset, found

    def slab(self, known: KnownSlice) -> tuple[Tensor, Tensor, int]:
        """Lay a slice into the block.

        Returns
        -------
        planes : Tensor of int
            The block's planes that it takes up, at least one where it meets the block.
        mask : Tensor, shape (size, size), bool
            Of each of them.
        axis : int
            Axis of the block across them.
        """
        others = [a for a in range(3) if a != known.axis]
        places = self.places(known.axis)
        reach = max(0.5, self.step(known.axis) / 2 + 1e-6)
        planes = torch.from_numpy(np.flatnonzero(np.abs(places - known.index) <= reach))
        mask = self.reading(others[0]) @ torch.from_numpy(known.mask.astype(np.float32))
        seen = mask @ self.reading(others[1]).T > 0.5
        turned = seen if self.axis_of(others[0]) < self.axis_of(others[1]) else seen.T
        return planes, turned, self.axis_of(known.axis)

    def axis_of(self, axis: int) -> int:
        """Return the block's axis along which an array axis runs."""
        return self._order.index(axis)

    @property
    def _order(self) -> list[int]:
        """Array axes in the order of the block's."""
        return sorted(range(3), key=lambda axis: body_axis(self.grid, axis))

    def _writing(self, axis: int) -> tuple[int, Tensor]:
        """First voxel of an axis in the block, and how voxels mix the block's, linearly."""
        places, count = self.places(axis), self.grid.shape[axis]
        step = places[1] - places[0]
        low = max(0, int(np.ceil(places.min() - abs(step) / 2)))
        high = max(low, min(count, int(np.floor(places.max() + abs(step) / 2)) + 1))
        at = np.clip((np.arange(low, high) - places[0]) / step, 0, self.size - 1)
        weights = np.clip(1 - np.abs(at[:, None] - np.arange(self.size)), 0, None)
        return low, torch.from_numpy(weights.astype(np.float32))


def maps_of_slices(block: Block, known: Sequence[KnownSlice], inside: Tensor) -> tuple[Tensor, Tensor]:
    """Lay the slices that are known into a block.

    Returns
    -------
    object, other : Tensor, shape (S, S, S), bool
        Where a slice shows the object, and where it shows that there is none of it.
    """
    found, other = (torch.zeros_like(inside, dtype=torch.bool) for _ in range(2))
    for one in known:
        planes, mask, axis = block.slab(one)
        for plane in planes.tolist():
            found.select(axis, plane).logical_or_(mask)
            other.select(axis, plane).logical_or_(~mask)
    return found, other & ~found & (inside > 0)


def seen_by_network(image: Tensor, inside: Tensor, known: Tensor, other: Tensor, locked: Tensor) -> Tensor:
    """Put together what a network of blocks sees.

    Parameters
    ----------
    image : Tensor, shape (S, S, S)
        Of any brightness.
    inside : Tensor, shape (S, S, S)
        1 inside the volume.
    known, other, locked : Tensor, shape (S, S, S), bool
        Where the object is known to be, where it is known not to be, and objects that are finished.

    Returns
    -------
    Tensor, shape (len(CHANNELS), S, S, S), float32
    """
    values = image[inside > 0]
    mean, spread = (values.mean(), values.std(correction=0)) if len(values) else (image.mean(), image.std())
    shown = (image - mean) / spread.clamp_min(1e-3) * inside
    border = inside < 0.5
    for axis in range(3):
        border.select(axis, 0).fill_(True)
        border.select(axis, -1).fill_(True)
    contrast = SolidContrast.of(shown)
    seeds = (known, (other | locked) & ~known, border & ~known)
    reached = [contrast.strength(one) ** _STEEP for one in seeds]
    return torch.stack([shown, inside, known.float(), other.float(), locked.float(), *reached])


def _span(weights: Tensor) -> tuple[int, int]:
    used = torch.nonzero(weights.any(dim=0)).ravel()
    return (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
