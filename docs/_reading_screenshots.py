"""Take the pictures of docs/reading.md anew: ``python docs/_reading_screenshots.py``.

Needs the extras [napari] and [demo] and a display (``xvfb-run`` gives one). A real window with the plugin's
dock is driven; nothing is retouched.
"""

from __future__ import annotations

from pathlib import Path

import napari
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QOpenGLWidget

from napari_effseg.viewer.orientation import Plane, Sides
from napari_effseg.viewer.reading_widget import ReadingWidget

IMAGES = Path(__file__).parent / "images"
SIZE = (1366, 768)
WAIT_MS = 1000


def take(images: Path = IMAGES) -> None:
    """Write reading_coronal.png and reading_sagittal.png."""
    viewer = napari.Viewer(show=True)
    viewer.window.resize(*SIZE)
    _, dock = viewer.window.add_plugin_dock_widget("napari-effseg", "Image reading")
    viewer.open_sample("napari-effseg", "mni152")
    QTest.qWait(WAIT_MS)
    _picture(viewer, dock, Plane.CORONAL, "dark", images / "reading_coronal.png")
    dock.desk.exchange_sides(Sides.NEUROLOGICAL)
    _picture(viewer, dock, Plane.SAGITTAL, "light", images / "reading_sagittal.png")
    viewer.close()


def _picture(viewer: napari.Viewer, dock: ReadingWidget, plane: Plane, theme: str, path: Path) -> None:
    """Show a plane through the left hippocampus, click there, and take the window."""
    viewer.theme = theme
    QTest.mouseClick(dock.planes.buttons[plane], Qt.MouseButton.LeftButton)
    dock.desk.go_to("-26, -20, -16")
    QTest.qWait(WAIT_MS)
    canvas = dock.window().centralWidget().findChild(QOpenGLWidget)
    middle = QPoint(canvas.width() // 2, canvas.height() // 2)
    QTest.mouseMove(canvas, middle)
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, middle)
    QTest.qWait(WAIT_MS)
    viewer.window.screenshot(str(path), flash=False)


if __name__ == "__main__":
    take()
