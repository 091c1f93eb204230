"""Of an object that was carried through slices, only what hangs together with what is known of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ...types import BoolArray

__all__ = ["joined"]


def joined(masks: Mapping[int, Tensor], seeds: Mapping[int, Tensor]) -> dict[int, Tensor]:
    """Return the pieces that what is known lies in: voxels that share a face hang together.

    Parameters
    ----------
    masks : mapping of int to Tensor
        What was found in slices, (I, J), bool; by their indices.
    seeds : mapping of int to Tensor
        What is known, of any slices, (I, J), bool.

    Returns
    -------
    dict of int to Tensor
        Of the slices of `masks`.
    """
    shown = {index: _array(mask) for index, mask in masks.items()}
    known = {index: _array(seed) for index, seed in seeds.items()}
    every = [*shown.values(), *known.values()]
    if not shown or not any(one.any() for one in every):
        return dict(masks)
    rows, columns = _extent(np.any(every, axis=0))
    low, high = min([*shown, *known]), max([*shown, *known]) + 1
    stack = np.zeros((high - low, rows.stop - rows.start, columns.stop - columns.start), bool)
    certain = np.zeros_like(stack)
    for index, one in shown.items():
        stack[index - low] |= one[rows, columns]
    for index, one in known.items():
        stack[index - low] |= one[rows, columns]
        certain[index - low] |= one[rows, columns]
    pieces, count = ndimage.label(stack)
    wanted = np.zeros(count + 1, bool)
    wanted[np.unique(pieces[certain])] = True
    found = {}
    for index in masks:
        kept = np.zeros_like(every[0])
        kept[rows, columns] = wanted[pieces[index - low]]
        found[index] = torch.from_numpy(kept) & masks[index]
    return found


def _array(mask: Tensor) -> BoolArray:
    found: BoolArray = mask.numpy()
    return found


def _extent(mask: BoolArray) -> tuple[slice, slice]:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
