"""The mask of the object at hand, painted and restored piece by piece."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...types import BoolArray, IndexBox, SpatialShape

__all__ = ["Canvas", "Patch", "slices_of"]


@dataclass(frozen=True, eq=False)
class Patch:
    """A box of a mask, before and after a change.

    Attributes
    ----------
    box : IndexBox
    before, after : ndarray of uint8
        Bits of the box's voxels.
    """

    box: IndexBox
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]

    @classmethod
    def between(cls, box: IndexBox, before: BoolArray, after: BoolArray) -> Patch:
        """Patch that turns one content of a box into another."""
        return cls(box, np.packbits(before), np.packbits(after))


class Canvas:
    """A mask (I, J, K) that can be taken back to what it was.

    Parameters
    ----------
    shape : (I, J, K)
    """

    def __init__(self, shape: SpatialShape) -> None:
        self.mask: BoolArray = np.zeros(shape, bool)

    def write(self, box: IndexBox, values: BoolArray) -> Patch:
        """Replace what is in a box, and return how to take it back."""
        part = self.mask[slices_of(box)]
        patch = Patch.between(box, part, values)
        part[...] = values
        return patch

    def take_back(self, patch: Patch) -> None:
        """Undo a change; the last one first."""
        self._set(patch.box, patch.before)

    def bring_back(self, patch: Patch) -> None:
        """Make a change again."""
        self._set(patch.box, patch.after)

    def _set(self, box: IndexBox, bits: NDArray[np.uint8]) -> None:
        part = self.mask[slices_of(box)]
        part[...] = np.unpackbits(bits, count=part.size).reshape(part.shape).view(bool)


def slices_of(box: IndexBox) -> tuple[slice, slice, slice]:
    """Return the slices of a half-open box."""
    i, j, k = (slice(low, high) for low, high in zip(*box, strict=True))
    return i, j, k
