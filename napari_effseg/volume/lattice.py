"""Where an array lies on the lattice of another grid: axes reordered, flipped, shifted by whole voxels."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from ..types import IndexBox
from .affine import GRID_TOLERANCE_MM, Grid, same_grid
from .reorient import Reorientation

__all__ = ["Placement", "nearest_turn", "place_on_lattice"]


@dataclass(frozen=True, eq=False)
class Placement:
    """A turn of an array, and where the turned array begins on the lattice.

    Parameters
    ----------
    turn : Reorientation
        From the array's own axes to those of the lattice.
    offset : (int, int, int)
        Lattice index of voxel (0, 0, 0) of the turned array; may be negative.
    """

    turn: Reorientation
    offset: tuple[int, int, int]

    @property
    def box(self) -> IndexBox:
        """Half-open box of lattice indices that the turned array fills."""
        i, j, k = (start + side for start, side in zip(self.offset, self.turn.grid.shape, strict=True))
        return self.offset, (i, j, k)


def place_on_lattice(grid: Grid, lattice: Grid, tolerance_mm: float = GRID_TOLERANCE_MM) -> Placement | None:
    """Find how the voxels of `grid` lie on those of `lattice`, continued without end.

    Parameters
    ----------
    grid, lattice : Grid
    tolerance_mm : float
        How far a corner voxel may lie from its place on the lattice.

    Returns
    -------
    Placement or None
        None where the voxels do not fall on those of the lattice.

    Examples
    --------
    >>> lattice = Grid((8, 8, 8), np.eye(4))
    >>> flipped = Grid((2, 3, 4), np.array([[-1, 0, 0, 6], [0, 1, 0, 1], [0, 0, 1, 2], [0, 0, 0, 1.0]]))
    >>> place_on_lattice(flipped, lattice).offset
    (5, 1, 2)
    """
    from_world = np.linalg.inv(lattice.affine)
    steps = np.rint((from_world @ grid.affine)[:3, :3])
    if not all((np.abs(steps).sum(axis=axis) == 1).all() for axis in (0, 1)):
        return None
    turn = _turn(grid, steps)
    i, j, k = np.rint((from_world @ turn.grid.affine)[:3, 3]).astype(int).tolist()
    there = np.array(lattice.affine)
    there[:3, 3] += there[:3, :3] @ (i, j, k)
    if not same_grid(turn.grid, Grid(turn.grid.shape, there), tolerance_mm):
        return None
    return Placement(turn, (i, j, k))


def nearest_turn(grid: Grid, towards: Grid) -> Reorientation:
    """Permutation and flips that bring the axes of `grid` nearest to those of another grid."""
    cosines = towards.direction.T @ grid.direction
    orders = itertools.permutations(range(3))
    order = max(orders, key=lambda axes: sum(abs(cosines[row, axis]) for row, axis in enumerate(axes)))
    steps = np.zeros((3, 3))
    for row, axis in enumerate(order):
        steps[row, axis] = -1 if cosines[row, axis] < 0 else 1
    return _turn(grid, steps)


def _turn(grid: Grid, steps: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Reorientation:
    """Turn with this matrix of -1, 0 and 1, one row a new axis, one column an axis of `grid`."""
    i, j, k = np.argmax(np.abs(steps), axis=1).tolist()
    flips = (bool(steps[0, i] < 0), bool(steps[1, j] < 0), bool(steps[2, k] < 0))
    return Reorientation(grid, (i, j, k), flips)
