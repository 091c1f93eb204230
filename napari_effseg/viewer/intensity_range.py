"""Range of an array's values, for showing it: exact in memory, of a few chunks where it is read on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import VolumeError
from ..volume import Voxels, blocks_of, is_lazy, view_of
from ..volume.lazy import storage_order

__all__ = ["MOST_CHUNKS", "IntensityRange", "intensity_range", "quick_extremes"]

MOST_CHUNKS = 8
"""So many chunks of a lazy array are read at most, evenly spread over it."""

_BLOCK_VOXELS = 2**22
_SAMPLE_VOXELS = 500_000  # enough for percentiles that are stable to the eye
_SLICES = 12
_PERCENTILES = (1.0, 99.0)


@dataclass(frozen=True)
class IntensityRange:
    """What the finite values of an array span.

    Attributes
    ----------
    low, high : float
        Smallest and largest.
    auto_low, auto_high : float
        1st and 99th percentile of a sample.
    share : float
        Part of the array that was looked at, above 0 and up to 1 (all of it).
    """

    low: float
    high: float
    auto_low: float
    auto_high: float
    share: float


def intensity_range(array: Voxels, cancel: Callable[[], bool] = lambda: False) -> IntensityRange:
    """Look at an array's values, piece by piece.

    Parameters
    ----------
    array : any array, real numbers
        In memory or memory-mapped it is read once, whole; a lazy one in at most `MOST_CHUNKS` chunks.
    cancel : callable
        Asked after each piece whether to stop; what has been seen by then counts.

    Raises
    ------
    VolumeError
        If none of the values is finite.
    """
    boxes = list(blocks_of(array, 1 if is_lazy(array) else _BLOCK_VOXELS))
    chosen = _spread(len(boxes), MOST_CHUNKS) if is_lazy(array) else range(len(boxes))
    view, seen, samples = view_of(array), 0, list[NDArray[np.float64]]()
    low, high = np.inf, -np.inf
    for number in chosen:
        block = np.asarray(view[boxes[number]])
        seen += block.size
        finite = block[np.isfinite(block)] if block.dtype.kind == "f" else block
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
            samples.append(_thinned(finite, _SAMPLE_VOXELS // len(chosen) + 1))
        if cancel():
            break
    if not samples:
        raise VolumeError("no finite value was found in the image")
    auto_low, auto_high = np.percentile(np.concatenate(samples), _PERCENTILES).tolist()
    return IntensityRange(low, high, auto_low, auto_high, seen / int(np.prod(array.shape)))


def quick_extremes(array: Voxels) -> tuple[float, float] | None:
    """Smallest and largest of a few slices of an array in memory, at once; None for a lazy one."""
    if not isinstance(array, np.ndarray):
        return None
    sample = array
    if array.size > _SAMPLE_VOXELS:
        # Slices that lie together in memory: a memory-mapped file is read in a few places, not in every page.
        slowest = storage_order(array)[0]
        step = -(-array.shape[slowest] // _SLICES)
        sample = array[(slice(None),) * slowest + (slice(step // 2, None, step),)]
    finite = sample[np.isfinite(sample)]
    return (float(finite.min()), float(finite.max())) if finite.size else None


def _spread(count: int, most: int) -> list[int]:
    """At most so many numbers below `count`, evenly spread, away from the first and the last."""
    if count <= most:
        return list(range(count))
    return [int((2 * number + 1) * count / (2 * most)) for number in range(most)]


def _thinned(values: NDArray[Any], most: int) -> NDArray[np.float64]:
    flat = values.ravel()
    return flat[:: max(1, -(-flat.size // most))].astype(np.float64)
