"""Affines and grids: voxel index -> world, RAS, mm, and what follows from them.

LPS (DICOM, ITK) is met only at the doors and in `io`; `ras_to_lps` and `lps_to_ras` are the only ways
between the two.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import AffineError, VolumeError
from ..types import Affine, Axcodes, Spacing, SpatialShape

__all__ = [
    "GRID_TOLERANCE_MM",
    "Grid",
    "affine_axcodes",
    "affine_spacing",
    "as_affine",
    "as_axcodes",
    "lps_to_ras",
    "ras_to_lps",
    "same_grid",
    "transform_points",
]

GRID_TOLERANCE_MM = 1e-4
"""Two grids are the same when no corner voxel differs by more (contract, section 4)."""

_SMALLEST_SPACING_MM = 1e-9
_SMALLEST_RELATIVE_VOLUME = 1e-6  # of a voxel against the box of its spacings; below, two axes coincide
_AXIS_LETTERS = ("LR", "PA", "IS")  # negative and positive direction of each world axis


def as_affine(value: ArrayLike) -> Affine:
    """Check an affine and return it as a read-only float64 copy.

    Parameters
    ----------
    value : array-like, shape (4, 4)
        Voxel index -> world, RAS, mm.

    Returns
    -------
    ndarray, shape (4, 4), float64
        Finite, invertible, last row 0 0 0 1.

    Raises
    ------
    AffineError
        If the matrix has another shape, is not finite, or maps the voxels onto a plane.
    """
    try:
        affine = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as err:
        raise AffineError("the affine is not a matrix of numbers; expected 4 x 4") from err
    if affine.shape != (4, 4):
        raise AffineError(f"the affine has shape {affine.shape}; expected (4, 4)")
    if not np.isfinite(affine).all():
        raise AffineError("the affine has NaN or infinite entries; expected finite numbers")
    if not np.allclose(affine[3], (0, 0, 0, 1)):
        raise AffineError(f"the affine's last row is {affine[3].tolist()}; expected 0 0 0 1")
    _refuse_collapsed_axes(affine)
    affine[3] = (0, 0, 0, 1)
    affine.flags.writeable = False
    return affine


def _refuse_collapsed_axes(affine: Affine) -> None:
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if (spacing < _SMALLEST_SPACING_MM).any():
        axes = ", ".join("IJK"[axis] for axis in np.flatnonzero(spacing < _SMALLEST_SPACING_MM))
        raise AffineError(f"the affine gives axis {axes} a voxel size of 0 mm; expected a positive size")
    if _cell_volume(affine[:3, :3] / spacing) < _SMALLEST_RELATIVE_VOLUME:
        raise AffineError("the affine cannot be inverted: its axes lie in one plane")


def _cell_volume(matrix: NDArray[np.float64]) -> float:
    """Volume between three columns; their triple product, which no singular matrix can upset."""
    i, j, k = matrix.T
    return float(abs(np.dot(i, np.cross(j, k))))


def affine_spacing(affine: Affine) -> Spacing:
    """Millimetres a voxel along each array axis.

    Examples
    --------
    >>> affine_spacing(np.diag([0.5, -2.0, 3.0, 1.0]))
    (0.5, 2.0, 3.0)
    """
    i, j, k = np.linalg.norm(np.asarray(affine)[:3, :3], axis=0)
    return float(i), float(j), float(k)


def affine_axcodes(affine: Affine) -> Axcodes:
    """World direction towards which each array axis mainly grows, such as ("R", "A", "S").

    The three axes get three different world axes: of the six assignments, the one with the largest sum of
    cosines, so that the answer moves with the axes when an array is permuted or flipped.

    Examples
    --------
    >>> affine_axcodes(np.diag([-1.0, -1.0, 2.0, 1.0]))
    ('L', 'P', 'S')
    """
    direction = np.asarray(affine)[:3, :3] / np.asarray(affine_spacing(affine))
    assignments = itertools.permutations(range(3))
    worlds = max(
        assignments, key=lambda rows: sum(abs(direction[row, axis]) for axis, row in enumerate(rows))
    )
    i, j, k = (_AXIS_LETTERS[row][int(direction[row, axis] > 0)] for axis, row in enumerate(worlds))
    return i, j, k


def as_axcodes(value: str | tuple[str, ...]) -> Axcodes:
    """Check axis codes such as "RAS" or ("R", "A", "S").

    Raises
    ------
    VolumeError
        If there are not three letters, one of each pair L/R, P/A and I/S.
    """
    letters = tuple(str(letter).upper() for letter in value)
    pairs = {next((pair for pair in _AXIS_LETTERS if letter in pair), "") for letter in letters}
    if len(letters) != 3 or pairs != set(_AXIS_LETTERS):
        raise VolumeError(
            f"{value!r} are no axis codes; expected one each of L/R, P/A and I/S, such as 'RAS'"
        )
    i, j, k = letters
    return i, j, k


def ras_to_lps(affine: Affine) -> Affine:
    """Turn an affine to RAS world into one to LPS world (DICOM, ITK); array axes stay as they are."""
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.asarray(affine, dtype=np.float64)


def lps_to_ras(affine: Affine) -> Affine:
    """Turn an affine to LPS world (DICOM, ITK) into one to RAS world; array axes stay as they are."""
    return ras_to_lps(affine)  # the sign change is its own inverse


def transform_points(affine: Affine, points: ArrayLike) -> NDArray[np.float64]:
    """Map points through an affine.

    Parameters
    ----------
    affine : ndarray, shape (4, 4)
        Voxel index -> world gives world points in mm; its inverse gives voxel indices.
    points : array-like, shape (..., 3)

    Returns
    -------
    ndarray, shape (..., 3), float64
    """
    matrix = np.asarray(affine, dtype=np.float64)
    return np.asarray(points, dtype=np.float64) @ matrix[:3, :3].T + matrix[:3, 3]


@dataclass(frozen=True, eq=False)
class Grid:
    """Where the voxels of an array lie: a shape and an affine, without data.

    Parameters
    ----------
    shape : (I, J, K)
        Voxels along each array axis, at least 1.
    affine : array-like, shape (4, 4)
        Voxel index -> world, RAS, mm.

    Raises
    ------
    AffineError
        If the affine is not a finite, invertible 4 x 4 matrix.
    VolumeError
        If the shape has not three sides of at least one voxel.
    """

    shape: SpatialShape
    affine: Affine

    def __post_init__(self) -> None:
        shape = tuple(int(side) for side in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise VolumeError(f"a grid of shape {shape} was given; expected three sides of at least 1 voxel")
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", as_affine(self.affine))

    @property
    def spacing(self) -> Spacing:
        """Millimetres a voxel along each array axis."""
        return affine_spacing(self.affine)

    @property
    def origin(self) -> tuple[float, float, float]:
        """World position of the centre of voxel (0, 0, 0), RAS mm."""
        x, y, z = self.affine[:3, 3].tolist()
        return x, y, z

    @property
    def direction(self) -> NDArray[np.float64]:
        """(3, 3) unit vectors of the array axes in RAS, one a column."""
        return np.asarray(self.affine[:3, :3] / np.asarray(self.spacing))

    @property
    def axcodes(self) -> Axcodes:
        """World direction towards which each array axis mainly grows."""
        return affine_axcodes(self.affine)

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel in mm³."""
        return _cell_volume(self.affine[:3, :3])

    @property
    def is_flat(self) -> bool:
        """Whether an axis is one voxel thick."""
        return 1 in self.shape

    @property
    def corners_ras(self) -> NDArray[np.float64]:
        """(8, 3) world positions of the centres of the corner voxels, RAS mm."""
        ends = [(0, side - 1) for side in self.shape]
        return transform_points(self.affine, list(itertools.product(*ends)))


def same_grid(a: Grid, b: Grid, tolerance_mm: float = GRID_TOLERANCE_MM) -> bool:
    """Whether two grids have one shape and no corner voxel is further apart than `tolerance_mm`."""
    if a.shape != b.shape:
        return False
    distances = np.linalg.norm(a.corners_ras - b.corners_ras, axis=1)
    return bool(distances.max() <= tolerance_mm)
