"""Where the windows lie on an image: a pure plan of the work, without voxels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ..types import SpatialShape

__all__ = ["Places", "Tiling", "pad_amounts", "window_starts"]

Places = Literal["even", "stepped"]
"""How windows lie along an axis, as cards name it."""


def window_starts(length: int, size: int, overlap: float, places: Places = "even") -> tuple[int, ...]:
    """First voxels of windows that cover an axis.

    Parameters
    ----------
    length : int
        Voxels along the axis, at least `size`.
    size : int
        Voxels along a window.
    overlap : float
        Least fraction of a window that neighbours share, in [0, 1).
    places : {"even", "stepped"}
        "even": spread evenly; "stepped": equal steps of whole voxels, the last one shorter.

    Returns
    -------
    tuple of int
        Ascending; the first is 0, the last `length - size`.

    References
    ----------
    "even": the same places as nnU-Net v2's ``compute_steps_for_sliding_window``, so that its models agree
    here; "stepped": those of MONAI's ``dense_patch_slices``.

    Examples
    --------
    >>> window_starts(100, 40, 0.5)
    (0, 20, 40, 60)
    """
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap is a fraction in [0, 1), not {overlap}")
    if not 1 <= size <= length:
        raise ValueError(f"a window of {size} voxels does not fit an axis of {length}")
    stride = size * (1 - overlap)
    if places == "stepped":
        step = max(int(stride), 1)
        starts = range(0, length - size + step, step)
        return tuple(min(start, length - size) for start in starts)
    steps = math.ceil((length - size) / stride) + 1
    spread = (length - size) / max(steps - 1, 1)
    return tuple(dict.fromkeys(round(spread * step) for step in range(steps)))


def pad_amounts(shape: SpatialShape, size: SpatialShape) -> tuple[tuple[int, int], ...]:
    """Voxels to add before and after each axis so that a window fits; half on each side.

    Examples
    --------
    >>> pad_amounts((20, 64, 33), (32, 32, 32))
    ((6, 6), (0, 0), (0, 0))
    """
    missing = [max(window - side, 0) for side, window in zip(shape, size, strict=True)]
    return tuple((lack // 2, lack - lack // 2) for lack in missing)


@dataclass(frozen=True)
class Tiling:
    """Where the windows lie on a (padded) image: a pure plan of the work.

    Attributes
    ----------
    shape : (I, J, K)
        Voxels of the image, without padding.
    size : (I, J, K)
        Voxels of a window.
    padding : three pairs
        Voxels before and after each axis that the image lacks of one window.
    starts : three tuples of int
        First voxels of the windows along each axis of the padded image.
    """

    shape: SpatialShape
    size: SpatialShape
    padding: tuple[tuple[int, int], ...]
    starts: tuple[tuple[int, ...], ...]

    @classmethod
    def over(cls, shape: SpatialShape, size: SpatialShape, overlap: float, places: Places = "even") -> Tiling:
        """Cover an image of `shape` voxels; an axis shorter than the window is padded to it."""
        padding = pad_amounts(shape, size)
        lengths = [side + sum(pads) for side, pads in zip(shape, padding, strict=True)]
        starts = tuple(
            window_starts(length, side, overlap if side > 1 else 0.0, places)
            for length, side in zip(lengths, size, strict=True)
        )
        return cls(shape, size, padding, starts)

    @property
    def count(self) -> int:
        """Number of windows."""
        return math.prod(len(starts) for starts in self.starts)

    @property
    def padded_shape(self) -> SpatialShape:
        """Voxels along the axes of the padded image."""
        i, j, k = (side + sum(pads) for side, pads in zip(self.shape, self.padding, strict=True))
        return i, j, k

    def groups(self, batch: int) -> list[tuple[int, ...]]:
        """First rows of the windows, grouped so that a group holds at least `batch` windows if it can."""
        in_plane = len(self.starts[1]) * len(self.starts[2])
        rows = max(batch // in_plane, 1) if self.size[0] == 1 else 1
        first = self.starts[0]
        return [first[at : at + rows] for at in range(0, len(first), rows)]

    def band_rows(self, batch: int) -> int:
        """Most rows that are in work at once."""
        return max(group[-1] + self.size[0] - group[0] for group in self.groups(batch))
