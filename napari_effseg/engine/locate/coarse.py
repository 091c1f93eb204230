"""A coarse copy of a large image, for registration; the image is read once, a block at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import VolumeError
from ...volume import Grid, Reorientation, Voxels, blocks_of, view_of

__all__ = ["CoarseImage", "coarse_copy"]

_SPACING_MM = 4.0
_BLOCK_VOXELS = 2**21
_DARK, _BRIGHT = 1.0, 99.0  # percentiles: a few bright vessels or eyes must not make all else dark
_AIR = (
    0.05  # of the range; darker voxels do not count for the bright end, however large the air around a head
)


@dataclass(frozen=True, eq=False)
class CoarseImage:
    """Means over cells of whole voxels, axes nearest to RAS.

    Attributes
    ----------
    values : (I, J, K), float32
        In [0, 1]: from dark to bright, the brightest cut off.
    grid : Grid
        Of the cells' centres.
    lowest, highest : float
        Range of the means, in the image's own units.
    """

    values: NDArray[np.float32]
    grid: Grid
    lowest: float
    highest: float


def coarse_copy(channel: Voxels, grid: Grid, after_block: Callable[[], None] = lambda: None) -> CoarseImage:
    """Average an image over cells of about 4 mm; voxels that are not finite are left out.

    The axes are turned towards RAS first, so that every storage of an image has the same cells.

    Parameters
    ----------
    channel : array, shape (I, J, K)
        May be read when it is needed: memory is bounded by the copy and a block.
    grid : Grid
        Of the channel.
    after_block : callable
        Called after each block; it may raise to stop.

    Raises
    ------
    VolumeError
        If no voxel is finite.
    """
    turn = Reorientation.between(grid.affine, grid.shape, "RAS")
    whole = turn.apply(view_of(channel))
    factors = [max(1, round(_SPACING_MM / side)) for side in turn.grid.spacing]
    shape = tuple(-(-side // factor) for side, factor in zip(whole.shape, factors, strict=True))
    sums, counts = np.zeros(shape), np.zeros(shape)
    for block in blocks_of(whole, _BLOCK_VOXELS):
        values = np.asarray(whole[block], dtype=np.float64)
        finite = np.isfinite(values)
        cells, cuts = _cells(block, factors)
        sums[cells] += _sum_over(np.where(finite, values, 0.0), cuts)
        counts[cells] += _sum_over(finite.astype(np.float64), cuts)
        after_block()
    if not counts.any():
        raise VolumeError("the image has no finite voxel: every value is NaN or infinite")
    means = np.divide(sums, counts, out=np.full(shape, np.inf), where=counts > 0)
    means[counts == 0] = means.min()
    return CoarseImage(
        _stretched(means), _cell_grid(turn.grid, factors, shape), float(means.min()), float(means.max())
    )


def _cells(block: tuple[slice, ...], factors: list[int]) -> tuple[tuple[slice, ...], list[NDArray[np.intp]]]:
    """Cells that a block of voxels lies in, and for each axis where in the block a new cell begins."""
    cells, cuts = [], []
    for side, factor in zip(block, factors, strict=True):
        number = np.arange(side.start, side.stop) // factor
        cells.append(slice(int(number[0]), int(number[-1]) + 1))
        cuts.append(np.flatnonzero(np.diff(number, prepend=-1)))
    return tuple(cells), cuts


def _sum_over(values: NDArray[np.float64], cuts: list[NDArray[np.intp]]) -> NDArray[np.float64]:
    for axis, cut in enumerate(cuts):
        values = np.add.reduceat(values, cut, axis=axis)
    return values


def _cell_grid(grid: Grid, factors: list[int], shape: tuple[int, ...]) -> Grid:
    """Grid of the cells; the last of an axis may hold fewer voxels, and counts as if it held all."""
    step = np.diag([*factors, 1.0])
    step[:3, 3] = (np.asarray(factors) - 1) / 2
    i, j, k = shape
    return Grid((i, j, k), grid.affine @ step)


def _stretched(means: NDArray[np.float64]) -> NDArray[np.float32]:
    """Scale to [0, 1], so that the tissue of a head fills most of the range."""
    low, high = np.percentile(means, (_DARK, 99.5))
    tissue = means[means > low + _AIR * (high - low)]
    if tissue.size:
        high = np.percentile(tissue, _BRIGHT)
    if high <= low:
        return np.zeros(means.shape, np.float32)
    stretched: NDArray[np.float32] = ((means - low) / (high - low)).clip(0, 1).astype(np.float32)
    return stretched
