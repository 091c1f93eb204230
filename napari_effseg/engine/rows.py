"""Resample rows of one grid to rows of another as they come, so that no whole float volume is needed.

Images go to the network's grid by cubic convolution, because linear interpolation blurs them more than the
networks were trained with. Class scores come back linearly, so that nothing rings around a boundary, with the
weights of `volume.resample_array`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..types import FloatArray
from ..volume import Grid, resample_array
from .windows import ROWS_BYTES, Rows

__all__ = ["AxisLine", "AxisTaps", "RowResampling", "bring_to"]

_ROUNDING = 1e-9
"""Voxels by which a place may miss a whole or half number because its grid was computed."""


@dataclass(frozen=True)
class AxisLine:
    """An axis on which target voxel t lies at ``scale * t + offset`` among the source's voxels."""

    scale: float
    offset: float
    source_side: int
    target_side: int


@dataclass(frozen=True, eq=False)
class AxisTaps:
    """Which source voxels each target voxel of an axis is made of.

    Attributes
    ----------
    index : Tensor, shape (T, target side), int64
        Source voxels, ascending in T.
    weight : Tensor, shape (T, target side), float32
        Sums to 1 over T; 0 where fewer than T are needed.
    """

    index: Tensor
    weight: Tensor

    @classmethod
    def linear(cls, line: AxisLine) -> AxisTaps:
        """Linear interpolation, after a Gaussian where the target is coarser, as `volume.resample_array`."""
        to_source = np.diag([line.scale, 1.0, 1.0, 1.0])
        to_source[0, 3] = line.offset
        side = line.source_side
        units = np.eye(side, dtype=np.float32)[:, :, None]  # resampled, they are the operator itself
        target = Grid((line.target_side, side, 1), to_source)
        return cls._of(resample_array(units, Grid((side, side, 1), np.eye(4)), target)[:, :, 0])

    @classmethod
    def between(cls, line: AxisLine) -> AxisTaps:
        """Linear interpolation between two voxels, to coarser targets too; edge voxels go on beyond."""
        place = np.clip(line.scale * np.arange(line.target_side) + line.offset, 0, line.source_side - 1)
        low = np.minimum(np.floor(place + _ROUNDING), line.source_side - 1).astype(np.int64)
        share = np.maximum(place - low, 0.0)
        index = np.stack([low, np.minimum(low + 1, line.source_side - 1)])
        weight = np.stack([1 - share, share]).astype(np.float32)
        return cls(torch.from_numpy(index), torch.from_numpy(weight))

    @classmethod
    def nearest(cls, line: AxisLine) -> AxisTaps:
        """Nearest voxel; of two equally near, the later."""
        place = line.scale * np.arange(line.target_side) + line.offset
        index = np.clip(np.floor(place + 0.5 + _ROUNDING), 0, line.source_side - 1).astype(np.int64)
        return cls(torch.from_numpy(index[None]), torch.ones((1, line.target_side)))

    @classmethod
    def nearest_slice(cls, line: AxisLine) -> AxisTaps:
        """Nearest voxel where both axes span the same field of view, rounded in the steps of nnU-Net.

        Slices often lie half-way between two others; then the last bit of a place decides.
        """
        ratio = float(line.source_side) / line.target_side
        place = ratio * (np.arange(line.target_side) + 0.5) - 0.5
        index = np.clip(np.floor(place + 0.5), 0, line.source_side - 1).astype(np.int64)
        return cls(torch.from_numpy(index[None]), torch.ones((1, line.target_side)))

    @classmethod
    def cubic(cls, line: AxisLine) -> AxisTaps:
        """Cubic convolution, its kernel widened where the target is coarser; edge voxels go on beyond.

        References
        ----------
        R. G. Keys, Cubic convolution interpolation for digital image processing, 1981 (a = -1/2).
        """
        place = np.clip(line.scale * np.arange(line.target_side) + line.offset, 0, line.source_side - 1)
        width = max(line.scale, 1.0)
        around = np.arange(-math.ceil(2 * width), math.ceil(2 * width) + 1)
        index = np.round(place)[:, None] + around
        weight = _keys_kernel(np.round(place[:, None] - index, 9) / width)
        operator = np.zeros((line.target_side, line.source_side))
        rows = np.broadcast_to(np.arange(line.target_side)[:, None], index.shape)
        np.add.at(operator, (rows, np.clip(index, 0, line.source_side - 1).astype(np.intp)), weight)
        return cls._of(operator / operator.sum(axis=1, keepdims=True))

    @classmethod
    def _of(cls, operator: FloatArray) -> AxisTaps:
        """Keep what is not 0 of a matrix (target side, source side)."""
        taps = int(np.count_nonzero(operator, axis=1).max())
        # The largest weights' places, then in ascending order; argsort is stable, so equal weights stay so.
        index = np.sort(np.argsort(-np.abs(operator), axis=1, kind="stable")[:, :taps], axis=1)
        weight = np.take_along_axis(operator, index, axis=1)
        return cls(torch.from_numpy(index.T.copy()), torch.from_numpy(weight.T.astype(np.float32)))

    @property
    def side(self) -> int:
        """Target voxels along the axis."""
        return self.index.shape[1]

    def needed(self, start: int, stop: int) -> tuple[int, int]:
        """Half-open range of source voxels that the target voxels ``start`` to ``stop`` depend on."""
        used = self.index[:, start:stop][self.weight[:, start:stop] != 0]
        return int(used.min()), int(used.max()) + 1

    def part(self, start: int, stop: int, first: int) -> AxisTaps:
        """Taps of the target voxels ``start`` to ``stop`` out of source voxels that begin at `first`."""
        weight = self.weight[:, start:stop]
        index = torch.where(weight != 0, self.index[:, start:stop] - first, 0)
        return AxisTaps(index, weight)

    def apply(self, values: Tensor, axis: int) -> Tensor:
        """Resample one axis of a tensor."""
        shape = [1] * values.ndim
        shape[axis] = self.side
        sampled = values.index_select(axis, self.index[0]).mul_(self.weight[0].reshape(shape))
        for index, weight in zip(self.index[1:], self.weight[1:], strict=True):
            sampled.addcmul_(values.index_select(axis, index), weight.reshape(shape))
        return sampled


class RowResampling:
    """The way from rows of one grid to rows of another with parallel axes, inside its field of view.

    Parameters
    ----------
    source, target : Grid
    taps : three callables
        For each axis: `AxisTaps.linear`, `AxisTaps.cubic`, ...
    """

    def __init__(self, source: Grid, target: Grid, taps: Sequence[Callable[[AxisLine], AxisTaps]]) -> None:
        to_source = np.linalg.inv(source.affine) @ target.affine
        self._target = target
        self._taps = [
            taps[axis](
                AxisLine(
                    float(to_source[axis, axis]),
                    float(to_source[axis, 3]),
                    source.shape[axis],
                    target.shape[axis],
                )
            )
            for axis in range(3)
        ]

    def needed(self, start: int, stop: int) -> tuple[int, int]:
        """Half-open range of source rows that the target rows ``start`` to ``stop`` depend on."""
        return self._taps[0].needed(start, stop)

    def complete(self, start: int, available: int, most: int) -> int:
        """End of the target rows from `start` that need no source row from `available` on, `most` at most."""
        stop = start
        while stop < min(self._target.shape[0], start + most) and self.needed(stop, stop + 1)[1] <= available:
            stop += 1
        return stop

    def in_plane(self, rows: Tensor) -> Tensor:
        """Resample the last two axes: (C, rows, J, K) of the source -> (C, rows, J, K) of the target."""
        # Whole rows are copied where the axis is not the last: six times as fast as one voxel at a time.
        turned = self._taps[2].apply(rows.transpose(2, 3).contiguous(), 2)
        return self._taps[1].apply(turned.transpose(2, 3).contiguous(), 2)

    def across(self, rows: Tensor, first: int, start: int, stop: int) -> Tensor:
        """Make target rows ``start`` to ``stop`` of source rows from `first` on, resampled in plane."""
        return self._taps[0].part(start, stop, first).apply(rows, 1)


def bring_to(
    rows: Iterator[Rows],
    source: Grid,
    target: Grid,
    taps: Sequence[Callable[[AxisLine], AxisTaps]] = (AxisTaps.linear,) * 3,
) -> Iterator[Rows]:
    """Bring rows of class scores from the network's grid to the image's, as they come.

    Parameters
    ----------
    rows : iterator of Rows
        Of `source`, in ascending order, without gaps.
    source, target : Grid
        Parallel axes; `target` lies inside the field of view of `source`.
    taps : three callables
        How each axis is interpolated.

    Yields
    ------
    Rows
        Of `target`, in ascending order; scores are interpolated linearly, so that a boundary lies where two
        classes are equally likely and not on the network's voxels.
    """
    offset = _whole_offset(source, target)
    if offset is not None:
        yield from _cut(rows, offset, target)
        return
    way = RowResampling(source, target, taps)
    held, first, done = torch.zeros((0,)), 0, 0
    for part in rows:
        most = max(ROWS_BYTES // (4 * part.values.shape[0] * target.shape[1] * target.shape[2]), 1)
        for at in range(0, part.values.shape[1], most):
            fresh = way.in_plane(part.values[:, at : at + most])
            held = torch.cat([held, fresh], dim=1) if held.numel() else fresh
            while (stop := way.complete(done, first + held.shape[1], most)) > done:
                yield Rows(done, way.across(held, first, done, stop))
                done = stop
            if done < target.shape[0]:
                keep = min(way.needed(done, done + 1)[0], first + held.shape[1])
                held, first = held[:, keep - first :].clone(), keep


def _keys_kernel(distance: FloatArray) -> FloatArray:
    x = np.abs(distance)
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    kernel: FloatArray = np.where(x <= 1, near, np.where(x < 2, far, 0.0))
    return kernel


def _whole_offset(source: Grid, target: Grid) -> tuple[int, int, int] | None:
    """Source index of the target's first voxel if the two grids share their voxels, else None."""
    to_source = np.linalg.inv(source.affine) @ target.affine
    drift = np.abs(to_source[:3, :3] - np.eye(3)) @ np.asarray(target.shape)
    offset = np.round(to_source[:3, 3])
    if drift.max() > 1e-3 or np.abs(to_source[:3, 3] - offset).max() > 1e-3:
        return None
    i, j, k = (int(start) for start in offset)
    return i, j, k


def _cut(rows: Iterator[Rows], offset: tuple[int, int, int], target: Grid) -> Iterator[Rows]:
    """Cut the target's box out of rows that share its voxels."""
    i0, j0, k0 = offset
    i, j, k = target.shape
    for part in rows:
        low = max(part.start, i0)
        high = min(part.start + part.values.shape[1], i0 + i)
        if low < high:
            inside = part.values[:, low - part.start : high - part.start, j0 : j0 + j, k0 : k0 + k]
            yield Rows(low - i0, inside)
