"""Cut boxes out of volumes, pad them, and put the pieces back where they were."""

from __future__ import annotations

from dataclasses import replace
from types import EllipsisType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import VolumeError
from ..types import Affine, IndexBox, SpatialShape
from .affine import Grid
from .blocks import blocks_of
from .lazy import Voxels, view_of
from .volume import LabelMap, Volume

__all__ = ["box_shape", "clip_box", "crop", "inner_box", "pad", "uncrop"]

_BLOCK_VOXELS = 2**22  # of a lazy array, copied at a time

_Image = TypeVar("_Image", Volume, LabelMap)


def crop(image: _Image, box: IndexBox) -> _Image:
    """Return the voxels of a half-open box, at their world positions; the array is a view, nothing is read.

    Parameters
    ----------
    image : Volume or LabelMap
    box : ((i0, j0, k0), (i1, j1, k1))
        Half-open, in voxel indices, inside the image.

    Raises
    ------
    VolumeError
        If the box is empty or leaves the image; `clip_box` cuts it to fit.

    See Also
    --------
    uncrop : the inverse, for arrays.
    """
    _refuse_outside(box, image.shape)
    return replace(image, data=view_of(image.data)[_slices(box)], affine=_shifted(image.affine, box[0]))


def uncrop(array: NDArray[Any], box: IndexBox, full_shape: SpatialShape, fill: float = 0) -> NDArray[Any]:
    """Put an array cut out by `crop` back into the full image.

    Parameters
    ----------
    array : ndarray, shape (..., I, J, K) of the box
    box : ((i0, j0, k0), (i1, j1, k1))
        Where it was cut out.
    full_shape : (I, J, K)
        Shape of the image that it was cut out of.
    fill : float
        Value outside the box.

    Returns
    -------
    ndarray, shape (..., *full_shape), same dtype

    Raises
    ------
    VolumeError
        If the box is empty, leaves the full shape, or has another shape than the array.
    """
    _refuse_outside(box, full_shape)
    if array.ndim < 3 or array.shape[-3:] != box_shape(box):
        raise VolumeError(f"an array of shape {array.shape} was given for a box of shape {box_shape(box)}")
    full = np.full((*array.shape[:-3], *full_shape), fill, dtype=array.dtype)
    full[_slices(box)] = array
    return full


def pad(image: _Image, before: SpatialShape, after: SpatialShape, value: float = 0) -> _Image:
    """Return the image with voxels added around it, at their world positions; all of it is read.

    Parameters
    ----------
    image : Volume or LabelMap
    before, after : (int, int, int)
        Voxels to add at the low and the high end of each axis, at least 0.
    value : float
        Value of the added voxels.

    Raises
    ------
    VolumeError
        If a width is negative.

    See Also
    --------
    inner_box : the box with which `crop` undoes it.
    """
    if min(*before, *after) < 0:
        raise VolumeError(f"padding of {before} and {after} voxels was given; expected 0 or more")
    data = _padded(image.data, before, after, value)
    return replace(image, data=data, affine=_shifted(image.affine, (-before[0], -before[1], -before[2])))


def inner_box(before: SpatialShape, shape: SpatialShape) -> IndexBox:
    """Box of an image of this shape inside its padded version; cropping to it undoes `pad`."""
    return before, (before[0] + shape[0], before[1] + shape[1], before[2] + shape[2])


def clip_box(box: IndexBox, shape: SpatialShape) -> IndexBox:
    """Cut a half-open box to the voxels that an image of this shape has.

    Raises
    ------
    VolumeError
        If nothing is left.
    """
    low = [max(0, int(start)) for start in box[0]]
    high = [min(int(stop), side) for stop, side in zip(box[1], shape, strict=True)]
    if any(stop <= start for start, stop in zip(low, high, strict=True)):
        raise VolumeError(f"the box {box[0]} to {box[1]} has no voxel of an image of shape {shape}")
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def box_shape(box: IndexBox) -> SpatialShape:
    """Voxels along each side of a half-open box."""
    (i0, j0, k0), (i1, j1, k1) = box
    return i1 - i0, j1 - j0, k1 - k0


def _padded(array: Voxels, before: SpatialShape, after: SpatialShape, value: float) -> NDArray[Any]:
    i, j, k = array.shape[-3:]
    sides = (low + side + high for low, side, high in zip(before, (i, j, k), after, strict=True))
    full = np.full((*array.shape[:-3], *sides), value, dtype=array.dtype)
    inside, view = full[_slices(inner_box(before, (i, j, k)))], view_of(array)
    for block in blocks_of(view, _BLOCK_VOXELS):
        inside[block] = view[block]
    return full


def _slices(box: IndexBox) -> tuple[EllipsisType | slice, ...]:
    return (..., *(slice(start, stop) for start, stop in zip(*box, strict=True)))


def _shifted(affine: Affine, first: SpatialShape) -> Affine:
    moved = np.array(affine)
    moved[:3, 3] += moved[:3, :3] @ np.asarray(first, dtype=np.float64)
    return moved


def _refuse_outside(box: IndexBox, shape: SpatialShape) -> None:
    whole = Grid(shape, np.eye(4)).shape
    for axis, (start, stop, side) in enumerate(zip(*box, whole, strict=True)):
        if not 0 <= start < stop <= side:
            raise VolumeError(
                f"the box runs from {start} to {stop} along axis {'IJK'[axis]}; "
                f"expected a range inside 0 to {side}, at least one voxel"
            )
