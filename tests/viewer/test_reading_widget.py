"""The dock in a real window, with mouse and keyboard. Needs a display; `xvfb-run` gives one."""

from __future__ import annotations

import gc

import numpy as np
import pytest

pytest.importorskip("napari", reason="needs the extra [napari]")
pytest.importorskip("pytestqt", reason="needs pytest-qt")

from napari.layers import Layer
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDockWidget, QOpenGLWidget, QWidget

from napari_effseg.viewer import edge_letters
from napari_effseg.viewer.layers import image_layers
from napari_effseg.viewer.orientation import EdgeLetters, Plane, Sides
from napari_effseg.viewer.reading_rows import KEYS
from napari_effseg.viewer.reading_view import camera_of
from napari_effseg.viewer.reading_widget import ReadingWidget
from napari_effseg.volume import Volume

from .canvas import wait
from .reading_cases import affine_of, needs_turning

SHAPE = (40, 50, 30)
AFFINE = affine_of((2, 0, 1), (1, -1, -1))
LEFT = Qt.MouseButton.LeftButton


def data():
    return np.add.outer(np.add.outer(np.arange(40), np.arange(50)), np.arange(30)).astype(np.int16)


@pytest.fixture
def viewer(window):
    return window(show=True)


@pytest.fixture
def dock(viewer, qtbot):
    widget = ReadingWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Image reading", area="right")
    qtbot.waitUntil(widget.isVisible)
    return widget


def show(viewer, volume):
    (triple,) = image_layers(volume, "scan")
    return viewer.add_layer(Layer.create(*triple))


def canvas_of(dock):
    return dock.window().centralWidget().findChild(QOpenGLWidget)


def settle():
    wait(120)  # longer than the dock waits before it shows changes


def press(dock, key):
    dock.window().activateWindow()
    QTest.qWaitForWindowActive(dock.window())
    QTest.keySequence(dock.window(), key)
    settle()


def letters(viewer):
    """Letters that napari draws on the canvas."""
    return EdgeLetters(
        **{edge: viewer.canvas.overlays[f"effseg_{edge}"].text for edge in ("left", "right", "top", "bottom")}
    )


needs_overlays = pytest.mark.skipif(
    "not hasattr(__import__('napari').components.ViewerModel(), 'canvas')", reason="napari draws none itself"
)


@needs_overlays
def test_buttons_show_planes_upright_with_their_letters(viewer, dock):
    show(viewer, Volume(data(), AFFINE))
    expected = {
        Plane.AXIAL: EdgeLetters("R", "L", "A", "P"),
        Plane.CORONAL: EdgeLetters("R", "L", "S", "I"),
        Plane.SAGITTAL: EdgeLetters("A", "P", "S", "I"),
    }
    settle()
    for plane, button in dock.planes.buttons.items():
        QTest.mouseClick(button, LEFT)
        settle()
        assert letters(viewer) == expected[plane]
        assert [b.isChecked() for b in dock.planes.buttons.values()] == [p is plane for p in Plane]


@needs_overlays
@pytest.mark.parametrize("of", ["window", "canvas"])
def test_letters_show_in_pictures_of_the_window_and_of_the_canvas(viewer, dock, qtbot, of):
    show(viewer, Volume(np.zeros(SHAPE, dtype=np.int16), AFFINE))
    take = viewer.window.screenshot if of == "window" else viewer.screenshot
    letter, pictures = viewer.canvas.overlays["effseg_left"], []
    for visible in (True, False):
        qtbot.waitUntil(lambda wanted=visible: letter.visible is wanted)
        pictures.append(take(flash=False)[..., :3].astype(int))
        dock.sides.letters.click()
    canvas = canvas_of(dock)
    corner = canvas.mapTo(dock.window(), QPoint(0, 0)) if of == "window" else QPoint(0, 0)
    rows = slice(corner.y(), corner.y() + canvas.height())
    edge = [picture[rows, corner.x() : corner.x() + 60] for picture in pictures]
    assert (np.abs(edge[0] - edge[1]).max(axis=-1) > 100).sum() > 50


def test_labels_on_the_canvas_show_and_let_the_mouse_through(viewer, dock, qtbot):
    viewer.add_image(data(), name="of unknown orientation, so that the dock writes no letters")
    settle()
    canvas = canvas_of(dock)
    writer = edge_letters.CanvasLabels(canvas)
    writer.write(EdgeLetters("RA", "LP", "S", ""))
    settle()
    visible = {label.text(): label for label in canvas.findChildren(QWidget) if label.isVisible()}
    assert set(visible) == {"RA", "LP", "S"}
    left = visible["RA"]
    assert canvas.childAt(left.geometry().center()) is None
    canvas.resize(canvas.width() - 60, canvas.height())
    assert visible["LP"].geometry().right() < canvas.width()
    writer.remove()
    qtbot.waitUntil(lambda: not [c for c in canvas.findChildren(QWidget) if c.isVisible()])


def test_keys_alone_do_everything(viewer, dock, qtbot):
    needs_turning(viewer)
    scan = show(viewer, Volume(data() - 1000, AFFINE, modality="CT"))
    settle()
    for plane in Plane:
        press(dock, KEYS[plane])
        assert dock.desk.state().plane is plane
    press(dock, KEYS["sides"])
    assert dock.desk.sides is Sides.NEUROLOGICAL
    press(dock, KEYS["next window"])
    qtbot.waitUntil(lambda: dock.windows.choices.currentText() == "Auto (1-99 %)")
    press(dock, KEYS["previous window"])
    qtbot.waitUntil(lambda: dock.windows.choices.currentText() == "CT stroke")
    assert list(scan.contrast_limits) == [20, 60]
    press(dock, KEYS["go to"])
    assert dock.places.field.hasFocus()
    QTest.keyClicks(dock.places.field, "0, 0, 0")
    QTest.keyClick(dock.places.field, Qt.Key.Key_Return)
    settle()
    assert np.abs(viewer.dims.point).max() <= 1.75  # half a slice: napari's sliders go in steps
    np.testing.assert_allclose(camera_of(viewer).center, (0, 0, 0), atol=1e-9)


def test_a_click_on_the_canvas_picks_the_voxel_that_is_seen_there(viewer, dock, qtbot):
    show(viewer, Volume(data(), AFFINE))
    settle()
    canvas = canvas_of(dock)
    middle = QPoint(canvas.width() // 2, canvas.height() // 2)
    QTest.mouseMove(canvas, middle)
    QTest.mouseClick(canvas, LEFT, Qt.KeyboardModifier.NoModifier, middle)
    qtbot.waitUntil(lambda: dock.places.field.text() != "")
    center = camera_of(viewer).center
    expected = (-center[2], -center[1], viewer.dims.point[0])
    picked = [float(number) for number in dock.places.field.text().split(",")]
    np.testing.assert_allclose(picked, expected, atol=2 / camera_of(viewer).zoom + 0.06)
    i, j, k = (int(part) for part in dock.places.voxel.text().split()[1::2])
    assert dock.places.value.text() == str(i + j + k)
    QTest.mouseClick(dock.places.copy, LEFT)
    assert QGuiApplication.clipboard().text() == dock.places.field.text()


def test_level_and_width_follow_napari_and_set_it(viewer, dock):
    scan = show(viewer, Volume(data(), AFFINE))
    scan.contrast_limits = (10, 50)
    settle()
    assert (dock.windows.level.value(), dock.windows.width.value()) == (30, 40)
    dock.windows.width.setValue(20)
    settle()
    assert list(scan.contrast_limits) == [20, 40]


def test_every_control_that_is_off_says_why(viewer, dock):
    needs_turning(viewer)
    settle()
    controls = [
        *dock.planes.buttons.values(), dock.sides.sides, dock.sides.letters, dock.windows.choices,
        dock.windows.level, dock.windows.width, dock.places.field, dock.places.copy,
    ]  # fmt: skip
    assert not any(control.isEnabled() for control in controls)
    assert {control.toolTip() for control in controls} == {"There is no image yet."}
    show(viewer, Volume(data(), AFFINE))
    settle()
    assert all(control.isEnabled() for control in controls)
    viewer.add_image(np.zeros((9, 9, 3), dtype=np.uint8), rgb=True)
    settle()
    assert all(control.isEnabled() or control.toolTip() for control in controls)
    assert dock.notes.isVisible()


@pytest.mark.parametrize("display_order", [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
def test_in_3d_the_patient_is_where_the_letters_say_and_not_mirrored(viewer, dock, display_order):
    show(viewer, Volume(data(), AFFINE))
    viewer.dims.order = display_order
    viewer.dims.ndisplay = 3
    camera_of(viewer).angles = (12, 25, 70)
    settle()
    to_canvas = viewer.window._qt_viewer.canvas.view.scene.transform
    shown = list(viewer.dims.order)
    to_ras = np.array([(0, 0, 1), (0, -1, 0), (-1, 0, 0)])[shown]
    corners = np.array([to_canvas.map([*axis[::-1], 1]) for axis in (np.zeros(3), *np.eye(3))])
    pixels = corners[:, :2] / corners[:, 3:]
    right, down = (pixels[1:] - pixels[0]).T  # what a mm along each displayed axis does on the canvas
    across, downwards = right @ to_ras, down @ to_ras
    assert dock.desk.state().letters == EdgeLetters.of_directions(across, downwards)
    needs_turning(viewer)
    towards = -np.asarray(camera_of(viewer).view_direction) @ to_ras
    assert np.dot(np.cross(across, -downwards), towards) > 0


@needs_overlays
def test_a_dock_that_is_closed_takes_its_letters_and_keys_away(viewer, dock, qtbot):
    show(viewer, Volume(data(), AFFINE))
    settle()
    canvas, window = canvas_of(dock), dock.window()
    docked = next(d for d in window.findChildren(QDockWidget) if d.isAncestorOf(dock))
    viewer.window.remove_dock_widget(docked)
    settle()
    assert not [name for name in viewer.canvas.overlays if name.startswith("effseg")]
    assert not [child for child in canvas.findChildren(QWidget) if child.isVisible()]
    viewer.dims.order = (1, 0, 2)
    viewer.layers.clear()
    gc.collect()
    settle()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_it_fits_beside_other_docks_on_a_small_screen(viewer, dock, theme):
    viewer.theme = theme
    viewer.window.resize(1366, 768)
    show(viewer, Volume(data(), AFFINE))
    settle()
    assert dock.minimumSizeHint().width() <= 340
    assert dock.minimumSizeHint().height() <= 320
