"""A card's intensity rule: statistics of an image in bounded memory, then the rule, a few rows at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import VolumeError
from ..volume import Voxels, blocks_of, view_of
from ..zoo.card import IntensityRule
from .percentiles import percentiles_of

__all__ = ["Statistics", "apply_rule", "content_matters", "finite_float32", "pool", "statistics_of"]

CHUNK_VOXELS = 2**22
"""Voxels that are turned to float64 at once, about; of an array in large chunks, as many as a chunk has."""
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


def statistics_of(
    channel: Voxels, rule: IntensityRule, after_chunk: Callable[[], None] = lambda: None
) -> Statistics:
    """Statistics of one channel, read a piece at a time; exact, never those of a sample.

    Parameters
    ----------
    channel : (I, J, K), any real dtype
        May be a view, a memory map or an array that is read when it is needed. It is read in the order of its
        axes, so that a reoriented view of the same image gives the same bits; one that is stored in chunks
        is read chunk by chunk, which rounds mean and standard deviation otherwise (by less than 1e-12 of
        the values' range) and leaves the rest the same. It is read once; for a ``clip_zscore`` twice, and as
        often as `percentiles_of` says.
    rule : IntensityRule
        Mean and standard deviation are taken only for a rule that needs them, and are NaN otherwise.
    after_chunk : callable
        Called after each piece; it may raise to stop.

    Raises
    ------
    VolumeError
        If no voxel is finite.
    """
    pieces = _Pieces(channel, after_chunk)
    moments = _Moments() if rule.rule == "zscore" else None
    minimum, maximum, not_finite = _range_of(pieces, moments)
    low, high = minimum, maximum
    if rule.percentiles is not None:
        filled = _Pieces(channel, after_chunk, minimum if not_finite else None)
        low, high = percentiles_of(lambda: filled, pieces.dtype, pieces.count, rule.percentiles)
        moments = _Moments()
        for values in filled:
            moments.add(np.clip(values.astype(np.float64), low, high))
    elif moments is not None:
        moments.add_equal(not_finite, minimum)
    mean, std = (moments.mean, moments.std) if moments is not None else (math.nan, math.nan)
    return Statistics(minimum, maximum, mean, std, low, high, not_finite)


def content_matters(rule: IntensityRule) -> bool:
    """Whether a rule needs more of the image than a card says: percentiles, mean or standard deviation."""
    return rule.rule in ("zscore", "clip_zscore")


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


class _Pieces:
    """An image's values, piece by piece, each in the order of its axes and in the machine's byte order.

    Parameters
    ----------
    channel : (I, J, K), any real dtype
    after : callable
        Called after each piece.
    fill : float or None
        Stands for values that float32 cannot hold; None leaves them.
    """

    def __init__(self, channel: Voxels, after: Callable[[], None], fill: float | None = None) -> None:
        self._view, self._after, self._fill = view_of(channel), after, fill
        self.count = math.prod(channel.shape)
        native = channel.dtype.newbyteorder("=")
        self.dtype = native if native.itemsize <= 8 else np.dtype(np.float64)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        for block in blocks_of(self._view, CHUNK_VOXELS):
            with np.errstate(over="ignore"):
                values = np.array(self._view[block], dtype=self.dtype, order="C")
            if self._fill is not None:
                values[~_is_finite(values)] = self._fill
            yield values
            self._after()


@dataclass
class _Moments:
    """Mean and squared distances from it, merged piece by piece.

    References
    ----------
    T. F. Chan, G. H. Golub, R. J. LeVeque: Updating formulae and a pairwise algorithm for computing sample
    variances, 1979.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @property
    def std(self) -> float:
        return math.sqrt(self.squares / self.count)

    def add(self, values: NDArray[np.float64]) -> None:
        """Add values, which are changed in place."""
        if values.size:
            mean = float(values.mean())
            values -= mean
            self._merge(values.size, mean, float(np.vdot(values, values)))

    def add_equal(self, count: int, value: float) -> None:
        """Add one value, `count` times."""
        if count:
            self._merge(count, value, 0.0)

    def _merge(self, count: int, mean: float, squares: float) -> None:
        shift, total = mean - self.mean, self.count + count
        self.squares += squares + shift**2 * self.count * count / total
        self.mean += shift * count / total
        self.count = total


def _range_of(pieces: _Pieces, moments: _Moments | None) -> tuple[float, float, int]:
    """Smallest and largest finite value, and how many are not finite; the finite ones go to `moments`."""
    minimum, maximum, not_finite = np.inf, -np.inf, 0
    for values in pieces:
        found = values
        if found.dtype.kind == "f" and not (finite := _is_finite(found)).all():
            not_finite += int(finite.size - np.count_nonzero(finite))
            found = found[finite]
        if found.size:
            minimum, maximum = min(minimum, float(found.min())), max(maximum, float(found.max()))
        if moments is not None:
            moments.add(found.astype(np.float64))
    if minimum > maximum:
        raise VolumeError("the image has no finite voxel: every value is NaN or infinite")
    return minimum, maximum, not_finite
