"""The voxel under the cursor: its index in the file, its place in the patient, its value in words.

Works on napari's viewer model alone, without Qt. Nothing here reads an array: `Voxel.array_index` says where
the value lies, and whoever asks decides how long to wait for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..errors import PromptError, VolumeError
from ..volume import transform_points
from .label_looks import names_in
from .placement import index_of_world, mm_per_world_unit, placement_of
from .reading_view import spatial_axes_shown
from .source import source_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels, Layer

__all__ = [
    "Voxel",
    "label_words",
    "labels_on_top",
    "parse_point",
    "point_words",
    "unit_of",
    "value_words",
    "voxel_at",
]

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)"
_SIDES = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}


@dataclass(frozen=True)
class Voxel:
    """One voxel of a layer.

    Attributes
    ----------
    index : (i, j, k)
        In the array as stored in the file.
    point_ras : (x, y, z)
        Place of the cursor within the voxel's slice, mm.
    array_index : tuple of int
        The same voxel in the array of the layer, axes of time included.
    """

    index: tuple[int, int, int]
    point_ras: tuple[float, float, float]
    array_index: tuple[int, ...]


def voxel_at(viewer: ViewerModel, layer: Layer, position: Sequence[float]) -> Voxel | None:
    """Voxel of a layer that napari draws at a position of the canvas.

    Parameters
    ----------
    viewer : ViewerModel
        Showing two dimensions.
    layer : Layer
    position : sequence of float
        Of the cursor in the viewer's world, all axes.

    Returns
    -------
    Voxel or None
        None where the layer has no voxel there, shows time in the canvas, or has no place in space.
    """
    shown = spatial_axes_shown(viewer)
    if viewer.dims.ndisplay != 2 or len(shown) != 2 or (layer.ndim == 2 and set(shown) != {1, 2}):
        return None
    try:
        view = placement_of(layer)
    except VolumeError:
        return None
    exact = index_of_world(layer, position, shown, mm_per_world_unit(viewer.layers))
    index = np.round(exact).astype(int)
    if (index < 0).any() or (index >= view.source.shape).any():
        return None
    across = next(axis for axis in range(3) if axis not in shown)
    exact[view.order[across]] = index[view.order[across]]
    x, y, z = transform_points(view.source.affine, exact).tolist()
    spatial = [
        view.source.shape[old] - 1 - index[old] if flip else index[old]
        for old, flip in zip(view.order, view.flips, strict=True)
    ]
    i, j, k = (int(number) for number in index)
    kept = spatial[-min(layer.ndim, 3) :]
    return Voxel((i, j, k), (x, y, z), (*_leading_steps(layer, position), *(int(n) for n in kept)))


def _leading_steps(layer: Layer, position: Sequence[float]) -> tuple[int, ...]:
    """Return the steps along the axes of time, or whatever stands before the three of space."""
    count = max(layer.ndim - 3, 0)
    steps = np.round(np.asarray(layer.world_to_data(position))[:count]).astype(int)
    return tuple(int(step) for step in np.clip(steps, 0, np.asarray(_shape(layer)[:count]) - 1))


def _shape(layer: Layer) -> tuple[int, ...]:
    array = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    return tuple(array.shape)


def labels_on_top(viewer: ViewerModel) -> Labels | None:
    """Return the topmost layer of labels that is visible."""
    from napari.layers import Labels

    return next((o for o in reversed(viewer.layers) if isinstance(o, Labels) and o.visible), None)


def unit_of(layer: Layer) -> str:
    """Return the unit of a layer's values: " HU" for CT, else ""."""
    source = source_of(layer)
    return " HU" if source is not None and source.modality == "CT" else ""


def value_words(value: Any, unit: str = "") -> str:
    """Value of a voxel as a reader wants it: "43 HU", "0.1234", "200, 180, 90".

    Examples
    --------
    >>> value_words(np.int16(43), " HU")
    '43 HU'
    >>> value_words(np.array([200, 180, 90], dtype=np.uint8))
    '200, 180, 90'
    """
    numbers = np.atleast_1d(np.asarray(value)).ravel()
    return ", ".join(_number(number) for number in numbers) + unit


def _number(number: Any) -> str:
    if isinstance(number, (np.bool_, np.integer)):
        return str(int(number))
    return f"{float(number):.4g}" if abs(number) < 1e4 else f"{float(number):.6g}"


def label_words(layer: Labels, label: int) -> str:
    """Name and number of a label; "" for the background."""
    if label == 0:
        return ""
    name = names_in(layer).get(int(label))
    return f"{name} ({label})" if name else f"label {label}"


def point_words(point_ras: ArrayLike) -> str:
    """Place in words that `parse_point` reads back.

    Examples
    --------
    >>> point_words((12.34, 4, -20.06))
    'R 12.3  A 4.0  S -20.1'
    """
    numbers = (round(float(number), 1) + 0.0 for number in np.asarray(point_ras))  # no minus zero
    return "  ".join(f"{side} {number:.1f}" for side, number in zip("RAS", numbers, strict=True))


def parse_point(text: str) -> tuple[float, float, float]:
    """Read a place in RAS mm: three numbers, or three numbers with the letters of their sides.

    Parameters
    ----------
    text : str
        Such as "12.3, -4, 20", "12.3 -4 20", "R 12.3 A -4 S 20" or "L 12 P 4 I 20"; with semicolons between
        them, numbers may have a decimal comma.

    Raises
    ------
    PromptError
        If there are not three numbers, or a letter comes twice.

    Examples
    --------
    >>> parse_point("L 12.3, P 4, S 20")
    (-12.3, -4.0, 20.0)
    """
    cleaned = re.sub(r"(?i)\b(ras|mm)\b:?|[()\[\]:]", " ", text)
    if ";" in cleaned:
        cleaned = cleaned.replace(",", ".")
    cleaned = re.sub(r"[,;\s]+", " ", cleaned).strip().upper()
    if re.fullmatch(rf"{_NUMBER} {_NUMBER} {_NUMBER}", cleaned):
        x, y, z = (float(number) for number in cleaned.split(" "))
        return x, y, z
    found = re.findall(rf"([RLAPSI]) ?({_NUMBER})", cleaned)
    point = {_SIDES[letter][0]: _SIDES[letter][1] * float(number) for letter, number in found}
    if re.fullmatch(rf"(?:[RLAPSI] ?{_NUMBER} ?){{3}}", cleaned) is None or len(point) != 3:
        raise PromptError(
            f"{text.strip()!r} is no place; expected three numbers in mm, such as 12.3, -4, 20 (RAS) "
            "or L 12 P 4 S 20"
        )
    return point[0], point[1], point[2]
