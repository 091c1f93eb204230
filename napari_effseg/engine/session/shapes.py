"""What an object's shape in two slices says about those between them: it changes evenly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ...types import BoolArray
from .propagate import Gap

__all__ = ["shaped"]

_WEIGHT = 2.0
"""How much the shape counts beside what networks and paths find. Chosen, with the next one, on choice sets
and on the training list of the hippocampus, with true masks in up to four slices."""
_UNIT = 2.0
"""Pixels from the border at which a logit is 1."""
_SHARP = 4.0


def shaped(gap: Gap, anchors: Mapping[int, Tensor]) -> Iterator[tuple[int, Tensor]]:
    """Guess an object in the slices of a gap by its shape at both ends; nothing where one does not show it.

    Signed distances to its border are interpolated (Raya and Udupa, IEEE Transactions on Medical Imaging
    9(1), 1990).

    Parameters
    ----------
    gap : Gap
    anchors : mapping of int to Tensor
        Logits of each anchor, shape (I, J) in pixels of the plane.

    Yields
    ------
    index : int
    logits : Tensor, shape (I, J)
        To be added to what else is known.
    """
    if gap.below is None or gap.above is None:
        return
    below, above = (anchors[end] > 0 for end in (gap.below, gap.above))
    if not (below.any() and above.any()):
        return
    depths = _depth(below), _depth(above)
    for index in range(gap.low, gap.high):
        depth = torch.lerp(*depths, (index - gap.below) / (gap.above - gap.below))
        yield index, _WEIGHT * (depth / _UNIT).clamp(-_SHARP, _SHARP)


def _depth(mask: Tensor) -> Tensor:
    """Pixels to the border: positive inside, negative outside."""
    inside: BoolArray = mask.numpy()
    depth = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    return torch.from_numpy(np.asarray(depth, np.float32))
