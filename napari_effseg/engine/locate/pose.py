"""Where a template lies in an image: nine numbers that an affine transformation is made of."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...types import Affine

__all__ = ["Pose", "nearest_rotation", "pose_affine", "pose_matrix", "rotation"]

Pose: TypeAlias = NDArray[np.float64]
"""(9,): place of the template's centre (x, y, z, RAS mm); turns about x, y and z (radians); logarithms of the
sizes along the template's x, y and z."""


def rotation(x: float, y: float, z: float) -> NDArray[np.float64]:
    """Rotation matrix (3, 3): about the x axis first, then y, then z; radians."""
    (cx, cy, cz), (sx, sy, sz) = np.cos((x, y, z)), np.sin((x, y, z))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    matrix: NDArray[np.float64] = about_z @ about_y @ about_x
    return matrix


def pose_matrix(pose: Pose) -> NDArray[np.float64]:
    """Matrix (3, 3) that turns and sizes the template about its centre."""
    matrix: NDArray[np.float64] = rotation(*pose[3:6]) * np.exp(pose[6:9])
    return matrix


def pose_affine(pose: Pose, centre: NDArray[np.float64]) -> Affine:
    """Affine (4, 4), template RAS mm -> image RAS mm; `centre` is the template's, in its own space."""
    affine = np.eye(4)
    affine[:3, :3] = pose_matrix(pose)
    affine[:3, 3] = pose[:3] - affine[:3, :3] @ centre
    return affine


def nearest_rotation(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation (3, 3) nearest to a matrix with a positive determinant.

    References
    ----------
    The orthogonal factor of the polar decomposition; N.J. Higham, Computing the polar decomposition, 1986.
    """
    left, _, right = np.linalg.svd(matrix)
    nearest: NDArray[np.float64] = left @ right
    return nearest
