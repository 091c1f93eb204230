"""Make the pictures of napari's window anew; a real window is driven as a user would, nothing is retouched.

``xvfb-run -a -s "-screen 0 1600x1000x24" python docs/_make_screenshots.py`` (needs the extras [napari] and
[demo]; on a desktop without xvfb-run).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
from qtpy.QtTest import QTest

from napari_effseg.viewer.segmentation_widget import SegmentationWidget

IMAGES = Path(__file__).parent / "images"
PLUGIN = "napari-effseg"
WIDTH, HEIGHT = 1366, 768
PATIENCE_SECONDS = 600


def until(condition: Callable[[], bool]) -> None:
    """Let the window live until a condition holds."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        QTest.qWait(10)
        assert time.monotonic() < end, "the window did not get there"


class Session:
    """A window with the panel, and its pictures."""

    def __init__(self, theme: str) -> None:
        self.viewer = napari.Viewer(show=True)
        self.viewer.theme = theme
        self.viewer.window.resize(WIDTH, HEIGHT)
        _, widget = self.viewer.window.add_plugin_dock_widget(PLUGIN, "Automatic segmentation")
        assert isinstance(widget, SegmentationWidget)
        self.widget = widget

    def open_sample(self, name: str) -> None:
        """Open a sample case and wait until the plan stands."""
        self.viewer.open_sample(PLUGIN, name)
        until(lambda: self.widget.panel.store.now.plan is not None)

    def picture(self, name: str) -> None:
        """Save a picture of the whole window."""
        self.viewer.status = ""
        QTest.qWait(400)
        self.viewer.window.screenshot(str(IMAGES / f"napari_{name}.png"), flash=False)

    def run(self) -> None:
        """Press Run and wait for the labels."""
        self.widget.run_rows.button.click()
        until(lambda: self.widget.panel.store.now.is_idle)
        assert not self.widget.panel.store.now.problem, self.widget.panel.store.now.problem
        QTest.qWait(500)  # doubt comes a moment after the labels

    def go_to(self, line: int) -> None:
        """Click a line of the table."""
        self.widget.table.lines.cellClicked.emit(line, 1)


def hippocampus(theme: str) -> None:
    """Before, during and after a run on the sample case."""
    session = Session(theme)
    session.open_sample("hippocampus")
    session.picture(f"before_{theme}")
    panel = session.widget.panel
    session.widget.run_rows.button.click()
    until(lambda: panel.store.now.message.startswith("Window"))
    session.picture(f"during_{theme}")
    until(lambda: panel.store.now.is_idle)
    QTest.qWait(500)
    session.go_to(0)
    session.picture(f"after_{theme}")
    session.viewer.close()


def region() -> None:
    """Draw a rectangle around one hippocampus of a whole head."""
    session = Session("dark")
    session.open_sample("mni152")
    image = session.widget.panel.store.now.image
    assert image is not None
    session.viewer.dims.set_point(0, -20.0)
    session.widget.region_rows.draw.click()
    shapes = session.widget.panel.store.now.region_layer
    assert shapes is not None
    low, high = (image.world_to_data((-20.0, *corner)) for corner in ((0.0, 10.0), (45.0, 42.0)))
    k, (r0, c0), (r1, c1) = round(low[0]), low[1:], high[1:]
    shapes.add_rectangles(np.array([(k, r0, c0), (k, r0, c1), (k, r1, c1), (k, r1, c0)]))
    until(lambda: session.widget.panel.store.now.region is not None)
    until(lambda: not session.widget.panel.store.now.is_checking)
    session.picture("region")
    session.widget.region_rows.clear.click()
    until(lambda: session.widget.panel.store.now.plan is not None)
    session.run()
    session.go_to(0)
    session.picture("head")
    session.viewer.close()


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    for name in ("dark", "light"):
        hippocampus(name)
    region()
