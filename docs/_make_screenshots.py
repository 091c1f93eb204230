"""Make all pictures of napari's window anew; a real window is driven as a user would, nothing is retouched.

``xvfb-run -a -s "-screen 0 1600x1000x24" python docs/_make_screenshots.py`` (needs the extras [napari] and
[demo]; on a desktop without xvfb-run). Names of pictures after it make those alone.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
from napari.layers import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QOpenGLWidget, QWidget

import napari_effseg as eff
from napari_effseg.viewer import _sample_data
from napari_effseg.viewer.click_places import show_slice_of
from napari_effseg.viewer.click_widget import ClickWidget
from napari_effseg.viewer.engine_choice import Where
from napari_effseg.viewer.layers import layer_to_volume, world_of_index
from napari_effseg.viewer.orientation import Plane, Sides
from napari_effseg.viewer.reading_view import show_plane, spatial_axes_shown
from napari_effseg.viewer.reading_widget import ReadingWidget
from napari_effseg.viewer.segmentation_widget import SegmentationWidget

IMAGES = Path(__file__).parent / "images"
PLUGIN = "napari-effseg"
WIDTH, HEIGHT = 1366, 768
PATIENCE_SECONDS = 600
VENTRICLE_RAS = (-12.0, -34.0, 18.0)
LEFT_HIPPOCAMPUS_RAS = "-26, -20, -16"  # of the template, mm


def until(condition: Callable[[], bool]) -> None:
    """Let the window live until a condition holds."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        QTest.qWait(10)
        assert time.monotonic() < end, "the window did not get there"


def new_window(theme: str) -> napari.Viewer:
    """Open a window of the size of a small screen."""
    viewer = napari.Viewer(show=True)
    viewer.theme = theme
    viewer.window.resize(WIDTH, HEIGHT)
    return viewer


def save_picture(viewer: napari.Viewer, name: str) -> None:
    """Save a picture of the whole window, when it has come to rest."""
    QTest.qWait(600)
    viewer.window.screenshot(str(IMAGES / f"{name}.png"), flash=False)


def press(widget: QWidget, at: QPoint | None = None) -> None:
    """Click a widget in its middle, or at a place of it."""
    button, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QTest.mouseClick(widget, button, keys, widget.rect().center() if at is None else at)


def show_all(viewer: napari.Viewer) -> None:
    """As the button with the house does."""
    (viewer.fit_to_view if hasattr(viewer, "fit_to_view") else viewer.reset_view)()


def compile_kernels() -> None:
    """Segment once, so that no picture shows the time that the very first run on a machine takes."""
    (data, keywords, _), *_ = _sample_data.hippocampus()
    eff.segment(layer_to_volume(Image(data, **keywords)))


class Session:
    """A window with the panel *Automatic segmentation*, and its pictures."""

    def __init__(self, theme: str) -> None:
        self.viewer = new_window(theme)
        _, widget = self.viewer.window.add_plugin_dock_widget(PLUGIN, "Automatic segmentation")
        assert isinstance(widget, SegmentationWidget)
        self.widget, self.panel = widget, widget.panel

    def open_sample(self, name: str) -> None:
        """Open a sample case and wait until the plan stands."""
        self.viewer.open_sample(PLUGIN, name)
        until(lambda: self.panel.store.now.plan is not None)
        QTest.qWait(3000)  # first pictures of layers, and what is compiled beside the window

    def picture(self, name: str) -> None:
        """Save a picture of the whole window."""
        save_picture(self.viewer, f"napari_{name}")

    def finish(self) -> None:
        """Wait for the labels."""
        until(lambda: self.panel.store.now.is_idle)
        assert not self.panel.store.now.problem, self.panel.store.now.problem
        QTest.qWait(1000)  # doubt comes a moment after the labels

    def press_line(self, line: int) -> None:
        """Click a line of the table."""
        lines = self.widget.table.lines
        press(lines.viewport(), lines.visualItemRect(lines.item(line, 1)).center())


def hippocampus(theme: str) -> None:
    """Before and after a run on the sample case; the table alone."""
    session = Session(theme)
    session.open_sample("hippocampus")
    if theme == "dark":
        session.picture("before_dark")
    press(session.widget.run_rows.button)
    session.finish()
    session.press_line(0)
    show_all(session.viewer)
    session.picture(f"after_{theme}")
    if theme == "dark":
        session.widget.table.grab().save(str(IMAGES / "napari_table.png"))
    session.viewer.close()


def server() -> None:
    """Segment the sample case on a server, with its lines unfolded."""
    from napari_effseg.server.engines import LocalEngine
    from napari_effseg.server.run import Server
    from napari_effseg.server.settings import Settings

    session, key = Session("light"), "a key for this picture"
    session.open_sample("hippocampus")
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(Settings(keys={"user": key}), LocalEngine()) as running,
    ):
        os.environ["EFFSEG_CONFIG"] = folder
        session.widget.engine.choose(where=Where.SERVER, url=running.url, key=key)
        until(lambda: session.panel.store.now.plan is not None)
        session.widget.engine_rows.fold.setChecked(True)
        press(session.widget.engine_rows.test)
        until(lambda: not session.widget.engine.is_trying)
        press(session.widget.run_rows.button)
        session.finish()
        session.widget.scroll.verticalScrollBar().setValue(0)
        show_all(session.viewer)
        session.picture("server")
        session.viewer.close()


def region() -> None:
    """Draw a rectangle around one hippocampus of a whole head."""
    session = Session("dark")
    session.open_sample("mni152")
    image = session.panel.store.now.image
    assert image is not None
    session.viewer.dims.set_point(0, -20.0)
    press(session.widget.region_rows.draw)
    shapes = session.panel.store.now.region_layer
    assert shapes is not None
    low, high = (image.world_to_data((-20.0, *corner)) for corner in ((0.0, 10.0), (45.0, 42.0)))
    k, (r0, c0), (r1, c1) = round(low[0]), low[1:], high[1:]
    shapes.add_rectangles(np.array([(k, r0, c0), (k, r0, c1), (k, r1, c1), (k, r1, c0)]))
    until(lambda: session.panel.store.now.region is not None)
    until(lambda: not session.panel.store.now.is_checking)
    session.picture("region")
    session.viewer.close()


def head() -> None:
    """Have both hippocampi of a whole head found."""
    session = Session("dark")
    session.open_sample("mni152")
    press(session.widget.run_rows.button)
    until(lambda: session.panel.store.now.message.startswith("Window"))
    session.picture("during")
    session.finish()
    session.picture("head")
    session.viewer.close()


def reading() -> None:
    """Letters in the three planes, through the left hippocampus, with the pointer there."""
    viewer = new_window("dark")
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Image reading")
    assert isinstance(dock, ReadingWidget)
    viewer.open_sample(PLUGIN, "mni152")
    QTest.qWait(3000)
    for plane, theme in ((Plane.SAGITTAL, "light"), (Plane.CORONAL, "dark"), (Plane.AXIAL, "dark")):
        viewer.theme = theme
        press(dock.planes.buttons[plane])
        dock.desk.go_to(LEFT_HIPPOCAMPUS_RAS)
        QTest.qWait(600)
        canvas = dock.window().centralWidget().findChild(QOpenGLWidget)
        QTest.mouseMove(canvas, canvas.rect().center())
        press(canvas)
        show_all(viewer)
        save_picture(viewer, f"reading_{plane.value.lower()}")
    viewer.close()


class Clicks:
    """A window with the panel *Click segmentation* on a whole head, and a hand that clicks."""

    def __init__(self, theme: str, plane: Plane) -> None:
        self.viewer = new_window(theme)
        _, widget = self.viewer.window.add_plugin_dock_widget(PLUGIN, "Click segmentation")
        assert isinstance(widget, ClickWidget)
        self.widget, self.desk = widget, widget.desk
        self.viewer.open_sample(PLUGIN, "mni152")
        QTest.qWait(3000)
        image = self.viewer.layers[0]
        show_plane(self.viewer, plane, Sides.RADIOLOGICAL)
        show_all(self.viewer)
        self.viewer.layers.selection.active = image
        self.settle()

    def settle(self) -> None:
        """Wait until every action is answered."""
        QTest.qWait(200)
        until(lambda: self.desk.store.now.is_ready and self.desk.queue.is_empty)
        QTest.qWait(200)

    def at(self, ras: tuple[float, float, float]) -> QPoint:
        """Show the slice of a place of the template, in mm; return where it is drawn."""
        image = self.desk.store.now.image
        assert image is not None
        index = np.linalg.solve(self.desk.room.grid.affine, (*ras, 1.0))[:3]
        show_slice_of(self.viewer, image, self.desk.room.grid, index)
        QTest.qWait(100)
        shown = spatial_axes_shown(self.viewer)
        y, x = world_of_index(image, index, shown)[list(shown)]
        canvas = self.viewer.window._qt_viewer.canvas  # what napari itself has no public name for
        pixel = canvas.view.scene.transform.map([x, y, 0, 1])
        return QPoint(round(pixel[0] / pixel[3]), round(pixel[1] / pixel[3]))

    def click(self, ras: tuple[float, float, float], positive: bool = True) -> None:
        """Click a place of the template, with the left or the right button."""
        canvas = self.viewer.window._qt_viewer.canvas.native
        place, button = self.at(ras), Qt.MouseButton.LeftButton if positive else Qt.MouseButton.RightButton
        QTest.mouseMove(canvas, place)
        QTest.qWait(600)
        QTest.mouseClick(canvas, button, Qt.KeyboardModifier.NoModifier, place)
        self.settle()

    def press(self, key: str) -> None:
        """Press a key of the panel."""
        window = self.widget.window()
        window.activateWindow()
        QTest.qWaitForWindowActive(window)
        QTest.keySequence(window, key)
        self.settle()

    def picture(self, name: str) -> None:
        """Save a picture of the whole window."""
        save_picture(self.viewer, f"clicks_{name}")


def clicks() -> None:
    """Outline a lateral ventricle of a head: a click, its other meaning, through the slices, finished."""
    session = Clicks("dark", Plane.AXIAL)
    session.click(VENTRICLE_RAS)
    session.picture("first")
    session.press("H")
    session.picture("other")
    session.press("G")
    show_plane(session.viewer, Plane.CORONAL, Sides.RADIOLOGICAL)
    session.at(VENTRICLE_RAS)
    session.picture("through")
    session.press("N")
    session.viewer.theme = "light"
    session.picture("finished")
    session.viewer.close()


def finetuning() -> None:
    """Show the panel *Fine-tune a model*, before a run."""
    viewer = new_window("dark")
    viewer.window.add_plugin_dock_widget(PLUGIN, "Fine-tune a model")
    viewer.open_sample(PLUGIN, "hippocampus")
    QTest.qWait(3000)
    save_picture(viewer, "finetune")
    viewer.close()


PICTURES: dict[str, Callable[[], None]] = {
    "dark": lambda: hippocampus("dark"),
    "light": lambda: hippocampus("light"),
    "server": server,
    "region": region,
    "head": head,
    "reading": reading,
    "clicks": clicks,
    "finetuning": finetuning,
}


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    compile_kernels()
    for wanted in sys.argv[1:] or PICTURES:
        PICTURES[wanted]()
