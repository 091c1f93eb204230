"""The ways of nnU-Net and MONAI from an image's grid to the network's and back, where they differ from ours.

Both are followed to the voxel, because a network has learned from images that were made so.

References
----------
nnU-Net v2, ``preprocessing/resampling/default_resampling.py``; MONAI, ``Spacing`` and
``compute_shape_offset``. Written from what these compute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from ..types import SpatialShape
from ..volume import Grid
from .rows import AxisLine, AxisTaps

__all__ = ["axis_between_slices", "grid_of_manner", "taps_back"]

_ANISOTROPIC = 3.0
"""Spacings whose largest is more than this many times the smallest belong to thick slices, to nnU-Net."""

_SAME_SCALE = 1e-9

Manner = Literal["nnunet", "monai"]


def grid_of_manner(seen: Grid, spacing: Sequence[float], manner: Manner) -> Grid:
    """Return the network's grid for an image.

    Parameters
    ----------
    seen : Grid
        Of the image that the network sees, axes turned.
    spacing : three floats
        Millimetres a voxel that are wanted.
    manner : {"nnunet", "monai"}
        nnU-Net covers the same field of view with a rounded number of voxels, so that these are a little
        larger or smaller than wanted. MONAI begins at the same voxel centre, with voxels of this size; or,
        where an affine is oblique and not free of rounding, about the same middle.
    """
    if manner == "nnunet":
        sides = [
            max(round(own / want * side), 1)
            for own, want, side in zip(seen.spacing, spacing, seen.shape, strict=True)
        ]
        scale = [side / new for side, new in zip(seen.shape, sides, strict=True)]
        offset = [(factor - 1) / 2 for factor in scale]
    else:
        scale = [want / own for own, want in zip(seen.spacing, spacing, strict=True)]
        sides, offset = _monai_extent(seen, spacing)
    shape: SpatialShape = (sides[0], sides[1], sides[2])
    if shape == seen.shape and np.allclose(scale, 1.0, atol=1e-6):
        return seen
    to_source = np.diag([*scale, 1.0])
    to_source[:3, 3] = offset
    return Grid(shape, seen.affine @ to_source)


def _monai_extent(seen: Grid, spacing: Sequence[float]) -> tuple[list[int], list[float]]:
    """Sides of MONAI's grid, and where its first voxel lies among the image's."""
    linear, shape = seen.affine[:3, :3], np.asarray(seen.shape, dtype=float)
    triangle = np.linalg.cholesky(linear.T @ linear).T
    turn = linear @ np.linalg.inv(triangle)
    new = turn @ np.diag(np.sign(np.diag(triangle)) * np.asarray(spacing))
    corners = np.asarray(np.meshgrid(*[(0.0, side - 1) for side in shape], indexing="ij")).reshape(3, -1)
    reached = np.linalg.solve(new, linear) @ corners
    sides = np.round(np.ptp(reached, axis=1) + 1.0)
    first = next(
        (at for at in range(8) if np.allclose((reached - reached[:, at : at + 1]).min(axis=1), 0.0)), None
    )
    start = linear @ corners[:, first] if first is not None else linear @ (shape / 2) - new @ (sides / 2)
    offset = np.linalg.solve(linear, start)
    return [int(side) for side in sides], [float(place) for place in offset]


def axis_between_slices(current: Sequence[float], new: Sequence[float]) -> int | None:
    """Return the axis across thick slices, along which nnU-Net takes the nearest voxel, or None.

    Parameters
    ----------
    current, new : three floats
        Spacings before and after; the first that is anisotropic tells.
    """
    for spacing in (current, new):
        if max(spacing) / min(spacing) > _ANISOTROPIC:
            thick = [axis for axis, size in enumerate(spacing) if size == max(spacing)]
            return thick[0] if len(thick) == 1 else None
    return None


def taps_back(
    manner: Manner, wanted: Sequence[float], image: Grid, what: Literal["scores", "labels"]
) -> tuple[Callable[[AxisLine], AxisTaps], ...]:
    """Choose, for each axis, how scores or labels come back from the network's grid.

    Parameters
    ----------
    manner : {"nnunet", "monai"}
    wanted : three floats
        The spacing that the card asks for.
    image : Grid
        Where they come back to.
    what : {"scores", "labels"}
        Scores are interpolated linearly, without the smoothing of our own way; labels are the nearest.
    """
    if what == "labels":
        return (AxisTaps.nearest,) * 3
    across = axis_between_slices(wanted, image.spacing) if manner == "nnunet" else None
    return tuple(_nearest_slice if axis == across else AxisTaps.between for axis in range(3))


def _nearest_slice(line: AxisLine) -> AxisTaps:
    """Take the nearest slice; for a part of an image, by where it lies."""
    spans_all = abs(line.scale - line.source_side / line.target_side) < _SAME_SCALE
    return AxisTaps.nearest_slice(line) if spans_all else AxisTaps.nearest(line)
