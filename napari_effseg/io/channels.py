"""Several files as the channels of one case, on the grid of the first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import VolumeError
from ..volume import Volume, resample, same_grid, stack_channels, transform_points
from ._formats import stem_of

__all__ = ["join_channels"]

_GRID_TOLERANCE_MM = 1e-3  # headers of one scanner's sequences differ by rounding


def join_channels(volumes: Sequence[Volume], paths: Sequence[Path]) -> Volume:
    """Stack volumes along the channel axis; those on other grids are resampled to the first, and said so.

    Parameters
    ----------
    volumes : sequence of Volume
        At least two.
    paths : sequence of Path
        Where each is from: names of the channels, and for messages.

    Returns
    -------
    Volume
        (C, I, J, K) on the first's grid; dtype wide enough for all, float32 where resampled. It is lazy if
        one of them is: only those on other grids are read.

    Raises
    ------
    VolumeError
        If a volume lies wholly outside the first, or one is a picture and another is not.
    """
    first = volumes[0]
    warnings = [f"{path.name}: {text}" for v, path in zip(volumes, paths, strict=True) for text in v.warnings]
    placed = [first]
    for volume, path in zip(volumes[1:], paths[1:], strict=True):
        if same_grid(volume.grid, first.grid, _GRID_TOLERANCE_MM):
            placed.append(volume)
            continue
        _refuse_apart(first, volume, paths[0], path)
        placed.append(resample(volume, first.grid))
        warnings.append(f"{path.name} lies on another grid: resampled to that of {paths[0].name}")
    names = tuple(name for v, path in zip(volumes, paths, strict=True) for name in _names(v, path))
    return Volume(
        stack_channels([volume.data for volume in placed]),
        first.affine,
        channel_names=names,
        modality=first.modality,
        window=first.window,
        warnings=tuple(warnings),
    )


def _names(volume: Volume, path: Path) -> list[str]:
    stem = stem_of(path)
    return [stem] if volume.channels == 1 else [f"{stem}_{channel}" for channel in range(volume.channels)]


def _refuse_apart(first: Volume, other: Volume, first_path: Path, path: Path) -> None:
    to_first = np.linalg.inv(first.affine).astype(np.float64)
    corners = transform_points(to_first, other.grid.corners_ras)
    outside = (corners.max(axis=0) < -0.5) | (corners.min(axis=0) > np.asarray(first.shape) - 0.5)
    if outside.any():
        raise VolumeError(
            f"{path}: has no place in common with {first_path}; "
            "the channels of one case must show the same region"
        )
