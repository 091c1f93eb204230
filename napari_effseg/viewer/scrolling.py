"""A column of widgets that scrolls where the window is low."""

from __future__ import annotations

from collections.abc import Iterable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

__all__ = ["scrolling_column"]

_SPACING = 8


def scrolling_column(widgets: Iterable[QWidget]) -> QScrollArea:
    """Put widgets below each other, as wide as there is room, at the top."""
    inside = QWidget()
    column = QVBoxLayout(inside)
    column.setSpacing(_SPACING)
    for widget in widgets:
        column.addWidget(widget)
    column.addStretch(1)
    scroll = QScrollArea()
    scroll.setWidgetResizable(True)
    scroll.setFrameShape(QFrame.Shape.NoFrame)
    scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    scroll.setWidget(inside)
    return scroll
