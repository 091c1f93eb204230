"""Linear interpolation along one axis as a sparse matrix, so that three of them resample a volume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .blocks import RowReader

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = [
    "EDGE_TOLERANCE",
    "GAUSSIAN_REACH",
    "axis_operators",
    "is_outside",
    "linear_slab",
    "nearest_indices",
    "needed_of",
]

_TIE_DIGITS = 6  # positions are rounded so that dust in an affine cannot decide a tie
GAUSSIAN_REACH = 4.0
"""Standard deviations; beyond lie less than 7e-5 of the weight."""
EDGE_TOLERANCE = 1e-4
"""Voxels; rounding in affines must not push an edge voxel outside."""


def nearest_indices(positions: NDArray[np.float64], side: int) -> NDArray[np.intp]:
    """Index of the voxel nearest to each position, ties upwards, edge voxels beyond the ends."""
    rounded = np.floor(np.round(positions, _TIE_DIGITS) + 0.5)
    return np.clip(rounded, 0, side - 1).astype(np.intp)


def is_outside(positions: NDArray[np.float64], side: int) -> NDArray[np.bool_]:
    """Whether positions along an axis lie beyond the outer faces of its edge voxels."""
    return (positions < -0.5 - EDGE_TOLERANCE) | (positions > side - 0.5 + EDGE_TOLERANCE)


def axis_operators(
    positions: list[NDArray[np.float64]], scales: list[float], sides: tuple[int, ...]
) -> list[csr_array[Any]]:
    """Matrices (target side, source side), float32, that sample each axis; every row sums to 1.

    Parameters
    ----------
    positions : three arrays
        Where the target voxels lie along each source axis, in source voxels.
    scales : three floats
        Target spacing in source voxels; above 1 the source is smoothed first.
    sides : three ints
        Source voxels along each axis.
    """
    operators = []
    for position, scale, side in zip(positions, scales, sides, strict=True):
        operator = _linear(np.clip(position, 0, side - 1), side)
        if scale > 1:
            operator = operator @ _smoothing(np.sqrt((scale**2 - 1) / (8 * np.log(2))), side)
        operators.append(operator.tocsr().astype(np.float32))
    return operators


def linear_slab(source: RowReader, operators: list[csr_array[Any]], rows: slice) -> NDArray[np.float32]:
    """Sample the target rows `rows` of the first axis, all of the other two.

    Parameters
    ----------
    source : RowReader
        Of an array (A, B, C).
    operators : three matrices (target side, source side)
    rows : slice
        Target rows along the first axis.

    Returns
    -------
    ndarray, shape (rows, B of the target, C of the target), float32
    """
    first = operators[0][rows]
    needed = needed_of(first)
    slab = np.asarray(source.read(needed.start, needed.stop), dtype=np.float32)
    for axis, operator in enumerate((first[:, needed], operators[1], operators[2])):
        slab = _along_axis(operator, slab, axis)
    return slab


def needed_of(operator: csr_array[Any]) -> slice:
    """Range of the source voxels that an operator's targets are made of."""
    return slice(int(operator.indices.min()), int(operator.indices.max()) + 1)


def _along_axis(operator: csr_array[Any], slab: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    moved = np.moveaxis(slab, axis, 0)
    flat = np.ascontiguousarray(moved).reshape(moved.shape[0], -1)
    sampled: NDArray[np.float32] = (operator @ flat).reshape(operator.shape[0], *moved.shape[1:])
    return np.moveaxis(sampled, 0, axis)


def _linear(positions: NDArray[np.float64], side: int) -> csr_array[Any]:
    from scipy.sparse import csr_array

    low = np.minimum(np.floor(positions).astype(np.intp), max(side - 2, 0))
    weight = np.round(positions - low, 9)
    high = np.minimum(low + 1, side - 1)
    rows = np.arange(len(positions))
    entries = (np.concatenate([1 - weight, weight]), (np.tile(rows, 2), np.concatenate([low, high])))
    return csr_array(entries, shape=(len(positions), side))


def _smoothing(sigma: float, side: int) -> csr_array[Any]:
    """Gaussian over the voxels of an axis; at the ends the weights that remain are scaled to sum 1."""
    from scipy.sparse import csr_array

    reach = min(side - 1, int(np.ceil(GAUSSIAN_REACH * sigma)))
    offsets = np.arange(-reach, reach + 1)
    columns = np.arange(side)[:, None] + offsets
    weights = np.exp(-0.5 * (offsets / sigma) ** 2) * ((columns >= 0) & (columns < side))
    weights /= weights.sum(axis=1, keepdims=True)
    rows, taps = np.nonzero(weights)
    return csr_array((weights[rows, taps], (rows, columns[rows, taps])), shape=(side, side))
