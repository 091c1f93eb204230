"""The dock *Click segmentation* in a real window: mouse and keys, a small screen, both themes, closing."""

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QComboBox,
    QFileDialog,
    QHeaderView,
    QLineEdit,
    QShortcut,
)

from napari_effseg.prompts import Box, Lasso, Point, Scribble
from napari_effseg.viewer import click_widget
from napari_effseg.viewer.click_places import show_slice_of
from napari_effseg.viewer.click_state import ClickStage, Tool
from napari_effseg.viewer.layers import world_of_index
from napari_effseg.viewer.reading_view import camera_of, spatial_axes_shown

from .canvas import LEFT, NO_KEYS, drag, on_canvas, wait
from .click_cases import Fakes, add_balls
from .panels import PLUGIN

TIMEOUT = 15_000

RIGHT = Qt.MouseButton.RightButton
FIRST, SECOND = (9, 8, 5), (21, 18, 6)


@pytest.fixture(autouse=True)
def sessions(monkeypatch, tmp_path):
    monkeypatch.setenv("EFFSEG_SESSIONS", str(tmp_path / "sessions"))


@pytest.fixture
def fakes(monkeypatch):
    made = Fakes()
    monkeypatch.setattr("napari_effseg.viewer.click_desk.Opener", lambda: made)
    yield made
    made.body.go.set()


@pytest.fixture
def viewer(window):
    made = window(show=True)
    made.window.resize(1366, 768)
    return made


class Dock:
    """The dock, and a hand on mouse and keyboard."""

    def __init__(self, viewer, qtbot):
        self.viewer, self.qtbot = viewer, qtbot
        _, self.widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Click segmentation")
        self.desk = self.widget.desk
        self.settle()

    @property
    def now(self):
        return self.desk.store.now

    @property
    def native(self):
        return self.viewer.window._qt_viewer.canvas.native

    def settle(self):
        wait(30)
        self.qtbot.waitUntil(lambda: self.now.is_ready and self.desk.queue.is_empty, timeout=TIMEOUT)
        wait(40)
        return self

    def until(self, holds):
        """Wait for what comes with the next events, which may be late on a busy machine."""
        self.qtbot.waitUntil(holds, timeout=TIMEOUT)

    def at(self, index):
        """Where a voxel is drawn, in the world of the two axes that are shown."""
        shown = spatial_axes_shown(self.viewer)
        return tuple(world_of_index(self.now.image, index, shown)[list(shown)])

    def show(self, index):
        show_slice_of(self.viewer, self.now.image, self.desk.room.grid, index)
        wait(20)

    def click(self, index, button=LEFT, keys=NO_KEYS):
        self.show(index)
        place = on_canvas(self.viewer, self.at(index))
        QTest.mouseMove(self.native, place)
        wait(QApplication.doubleClickInterval() + 20)  # two clicks, not a double one
        QTest.mouseClick(self.native, button, keys, place)
        return self.settle()

    def drag(self, start, end):
        self.show(start)
        drag(self.viewer, self.at(start), self.at(end))
        return self.settle()

    def press(self, key, settles=True):
        self.widget.window().activateWindow()
        QTest.qWaitForWindowActive(self.widget.window())
        QTest.keySequence(self.widget.window(), key)
        return self.settle() if settles else self


@pytest.fixture
def dock(viewer, qtbot, fakes):
    add_balls(viewer)
    wait(100)
    return Dock(viewer, qtbot)


def prompts(fakes):
    return list(fakes.session.prompts.values())


def test_left_adds_and_right_or_a_modifier_takes_away(dock, fakes):
    dock.click(FIRST).click((11, 10, 5), RIGHT).click((11, 6, 5), keys=Qt.KeyboardModifier.ControlModifier)
    assert [(prompt.index, prompt.positive) for prompt in prompts(fakes)] == [
        (FIRST, True),
        ((11, 10, 5), False),
        ((11, 6, 5), False),
    ]
    assert dock.viewer.layers["balls objects"].data.any()


def test_keys_choose_tools_and_the_mouse_draws_with_them(dock, fakes):
    centre = camera_of(dock.viewer).center
    for key, kind in (("B", Box), ("S", Scribble), ("L", Lasso)):
        dock.press(key)
        if kind is Lasso:
            lasso(dock, [(6, 5, 5), (12, 5, 5), (12, 12, 5), (6, 12, 5)])
        else:
            dock.drag((6, 5, 5), (12, 12, 5))
        assert isinstance(prompts(fakes)[-1], kind), dock.now.notice
    dock.press("P").click((3, 3, 5))
    assert isinstance(prompts(fakes)[-1], Point)
    assert camera_of(dock.viewer).center == centre  # drawing does not move the picture
    assert [button.isChecked() for button in dock.widget.tool_rows.tools.values()].count(True) == 1


def lasso(dock, corners):
    dock.show(corners[0])
    places = [on_canvas(dock.viewer, dock.at(corner)) for corner in corners]
    QTest.mouseMove(dock.native, places[0])
    QTest.mousePress(dock.native, LEFT, NO_KEYS, places[0])
    for place in places[1:]:
        moved(dock.native, place)
    QTest.mouseRelease(dock.native, LEFT, NO_KEYS, places[-1])
    dock.settle()


def moved(native, place):
    from qtpy.QtCore import QEvent, QPointF
    from qtpy.QtGui import QMouseEvent

    where = QPointF(place), QPointF(native.mapToGlobal(place))
    event = QMouseEvent(QEvent.Type.MouseMove, *where, Qt.MouseButton.NoButton, LEFT, NO_KEYS)
    QApplication.sendEvent(native, event)
    wait(20)


def test_a_drag_with_the_point_tool_moves_the_picture(dock, fakes):
    centre = camera_of(dock.viewer).center
    dock.drag(FIRST, (*SECOND[:2], 5))
    assert not prompts(fakes)
    assert camera_of(dock.viewer).center != centre


def test_two_quick_clicks_are_two_prompts_and_do_not_zoom(dock, fakes):
    zoom = camera_of(dock.viewer).zoom
    dock.show(FIRST)
    for index in (FIRST, (9, 11, 5)):
        place = on_canvas(dock.viewer, dock.at(index))
        QTest.mouseMove(dock.native, place)
        QTest.mouseClick(dock.native, LEFT, NO_KEYS, place)
    dock.settle()
    assert len(prompts(fakes)) == 2
    assert camera_of(dock.viewer).zoom == zoom


def test_keys_undo_redo_finish_choose_and_carry_on(dock, fakes):
    dock.click(FIRST).press("H")
    assert dock.now.undo == "choice"
    dock.press("Ctrl+Z")
    assert (dock.now.undo, dock.now.redo) == ("point", "choice")
    assert dock.widget.step_rows.undo.text() == "Undo point"
    dock.press("Ctrl+Shift+Z").press("G")
    assert dock.now.undo == "propagate"
    dock.press("N")
    assert [one.label for one in dock.now.objects] == [1]
    dock.press("X")
    assert not dock.now.positive
    dock.press("E")
    assert dock.now.tool is Tool.ERASE
    dock.press("M")
    assert dock.now.tool is Tool.MOVE
    dock.press("X").press("A")  # the mouse rests on the finished object
    dock.until(lambda: "finished" in dock.now.notice)
    dock.show(SECOND)
    QTest.mouseMove(dock.native, on_canvas(dock.viewer, dock.at(SECOND)))
    wait(20)
    dock.press("A")
    dock.until(lambda: dock.now.undo == "point")


def test_the_brush_of_napari_goes_into_the_same_history(dock, fakes):
    dock.click(FIRST).press("D")
    dock.viewer.layers["balls objects"].brush_size = 2
    dock.drag((2, 3, 5), (2, 12, 5))
    dock.until(lambda: fakes.session.mask[2, 8, 5])
    dock.show((2, 3, 9))
    dock.press("Ctrl+Z")
    dock.until(lambda: not fakes.session.mask[2, 8, 5])
    assert dock.desk.queue.where() == (2, 5)
    assert not dock.viewer.layers["balls objects"].data[5].T[2, 8]


def test_napari_keys_of_the_layer_work_again_after_closing(dock, fakes):
    dock.click(FIRST)
    labels = dock.viewer.layers["balls objects"]
    dock.viewer.layers.selection.active = labels
    window = dock.widget.window()
    before = [shortcut.key().toString() for shortcut in window.findChildren(QShortcut)]
    assert {"P", "B", "Ctrl+Z"} <= set(before)
    dock.viewer.window.remove_dock_widget(dock.widget)
    wait(50)
    left = [shortcut.key().toString() for shortcut in window.findChildren(QShortcut)]
    assert not {"P", "B", "Ctrl+Z", "Del"} & set(left)
    dock.native.setFocus()
    QTest.keyClick(dock.native, "p")
    assert str(labels.mode) == "paint"


def test_closing_leaves_callbacks_as_they_were_and_saves(viewer, qtbot, fakes, tmp_path):
    add_balls(viewer)
    before = callbacks(viewer)
    dock = Dock(viewer, qtbot).click(FIRST)
    assert callbacks(viewer) != before
    viewer.window.remove_dock_widget(dock.widget)
    assert callbacks(viewer) == before
    assert [layer.name for layer in viewer.layers] == ["balls", "balls objects"]
    qtbot.waitUntil(lambda: any((tmp_path / "sessions").glob("*.autosave.effseg")), timeout=TIMEOUT)
    viewer.layers.remove("balls objects")
    wait(50)


def callbacks(viewer):
    lists = viewer.mouse_drag_callbacks, viewer.mouse_move_callbacks, viewer.mouse_double_click_callbacks
    return [list(one) for one in lists]


def test_a_hidden_dock_leaves_mouse_and_keys_alone(dock, fakes):
    dock.widget.parent().hide()
    wait(30)
    dock.click(FIRST)
    assert not prompts(fakes)
    dock.widget.parent().show()
    wait(30)
    dock.click(FIRST)
    assert len(prompts(fakes)) == 1


def test_a_mark_is_selected_with_a_click_and_deleted_with_a_key(dock, fakes):
    dock.click(FIRST).click(SECOND)
    dock.click(FIRST)
    assert dock.now.selected == 1
    assert dock.widget.prompt_rows.list.currentRow() == 0
    dock.press("Del")
    assert [prompt.index for prompt in prompts(fakes)] == [SECOND]
    assert not fakes.session.mask[FIRST]


def test_a_click_in_space_says_what_to_do(dock, fakes):
    dock.viewer.dims.ndisplay = 3
    wait(300)
    QTest.mouseClick(dock.native, LEFT, NO_KEYS, dock.native.rect().center())
    dock.settle()
    assert "Ctrl+Y" in dock.widget.status_rows.notice.text()
    assert not prompts(fakes)
    dock.viewer.dims.ndisplay = 2


def test_the_mask_is_shown_while_the_mouse_rests(dock, fakes):
    dock.show(FIRST)
    for index in (SECOND, FIRST):
        QTest.mouseMove(dock.native, on_canvas(dock.viewer, dock.at(index)))
        wait(20)
    dock.until(lambda: "balls outlines" in dock.viewer.layers)
    dock.until(lambda: len(dock.viewer.layers["balls outlines"].data) > 0)
    assert not prompts(fakes)


def test_it_can_be_cancelled_while_the_window_lives(dock, fakes):
    dock.click(FIRST)
    fakes.body.go.clear()
    dock.press("G", settles=False)
    dock.qtbot.waitUntil(lambda: dock.now.stage is ClickStage.CARRYING, timeout=TIMEOUT)
    dock.qtbot.waitUntil(dock.widget.status_rows.cancel.isVisible, timeout=TIMEOUT)
    dock.viewer.dims.set_point(0, dock.viewer.dims.point[0] + 2)  # the window answers
    QTest.mouseClick(dock.widget.status_rows.cancel, LEFT)
    fakes.body.go.set()
    dock.settle()
    assert "Cancelled" in dock.now.notice
    assert not dock.widget.status_rows.cancel.isVisible()


def test_it_works_by_the_keyboard_alone(dock, fakes):
    field = dock.widget.tool_rows.voxel
    field.setFocus()
    QTest.keyClicks(field, "9, 8, 5")
    QTest.keyClick(field, Qt.Key.Key_Return)
    dock.settle()
    assert prompts(fakes)[0].index == FIRST
    table = dock.widget.object_rows.table
    table.setFocus()
    table.setCurrentCell(0, 1)
    table.editItem(table.item(0, 1))
    editor = table.findChild(QLineEdit)
    editor.selectAll()
    QTest.keyClicks(editor, "spleen")  # letters that are keys are letters here
    QTest.keyClick(editor, Qt.Key.Key_Return)
    wait(50)
    assert dock.now.name == "spleen"
    dock.press("N")
    assert dock.now.objects[0].name == "spleen"


def test_a_session_goes_on_where_it_was_left(viewer, qtbot, fakes):
    add_balls(viewer)
    dock = Dock(viewer, qtbot).click(FIRST)
    mask = fakes.session.mask.copy()
    viewer.window.remove_dock_widget(dock.widget)
    wait(100)
    viewer.layers.remove("balls objects")
    again = Dock(viewer, qtbot)
    assert again.widget.offer_row.isVisible()
    QTest.mouseClick(again.widget.offer_row.resume, LEFT)
    again.settle()
    assert (fakes.session.mask == mask).all()
    assert viewer.layers["balls objects"].data.sum() == mask.sum()
    assert not again.widget.offer_row.isVisible()


def test_save_and_open_ask_for_files(dock, fakes, tmp_path, monkeypatch):
    dock.click(FIRST)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "mine"), ""))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "mine.effseg"), ""))
    QTest.mouseClick(dock.widget.file_rows.save, LEFT)
    dock.qtbot.waitUntil(lambda: (tmp_path / "mine.effseg").exists(), timeout=TIMEOUT)
    dock.press("Ctrl+Z")
    QTest.mouseClick(dock.widget.file_rows.open, LEFT)
    dock.settle()
    assert len(prompts(fakes)) == 1


def test_the_colour_of_the_object_can_be_chosen(dock, fakes, monkeypatch):
    from qtpy.QtGui import QColor

    monkeypatch.setattr(
        "napari_effseg.viewer.click_objects.QColorDialog.getColor", lambda *_: QColor(9, 90, 200)
    )
    table = dock.click(FIRST).widget.object_rows.table
    QTest.mouseClick(table.viewport(), LEFT, NO_KEYS, table.visualItemRect(table.item(0, 0)).center())
    assert dock.now.colour == (9, 90, 200)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_everything_fits_on_a_small_screen(dock, theme):
    dock.viewer.theme = theme
    dock.click(FIRST)
    dock.widget.window().resize(1366, 768)
    wait(50)
    scroll = dock.widget.scroll
    assert scroll.verticalScrollBar().maximum() == 0
    assert dock.widget.width() <= 400
    assert scroll.widget().width() <= scroll.viewport().width()
    for button in dock.widget.tool_rows.tools.values():
        assert button.width() >= button.fontMetrics().horizontalAdvance(button.text())


def test_every_control_that_is_off_says_why_and_every_one_has_a_name(viewer, qtbot, fakes):
    fakes.know(())
    add_balls(viewer)
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Click segmentation")
    qtbot.waitUntil(lambda: not widget.desk.store.now.is_looking, timeout=TIMEOUT)
    wait(50)
    assert "No model that answers clicks" in widget.status_rows.notice.text()
    kinds = (QAbstractButton, QComboBox, QLineEdit, QAbstractItemView)
    for control in (one for kind in kinds for one in widget.findChildren(kind)):
        if control.isVisible() and not isinstance(control, QHeaderView):
            assert control.isEnabled() or control.toolTip(), control.accessibleName()
            assert control.accessibleName() or getattr(control, "text", str)(), control


def test_help_lists_the_keys(dock):
    dock.press("?")
    assert dock.widget.help_rows.fold.isChecked()
    from napari_effseg.viewer.click_keys import HELP, KEYS, TOOL_KEYS

    listed = " ".join(key for key, _ in HELP)
    assert all(key in listed for key in (*TOOL_KEYS.values(), *KEYS.values()) if key != "?")
    texts = [button.text() for button in dock.widget.tool_rows.tools.values()]
    assert all(f"({key})" in text for key, text in zip(TOOL_KEYS.values(), texts, strict=True))


def test_escape_drops_what_is_being_drawn(dock, fakes):
    dock.press("B")
    dock.show(FIRST)
    start, end = (on_canvas(dock.viewer, dock.at(index)) for index in ((6, 5, 5), (12, 12, 5)))
    QTest.mousePress(dock.native, LEFT, NO_KEYS, start)
    moved(dock.native, end)
    dock.press("Esc")
    QTest.mouseRelease(dock.native, LEFT, NO_KEYS, end)
    dock.settle()
    assert not prompts(fakes)
    assert dock.now.tool is Tool.BOX
    assert np.isclose(len(dock.viewer.layers["balls outlines"].data), 0)


def test_keys_are_shown_by_every_button_that_has_one(dock):
    rows = dock.widget.step_rows
    assert "(H)" in rows.other.text()
    assert "(G)" in rows.carry.text()
    assert "(N)" in dock.widget.object_rows.finish.text()
    assert click_widget.ClickWidget.__doc__
