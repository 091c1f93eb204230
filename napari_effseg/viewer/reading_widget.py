"""The dock "Image reading": planes, sides, windows, the voxel under the cursor, going to a place."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from qtpy.QtCore import QEvent, QTimer
from qtpy.QtGui import QGuiApplication, QKeySequence, QShowEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QDockWidget,
    QLabel,
    QMainWindow,
    QShortcut,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from .edge_letters import LetterWriter, letter_writer
from .inference import Inference
from .orientation import Plane, Sides
from .qt_bridge import QtDeliver
from .reading_desk import ReadingDesk
from .reading_rows import KEYS, NoteLabel, PlaceRows, PlaneRow, SidesRow, WindowRows

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["ReadingWidget"]

_STATE_MS = 15
"""Changes that come within this time are shown together."""
_CURSOR_MS = 40
"""The voxel under a moving cursor is looked up at most this often."""


@dataclass
class _Tools:
    """What the dock has outside itself, to be put away when it goes."""

    reader: Inference
    writer: LetterWriter | None = None
    shortcuts: list[QShortcut] = field(default_factory=list)


def _leave(desk: ReadingDesk, tools: _Tools) -> None:
    """Stop listening and take letters and keys away; more than once does no harm."""
    desk.close()
    tools.reader.close()
    if tools.writer is not None:
        tools.writer.remove()
        tools.writer = None
    for shortcut in tools.shortcuts:
        with contextlib.suppress(RuntimeError):  # it went with its window
            shortcut.deleteLater()
    tools.shortcuts.clear()


class ReadingWidget(QWidget):
    """What a reader of images expects around them.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Or the proxy that napari gives to plugins, which know this argument by its name.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self._state_timer = self._timer(_STATE_MS, self._show_state)
        self._cursor_timer = self._timer(_CURSOR_MS, self._look)
        self._tools = _Tools(Inference(QtDeliver()))
        self.desk = ReadingDesk(self._viewer, self._tools.reader)
        self._build()
        self._connect()
        self._show_state()

    def _timer(self, milliseconds: int, slot: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(milliseconds)
        timer.timeout.connect(slot)
        return timer

    def _build(self) -> None:
        self.image = QLabel()
        self.image.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.assume = QCheckBox("Take its axes as S, P, L")
        self.assume.setToolTip(
            "Axis 0 from foot to head, axis 1 from front to back, axis 2 from right to left, in mm: "
            "what Automatic segmentation takes it for, too. Only if you know it"
        )
        self.planes, self.sides = PlaneRow(), SidesRow()
        self.windows, self.places = WindowRows(), PlaceRows()
        self.notes = NoteLabel()
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(6)
        rows = (self.image, self.assume, self.planes, self.sides, self.windows, self.places, self.notes)
        for row in rows:
            column.addWidget(row)

    def _connect(self) -> None:
        desk = self.desk
        desk.changed = partial(_start, self._state_timer)
        desk.moved = partial(_start, self._cursor_timer)
        desk.read, desk.picked = self._show_words, self.places.field.setText
        self.assume.clicked.connect(desk.assume_axes)
        self.planes.wanted.connect(desk.show_plane)
        self.sides.sides_wanted.connect(desk.exchange_sides)
        self.sides.letters_wanted.connect(desk.letters_on)
        self.windows.name_wanted.connect(desk.choose_window)
        self.windows.window_wanted.connect(desk.set_window)
        self.places.place_wanted.connect(self._go_to)
        self.places.copy_wanted.connect(self._copy)
        self.destroyed.connect(partial(_leave, desk, self._tools))

    # --- showing ---

    def _show_state(self) -> None:
        state = self.desk.state()
        self.image.setText(state.image or "No image")
        self.image.setToolTip(state.image)
        self.assume.setVisible(state.can_assume)
        self.assume.setChecked(state.is_assumed)
        self.planes.show_state(state)
        self.sides.show_state(state, self.desk.sides)
        self.windows.show_state(state)
        self.places.show_state(state)
        self.notes.say("\n".join(state.notes))
        if self._tools.writer is None:
            self._tools.writer = letter_writer(self._viewer, self)
        if self._tools.writer is not None:
            self._tools.writer.write(state.letters)

    def _look(self) -> None:
        self.desk.look()
        self._show_words()

    def _show_words(self) -> None:
        self.places.show_words(self.desk.words)

    # --- what the reader does ---

    def _go_to(self, text: str) -> None:
        self.desk.go_to(text)

    def _copy(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None and self.places.field.text():
            clipboard.setText(self.places.field.text())

    def _copy_under_cursor(self) -> None:
        if self.desk.pick(self._viewer.cursor.position):
            self._copy()

    def _type_a_place(self) -> None:
        dock = _above(self, QDockWidget)
        if dock is not None:
            dock.show()
            dock.raise_()
        self.places.field.setFocus()
        self.places.field.selectAll()

    def _exchange_sides(self) -> None:
        if self.sides.sides.isEnabled():
            radiological = self.desk.sides is Sides.RADIOLOGICAL
            self.desk.exchange_sides(Sides.NEUROLOGICAL if radiological else Sides.RADIOLOGICAL)

    def _show_plane(self, plane: Plane) -> None:
        if self.planes.buttons[plane].isEnabled():
            self.desk.show_plane(plane)

    # --- where it is ---

    def showEvent(self, event: QShowEvent) -> None:  # Qt's name
        """Take the keys of the window that the dock has come into."""
        super().showEvent(event)
        window = _above(self, QMainWindow)
        if window is not None and not self._tools.shortcuts:
            self._tools.shortcuts = [_shortcut(window, key, slot) for key, slot in self._slots().items()]
            self._show_state()

    def changeEvent(self, event: QEvent) -> None:  # Qt's name
        """Leave the viewer when napari takes the dock away; the widget itself may live on for a while."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            _leave(self.desk, self._tools)
        super().changeEvent(event)

    def _slots(self) -> dict[str, Callable[[], None]]:
        planes = {KEYS[plane]: partial(self._show_plane, plane) for plane in Plane}
        return {
            **planes,
            KEYS["sides"]: self._exchange_sides,
            KEYS["next window"]: partial(self.windows.step, 1),
            KEYS["previous window"]: partial(self.windows.step, -1),
            KEYS["go to"]: self._type_a_place,
            KEYS["copy"]: self._copy_under_cursor,
        }


_Parent = TypeVar("_Parent", bound=QWidget)


def _above(widget: QWidget, kind: type[_Parent]) -> _Parent | None:
    """Nearest widget of a kind that a widget lies in."""
    above = widget.parentWidget()
    while above is not None and not isinstance(above, kind):
        above = above.parentWidget()
    return above


def _start(timer: QTimer) -> None:
    """Start a timer that is not running; starting it anew would put it off as long as a hand moves."""
    if not timer.isActive():
        timer.start()


def _shortcut(window: QMainWindow, key: str, slot: Callable[[], None]) -> QShortcut:
    shortcut = QShortcut(QKeySequence(key), window)
    shortcut.activated.connect(slot)
    return shortcut
