"""The mouse on napari's canvas, as gestures of the panel *Click segmentation*; no Qt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import EffsegError
from .click_desk import ClickDesk
from .click_state import Tool
from .reading_view import camera_of

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["ClickMouse"]

_LEFT, _RIGHT = 1, 2
_NEGATIVE_KEYS = ("Control", "Shift", "Meta")
_STILL_PIXELS = 4
"""A mouse that moves less between press and release has clicked."""
_DRAWN_WITH = (Tool.BOX, Tool.SCRIBBLE, Tool.LASSO)


class ClickMouse:
    """Listens to the mouse while it is on.

    A click that does not move makes a point, so that the picture can still be dragged about; boxes,
    scribbles and lassos are drawn with the button held down. The right button, Ctrl or Shift turns the sign.

    Parameters
    ----------
    viewer : napari viewer model
    desk : ClickDesk
    moved : callable
        Told when the mouse has moved.

    Attributes
    ----------
    position : tuple of float or None
        Where the mouse was last, in the viewer's world.
    """

    def __init__(self, viewer: ViewerModel, desk: ClickDesk, moved: Callable[[], None]) -> None:
        self.position: tuple[float, ...] | None = None
        self._viewer, self._desk, self._moved = viewer, desk, moved
        self._zooms: list[Any] | None = None
        self._path: list[tuple[float, ...]] | None = None

    def switch(self, is_on: bool) -> None:
        """Listen, or leave everything as it was before."""
        if is_on == (self._zooms is not None):
            return
        viewer = self._viewer
        if is_on:
            # two quick clicks are two prompts, and do not zoom
            self._zooms = list(viewer.mouse_double_click_callbacks)
            viewer.mouse_double_click_callbacks[:] = [self._double_click]
            viewer.mouse_drag_callbacks.append(self._drag)
            viewer.mouse_move_callbacks.append(self._move)
            return
        viewer.mouse_drag_callbacks.remove(self._drag)
        viewer.mouse_move_callbacks.remove(self._move)
        ours = viewer.mouse_double_click_callbacks
        ours[:] = (self._zooms or []) + [other for other in ours if other != self._double_click]
        self._zooms = None
        self.drop()

    def drop(self) -> bool:
        """Forget what is being drawn; whether anything was."""
        was_drawing, self._path = self._path is not None, None
        if was_drawing and self._desk.room.marks is not None:
            self._desk.room.marks.draw(_NO_LINES)
        return was_drawing

    @property
    def _is_ours(self) -> bool:
        """Whether the mouse is the panel's: no other layer has a tool of napari's in hand."""
        active = self._viewer.layers.selection.active
        mode = "pan_zoom" if active is None else str(getattr(active, "mode", "pan_zoom"))
        return mode == "pan_zoom" and self._desk.store.now.tool is not Tool.BRUSH

    def _drag(self, viewer: Any, event: Any) -> Iterator[None]:
        if not self._is_ours or event.button not in (_LEFT, _RIGHT) or "Alt" in event.modifiers:
            return
        tool = self._desk.store.now.tool
        draws = tool in _DRAWN_WITH and viewer.dims.ndisplay == 2
        positive = self._sign(event)
        if draws and self._desk.store.now.why_not:
            draws = False
        camera = camera_of(self._viewer)
        pans, started = camera.mouse_pan, np.asarray(event.pos)
        moved = 0.0
        if draws:
            camera.mouse_pan = False
        path = self._path = [tuple(event.position)]
        try:
            yield
            while event.type == "mouse_move":
                moved = max(moved, float(np.abs(np.asarray(event.pos) - started).max()))
                if self._path is path:
                    path.append(tuple(event.position))
                    if draws:
                        self._show_drawn(path, tool)
                yield
        finally:
            if draws:
                camera.mouse_pan = pans
        was_dropped = self._path is not path
        self.drop()
        if was_dropped:
            return
        if draws or (moved < _STILL_PIXELS and not (tool is Tool.MOVE and event.button == _RIGHT)):
            self._desk.gesture(tool, path, positive)

    def _sign(self, event: Any) -> bool:
        turned = event.button == _RIGHT or any(key in event.modifiers for key in _NEGATIVE_KEYS)
        return self._desk.store.now.positive != turned

    def _double_click(self, viewer: Any, event: Any) -> None:
        """Take the second of two quick clicks for a click; with the hand, zoom as ever."""
        tool = self._desk.store.now.tool
        if tool is Tool.POINT and self._is_ours and event.button in (_LEFT, _RIGHT):
            self._desk.gesture(tool, [tuple(event.position)], self._sign(event))
        elif tool in (Tool.MOVE, Tool.BRUSH):
            for zoom in self._zooms or []:
                zoom(viewer, event)

    def _move(self, viewer: Any, event: Any) -> None:
        self.position = tuple(event.position)
        self._moved()

    def _show_drawn(self, path: Sequence[tuple[float, ...]], tool: Tool) -> None:
        """Show the line, or the box, while it is drawn."""
        marks = self._desk.room.marks
        try:
            places = self._desk.queue.path_of([path[0], path[-1]] if tool is Tool.BOX else path)
        except EffsegError:
            return
        if marks is not None:
            line = np.array([place.index for place in places])
            marks.draw(
                _rectangle(line, places[0].axis) if tool is Tool.BOX else np.stack([line[:-1], line[1:]], 1)
            )


_NO_LINES = np.zeros((0, 2, 3))


def _rectangle(ends: Any, axis: int) -> Any:
    rows, columns = (other for other in range(3) if other != axis)
    corners = np.repeat(ends[:1], 5, axis=0)
    corners[1:3, columns] = ends[1, columns]
    corners[2:4, rows] = ends[1, rows]
    return np.stack([corners[:-1], corners[1:]], 1)
