"""Permute and flip array axes towards wanted axis codes, and back; nothing is resampled or copied."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import EllipsisType
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from ..errors import VolumeError
from ..types import Affine, Axcodes, IndexBox, SpatialShape
from .affine import Grid, as_axcodes
from .lazy import LazyArray, LazyView, Voxels, view_of
from .volume import LabelMap, Volume

__all__ = ["Reorientation", "reorient"]

_Image = TypeVar("_Image", Volume, LabelMap)


@dataclass(frozen=True, eq=False)
class Reorientation:
    """A permutation of the three spatial axes, then flips of some.

    Parameters
    ----------
    source : Grid
        The grid of the arrays that `apply` takes.
    order : (int, int, int)
        Source axis of each new axis.
    flips : (bool, bool, bool)
        Whether each new axis runs against its source axis.
    """

    source: Grid
    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    @classmethod
    def between(cls, affine: Affine, shape: SpatialShape, target_axcodes: str | Axcodes) -> Reorientation:
        """Way from an array with this affine and shape to one whose axes grow towards `target_axcodes`.

        Raises
        ------
        VolumeError
            If the target is not one each of L/R, P/A and I/S.
        """
        source = Grid(shape, affine)
        target = as_axcodes(target_axcodes)
        given = source.axcodes
        order = tuple(next(a for a in range(3) if letter in _pair(given[a])) for letter in target)
        flips = tuple(given[axis] != letter for axis, letter in zip(order, target, strict=True))
        return cls(source, order, flips)  # type: ignore[arg-type]  # both have three entries

    @property
    def grid(self) -> Grid:
        """Grid of the arrays that `apply` returns; every voxel stays at its world position."""
        to_source = np.zeros((4, 4))
        to_source[3, 3] = 1
        for new, (old, flip) in enumerate(zip(self.order, self.flips, strict=True)):
            to_source[old, new] = -1 if flip else 1
            to_source[old, 3] = self.source.shape[old] - 1 if flip else 0
        i, j, k = (self.source.shape[axis] for axis in self.order)
        return Grid((i, j, k), self.source.affine @ to_source)

    @property
    def is_identity(self) -> bool:
        """Whether arrays stay as they are."""
        return self.order == (0, 1, 2) and not any(self.flips)

    @overload
    def apply(self, array: NDArray[Any]) -> NDArray[Any]: ...
    @overload
    def apply(self, array: LazyArray) -> NDArray[Any] | LazyView: ...
    def apply(self, array: Voxels) -> NDArray[Any] | LazyView:
        """Return a view of `array`, shape (..., I, J, K) of the source, in the new order; nothing is read.

        Raises
        ------
        VolumeError
            If the last three axes are not those of the source.
        """
        _refuse_other_shape(array, self.source.shape)
        lead = array.ndim - 3
        moved = view_of(array).transpose(*range(lead), *(lead + axis for axis in self.order))
        return moved[_steps(self.flips)]

    def invert(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return a view of `array`, in the new order, back in the order of the source.

        Raises
        ------
        VolumeError
            If the last three axes are not those of `grid`.
        """
        _refuse_other_shape(array, self.grid.shape)
        lead = array.ndim - 3
        flipped = array[_steps(self.flips)]
        return flipped.transpose(*range(lead), *(lead + self.order.index(axis) for axis in range(3)))

    def apply_box(self, box: IndexBox) -> IndexBox:
        """Half-open box of source indices -> the same voxels in the new order."""
        low, high = [], []
        for old, flip in zip(self.order, self.flips, strict=True):
            side = self.source.shape[old]
            start, stop = box[0][old], box[1][old]
            low.append(side - stop if flip else start)
            high.append(side - start if flip else stop)
        return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def reorient(image: _Image, axcodes: str | Axcodes) -> _Image:
    """Return the same image with its array axes growing towards `axcodes`.

    Every voxel keeps its value and its world position; the array is a view.

    Examples
    --------
    >>> volume = Volume(np.zeros((4, 5, 6)), np.diag([-1.0, 2.0, 3.0, 1.0]))
    >>> reorient(volume, "SRA").axcodes
    ('S', 'R', 'A')
    """
    way = Reorientation.between(image.affine, image.shape, axcodes)
    return replace(image, data=way.apply(image.data), affine=way.grid.affine)


def _pair(letter: str) -> str:
    return next(pair for pair in ("LR", "PA", "IS") if letter in pair)


def _steps(flips: tuple[bool, bool, bool]) -> tuple[EllipsisType | slice, ...]:
    return (..., *(slice(None, None, -1) if flip else slice(None) for flip in flips))


def _refuse_other_shape(array: Voxels, expected: SpatialShape) -> None:
    if array.ndim < 3 or tuple(array.shape[-3:]) != expected:
        raise VolumeError(
            f"an array of shape {array.shape} was given; expected its last three axes {expected}"
        )
