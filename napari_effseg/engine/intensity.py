"""A card's intensity rule: statistics of an image in bounded memory, then the rule, a few rows at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import VolumeError
from ..zoo.card import IntensityRule

__all__ = ["Statistics", "apply_rule", "finite_float32", "pool", "statistics_of"]

CHUNK_VOXELS = 2**22
"""Voxels that are turned to float64 at once."""
_LARGEST = float(np.finfo(np.float32).max)
STD_FLOOR = 1e-8
"""Below this a standard deviation counts as this: a constant channel becomes 0, not NaN."""


@dataclass(frozen=True)
class Statistics:
    """What one channel holds, infinite and missing values replaced by `minimum`.

    Attributes
    ----------
    minimum, maximum, mean, std : float
        Over all voxels.
    low, high : float
        The percentiles of a ``clip_zscore`` rule; minimum and maximum without one. With them, `mean` and
        `std` are those of the clipped values.
    not_finite : int
        Number of NaN and infinite voxels.
    """

    minimum: float
    maximum: float
    mean: float
    std: float
    low: float
    high: float
    not_finite: int

    @property
    def is_constant(self) -> bool:
        """Whether all voxels have one value."""
        return self.minimum == self.maximum


def _row_chunks(shape: Sequence[int]) -> Iterator[slice]:
    """Slices of the first axis that hold about `CHUNK_VOXELS` voxels each."""
    row = int(np.prod(shape[1:]))
    step = max(CHUNK_VOXELS // max(row, 1), 1)
    for start in range(0, shape[0], step):
        yield slice(start, min(start + step, shape[0]))


def statistics_of(
    channel: NDArray[Any], rule: IntensityRule, after_chunk: Callable[[], None] = lambda: None
) -> Statistics:
    """Statistics of one channel, read a few rows at a time.

    Parameters
    ----------
    channel : (I, J, K), any real dtype
        May be a view or a memory map; it is read in the order of its axes, so that a reoriented view of the
        same image gives the same bits.
    rule : IntensityRule
        Mean and standard deviation are taken only for a rule that needs them, and are NaN otherwise.
    after_chunk : callable
        Called after each few rows; it may raise to stop.

    Raises
    ------
    VolumeError
        If no voxel is finite.
    """
    minimum, maximum, not_finite = _range_of(channel, after_chunk)
    low, high, mean, std = minimum, maximum, math.nan, math.nan
    if rule.percentiles is not None:
        low, high = _percentiles_of(channel, rule.percentiles, minimum)
    if rule.rule in ("zscore", "clip_zscore"):
        mean, std = _moments_of(channel, minimum, (low, high), after_chunk)
    return Statistics(minimum, maximum, mean, std, low, high, not_finite)


def finite_float32(rows: NDArray[Any], minimum: float) -> NDArray[np.float32]:
    """Copy rows as contiguous float32, with `minimum` where they are not finite."""
    with np.errstate(over="ignore"):
        copy = np.array(rows, dtype=np.float32, order="C")
    if rows.dtype.kind == "f":
        copy[~np.isfinite(copy)] = minimum
    return copy


def _is_finite(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values float32 can hold; what overflows it is as good as infinite."""
    largest = min(_LARGEST, float(np.finfo(values.dtype).max))
    finite: NDArray[np.bool_] = np.abs(values) <= largest
    return finite


def apply_rule(rows: NDArray[np.float32], rule: IntensityRule, of: Statistics) -> NDArray[np.float32]:
    """Apply an intensity rule in place.

    Parameters
    ----------
    rows : (..., J, K), float32
        Rows of one channel; changed in place.
    rule : IntensityRule
        The card's rule.
    of : Statistics
        Of the channel, or of all channels together.

    Returns
    -------
    (..., J, K), float32
        `rows` itself.
    """
    if rule.rule == "none":
        return rows
    if rule.rule == "zscore":
        return _standardise(rows, of.mean, of.std)
    if rule.rule == "clip_zscore":
        return _standardise(np.clip(rows, of.low, of.high, out=rows), of.mean, of.std)
    lower, upper = _given(rule.lower, "lower"), _given(rule.upper, "upper")
    np.clip(rows, lower, upper, out=rows)
    if rule.rule == "scale":
        return _standardise(rows, lower, upper - lower)
    return _standardise(rows, _given(rule.mean, "mean"), _given(rule.std, "std"))


def pool(parts: Sequence[Statistics]) -> Statistics:
    """Statistics of several channels of one size taken together (a rule with ``per_channel = false``)."""
    means = np.array([part.mean for part in parts])
    mean = float(means.mean())
    spread = np.array([part.std**2 for part in parts]) + (means - mean) ** 2
    return Statistics(
        minimum=min(part.minimum for part in parts),
        maximum=max(part.maximum for part in parts),
        mean=mean,
        std=float(np.sqrt(spread.mean())),
        low=min(part.low for part in parts),
        high=max(part.high for part in parts),
        not_finite=sum(part.not_finite for part in parts),
    )


def _given(value: float | None, name: str) -> float:
    if value is None:
        raise ValueError(f"the intensity rule lacks {name}; cards are checked for it when they are read")
    return value


def _standardise(rows: NDArray[np.float32], mean: float, std: float) -> NDArray[np.float32]:
    rows -= np.float32(mean)
    rows /= np.float32(max(std, STD_FLOOR))
    return rows


def _range_of(channel: NDArray[Any], after_chunk: Callable[[], None]) -> tuple[float, float, int]:
    """Smallest and largest finite value, and how many are not finite."""
    minimum, maximum, not_finite = np.inf, -np.inf, 0
    for part in _row_chunks(channel.shape):
        rows = channel[part]
        if rows.dtype.kind == "f":
            finite = _is_finite(rows)
            not_finite += int(finite.size - np.count_nonzero(finite))
            rows = rows[finite]
        if rows.size:
            minimum, maximum = min(minimum, float(rows.min())), max(maximum, float(rows.max()))
        after_chunk()
    if minimum > maximum:
        raise VolumeError("the image has no finite voxel: every value is NaN or infinite")
    return minimum, maximum, not_finite


def _percentiles_of(
    channel: NDArray[Any], percentiles: tuple[float, float], minimum: float
) -> tuple[float, float]:
    """Percentiles of all voxels; one sorted copy is held meanwhile, in the dtype of the channel."""
    values = np.array(channel, copy=True).ravel()
    if values.dtype.kind == "f":
        values[~_is_finite(values)] = minimum
    low, high = np.percentile(values, percentiles, overwrite_input=True)
    return float(low), float(high)


def _moments_of(
    channel: NDArray[Any], minimum: float, limits: tuple[float, float], after_chunk: Callable[[], None]
) -> tuple[float, float]:
    """Mean and standard deviation of the clipped values, merged chunk by chunk.

    References
    ----------
    T. F. Chan, G. H. Golub, R. J. LeVeque: Updating formulae and a pairwise algorithm for computing sample
    variances, 1979.
    """
    count, mean, squares = 0, 0.0, 0.0
    for part in _row_chunks(channel.shape):
        rows = np.array(channel[part], dtype=np.float64, order="C")
        if channel.dtype.kind == "f":
            rows[~_is_finite(rows)] = minimum
        np.clip(rows, *limits, out=rows)
        chunk_mean = float(rows.mean())
        rows -= chunk_mean
        shift, total = chunk_mean - mean, count + rows.size
        squares += float(np.vdot(rows, rows)) + shift**2 * count * rows.size / total
        mean += shift * rows.size / total
        count = total
        after_chunk()
    return mean, float(np.sqrt(squares / count))
