"""Rows of one grid against rows of another along the first axis, so that resampling can go band by band."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..volume import Grid, resample_array
from .frame import rows_of
from .windows import ROWS_BYTES, Rows

__all__ = ["RowMap", "bring_to"]


@dataclass(frozen=True)
class RowMap:
    """Target row t lies at ``scale * t + offset`` among the source's rows, and reaches `reach` rows around.

    Both grids have parallel axes.
    """

    scale: float
    offset: float
    reach: int
    source_side: int

    @classmethod
    def between(cls, target: Grid, source: Grid) -> RowMap:
        """Map the rows of `target` to those of `source`."""
        to_source = np.linalg.inv(source.affine) @ target.affine
        scale = float(to_source[0, 0])
        # `volume.resample_array` smooths before downsampling with this sigma, cut off at four of them.
        sigma = math.sqrt(max(scale**2 - 1, 0) / (8 * math.log(2)))
        return cls(scale, float(to_source[0, 3]), math.ceil(4 * sigma) + 2, source.shape[0])

    def needed(self, start: int, stop: int) -> tuple[int, int]:
        """Half-open range of source rows that the target rows ``start`` to ``stop`` depend on."""
        low = math.floor(self.scale * start + self.offset) - self.reach
        high = math.ceil(self.scale * (stop - 1) + self.offset) + self.reach + 1
        first = min(max(low, 0), self.source_side - 1)
        return first, max(min(high, self.source_side), first + 1)

    def complete(self, start: int, side: int, available: int, most: int) -> int:
        """End of the target rows from `start` that need no source row from `available` on, `most` at most."""
        stop = start
        while stop < min(side, start + most) and self.needed(stop, stop + 1)[1] <= available:
            stop += 1
        return stop


def bring_to(rows: Iterator[Rows], source: Grid, target: Grid) -> Iterator[Rows]:
    """Bring rows of class scores from the network's grid to the image's, as they come.

    Parameters
    ----------
    rows : iterator of Rows
        Of `source`, in ascending order, without gaps.
    source, target : Grid
        Parallel axes; `target` lies inside the field of view of `source`.

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
    way = RowMap.between(target, source)
    held, first, done = torch.zeros((0,)), 0, 0
    for part in rows:
        values = part.values.cpu()
        held = torch.cat([held, values], dim=1) if held.numel() else values
        most = max(ROWS_BYTES // (4 * values.shape[0] * target.shape[1] * target.shape[2]), 1)
        while (stop := way.complete(done, target.shape[0], first + held.shape[1], most)) > done:
            yield Rows(done, _sample(held, first, source, target, done, stop))
            done = stop
        if done < target.shape[0]:
            keep = way.needed(done, done + 1)[0]
            held, first = held[:, keep - first :].clone(), keep


def _sample(held: Tensor, first: int, source: Grid, target: Grid, start: int, stop: int) -> Tensor:
    """Target rows ``start`` to ``stop`` out of source rows that begin at `first`."""
    here = rows_of(source, first, first + held.shape[1])
    there = rows_of(target, start, stop)
    return torch.from_numpy(np.ascontiguousarray(resample_array(held.numpy(), here, there, order=1)))


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
