"""Bring an image to a place's grid, which is turned against it, and class scores back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...volume import Grid, LazyView, resample_array
from ..intensity import finite_float32
from ..windows import ROWS_BYTES, Rows
from .places import bounding_box

__all__ = ["bring_back", "sample"]

_SUPPORT = 4  # voxels around a place that its cubic spline still depends on, to about 1 %


def sample(channel: NDArray[Any] | LazyView, image: Grid, place: Grid) -> NDArray[np.float32]:
    """Values of an image at the voxels of a place: cubic splines, after a Gaussian where these are coarser.

    Parameters
    ----------
    channel : array, shape (I, J, K)
        On `image`; only a box around the place is read.
    image, place : Grid

    Returns
    -------
    ndarray, shape of the place, float32
        The nearest voxel outside the image; the lowest finite value for voxels that are not finite.
    """
    from scipy.ndimage import affine_transform, gaussian_filter

    to_image = np.linalg.inv(image.affine) @ place.affine
    steps = np.linalg.norm(to_image[:3, :3], axis=1)  # of the place, seen along each axis of the image
    box = bounding_box(place, image, margin=_SUPPORT + int(np.ceil(2 * steps.max())))
    part = np.asarray(channel[tuple(slice(low, high) for low, high in zip(*box, strict=True))])
    values = finite_float32(part, _lowest(part))
    sigmas = np.sqrt(np.maximum(steps**2 - 1, 0) / (8 * np.log(2)))  # as `volume.resample_array`
    smooth = gaussian_filter(values, sigmas, mode="nearest")
    start = to_image[:3, 3] - np.asarray(box[0])
    sampled: NDArray[np.float32] = affine_transform(
        smooth, to_image[:3, :3], start, place.shape, order=3, mode="nearest"
    )
    return sampled


def bring_back(rows: Iterator[Rows], place: Grid, target: Grid) -> Iterator[tuple[Rows, NDArray[np.bool_]]]:
    """Bring class scores from a place's grid to the image's.

    Parameters
    ----------
    rows : iterator of Rows
        Of `place`; held together, as a place is small.
    place, target : Grid
        Any; `target` is worked through a few rows at a time.

    Yields
    ------
    Rows
        Of `target`, scores interpolated linearly.
    ndarray, (rows, J, K), bool
        Which of their voxels lie in the place.
    """
    scores = torch.cat([part.values for part in rows], dim=1).numpy()
    with_ones = np.concatenate([scores, np.ones_like(scores[:1])])  # becomes 0 outside
    most = max(ROWS_BYTES // (4 * len(with_ones) * target.shape[1] * target.shape[2]), 1)
    for start in range(0, target.shape[0], most):
        stop = min(start + most, target.shape[0])
        some = resample_array(with_ones, place, _rows_of(target, start, stop))
        yield Rows(start, torch.from_numpy(some[:-1])), some[-1] > 0


def _rows_of(grid: Grid, start: int, stop: int) -> Grid:
    affine = np.array(grid.affine)
    affine[:3, 3] += start * affine[:3, 0]
    return Grid((stop - start, *grid.shape[1:]), affine)


def _lowest(values: NDArray[Any]) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.min()) if finite.size else 0.0
