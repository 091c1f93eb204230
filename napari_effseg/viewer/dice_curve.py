"""A small curve of Dice over steps, drawn in the colours of the theme."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

__all__ = ["DiceCurve"]

_HEIGHT = 110
_LEFT, _RIGHT, _TOP, _BOTTOM = 30, 8, 8, 18
_DOT = 2.5
_LEVELS = (0.0, 0.5, 1.0)
_RIGHT_MIDDLE = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class DiceCurve(QWidget):
    """Mean Dice of the held-back cases at each validation; dotted, what it was before the first step."""

    def __init__(self) -> None:
        super().__init__()
        self._points: tuple[tuple[int, float], ...] = ()
        self._before: float | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(_HEIGHT)
        self.setAccessibleName("Dice of the held-back cases over steps")

    def show_points(self, points: Sequence[tuple[int, float]], before: float | None) -> None:
        """Show these validations; nothing is shown until there is one."""
        self.setVisible(bool(points))
        if (tuple(points), before) == (self._points, self._before):
            return
        self._points, self._before = tuple(points), before
        if points:
            step, last = points[-1]
            words = f"Dice {last:.3f} at step {step}, best {max(dice for _, dice in points):.3f}"
            start = "" if before is None else f", {before:.3f} before the first step (dotted)"
            self.setAccessibleDescription(words)
            self.setToolTip(f"Mean of the held-back cases: {words}{start}")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # Qt's name
        """Draw levels, the dotted line and the curve."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = self.palette().windowText().color()
        faint = self.palette().windowText().color()
        faint.setAlphaF(0.25)
        for level in _LEVELS:
            y = self._place(0, level).y()
            painter.setPen(QPen(faint, 1))
            painter.drawLine(QPointF(_LEFT, y), QPointF(self.width() - _RIGHT, y))
            painter.setPen(QPen(text))
            box = QRectF(0, y - 8, _LEFT - 5, 16)
            painter.drawText(
                box, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), f"{level:g}"
            )
        painter.drawText(self._below(), Qt.AlignmentFlag.AlignRight, f"step {self._last}")
        painter.drawText(self._below(), Qt.AlignmentFlag.AlignLeft, "Dice, held-back cases")
        if self._before is not None:
            painter.setPen(QPen(text, 1, Qt.PenStyle.DotLine))
            painter.drawLine(self._place(0, self._before), self._place(self._last, self._before))
        painter.setPen(QPen(text, 2))
        places = [self._place(step, dice) for step, dice in self._points]
        painter.drawPolyline(QPolygonF(places))
        painter.setBrush(text)
        for place in places:
            painter.drawEllipse(place, _DOT, _DOT)
        painter.end()

    @property
    def _last(self) -> int:
        return max((step for step, _ in self._points), default=1)

    def _below(self) -> QRectF:
        return QRectF(_LEFT, self.height() - _BOTTOM + 2, self.width() - _LEFT - _RIGHT, _BOTTOM)

    def _place(self, step: int, dice: float) -> QPointF:
        width, height = self.width() - _LEFT - _RIGHT, self.height() - _TOP - _BOTTOM
        return QPointF(_LEFT + width * step / self._last, _TOP + height * (1 - dice))
