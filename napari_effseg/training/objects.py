"""Maps of numbered objects, such as nuclei, as the classes that a network learns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..engine.instances import each_slice
from ..types import BoolArray, IntArray
from ..zoo.card import Instances

__all__ = ["classes_of"]


def classes_of(objects: IntArray, rules: Instances, flat_axis: int | None = None) -> NDArray[np.uint8]:
    """Turn numbered objects into a card's labels.

    Parameters
    ----------
    objects : (I, J, K), integer
        0 for the background, any other number for the voxels of one object.
    rules : Instances
        Without a border label all objects become one label. With one, each object becomes a core of
        `rules.label` inside a rim of `rules.border`: together they are the object, no more and no less.
    flat_axis : int or None
        The axis across the slices of a 2D card, whose objects have a rim in each slice.

    Returns
    -------
    (I, J, K), uint8
    """
    classes = np.where(objects != 0, rules.label, 0).astype(np.uint8)
    if rules.border is not None:
        for here in each_slice(objects.shape, flat_axis):
            classes[here][_rims(objects[here], rules.border_voxels)] = rules.border
    return classes


def _rims(objects: IntArray, width: float) -> BoolArray:
    """Return which voxels lie within `width` of the edge of their own object."""
    from scipy import ndimage

    rims = np.zeros(objects.shape, dtype=bool)
    present = np.unique(objects[objects != 0])
    numbered = np.where(objects != 0, np.searchsorted(present, objects) + 1, 0)
    for number, box in enumerate(ndimage.find_objects(numbered), start=1):
        around = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
        rims[around] |= _rim(numbered[around] == number, width)
    return rims


def _rim(mask: BoolArray, width: float) -> BoolArray:
    """Return the rim of an object; the edge of the image is none of its own.

    The core is of one piece: a rim that would part it, or leave nothing of it, is made narrower, and the
    innermost voxels stay in any case.
    """
    from scipy import ndimage

    if mask.all():
        return np.zeros_like(mask)
    depth = ndimage.distance_transform_edt(mask)
    core = mask & (depth == depth.max())
    for least in (width, *np.arange(np.ceil(width) - 1, 0, -1.0)):
        if _is_one_piece(depth > least):
            core = depth > least
            break
    return mask & ~core


def _is_one_piece(mask: BoolArray) -> bool:
    from scipy import ndimage

    _, count = ndimage.label(mask, structure=np.ones((3,) * mask.ndim))
    return bool(count == 1)
