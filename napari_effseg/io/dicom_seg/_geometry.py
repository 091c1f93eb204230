"""Where the frames of a SEG go, in highdicom's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._extras import require
from ...volume import Grid, ras_to_lps
from ._reference import Reference

__all__ = ["PURPOSE", "Target", "geometry", "orientation", "slice_distance"]

PURPOSE = "writing DICOM SEG"
"""What needs highdicom, for the message where it is missing."""


@dataclass(frozen=True)
class Target:
    """Where the frames of a SEG go.

    Parameters
    ----------
    reference : Reference
    grid : Grid
        Of the label map as it is written: columns, rows, slices.
    positions_lps : ndarray, shape (K, 3)
        Of the first pixel of each slice, mm.
    """

    reference: Reference
    grid: Grid
    positions_lps: NDArray[np.float64]


def geometry(positions: NDArray[np.float64], target: Target) -> dict[str, Any]:
    """Positions, directions and pixel sizes in highdicom's form; none for a picture without a place."""
    if not target.reference.has_place:
        return {}
    highdicom = require("highdicom", "dicom", PURPOSE)
    spacing = target.grid.spacing
    return {
        "plane_positions": [highdicom.PlanePositionSequence("PATIENT", position) for position in positions],
        "plane_orientation": highdicom.PlaneOrientationSequence("PATIENT", orientation(target.grid)),
        "pixel_measures": highdicom.PixelMeasuresSequence(
            pixel_spacing=(spacing[1], spacing[0]),
            slice_thickness=slice_distance(target.grid),
            spacing_between_slices=slice_distance(target.grid),
        ),
    }


def slice_distance(grid: Grid) -> float:
    """Millimetres between slices along their normal: less than the spacing if they are stacked at a slant."""
    normal = np.cross(grid.direction[:, 0], grid.direction[:, 1])
    return float(abs(normal @ grid.affine[:3, 2]))


def orientation(grid: Grid) -> list[float]:
    """Direction of the rows (along i), then of the columns (along j), in LPS."""
    lps = ras_to_lps(grid.affine)[:3] / [*grid.spacing, 1]
    return [*lps[:, 0].tolist(), *lps[:, 1].tolist()]
