"""Several images of one grid as the channels of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import VolumeError
from .lazy import LazyView, Voxels, chunk_sides, view_of

__all__ = ["stack_channels"]


def stack_channels(channels: Sequence[Voxels]) -> Voxels:
    """Arrays (I, J, K) or (C, I, J, K) of one grid as one array (C, I, J, K); lazy if one of them is.

    Raises
    ------
    VolumeError
        If there is none, or they differ in shape.
    """
    views = [view_of(array) for array in channels]
    single = [one for view in views for one in (view if view.ndim == 4 else view[None])]
    if not single or len({tuple(one.shape) for one in single}) > 1:
        shapes = ", ".join(str(tuple(array.shape)) for array in channels) or "none"
        raise VolumeError(f"channels of the shapes {shapes} were given; expected arrays of one (I, J, K)")
    in_memory = [one for one in single if isinstance(one, np.ndarray)]
    return np.stack(in_memory) if len(in_memory) == len(single) else LazyView(_Stack(single))


class _Stack:
    """Arrays (I, J, K) as one array (C, I, J, K), for `LazyView`, which gives an index or slice an axis."""

    def __init__(self, channels: Sequence[NDArray[Any] | LazyView]) -> None:
        self._channels = channels
        self.shape = (len(channels), *channels[0].shape)
        self.ndim = len(self.shape)
        self.dtype = np.result_type(*(one.dtype for one in channels))

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Those of the channels, where they agree."""
        sides = {chunk_sides(one) for one in self._channels}
        side = sides.pop()
        return None if sides or side is None else (1, *side)

    def __getitem__(self, key: Any, /) -> NDArray[Any]:
        first, rest = key[0], key[1:]
        if not isinstance(first, slice):
            return np.asarray(self._channels[first][rest], dtype=self.dtype)
        return np.stack([np.asarray(one[rest], dtype=self.dtype) for one in self._channels[first]])
