"""Put a label map on the slices of the series that it belongs to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..._extras import require
from ...errors import ExportError
from ...types import PathLike
from ...volume import Grid, LabelMap, ras_to_lps, transform_points, uncrop
from ...volume.lattice import Placement, nearest_turn, place_on_lattice
from ._describe import storable
from ._geometry import Target
from ._reference import SAME_PLACE_MM, Reference, find_reference

__all__ = ["check_series", "lay_out"]

_RIGHT_ANGLE = 1e-4  # cosine between rows and columns


def check_series(
    grid: Grid, reference: PathLike | Sequence[PathLike], series: str | None = None, frame: int | None = None
) -> None:
    """Refuse, before anything is computed on this grid, what `lay_out` would refuse after.

    Raises
    ------
    ExportError, ImageReadError
        As `lay_out`.
    MissingExtra
        If highdicom is not installed.
    """
    require("highdicom", "dicom", "writing DICOM SEG")
    found = find_reference(_paths(reference), grid, series, frame)
    if not found.holds(grid):
        _refuse_elsewhere(grid, found)


def lay_out(
    labels: LabelMap,
    path: Path,
    reference: PathLike | Sequence[PathLike],
    series: str | None = None,
    frame: int | None = None,
) -> tuple[LabelMap, Target, tuple[str, ...]]:
    """Turn a label map to the axes of a series and fill it up to the series' grid.

    Parameters
    ----------
    labels : LabelMap
        Its axes may be those of the series in any order and direction; it may be a crop. On any other grid it
        keeps its own voxels, if they lie within the series, and is only turned.
    path : Path
        Where it will be written.
    reference : path-like or sequence of them
        Folder, file or files of the series.
    series : str or None
        UID, where the reference holds several that fit.
    frame : int or None
        Which of several images at each place was segmented.

    Returns
    -------
    labels : LabelMap
        As it is written, and as it will be read.
    target : Target
    warnings : tuple of str

    Raises
    ------
    ExportError
        If it does not belong to the series, or a SEG cannot hold it.
    ImageReadError
        If the reference cannot be read.
    """
    labels, cut = storable(labels)
    found = find_reference(_paths(reference), labels.grid, series, frame)
    if path.exists() and any(path.samefile(file) for file in found.files):
        raise ExportError(f"{path}: is an image of the series itself; give another name")
    warnings = (*found.context.warnings, *cut)
    placed = place_on_lattice(labels.grid, found.grid, SAME_PLACE_MM)
    if placed is not None and found.holds(labels.grid):
        return _on_series(labels, placed, found), Target(found, found.grid, found.positions_lps), warnings
    turned = _on_its_own_grid(labels, found)
    own = (
        "the labels are not on the voxels of the reference series; the SEG has slices of its own, at the "
        "right place, which some viewers do not show over the series"
    )
    return turned, Target(found, turned.grid, _positions(turned.grid)), (*warnings, own)


def _paths(reference: PathLike | Sequence[PathLike]) -> Path | list[Path]:
    if isinstance(reference, (str, os.PathLike)):
        return Path(reference)
    return [Path(one) for one in reference]


def _on_series(labels: LabelMap, placed: Placement, reference: Reference) -> LabelMap:
    data = placed.turn.apply(labels.data)
    shape = reference.grid.shape
    if data.shape != shape:
        data = uncrop(data, placed.box, shape)
    return replace(labels, data=data, affine=reference.grid.affine)


def _on_its_own_grid(labels: LabelMap, reference: Reference) -> LabelMap:
    """Turn the axes as near to the series' as they come; refuse what is elsewhere or cannot be said."""
    _refuse_elsewhere(labels.grid, reference)
    turn = nearest_turn(labels.grid, reference.grid)
    rows, columns = turn.grid.direction[:, 0], turn.grid.direction[:, 1]
    if abs(float(rows @ columns)) > _RIGHT_ANGLE:
        raise ExportError(
            "the rows and columns of the label map are not at right angles, which DICOM SEG cannot hold; "
            "resample it to the series, or write .nii.gz"
        )
    return replace(labels, data=turn.apply(labels.data), affine=turn.grid.affine)


def _refuse_elsewhere(grid: Grid, reference: Reference) -> None:
    if not reference.has_place:
        raise ExportError(
            f"{reference.where}: is a picture without a place in the patient, of {_sides(reference.grid)} "
            f"voxels; the labels, of {_sides(grid)} at {_extent(grid)}, are not on its pixels"
        )
    if not _touch(grid, reference.grid):
        raise ExportError(
            f"{reference.where}: the labels lie elsewhere in the patient: {_extent(grid)} against "
            f"{_extent(reference.grid)} of the series; give the series that was segmented"
        )


def _touch(grid: Grid, series: Grid) -> bool:
    """Whether the boxes of two grids overlap, seen along the axes of the second."""
    corners = transform_points(np.asarray(np.linalg.inv(series.affine), np.float64), grid.corners_ras)
    return bool(
        (corners.max(axis=0) > -0.5).all() and (corners.min(axis=0) < np.array(series.shape) - 0.5).all()
    )


def _positions(grid: Grid) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return transform_points(ras_to_lps(grid.affine), [(0, 0, k) for k in range(grid.shape[2])])


def _sides(grid: Grid) -> str:
    return " x ".join(str(side) for side in grid.shape)


def _extent(grid: Grid) -> str:
    low, high = grid.corners_ras.min(axis=0), grid.corners_ras.max(axis=0)
    sides = [f"{axis} {a:.0f} to {b:.0f}" for axis, a, b in zip("xyz", low, high, strict=True)]
    return f"{', '.join(sides)} mm"
