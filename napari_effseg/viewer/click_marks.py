"""Layers in which prompts, and the outline of what a click would give, are seen; no Qt."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..prompts import Mask, Point, Prompt
from ..volume import Grid
from .click_gestures import segments_of
from .click_places import layer_points
from .reading_view import camera_of
from .to_layer import transform_like

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Points, Vectors

__all__ = ["Marks"]

OURS = "effseg_marks"
"""Key in the metadata of a layer that only shows prompts."""
_POSITIVE, _NEGATIVE = "#39d353", "#ff4d4d"
_SELECTED, _PREVIEW, _BEING_DRAWN = "#ffe066", "#ffffff", "#4dd2ff"
_POINT_PIXELS = 12
_POINT_LIMITS = (6, 24)  # napari draws thick borders where it holds a point to a limit
_LINE_PIXELS = 2.0


class Marks:
    """Shows prompts on an image: points as discs and crosses, all else as lines.

    Parameters
    ----------
    viewer : napari viewer model
    image : Image layer
    grid : Grid
        Of the session's image.
    """

    def __init__(self, viewer: ViewerModel, image: Image, grid: Grid) -> None:
        self._viewer, self._image, self._grid = viewer, image, grid
        self._points: Points | None = None
        self._lines: Vectors | None = None
        self._prompts: Mapping[int, Prompt] = {}
        self._selected: int | None = None
        self._preview = self._drawn = np.zeros((0, 2, 3))
        camera_of(viewer).events.zoom.connect(self._zoomed)

    def close(self) -> None:
        """Take the layers away; more than once does no harm."""
        camera_of(self._viewer).events.zoom.disconnect(self._zoomed)
        for layer in (self._points, self._lines):
            if layer is not None and layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self._points = self._lines = None

    def show(self, prompts: Mapping[int, Prompt], selected: int | None) -> None:
        """Show these prompts, one of them as selected."""
        is_known = prompts.keys() == self._prompts.keys() and selected == self._selected
        if is_known and all(prompts[number] is self._prompts[number] for number in prompts):
            return
        self._prompts, self._selected = dict(prompts), selected
        self._show_points()
        self._show_lines()

    def preview(self, edges: NDArray[np.float64]) -> None:
        """Show the outline of what a click would give; none of its pieces, and it is gone."""
        if len(edges) or len(self._preview):
            self._preview = edges
            self._show_lines()

    def draw(self, line: NDArray[np.float64]) -> None:
        """Show pieces of what a hand is drawing."""
        if len(line) or len(self._drawn):
            self._drawn = line
            self._show_lines()

    def _show_points(self) -> None:
        points = {number: one for number, one in self._prompts.items() if isinstance(one, Point)}
        layer = self._layer_of_points(bool(points))
        if layer is None:
            return
        places = layer_points(self._image, self._grid, [one.index for one in points.values()])
        chosen = [number == self._selected for number in points]
        with layer.events.blocker_all():  # drawn once, and not for each of its properties
            layer.data = places
            if points:
                layer.symbol = ["disc" if one.positive else "x" for one in points.values()]
                layer.face_color = [_POSITIVE if one.positive else _NEGATIVE for one in points.values()]
                layer.border_color = [_SELECTED if one else "#000000" for one in chosen]
                layer.border_width = [0.35 if one else 0.12 for one in chosen]
                layer.size = self._size_of_points()
                layer.selected_data = set()
        layer.refresh()

    def _show_lines(self) -> None:
        pieces, colours = [], []
        for number, prompt in self._prompts.items():
            if isinstance(prompt, Point | Mask):
                continue
            pieces.append(segments_of(prompt))
            colour = _POSITIVE if prompt.positive else _NEGATIVE
            colours += [_SELECTED if number == self._selected else colour] * len(pieces[-1])
        for more, colour in ((self._preview, _PREVIEW), (self._drawn, _BEING_DRAWN)):
            pieces.append(more)
            colours += [colour] * len(more)
        layer = self._layer_of_lines(bool(colours))
        if layer is None:
            return
        ends = np.concatenate(pieces) if pieces else np.zeros((0, 2, 3))
        start, end = (layer_points(self._image, self._grid, ends[:, which]) for which in (0, 1))
        with warnings.catch_warnings(), layer.events.blocker_all():
            warnings.simplefilter("ignore", UserWarning)  # napari warns of the colours of lines that are gone
            layer.data = np.stack([start, end - start], axis=1)
            if colours:
                layer.edge_color = colours
                layer.edge_width = self._width_of_lines()
        layer.refresh()

    def _layer_of_points(self, wanted: bool) -> Points | None:
        from napari.layers import Points

        if self._points is not None and self._points not in self._viewer.layers:
            self._points = None
        if self._points is None and wanted:
            self._points = self._added(
                Points(
                    ndim=min(self._image.ndim, 3),
                    canvas_size_limits=_POINT_LIMITS,
                    **self._keywords("clicks"),
                )
            )
        return self._points

    def _layer_of_lines(self, wanted: bool) -> Vectors | None:
        from napari.layers import Vectors

        if self._lines is not None and self._lines not in self._viewer.layers:
            self._lines = None
        if self._lines is None and wanted:
            self._lines = self._added(
                Vectors(
                    ndim=min(self._image.ndim, 3),
                    vector_style="line",
                    opacity=0.9,
                    **self._keywords("outlines"),
                )
            )
        return self._lines

    def _keywords(self, what: str) -> dict[str, Any]:
        return {
            "name": f"{self._image.name} {what}",
            "metadata": {OURS: True},
            **transform_like(self._image),
        }

    def _added(self, layer: Any) -> Any:
        """Add a layer on top; the active one stays active."""
        active = self._viewer.layers.selection.active
        self._viewer.add_layer(layer)
        self._viewer.layers.selection.active = active
        return layer

    def _size_of_points(self) -> float:
        return _POINT_PIXELS * self._voxels_per_pixel()

    def _width_of_lines(self) -> float:
        return _LINE_PIXELS * self._voxels_per_pixel()

    def _voxels_per_pixel(self) -> float:
        """Voxels of the layer that a pixel of the canvas covers, by its mean scale."""
        return float(1 / (camera_of(self._viewer).zoom * np.mean(np.abs(self._image.scale[-2:]))))

    def _zoomed(self, event: Any = None) -> None:
        if self._lines is not None and len(self._lines.data):
            self._lines.edge_width = self._width_of_lines()
        if self._points is not None and len(self._points.data):
            self._points.size = self._size_of_points()
