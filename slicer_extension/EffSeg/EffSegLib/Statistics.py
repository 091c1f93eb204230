"""Volumes and intensities of labels, as a table node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import vtk

from .rooms import LabelMap, Volume

__all__ = ["COLUMNS", "Row", "new_table", "rows_of"]

COLUMNS = ("Label", "Name", "Voxels", "Volume mm3", "Volume mL", "Mean", "SD", "Minimum", "Maximum")


@dataclass(frozen=True)
class Row:
    """One structure; intensities are those of the first channel, None where there are no voxels."""

    label: int
    name: str
    voxels: int
    volume_mm3: float
    mean: float | None
    deviation: float | None
    minimum: float | None
    maximum: float | None


def rows_of(labels: LabelMap, volume: Volume) -> tuple[Row, ...]:
    """Return a row for each label that occurs or has a name, found or not.

    Parameters
    ----------
    labels : LabelMap
    volume : Volume
        On the same grid.
    """
    counts = labels.counts()
    grey = np.asarray(volume.each_channel()[0])
    known = sorted({*counts, *labels.names})
    return tuple(_row(labels, label, counts.get(label, 0), grey) for label in known)


def _row(labels: LabelMap, label: int, voxels: int, grey: np.ndarray) -> Row:
    name = labels.names.get(label, f"label {label}")
    size = voxels * labels.grid.voxel_mm3
    if not voxels:
        return Row(label, name, 0, 0.0, None, None, None, None)
    inside = grey[labels.data == label].astype(np.float64)
    return Row(label, name, voxels, size, inside.mean(), inside.std(), inside.min(), inside.max())


def new_table(labels: LabelMap, volume: Volume, name: str, segmentation: Any) -> Any:
    """Add a table node to the scene of a segmentation node."""
    table = segmentation.GetScene().AddNewNodeByClass("vtkMRMLTableNode", name)
    rows = rows_of(labels, volume)
    cells = [
        (
            r.label,
            r.name,
            r.voxels,
            r.volume_mm3,
            r.volume_mm3 / 1000,
            r.mean,
            r.deviation,
            r.minimum,
            r.maximum,
        )
        for r in rows
    ]
    for at, title in enumerate(COLUMNS):
        table.AddColumn(_column(title, [row[at] for row in cells]))
    table.SetUseColumnNameAsColumnHeader(True)
    return table


def _column(title: str, values: list[Any]) -> Any:
    kinds = {"Label": vtk.vtkIntArray, "Voxels": vtk.vtkLongLongArray, "Name": vtk.vtkStringArray}
    column = kinds.get(title, vtk.vtkDoubleArray)()
    column.SetName(title)
    for value in values:
        column.InsertNextValue(float("nan") if value is None else value)
    return column
