"""How values of an image become the brightness, from 0 to 1, that promptable networks see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...volume.windowing import looks_like_hounsfield

__all__ = ["Tones"]

_PERCENTILES = (0.5, 99.5)
_SAMPLED = 2_000_000
"""Values from which the range is taken, at most."""
_CT = ((-1000.0, 0.0), (-160.0, 0.1), (240.0, 0.9), (1500.0, 1.0))
"""Hounsfield units and their brightness: soft tissue takes most of it, lung and bone keep some."""


@dataclass(frozen=True)
class Tones:
    """Values and their brightness, linear between them, the ends' beyond.

    Attributes
    ----------
    knots : tuple of (float, float)
        Value and brightness, rising.
    """

    knots: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, data: NDArray[np.generic], modality: str | None = None) -> Tones:
        """Choose them for an image.

        Bytes are taken from end to end, CT in Hounsfield units as named above, all others but for half a
        percent at both ends.

        Parameters
        ----------
        data : ndarray
        modality : str, optional
            DICOM's code, where it is known; without it CT is known by its values.
        """
        if data.dtype == np.uint8:
            return cls(((0.0, 0.0), (255.0, 1.0)))
        step = max(1, data.size // _SAMPLED)
        sample = data.reshape(-1)[::step].astype(np.float32)
        sample = sample[np.isfinite(sample)]
        if sample.size == 0:
            return cls(((0.0, 0.0), (1.0, 1.0)))
        low, high = (float(value) for value in np.percentile(sample, _PERCENTILES))
        if modality in (None, "CT") and looks_like_hounsfield(low, high):
            return cls(_CT)
        return cls(((low, 0.0), (max(high, low + 1e-6), 1.0)))

    def apply(self, values: Tensor) -> Tensor:
        """Turn values into brightness; what is no number becomes dark, infinity bright.

        Examples
        --------
        >>> Tones(((0.0, 0.0), (255.0, 1.0))).apply(torch.tensor([-3.0, 51.0, 300.0]))
        tensor([0.0000, 0.2000, 1.0000])
        """
        first, last = self.knots[0], self.knots[-1]
        values = torch.nan_to_num(values, first[0], last[0], first[0])
        found = torch.full_like(values, first[1])
        for (low, dark), (high, bright) in zip(self.knots, self.knots[1:], strict=False):
            found += (values.clamp(low, high) - low) * ((bright - dark) / (high - low))
        return found.clamp_(first[1], last[1])
