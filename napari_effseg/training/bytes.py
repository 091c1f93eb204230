"""Brightness of any image in one byte a voxel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["as_bytes"]

_PERCENTILES = (0.5, 99.5)


def as_bytes(data: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Scale what lies between the lowest and highest half percent to 0 .. 255; bytes stay as they are."""
    if data.dtype == np.uint8:
        return data  # type: ignore[return-value]  # its type is known by now
    values = np.nan_to_num(data.astype(np.float32))
    low, high = np.percentile(values[:: max(1, len(values) // 64)], _PERCENTILES)
    scaled = (values - low) * (255 / max(high - low, 1e-6))
    result: NDArray[np.uint8] = np.clip(scaled, 0, 255).astype(np.uint8)
    return result
