"""The mouse on a real canvas."""

from qtpy import QtCore
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

LEFT = QtCore.Qt.MouseButton.LeftButton
NO_KEYS = QtCore.Qt.KeyboardModifier.NoModifier


def wait(milliseconds):
    """Let events happen; `QTest.qWait`, which vispy replaces, would keep a core busy meanwhile."""
    loop = QtCore.QEventLoop()
    QtCore.QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def on_canvas(viewer, world_yx):
    """World coordinates of the two displayed axes -> pixel of the canvas."""
    transform = viewer.window._qt_viewer.canvas.view.scene.transform
    y, x = world_yx
    pixel = transform.map([x, y, 0, 1])
    pixel = pixel[:2] / (pixel[3] if len(pixel) > 3 else 1)
    return QtCore.QPoint(round(pixel[0]), round(pixel[1]))


def drag(viewer, start_yx, end_yx, steps=8):
    """Drag with the left button; QTest's own moves carry no button."""
    native = viewer.window._qt_viewer.canvas.native
    start, end = on_canvas(viewer, start_yx), on_canvas(viewer, end_yx)
    QTest.mouseMove(native, start)
    wait(20)
    QTest.mousePress(native, LEFT, NO_KEYS, start)
    for step in range(1, steps + 1):
        at = start + (end - start) * (step / steps)
        event = QMouseEvent(
            QtCore.QEvent.Type.MouseMove,
            QtCore.QPointF(at),
            QtCore.QPointF(native.mapToGlobal(at)),
            QtCore.Qt.MouseButton.NoButton,
            LEFT,
            NO_KEYS,
        )
        QApplication.sendEvent(native, event)
        wait(15)
    QTest.mouseRelease(native, LEFT, NO_KEYS, end)
    wait(20)
