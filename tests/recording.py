"""An array that writes down what is read of it, and can do no more than zarr or HDF5 can."""

from __future__ import annotations

from typing import Any

import numpy as np


class Recording:
    """Voxels that give only whole numbers and forward slices, an index for each axis.

    `reads` holds the bytes of each read, `counts` how often each voxel was read. A read of more than
    `most_bytes` is refused, and ``numpy.asarray`` of it always.
    """

    def __init__(
        self, values: np.ndarray, chunks: tuple[int, ...] | None = None, most_bytes: int | None = None
    ) -> None:
        self._values, self._most_bytes = values, most_bytes
        self.shape, self.ndim, self.dtype, self.chunks = values.shape, values.ndim, values.dtype, chunks
        self.reads: list[int] = []
        self.counts = np.zeros(values.shape, int)

    def __getitem__(self, key: Any) -> np.ndarray:
        assert isinstance(key, tuple)
        assert len(key) == self.ndim
        for part, side in zip(key, self.shape, strict=True):
            if isinstance(part, slice):
                assert 0 <= part.start < part.stop <= side
                assert part.step is None or part.step > 0
            else:
                assert 0 <= part < side
        found = self._values[key]
        assert self._most_bytes is None or found.nbytes <= self._most_bytes, "too much was read at once"
        self.reads.append(found.nbytes)
        self.counts[key] += 1
        return found.copy()

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise AssertionError("the whole array was asked for")

    @property
    def touched(self) -> tuple[tuple[int, int], ...]:
        """First and last + 1 index that was read, along each axis."""
        where = np.argwhere(self.counts)
        return tuple(zip(where.min(axis=0).tolist(), (where.max(axis=0) + 1).tolist(), strict=True))
