"""Size, place and mean intensity of each label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import Cancelled
from ..types import CancelCheck, Colour, IntArray
from ..volume import LabelMap, Voxels, transform_points, view_of

__all__ = ["LabelRow", "measure_labels", "rows_as_text"]

_COLUMNS = ("label", "name", "voxels", "volume_ml", "mean_intensity")


@dataclass(frozen=True)
class LabelRow:
    """What the table says of one label.

    Attributes
    ----------
    label : int
    name : str
    colour : (r, g, b) or None
        0-255.
    voxels : int
        0 if it does not occur.
    volume_ml : float
    mean : float or None
        Mean intensity of the image; None without an image, or where none is finite.
    place_ras : (x, y, z) or None
        RAS mm of a voxel of the label, that nearest to its middle; None if it does not occur.
    """

    label: int
    name: str
    colour: Colour | None
    voxels: int
    volume_ml: float
    mean: float | None
    place_ras: tuple[float, float, float] | None


def measure_labels(
    labels: LabelMap, image: Voxels | None = None, cancel: CancelCheck = lambda: False
) -> tuple[LabelRow, ...]:
    """Measure every label that occurs or has a name, in rising order.

    Parameters
    ----------
    labels : LabelMap
    image : array (I, J, K) or (C, I, J, K), optional
        On the grid of the labels; of several channels the mean is taken. Only slices that hold a label are
        read.
    cancel : callable
        Asked once a slice.

    Raises
    ------
    Cancelled
        If `cancel` says so.
    """
    sums = _Sums()
    axis = int(np.argmax(np.abs(labels.data.strides)))
    slabs = np.moveaxis(labels.data, axis, 0)
    for at, slab in _occupied(slabs, cancel):
        sums.add(slab, None if image is None else _slab_of(image, axis, at), at)
    occurring = sums.labels
    return tuple(_row(labels, label, sums, slabs, axis) for label in sorted({*occurring, *labels.names}))


def rows_as_text(rows: tuple[LabelRow, ...], separator: str = ",") -> str:
    """Table with a line of column names; cells that hold the separator or quotes are quoted."""
    lines = [separator.join(_COLUMNS)]
    for row in rows:
        mean = "" if row.mean is None else f"{row.mean:.6g}"
        cells = (str(row.label), row.name, str(row.voxels), f"{row.volume_ml:.6g}", mean)
        lines.append(separator.join(_quoted(cell, separator) for cell in cells))
    return "\n".join(lines) + "\n"


class _Sums:
    """Voxels, intensities and places of each label, summed slab by slab."""

    def __init__(self) -> None:
        self._voxels: dict[int, int] = {}
        self._finite: dict[int, int] = {}
        self._intensity: dict[int, float] = {}
        self._place: dict[int, NDArray[np.float64]] = {}
        self._slabs: dict[int, list[int]] = {}

    @property
    def labels(self) -> set[int]:
        return set(self._voxels)

    def add(self, slab: IntArray, image: NDArray[Any] | None, at: int) -> None:
        rows, columns = np.nonzero(slab)
        labels, which = np.unique(slab[rows, columns], return_inverse=True)
        counts = np.bincount(which)
        middle = np.stack([np.bincount(which, weights=axis) for axis in (rows, columns)], axis=1)
        values = None if image is None else np.asarray(image, dtype=np.float64)[..., rows, columns]
        if values is not None and values.ndim == 2:
            values = values.mean(axis=0)
        for index, label in enumerate(labels.tolist()):
            self._voxels[label] = self._voxels.get(label, 0) + int(counts[index])
            place = np.array([at * counts[index], *middle[index]])
            self._place[label] = self._place.get(label, 0) + place
            self._slabs.setdefault(label, []).append(at)
        if values is not None:
            self._add_intensities(labels, which, values)

    def _add_intensities(self, labels: IntArray, which: IntArray, values: NDArray[np.float64]) -> None:
        finite = np.isfinite(values)
        counts = np.bincount(which[finite], minlength=len(labels))
        totals = np.bincount(which[finite], weights=values[finite], minlength=len(labels))
        for label, count, total in zip(labels.tolist(), counts.tolist(), totals.tolist(), strict=True):
            self._finite[label] = self._finite.get(label, 0) + count
            self._intensity[label] = self._intensity.get(label, 0.0) + total

    def voxels(self, label: int) -> int:
        return self._voxels.get(label, 0)

    def mean(self, label: int) -> float | None:
        count = self._finite.get(label, 0)
        return self._intensity[label] / count if count else None

    def voxel_near_middle(self, label: int, slabs: IntArray) -> tuple[int, int, int]:
        """Voxel of the label on the slab nearest to its middle, there the nearest to its middle."""
        middle = self._place[label] / self._voxels[label]
        at = min(self._slabs[label], key=lambda slab: abs(slab - middle[0]))
        places = np.argwhere(slabs[at] == label)
        row, column = places[np.argmin(((places - middle[1:]) ** 2).sum(axis=1))].tolist()
        return at, row, column


def _row(labels: LabelMap, label: int, sums: _Sums, slabs: IntArray, axis: int) -> LabelRow:
    voxels = sums.voxels(label)
    place = None
    if voxels:
        at, row, column = sums.voxel_near_middle(label, slabs)
        index = np.insert([row, column], axis, at)
        x, y, z = transform_points(labels.affine, index).tolist()
        place = (x, y, z)
    return LabelRow(
        label,
        labels.names.get(label, f"label {label}"),
        labels.colours.get(label),
        voxels,
        voxels * labels.grid.voxel_mm3 / 1000,
        sums.mean(label),
        place,
    )


def _occupied(slabs: IntArray, cancel: CancelCheck) -> Iterator[tuple[int, IntArray]]:
    for at, slab in enumerate(slabs):
        if cancel():
            raise Cancelled("stopped on request; nothing was measured")
        if slab.any():
            yield at, slab


def _slab_of(image: Voxels, axis: int, at: int) -> NDArray[Any]:
    """Slice of an image (..., I, J, K) across one of its spatial axes; of a lazy one nothing else is read."""
    key: Any = (..., at, *[slice(None)] * (2 - axis))
    return np.asarray(view_of(image)[key])


def _quoted(cell: str, separator: str) -> str:
    if any(mark in cell for mark in (separator, '"')):
        return '"' + cell.replace('"', '""') + '"'
    return cell
