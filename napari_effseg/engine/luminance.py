"""A colour image as a grey one, computed where it is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..volume import LazyView

__all__ = ["luminance_of"]

_SHARES = (0.299, 0.587, 0.114)  # ITU-R BT.601, of red, green and blue


def luminance_of(colours: Sequence[NDArray[Any] | LazyView]) -> LazyView:
    """Grey image (I, J, K), float32, of red, green and blue ones; nothing is read before it is needed."""
    return LazyView(_Luminance(colours))


class _Luminance:
    """For `LazyView`, which gives an index or a forward slice for each axis."""

    def __init__(self, colours: Sequence[NDArray[Any] | LazyView]) -> None:
        self._colours = colours
        self.shape, self.ndim, self.dtype = colours[0].shape, colours[0].ndim, np.dtype(np.float32)

    @property
    def chunks(self) -> tuple[int, ...] | None:
        first = self._colours[0]
        return first.chunks if isinstance(first, LazyView) else None

    def __getitem__(self, key: Any, /) -> NDArray[np.float32]:
        red, green, blue = (
            np.float32(share) * np.asarray(colour[key], dtype=np.float32)
            for share, colour in zip(_SHARES, self._colours, strict=True)
        )
        grey: NDArray[np.float32] = red + green + blue
        return grey
