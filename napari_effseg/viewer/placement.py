"""Where a layer lies: layer axes <-> stored array axes, napari's world <-> RAS mm.

Conventions of this room:

- The world of the viewer is (S, P, L) in mm: reversed LPS. So axial slices show anterior at the top and the
  patient's left on the right, and the slider runs from foot to head.
- A layer of ours holds the stored array with its axes turned towards (S, P, L), as a view; its transform
  places it in the world exactly, oblique volumes included.
- A layer of another plugin is taken as (K, J, I), its transform as one to (S, P, L) mm. A layer of two
  dimensions is a picture (J, I), one slice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import VolumeError
from ..types import Affine, Axcodes, SpatialShape
from ..volume import GRID_TOLERANCE_MM, Grid, Reorientation, same_grid, transform_points
from .source import source_of

if TYPE_CHECKING:
    from napari.layers import Layer

__all__ = [
    "VIEW_AXCODES",
    "back_of",
    "drawn_matrix",
    "grid_of_layer",
    "index_of_world",
    "inverse",
    "is_oblique",
    "level_array",
    "levels_of",
    "mm_factors",
    "mm_matrix",
    "mm_per_world_unit",
    "placement_of",
    "ras_of_world",
    "view_of_grid",
    "world_matrix",
    "world_of_index",
    "world_of_ras",
]

VIEW_AXCODES: Axcodes = ("S", "P", "L")
_OBLIQUE = 1e-8
"""Off-diagonal part of an axis, relative to its length, from which napari slices it as tilted."""
_WORLD_OF_RAS = np.array([[0, 0, 1, 0], [0, -1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1]], dtype=np.float64)
_RAS_OF_WORLD = _WORLD_OF_RAS.T


def ras_of_world(point: ArrayLike, mm_per_unit: float = 1.0) -> NDArray[np.float64]:
    """Turn world points of the viewer, shape (..., n), into RAS mm, shape (..., 3).

    Of more than three coordinates the last three count (time comes first); a picture's two are (P, L).

    Parameters
    ----------
    point : array-like, shape (..., n)
        (S, P, L), or with axes of time before them.
    mm_per_unit : float
        Length of a unit of the viewer's world; see `mm_per_world_unit`.
    """
    world = np.asarray(point, dtype=np.float64)
    if world.shape[-1] < 3:
        missing = np.zeros((*world.shape[:-1], 3 - world.shape[-1]))
        world = np.concatenate([missing, world], axis=-1)
    return transform_points(_RAS_OF_WORLD, world[..., -3:] * mm_per_unit)


def world_of_ras(point: ArrayLike, mm_per_unit: float = 1.0) -> NDArray[np.float64]:
    """Turn RAS mm, shape (..., 3), into world points (S, P, L) of the viewer, shape (..., 3)."""
    return transform_points(_WORLD_OF_RAS, point) / mm_per_unit


def mm_per_world_unit(layers: Iterable[Layer]) -> float:
    """Millimetres in a unit of the world that these layers share: 1, or 0.001 where it is in micrometres.

    napari counts in the smallest unit of length of its layers; where a layer has none, in plain numbers.
    """
    factors = [mm_factors(layer) for layer in layers]
    if not factors or any(None in axes for axes in factors):
        return 1.0
    return min(float(factor) for axes in factors for factor in axes if factor is not None)


def view_of_grid(grid: Grid) -> Reorientation:
    """Return the way from a stored array to the axes (S, P, L) of our layers."""
    return Reorientation.between(grid.affine, grid.shape, VIEW_AXCODES)


def world_matrix(view: Reorientation) -> Affine:
    """(4, 4) matrix from indices of a layer's axes to the world (S, P, L), mm."""
    return np.asarray(_WORLD_OF_RAS @ view.grid.affine)


def drawn_matrix(matrix: Affine, displayed: Sequence[int] | None) -> Affine:
    """Matrix index -> world as napari draws it: within the canvas, and across it by the inverse's own part.

    Parameters
    ----------
    matrix : ndarray, shape (4, 4)
        As `world_matrix` gives it.
    displayed : sequence of int or None
        The axes of (S, P, L), 0 to 2, that the canvas shows; None or all three: nothing changes.
    """
    if displayed is None or len(displayed) == 3:
        return matrix
    shown = [axis for axis in range(3) if axis in displayed]
    across = [axis for axis in range(3) if axis not in displayed]
    drawn = np.eye(4)
    drawn[np.ix_(shown, shown)] = matrix[np.ix_(shown, shown)]
    drawn[shown, 3] = matrix[shown, 3]
    inverse = np.linalg.inv(matrix)
    part = np.linalg.inv(inverse[np.ix_(across, across)])
    drawn[np.ix_(across, across)] = part
    drawn[across, 3] = -part @ inverse[across, 3]
    return drawn


def is_oblique(layer: Layer) -> bool:
    """Whether a layer's slices are tilted against the world's planes; napari draws them without the tilt."""
    matrix = mm_matrix(layer)[:3, :3]
    lengths = np.linalg.norm(matrix, axis=0)
    return bool(np.abs(matrix / lengths - np.diag(np.diag(matrix / lengths))).max() > _OBLIQUE)


def level_array(layer: Layer, level: int = 0) -> Any:
    """Return the array of a layer, or one level of a multiscale layer, 0 being the finest."""
    return layer.data[level] if layer.multiscale else layer.data


def levels_of(layer: Layer) -> int:
    """Count the levels of a multiscale layer; 1 for any other."""
    return len(layer.data) if layer.multiscale else 1


def placement_of(layer: Layer, level: int = 0) -> Reorientation:
    """Return the way from the stored array (I, J, K) to a layer's three spatial axes; `source` is its grid.

    For a layer of ours this is the grid of the file, to the last digit, as long as nobody has moved the
    layer; else the layer's transform decides.

    Raises
    ------
    VolumeError
        If the layer has no place: one axis, or a transform that mixes time and space or is singular.
    """
    shape = _spatial_shape(layer, level)
    affine = _RAS_OF_WORLD @ mm_matrix(layer) @ _level_matrix(layer, level)
    found = Grid(shape, affine)
    source = source_of(layer)
    if source is None:
        return _leading_to(found, (2, 1, 0), (False, False, False))
    if same_grid(source.view.grid, found, GRID_TOLERANCE_MM / 10):
        return source.view
    return _leading_to(found, source.view.order, source.view.flips)


def back_of(view: Reorientation) -> Reorientation:
    """Return the way from a layer's axes back to those of the stored array."""
    return _turned_back(view.grid, view.order, view.flips)


def grid_of_layer(layer: Layer, level: int = 0) -> Grid:
    """Grid of the stored array (I, J, K), RAS mm, that a layer shows.

    Raises
    ------
    VolumeError
        As `placement_of`.
    """
    return placement_of(layer, level).source


def index_of_world(
    layer: Layer, point: ArrayLike, displayed: Sequence[int] | None = None, mm_per_unit: float = 1.0
) -> NDArray[np.float64]:
    """Voxel index (i, j, k) of the stored array at a world point, not rounded.

    Parameters
    ----------
    layer : Layer
    point : array-like, shape (n,)
        World of the viewer; as `ras_of_world`.
    displayed : sequence of int, optional
        The axes of (S, P, L), 0 to 2, that the canvas shows. A tilted volume is drawn without its tilt;
        with this the index is that of the voxel that is seen at the point, without it that of the true place.
    mm_per_unit : float

    Returns
    -------
    ndarray, shape (3,)
    """
    view = placement_of(layer)
    matrix = drawn_matrix(world_matrix(view), displayed)
    world = transform_points(_WORLD_OF_RAS, ras_of_world(point, mm_per_unit))
    seen = transform_points(inverse(matrix), world)
    return transform_points(inverse(_view_of_stored(view)), seen)


def world_of_index(
    layer: Layer, index: ArrayLike, displayed: Sequence[int] | None = None, mm_per_unit: float = 1.0
) -> NDArray[np.float64]:
    """World point (S, P, L) of a voxel index (i, j, k) of the stored array; inverse of `index_of_world`."""
    view = placement_of(layer)
    matrix = drawn_matrix(world_matrix(view), displayed)
    return transform_points(matrix, transform_points(_view_of_stored(view), index)) / mm_per_unit


def inverse(matrix: Affine) -> Affine:
    """Invert a (4, 4) matrix."""
    return np.linalg.inv(matrix).astype(np.float64)


def _view_of_stored(view: Reorientation) -> Affine:
    """(4, 4) matrix from stored indices (i, j, k) to indices of the layer's axes."""
    matrix = np.zeros((4, 4))
    matrix[3, 3] = 1
    for new, (old, flip) in enumerate(zip(view.order, view.flips, strict=True)):
        matrix[new, old] = -1 if flip else 1
        matrix[new, 3] = view.source.shape[old] - 1 if flip else 0
    return matrix


def _leading_to(
    layer_grid: Grid, order: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> Reorientation:
    """Reorientation with this order and these flips whose outcome is `layer_grid`."""
    return Reorientation(_turned_back(layer_grid, order, flips).grid, order, flips)


def _turned_back(grid: Grid, order: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> Reorientation:
    i, j, k = (order.index(axis) for axis in range(3))
    return Reorientation(grid, (i, j, k), (flips[i], flips[j], flips[k]))


def _spatial_shape(layer: Layer, level: int) -> SpatialShape:
    shape = tuple(level_array(layer, level).shape)
    if getattr(layer, "rgb", False):
        shape = shape[:-1]
    if len(shape) < 2:
        raise VolumeError(f"the layer {layer.name!r} has one axis; expected an image of two or more")
    k, j, i = (1, *shape)[-3:]
    return int(k), int(j), int(i)


def _level_matrix(layer: Layer, level: int) -> Affine:
    """(4, 4) matrix from indices of a coarser level to those of the finest: both cover the same extent."""
    matrix = np.eye(4)
    if level:
        fine, coarse = _spatial_shape(layer, 0), _spatial_shape(layer, level)
        for axis, factor in enumerate(np.divide(fine, coarse)):
            matrix[axis, axis], matrix[axis, 3] = factor, (factor - 1) / 2
    return matrix


def _own_matrix(layer: Layer) -> Affine:
    """(4, 4) matrix from indices of a layer's last three axes to the world, in the layer's own units."""
    ndim = int(layer.ndim)
    origin = np.asarray(layer.data_to_world(np.zeros(ndim)), dtype=np.float64)
    columns = [np.asarray(layer.data_to_world(axis), dtype=np.float64) - origin for axis in np.eye(ndim)]
    linear = np.stack(columns, axis=1)
    lead = max(ndim - 3, 0)
    _refuse_mixed(layer, linear, lead)
    sides = ndim - lead
    matrix = np.eye(4)
    matrix[3 - sides : 3, 3 - sides : 3] = linear[lead:, lead:]
    matrix[3 - sides : 3, 3] = origin[lead:]
    return matrix


def mm_matrix(layer: Layer) -> Affine:
    """(4, 4) matrix from indices of a layer's last three axes to the world (S, P, L), mm."""
    matrix = _own_matrix(layer)
    factors = [1.0 if factor is None else factor for factor in mm_factors(layer)]
    matrix[3 - len(factors) : 3] *= np.asarray(factors)[:, None]
    return matrix


def _refuse_mixed(layer: Layer, linear: NDArray[np.float64], lead: int) -> None:
    mixed = np.abs(linear[lead:, :lead]).sum() + np.abs(linear[:lead, lead:]).sum()
    if mixed > _OBLIQUE * np.abs(linear).max():
        raise VolumeError(
            f"the transform of the layer {layer.name!r} turns its first axis into space; "
            "only the last three axes can be rotated"
        )


def mm_factors(layer: Layer) -> list[float | None]:
    """Millimetres a unit along a layer's spatial axes; None where the unit is no length (pixels)."""
    sides = min(int(layer.ndim), 3)
    units: Sequence[Any] = layer.units[-sides:] if getattr(layer, "units", None) else ()
    if not units:
        return [None] * sides
    return [
        float((1 * unit).to("millimeter").magnitude) if unit.dimensionality == {"[length]": 1} else None
        for unit in units
    ]
