"""Brightness of any image in one byte a voxel."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ..engine.session.tones import Tones

__all__ = ["as_bytes"]


def as_bytes(data: NDArray[np.generic], modality: str | None = None) -> NDArray[np.uint8]:
    """Scale an image to 0 .. 255 as sessions show it to networks; bytes stay as they are."""
    if data.dtype == np.uint8:
        return data  # type: ignore[return-value]  # its type is known by now
    values = torch.from_numpy(np.ascontiguousarray(data, dtype=np.float32))
    scaled = Tones.of(data, modality).apply(values) * 255
    result: NDArray[np.uint8] = scaled.to(torch.uint8).numpy()
    return result
