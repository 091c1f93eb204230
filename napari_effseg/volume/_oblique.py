"""Sample an array on a grid that is turned against its own, block by block."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..types import Affine
from ._separable import GAUSSIAN_REACH, is_outside, nearest_indices
from .lazy import LazyView

__all__ = ["resample_oblique"]

_BLOCK_VOXELS = 4_000_000  # of source or target held as float at a time
_GROWTH = 5.0  # the box around a cube that is turned as far as can be holds this much of it, about

_ReadBox: TypeAlias = Callable[[tuple[slice, ...]], NDArray[Any]]


def resample_oblique(
    array: NDArray[Any] | LazyView, out: NDArray[Any], to_source: Affine, order: int, cval: float
) -> None:
    """Fill `out` block by block, each from the box of the source that it lies in."""
    from scipy.ndimage import map_coordinates

    last = np.asarray(array.shape)[:, None, None, None] - 1
    read = _smoothed_boxes(array, to_source) if order == 1 else _boxes(array)
    growth = max(1.0, abs(float(np.linalg.det(to_source[:3, :3]))))
    for block in _cubes(out.shape, _BLOCK_VOXELS / (_GROWTH * growth)):
        position = _positions(to_source, block)
        sides = zip(position, array.shape, strict=True)
        outside = np.any([is_outside(axis, side) for axis, side in sides], axis=0)
        if outside.all():
            out[block] = cval
            continue
        place = np.clip(position, 0, last)
        low = [int(np.floor(axis[~outside].min())) for axis in place]
        high = [int(np.ceil(axis[~outside].max())) + 1 for axis in place]
        part = read(tuple(slice(start, stop) for start, stop in zip(low, high, strict=True)))
        place -= np.asarray(low)[:, None, None, None]
        if order == 0:
            nearest = (nearest_indices(axis, side) for axis, side in zip(place, part.shape, strict=True))
            out[block] = part[tuple(nearest)]
        else:
            map_coordinates(part, place, order=1, mode="nearest", output=out[block], prefilter=False)
        out[block][outside] = cval


def _positions(to_source: Affine, block: tuple[slice, ...]) -> NDArray[np.float64]:
    """Where the voxels of a target block lie in the source, (3, i, j, k), in source voxels."""
    ranges = (np.arange(side.start, side.stop, dtype=np.float64) for side in block)
    indices = np.stack(np.meshgrid(*ranges, indexing="ij"))
    moved: NDArray[np.float64] = np.tensordot(to_source[:3, :3], indices, axes=1)
    return moved + to_source[:3, 3, None, None, None]


def _boxes(array: NDArray[Any] | LazyView) -> _ReadBox:
    return lambda box: np.asarray(array[box])


def _smoothed_boxes(array: NDArray[Any] | LazyView, to_source: Affine) -> _ReadBox:
    """Read boxes of an array, smoothed along the axes that the target samples more coarsely.

    An array in memory is smoothed once; of another, each box is read with as much around it as counts.
    """
    factors = np.linalg.norm(to_source[:3, :3], axis=1)  # target step, seen along each source axis
    sigmas = np.sqrt(np.maximum(factors**2 - 1, 0) / (8 * np.log(2)))
    if (sigmas < 0.1).all():  # such a Gaussian has no weight outside its centre voxel
        return lambda box: _known_to_scipy(np.asarray(array[box]))
    if isinstance(array, np.ndarray):
        return _boxes(_smoothed(array, sigmas))
    reach = np.floor(GAUSSIAN_REACH * sigmas + 0.5).astype(int)

    def read(box: tuple[slice, ...]) -> NDArray[Any]:
        low = [max(side.start - more, 0) for side, more in zip(box, reach.tolist(), strict=True)]
        wide = tuple(
            slice(start, side.stop + more) for start, side, more in zip(low, box, reach.tolist(), strict=True)
        )
        inner = (slice(side.start - start, side.stop - start) for start, side in zip(low, box, strict=True))
        return _smoothed(np.asarray(array[wide]), sigmas)[tuple(inner)]

    return read


def _smoothed(array: NDArray[Any], sigmas: NDArray[np.float64]) -> NDArray[np.float32]:
    from scipy.ndimage import gaussian_filter

    smoothed: NDArray[np.float32] = gaussian_filter(
        _known_to_scipy(array), sigmas, output=np.float32, mode="nearest", truncate=GAUSSIAN_REACH
    )
    return smoothed


def _known_to_scipy(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _cubes(shape: tuple[int, ...], voxels: float) -> Iterator[tuple[slice, ...]]:
    """Blocks that cover a shape, with sides that are as alike as it lets them be."""
    side = max(8, round(voxels ** (1 / 3)))
    cuts = [[slice(start, min(start + side, end)) for start in range(0, end, side)] for end in shape]
    yield from itertools.product(*cuts)
