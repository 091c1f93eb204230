"""A blended sliding window: slices of logits come out as soon as no later window can change them.

Only a band of the blended sums lives at a time, never a float volume for each class. The windows are worked
through along the first spatial axis; rows that the next windows no longer touch are divided by their weight,
handed on and forgotten.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..types import SpatialShape
from .tiling import Tiling

__all__ = ["Blending", "Rows", "Tiling", "blend", "window_weights"]

WEIGHT_FLOOR = 1e-6
"""Smallest weight of a voxel: small enough to leave the blend to nearer windows, and safe to divide by."""
_MONAI_FLOOR = 1e-3
_NNUNET_SCALE = 10.0
ROWS_BYTES = 32 * 2**20
"""Finished rows are handed on in pieces of at most this size, if a single row is not larger."""
_ADDED_NUMBERS = 1 << 18  # logits of a window that are added at once


Weights = Literal["gaussian", "gaussian_nnunet", "gaussian_monai", "constant"]


@dataclass(frozen=True)
class Blending:
    """How windows are joined, as a card's ``[window]`` names it.

    Attributes
    ----------
    weights : {"gaussian", "gaussian_nnunet", "gaussian_monai", "constant"}
        Those of nnU-Net are summed in half precision, as nnU-Net does it: in the corners of an image, where
        they are smallest, its logits are whole numbers by this, and its results here should be its own.
    padding : {"zeros", "replicate"}
    """

    weights: Weights = "gaussian"
    padding: Literal["zeros", "replicate"] = "zeros"

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the sums."""
        return torch.float16 if self.weights == "gaussian_nnunet" else torch.float32


def window_weights(
    size: SpatialShape, sigma_fraction: float = 0.125, weights: Weights = "gaussian"
) -> Tensor:
    """Weight of each voxel of a window, largest at its centre.

    Parameters
    ----------
    size : (I, J, K)
        Window size in voxels.
    sigma_fraction : float
        Standard deviation as a fraction of each side, in (0, 1].
    weights : {"gaussian", "gaussian_nnunet", "gaussian_monai", "constant"}
        Whose weights: "gaussian_nnunet" lies on the voxel after the centre and ends at four standard
        deviations, or where half precision does; "gaussian_monai" is at least 0.001.

    Returns
    -------
    Tensor, shape (I, J, K), float32
        Strictly positive, maximum 1 (of nnU-Net's: 10), so that blending never divides by zero.

    Raises
    ------
    ValueError
        If a side is below 1 or `sigma_fraction` is outside its range.
    """
    if min(size) < 1:
        raise ValueError(f"every side of a window is at least 1 voxel, not {size}")
    if not 0 < sigma_fraction <= 1:
        raise ValueError(f"sigma_fraction is in (0, 1], not {sigma_fraction}")
    if weights == "constant":
        return torch.ones(size, dtype=torch.float32)
    if weights == "gaussian_nnunet":
        return _nnunet_weights(size, sigma_fraction)
    values = torch.ones(size, dtype=torch.float32)
    for axis, side in enumerate(size):
        distance = torch.arange(side, dtype=torch.float32) - (side - 1) / 2
        profile = torch.exp(-0.5 * (distance / (side * sigma_fraction)) ** 2)
        values *= profile.reshape([-1 if other == axis else 1 for other in range(3)])
    if weights == "gaussian_monai":
        return values.clamp_min(max(float(values.min()), _MONAI_FLOOR))
    return (values / values.max()).clamp_min(WEIGHT_FLOOR)


def _nnunet_weights(size: SpatialShape, sigma_fraction: float) -> Tensor:
    """Gaussian about the voxel after the centre, ended at four sigma, as half precision holds it."""
    values = torch.full(size, _NNUNET_SCALE, dtype=torch.float64)
    for axis, side in enumerate(size):
        sigma = side * sigma_fraction
        distance = torch.arange(side, dtype=torch.float64) - side // 2
        profile = torch.exp(-0.5 * (distance / sigma) ** 2)
        profile[distance.abs() > int(4 * sigma + 0.5)] = 0
        values *= profile.reshape([-1 if other == axis else 1 for other in range(3)])
    halved = values.half()
    smallest = halved[halved > 0].min()
    return torch.where(halved > 0, halved, smallest).float()


_GAUSSIAN = Blending()


@dataclass(frozen=True)
class Rows:
    """Finished logits of rows ``start`` to ``start + values.shape[1]`` of the image, padding removed.

    ``values`` is (C, rows, J, K) float32.
    """

    start: int
    values: Tensor


def blend(
    read: Callable[[int, int], Tensor],
    predict: Callable[[Tensor], Tensor],
    tiling: Tiling,
    *,
    batch: int = 1,
    after_windows: Callable[[int], None] = lambda count: None,
    blending: Blending = _GAUSSIAN,
) -> Iterator[Rows]:
    """Slide a network over an image and yield its blended logits, rows in ascending order.

    The sums live in the machine's memory, wherever the network runs: with many classes they are larger than
    the memory of most devices.

    Parameters
    ----------
    read : callable
        ``read(start, stop)`` -> rows of the image, (C, stop - start, J, K) float32.
    predict : callable
        ``predict(windows)``, (B, C, I, J, K) -> logits (B, classes, I, J, K), float, on any device.
    tiling : Tiling
        Where the windows lie.
    batch : int
        Most windows that `predict` is given at once.
    after_windows : callable
        Called with the number of windows done since the last call, after each batch; it may raise to stop.
    blending : Blending
        Weights, and what pads an image that is smaller than a window.

    Yields
    ------
    Rows
        Together they cover every row of the image once.
    """
    weights = window_weights(tiling.size, weights=blending.weights)
    band = _Band(tiling, replicates=blending.padding == "replicate")
    sums = _Sums(tiling, weights, tiling.band_rows(batch), blending.dtype)
    groups = tiling.groups(batch)
    for index, group in enumerate(groups):
        image = band.advance(read, group[0], group[-1] + tiling.size[0])
        places = list(itertools.product(group, tiling.starts[1], tiling.starts[2]))
        for at in range(0, len(places), batch):
            chosen = places[at : at + batch]
            windows = torch.stack([_window(image, place, group[0], tiling.size) for place in chosen])
            for place, logits in zip(chosen, predict(windows), strict=True):
                sums.add(place, logits.to("cpu", torch.float32))
            after_windows(len(chosen))
        finished = groups[index + 1][0] if index + 1 < len(groups) else tiling.padded_shape[0]
        yield from sums.finished(finished)
        sums.move_to(finished)


def _window(image: Tensor, place: tuple[int, ...], first_row: int, size: SpatialShape) -> Tensor:
    """Cut one window (C, I, J, K) out of a band whose first row is `first_row`."""
    i, j, k = place[0] - first_row, place[1], place[2]
    return image[:, i : i + size[0], j : j + size[1], k : k + size[2]]


class _Band:
    """The rows of the padded image that are in work; rows that windows share are read once."""

    def __init__(self, tiling: Tiling, replicates: bool) -> None:
        self._tiling = tiling
        self._replicates = replicates
        self._start = 0
        self._rows: Tensor | None = None

    def advance(self, read: Callable[[int, int], Tensor], start: int, stop: int) -> Tensor:
        """Rows ``start`` to ``stop`` of the padded image, (C, stop - start, J, K)."""
        kept = None if self._rows is None else self._rows[:, start - self._start :]
        fresh_start = start if kept is None else start + kept.shape[1]
        fresh = self._read_padded(read, fresh_start, stop)
        self._rows = fresh if kept is None or kept.shape[1] == 0 else torch.cat([kept, fresh], dim=1)
        self._start = start
        return self._rows

    def _read_padded(self, read: Callable[[int, int], Tensor], start: int, stop: int) -> Tensor:
        """Read the rows that exist; zeros, the padding of the training crops, or edge voxels stand beyond."""
        before = self._tiling.padding[0][0]
        first = min(max(start - before, 0), self._tiling.shape[0])
        last = min(max(stop - before, first), self._tiling.shape[0])
        rows = read(first, last)
        (_, _), (j0, j1), (k0, k1) = self._tiling.padding
        i0 = first + before - start
        i1 = stop - start - i0 - rows.shape[1]
        if not any((i0, i1, j0, j1, k0, k1)):
            return rows
        if self._replicates:
            # Only an image of fewer rows than a window has rows that do not exist, and is read in one piece.
            return torch.nn.functional.pad(rows, (k0, k1, j0, j1, i0, i1), mode="replicate")
        return torch.nn.functional.pad(rows, (k0, k1, j0, j1, i0, i1))


class _Sums:
    """Weighted sums of logits, and the sums of their weights, for the rows in work.

    The buffer is as deep as the rows in work and is moved along in place, so that nothing is held twice.
    """

    def __init__(self, tiling: Tiling, weights: Tensor, depth: int, dtype: torch.dtype) -> None:
        self._tiling = tiling
        self._weights = weights
        self._dtype = dtype
        self._start = 0
        self._logits: Tensor | None = None
        self._total = torch.zeros((depth, *tiling.padded_shape[1:]), dtype=dtype)

    def add(self, place: tuple[int, ...], logits: Tensor) -> None:
        """Add one window of logits (C, I, J, K)."""
        if self._logits is None:
            self._logits = torch.zeros((logits.shape[0], *self._total.shape), dtype=self._dtype)
        here = tuple(
            slice(start - offset, start - offset + side)
            for start, offset, side in zip(place, (self._start, 0, 0), self._tiling.size, strict=True)
        )
        sums = self._logits[(slice(None), *here)]
        # A few rows at a time stay in the caches, also where a voxel's channels are neighbours in memory.
        step = max(_ADDED_NUMBERS // logits[:, 0].numel(), 1)
        for row in range(0, logits.shape[1], step):
            rows = slice(row, row + step)
            if self._dtype == torch.float32:
                sums[:, rows].addcmul_(logits[:, rows], self._weights[rows])
            else:
                sums[:, rows] += logits[:, rows] * self._weights[rows]
        self._total[here] += self._weights

    def finished(self, stop: int) -> Iterator[Rows]:
        """Means of the rows before `stop`, a few rows at a time, padding removed."""
        if self._logits is None:
            return
        i0, j0, k0 = (pads[0] for pads in self._tiling.padding)
        i, j, k = self._tiling.shape
        first, last = max(self._start, i0), min(stop, i0 + i)
        step = max(ROWS_BYTES // (4 * self._logits[:, 0].numel()), 1)
        for row in range(first, last, step):
            rows = slice(row - self._start, min(row + step, last) - self._start)
            means = self._logits[:, rows] / self._total[rows]
            yield Rows(row - i0, means[:, :, j0 : j0 + j, k0 : k0 + k].float())

    def move_to(self, start: int) -> None:
        """Forget the rows before `start`."""
        count, self._start = start - self._start, start
        if self._logits is None:
            return
        depth = self._total.shape[0]
        for row in range(depth):  # one by one: source and target of a longer copy would overlap
            if row + count < depth:
                self._logits[:, row] = self._logits[:, row + count]
                self._total[row] = self._total[row + count]
            else:
                self._logits[:, row] = 0
                self._total[row] = 0
