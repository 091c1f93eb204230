"""Writes letters at the four edges of a napari canvas, through public ways only.

napari 0.9 and newer draw them themselves (canvas overlays), so that pictures of the canvas alone have them
too. On older ones they are labels that lie on the canvas: the window shows them and so do pictures of the
window, and the mouse goes through them.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Protocol

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QLabel, QMainWindow, QOpenGLWidget, QWidget

from .orientation import EdgeLetters

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["CanvasLabels", "CanvasOverlays", "LetterWriter", "letter_writer"]

_POSITIONS = {
    "left": "middle_left",
    "right": "middle_right",
    "top": "top_center",
    "bottom": "bottom_center",
}
_POINTS = 16
_MARGIN = 6  # pixels from the edge
_STYLE = (
    "color: white; background: rgba(0, 0, 0, 150); border-radius: 3px; padding: 1px 5px; "
    f"font-size: {_POINTS}pt; font-weight: bold;"
)


class LetterWriter(Protocol):
    """Writes letters onto a canvas."""

    def write(self, letters: EdgeLetters) -> None:
        """Show these letters and no others."""

    def remove(self) -> None:
        """Take the letters away for good."""


def letter_writer(viewer: ViewerModel, inside: QWidget) -> LetterWriter | None:
    """Return the best writer for this napari; None as long as there is no window to write on.

    Parameters
    ----------
    viewer : ViewerModel
    inside : QWidget
        A widget in the viewer's window.
    """
    overlays = getattr(getattr(viewer, "canvas", None), "overlays", None)
    if overlays is not None:
        return CanvasOverlays(overlays)
    canvas = _canvas_of(inside)
    return None if canvas is None else CanvasLabels(canvas)


def _canvas_of(inside: QWidget) -> QWidget | None:
    """Find the canvas in the window of a docked widget: the one that OpenGL draws."""
    window: Any = inside
    while window is not None and not isinstance(window, QMainWindow):
        window = window.parentWidget()
    center = None if window is None else window.centralWidget()
    return None if center is None else center.findChild(QOpenGLWidget)


class CanvasOverlays:
    """Letters that napari draws (0.9 and newer).

    Parameters
    ----------
    overlays : mapping of str to overlay
        ``viewer.canvas.overlays``.
    """

    def __init__(self, overlays: Any) -> None:
        from napari.components.overlays import TextOverlay

        self._overlays = overlays
        self._names = {edge: f"effseg_{edge}" for edge in _POSITIONS}
        for edge, position in _POSITIONS.items():
            overlays[self._names[edge]] = TextOverlay(position=position, font_size=_POINTS)

    def write(self, letters: EdgeLetters) -> None:
        """Show these letters and no others."""
        for edge, name in self._names.items():
            text, overlay = getattr(letters, edge), self._overlays[name]
            if overlay.text != text:
                overlay.text = text
            overlay.visible = bool(text)

    def remove(self) -> None:
        """Take the letters away for good."""
        for name in self._names.values():
            self._overlays.pop(name, None)


class CanvasLabels(QObject):
    """Letters as Qt labels on the canvas (napari below 0.9).

    Parameters
    ----------
    canvas : QWidget
    """

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._labels = {edge: QLabel(canvas) for edge in _POSITIONS}
        for label in self._labels.values():
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            label.setStyleSheet(_STYLE)
            label.hide()
        canvas.installEventFilter(self)

    def write(self, letters: EdgeLetters) -> None:
        """Show these letters and no others."""
        for edge, label in self._labels.items():
            label.setText(getattr(letters, edge))
            label.adjustSize()
            label.setVisible(bool(label.text()))
        self._place()

    def remove(self) -> None:
        """Take the letters away for good."""
        with contextlib.suppress(RuntimeError):  # the canvas went with its window, and the labels with it
            self._canvas.removeEventFilter(self)
            for label in self._labels.values():
                label.deleteLater()
        self._labels.clear()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # Qt's name
        """Follow the canvas when its size changes."""
        if event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def _place(self) -> None:
        width, height = self._canvas.width(), self._canvas.height()
        for edge, label in self._labels.items():
            x = {"left": _MARGIN, "right": width - label.width() - _MARGIN}.get(edge)
            y = {"top": _MARGIN, "bottom": height - label.height() - _MARGIN}.get(edge)
            label.move(
                (width - label.width()) // 2 if x is None else x,
                (height - label.height()) // 2 if y is None else y,
            )
