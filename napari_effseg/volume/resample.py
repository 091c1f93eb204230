"""Bring arrays from one grid onto another, slab by slab, so that memory stays bounded.

Of an array that is read when it is needed, only the part is read that the target's voxels are made of.

Conventions, those of ITK: a target voxel whose centre lies within half a voxel of the source's outermost
centres takes the nearest edge value; beyond, it is outside. Before linear downsampling the source is
smoothed by a Gaussian of ``sigma = sqrt((f² - 1) / (8 ln 2))`` source voxels for a spacing grown by f.

References
----------
M. J. Cardoso et al., Scale factor point spread function matching: beyond aliasing in image resampling,
MICCAI 2015 (the sigma above).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import VolumeError
from ..types import Affine
from ._oblique import resample_oblique
from ._separable import EDGE_TOLERANCE, axis_operators, is_outside, linear_slab, nearest_indices, needed_of
from .affine import Grid, same_grid
from .blocks import RowReader
from .lazy import LazyArray, LazyView, Voxels, storage_order, view_of
from .volume import LabelMap, Volume

__all__ = ["grid_with_spacing", "resample", "resample_array"]

_Image = TypeVar("_Image", Volume, LabelMap)

_SLAB_VOXELS = 4_000_000  # of source or target held as float at a time: tens of megabytes
_ALIGNED_TOLERANCE = 1e-4  # voxels of drift over the whole grid that still count as aligned axes


def resample(image: _Image, target: Grid) -> _Image:
    """Return the image on another grid: a Volume linearly, a LabelMap by the nearest voxel.

    Parameters
    ----------
    image : Volume or LabelMap
    target : Grid
        Any grid, also oblique to the image's. Outside the image the value is 0.

    Returns
    -------
    Volume or LabelMap
        On `target` exactly. Volumes become float32, unless the two grids are the same.
    """
    data = resample_array(image.data, image.grid, target, order=_order_of(image))
    return replace(image, data=data, affine=target.affine)


@overload
def resample_array(
    array: NDArray[Any], source: Grid, target: Grid, order: int = 1, cval: float = 0.0
) -> NDArray[Any]: ...
@overload
def resample_array(
    array: LazyArray, source: Grid, target: Grid, order: int = 1, cval: float = 0.0
) -> Voxels: ...
def resample_array(array: Voxels, source: Grid, target: Grid, order: int = 1, cval: float = 0.0) -> Voxels:
    """Sample an array that lies on one grid at the voxel centres of another.

    Parameters
    ----------
    array : array, shape (..., I, J, K)
        Its last three axes lie on `source`.
    source, target : Grid
    order : 0 or 1
        Nearest voxel, or linear with smoothing before downsampling.
    cval : float
        Value outside the source.

    Returns
    -------
    ndarray, shape (..., *target.shape)
        Same dtype for order 0, float32 for order 1. When the grids are the same: `array` itself.

    Raises
    ------
    VolumeError
        If the array does not fit `source`, or `order` is neither 0 nor 1.
    """
    if array.ndim < 3 or tuple(array.shape[-3:]) != source.shape:
        raise VolumeError(f"an array of shape {array.shape} was given for a grid of shape {source.shape}")
    if order not in (0, 1):
        raise VolumeError(f"interpolation of order {order} was asked for; expected 0 (nearest) or 1 (linear)")
    if same_grid(source, target):
        return array
    view, lead = view_of(array), array.shape[:-3]
    out = np.empty((*lead, *target.shape), dtype=array.dtype if order == 0 else np.float32)
    to_source = np.linalg.inv(source.affine) @ target.affine
    aligned = _aligned_axes(to_source, target)
    for index in np.ndindex(*lead):
        if aligned is not None:
            _resample_aligned(view[index], out[index], aligned, order, cval)
        else:
            resample_oblique(view[index], out[index], to_source, order, cval)
    return out


def grid_with_spacing(grid: Grid, spacing: ArrayLike) -> Grid:
    """Return the grid that covers the same field of view with another voxel size.

    As many voxels as it takes to cover the field, centred on it: every voxel of either grid lies inside
    the other's field of view, and where the field is a whole number of new voxels the edges coincide.

    Parameters
    ----------
    grid : Grid
    spacing : float or three floats
        Millimetres a voxel along each array axis, above 0.

    Raises
    ------
    VolumeError
        If a spacing is not a finite number above 0.

    Examples
    --------
    >>> grid_with_spacing(Grid((10, 10, 4), np.diag([1.0, 1.0, 3.0, 1.0])), 2.0).shape
    (5, 5, 6)
    """
    wanted = np.broadcast_to(np.asarray(spacing, dtype=np.float64), 3)
    if not (np.isfinite(wanted).all() and (wanted > 0).all()):
        raise VolumeError(f"the spacing {wanted.tolist()} mm was asked for; expected finite sizes above 0")
    factors = wanted / np.asarray(grid.spacing)
    sides = np.asarray(grid.shape)
    shape = np.maximum(1, np.ceil(sides / factors - EDGE_TOLERANCE)).astype(int)
    to_source = np.diag([*factors, 1.0])
    to_source[:3, 3] = (sides - 1) / 2 - factors * (shape - 1) / 2  # the centres coincide
    i, j, k = shape.tolist()
    return Grid((i, j, k), grid.affine @ to_source)


def _order_of(image: Volume | LabelMap) -> int:
    return 0 if isinstance(image, LabelMap) else 1


@dataclass(frozen=True)
class _AxisMap:
    """Target index t along an axis lies at ``scale * t + offset`` along source axis `source_axis`."""

    source_axis: int
    scale: float
    offset: float


def _aligned_axes(to_source: Affine, target: Grid) -> tuple[_AxisMap, _AxisMap, _AxisMap] | None:
    """Match target axes to source axes when each runs along just one, else None."""
    matrix = to_source[:3, :3]
    axes = np.abs(matrix).argmax(axis=0)
    if len(set(axes.tolist())) < 3:
        return None
    rest = matrix.copy()
    rest[axes, range(3)] = 0
    if (np.abs(rest) @ np.asarray(target.shape) > _ALIGNED_TOLERANCE).any():
        return None
    i, j, k = (_AxisMap(int(axis), matrix[axis, t], to_source[axis, 3]) for t, axis in enumerate(axes))
    return i, j, k


def _resample_aligned(
    array: NDArray[Any] | LazyView,
    out: NDArray[Any],
    maps: tuple[_AxisMap, _AxisMap, _AxisMap],
    order: int,
    cval: float,
) -> None:
    """Fill `out` (I, J, K of the target) axis by axis; slabs run along the array's slowest axis."""
    turned = array.transpose(*(axis.source_axis for axis in maps))
    slowest = storage_order(turned)[0]
    axes = (slowest, *(axis for axis in range(3) if axis != slowest))
    source, result = turned.transpose(*axes), out.transpose(axes)
    positions = [
        maps[axis].scale * np.arange(out.shape[axis], dtype=np.float64) + maps[axis].offset for axis in axes
    ]
    if order == 0:
        _take_nearest(source, result, positions)
    else:
        _take_linear(source, result, positions, [abs(maps[axis].scale) for axis in axes])
    _fill_outside(result, positions, source.shape, cval)


def _take_nearest(
    source: NDArray[Any] | LazyView, result: NDArray[Any], positions: list[NDArray[np.float64]]
) -> None:
    first, *in_plane = (nearest_indices(p, side) for p, side in zip(positions, source.shape, strict=True))
    j, k = (slice(int(indices.min()), int(indices.max()) + 1) for indices in in_plane)
    reader = RowReader(source[:, j, k])
    columns = np.ix_(*(indices - part.start for indices, part in zip(in_plane, (j, k), strict=True)))
    for rows in _slabs(result.shape, _slab_voxels(source.shape, result.shape)):
        low, high = int(first[rows].min()), int(first[rows].max()) + 1
        result[rows] = reader.read(low, high)[((first[rows] - low)[:, None, None], *columns)]


def _take_linear(
    source: NDArray[Any] | LazyView,
    result: NDArray[Any],
    positions: list[NDArray[np.float64]],
    scales: list[float],
) -> None:
    first, *in_plane = axis_operators(positions, scales, source.shape)
    j, k = map(needed_of, in_plane)
    reader = RowReader(source[:, j, k])
    operators = [first, in_plane[0][:, j], in_plane[1][:, k]]
    for rows in _slabs(result.shape, _slab_voxels(source.shape, result.shape)):
        result[rows] = linear_slab(reader, operators, rows)


def _fill_outside(
    result: NDArray[Any], positions: list[NDArray[np.float64]], sides: tuple[int, ...], cval: float
) -> None:
    for axis, (position, side) in enumerate(zip(positions, sides, strict=True)):
        result[(slice(None),) * axis + (is_outside(position, side),)] = cval


def _slab_voxels(source_shape: tuple[int, ...], target_shape: tuple[int, ...]) -> int:
    """Target voxels a slab, so that the source voxels it reads are bounded too."""
    growth = np.prod(source_shape, dtype=float) / np.prod(target_shape, dtype=float)
    return int(_SLAB_VOXELS / max(1.0, growth))


def _slabs(shape: tuple[int, ...], voxels: int) -> Iterator[slice]:
    """Ranges along the first axis of about `voxels` voxels each, at least one row."""
    rows = max(1, voxels // max(1, int(np.prod(shape[1:]))))
    for start in range(0, shape[0], rows):
        yield slice(start, min(start + rows, shape[0]))
