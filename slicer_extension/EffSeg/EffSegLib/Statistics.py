"""Volumes and intensities of labels, as a table node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import vtk

from .rooms import LabelMap, Volume
from .Sequences import Times

__all__ = ["COLUMNS", "POINT", "Row", "new_table", "new_table_over_time", "rows_of"]

POINT = "Time point"
"""Title of a column: numbers from 1."""

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
    columns = _columns_of(rows_of(labels, volume))
    return _new_node(columns, name, segmentation)


def new_table_over_time(
    labels: Sequence[LabelMap], volumes: Sequence[Volume], times: Times, name: str, segmentation: Any
) -> Any:
    """Add a table node with the rows of every time point to the scene of a segmentation node.

    Parameters
    ----------
    labels, volumes : sequence
        One for each time point.
    times : Times
    name : str
    segmentation : vtkMRMLSegmentationNode
    """
    found = [rows_of(one, volume) for one, volume in zip(labels, volumes, strict=True)]
    numbers = [at for at, rows in enumerate(found, 1) for _ in rows]
    moments = [times.values[at - 1] for at in numbers]
    columns = _columns_of([row for rows in found for row in rows])
    return _new_node({POINT: numbers, times.title: moments, **columns}, name, segmentation)


def _columns_of(rows: Sequence[Row]) -> dict[str, list[Any]]:
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
    return {title: [row[at] for row in cells] for at, title in enumerate(COLUMNS)}


def _new_node(columns: Mapping[str, list[Any]], name: str, segmentation: Any) -> Any:
    table = segmentation.GetScene().AddNewNodeByClass("vtkMRMLTableNode", name)
    for title, values in columns.items():
        table.AddColumn(_column(title, values))
    table.SetUseColumnNameAsColumnHeader(True)
    return table


def _column(title: str, values: list[Any]) -> Any:
    kinds = {POINT: vtk.vtkIntArray, "Label": vtk.vtkIntArray, "Voxels": vtk.vtkLongLongArray}
    is_text = any(isinstance(value, str) for value in values) or title == "Name"
    column = vtk.vtkStringArray() if is_text else kinds.get(title, vtk.vtkDoubleArray)()
    column.SetName(title)
    for value in values:
        column.InsertNextValue(float("nan") if value is None else value)
    return column
