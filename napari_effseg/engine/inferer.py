"""The engine's sliding window for workflows of MONAI: what exported bundles name as their inferer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .._extras import require
from ..types import SpatialShape
from .tiling import Tiling
from .windows import blend

__all__ = ["WindowInferer"]


class WindowInferer:
    """Slide a network over images, as `segment` does it.

    Parameters
    ----------
    roi_size : sequence of int
        Voxels of a window, two or three.
    overlap : float
        Fraction that neighbours share, at least.
    sw_batch_size : int
        Windows that the network is given at once.
    across : int
        With windows of two sides, the axis of volumes across the slices that the network is given.
    """

    def __init__(
        self, roi_size: Sequence[int], overlap: float = 0.5, sw_batch_size: int = 1, across: int = 2
    ) -> None:
        self._size = tuple(int(side) for side in roi_size)
        self._overlap, self._batch, self._across = overlap, sw_batch_size, across

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Logits (B, classes, *S) of images (B, C, *S); further arguments go to the network."""
        logits = torch.stack([self._one(image, network, *args, **kwargs) for image in inputs])
        if type(inputs) is Tensor:
            return logits
        # MONAI's tensors know how they came about, by which its transforms are undone.
        utils = require("monai.utils", "monai", "a workflow of MONAI")
        as_given: Tensor = utils.convert_to_dst_type(logits, inputs)[0]
        return as_given

    def _one(self, image: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        flat, is_picture = len(self._size) == 2, image.ndim == 3
        volume = image.detach().cpu().float().as_subclass(Tensor)
        if flat:
            volume = volume.unsqueeze(1) if is_picture else volume.movedim(1 + self._across, 1)
        i, j, k = volume.shape[1:]
        shape: SpatialShape = (i, j, k)
        size: SpatialShape = (1, *self._size) if flat else self._size  # type: ignore[assignment]

        @torch.inference_mode()
        def predict(windows: Tensor) -> Tensor:
            given = windows.squeeze(2) if flat else windows
            logits = network(given.to(image.device), *args, **kwargs)
            return logits.unsqueeze(2) if flat else logits

        rows = blend(
            lambda start, stop: volume[:, start:stop],
            predict,
            Tiling.over(shape, size, self._overlap),
            batch=self._batch,
        )
        logits = torch.cat([part.values for part in rows], dim=1).to(image.device)
        if not flat:
            return logits
        return logits.squeeze(1) if is_picture else logits.movedim(1, 1 + self._across)
