"""The dock *Click segmentation*: wiring between its parts, the canvas, the keys and `ClickDesk`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QTimer
from qtpy.QtGui import QGuiApplication, QHideEvent, QKeySequence, QShowEvent
from qtpy.QtWidgets import QFileDialog, QMainWindow, QShortcut, QVBoxLayout, QWidget

from .click_desk import ClickDesk
from .click_keys import KEYS, TOOL_KEYS
from .click_mouse import ClickMouse
from .click_objects import ObjectRows, PromptRows
from .click_rows import FileRows, HelpRows, OfferRow, SourceRows, StatusRows, StepRows, ToolRows
from .click_state import ClickStage
from .engine_choice import shared_setting
from .engine_desk import EngineDesk
from .engine_rows import EngineRows
from .engines import Engines
from .looks import text_colours
from .qt_bridge import Lease, lease_inference
from .scrolling import scrolling_column

if TYPE_CHECKING:
    from napari import Viewer

    from .click_opening import Opener

__all__ = ["ClickWidget"]

_TOGETHER_MS = 10
"""Changes that come within this time are shown together."""
_REST_MS = 60
"""A mouse that has not moved for this long rests."""
_SAVE_MS = 5000
"""What was done is saved after this time, if it was not before."""
_WIDTH = 340
_FILES = "Click sessions (*.effseg)"


def _leave(
    desk: ClickDesk, engine: EngineDesk, mouse: ClickMouse, keys: list[QShortcut], lease: Lease, *_: object
) -> None:
    """Leave mouse and keys as they were, save, stop; more than once does no harm."""
    engine.close()
    mouse.switch(False)
    for key in keys:
        with contextlib.suppress(RuntimeError):  # it went with its window
            key.deleteLater()
    keys.clear()
    desk.close(lease.leave)


class ClickWidget(QWidget):
    """Click on an object and see its mask; correct it, carry it on, finish it, begin the next.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Or the proxy that napari gives to plugins, which know this argument by its name.
    opener : Opener, optional
        How sessions are opened.
    """

    def __init__(self, napari_viewer: Viewer, opener: Opener | None = None) -> None:
        super().__init__()
        self._viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self._lease = lease_inference(self._viewer)
        setting, engines = shared_setting(self._viewer), Engines()
        self.engine = EngineDesk(setting, self._lease.inference, engines)
        self.desk = ClickDesk(self._viewer, self._lease.inference, opener, setting, engines)
        self._show_timer = self._timer(_TOGETHER_MS, self._show_state)
        self._rest_timer = self._timer(_REST_MS, self._rest)
        self._save_timer = self._timer(_SAVE_MS, self.desk.room.saver.rest)
        self._save_timer.setSingleShot(False)
        self._save_timer.start()
        self.mouse = ClickMouse(self._viewer, self.desk, self._rest_timer.start)
        self._keys: list[QShortcut] = []
        self._delete_key: QShortcut | None = None
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
        self.source_rows, self.offer_row, self.tool_rows = SourceRows(), OfferRow(), ToolRows()
        self.engine_rows = EngineRows(self.engine)
        self.step_rows, self.prompt_rows, self.object_rows = StepRows(), PromptRows(), ObjectRows()
        self.file_rows, self.help_rows, self.status_rows = FileRows(), HelpRows(), StatusRows()
        self.scroll = scrolling_column(
            (
                self.source_rows,
                self.engine_rows,
                self.offer_row,
                self.tool_rows,
                self.step_rows,
                self.prompt_rows,
                self.object_rows,
                self.file_rows,
                self.help_rows,
            )
        )
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addWidget(self.scroll, stretch=1)
        outer.addWidget(self.status_rows)
        self.setMinimumWidth(_WIDTH)

    def _connect(self) -> None:
        desk, tools, steps, status = self.desk, self.tool_rows, self.step_rows, self.status_rows
        self.source_rows.image_wanted.connect(desk.room.choose_image)
        self.source_rows.model_wanted.connect(desk.room.choose_model)
        self.offer_row.resume_wanted.connect(desk.room.resume)
        self.offer_row.decline_wanted.connect(desk.room.decline)
        tools.tool_wanted.connect(desk.choose_tool)
        tools.sign_wanted.connect(desk.set_positive)
        tools.voxel_wanted.connect(desk.add_voxel)
        tools.hovers_wanted.connect(desk.hover.switch)
        steps.undo_wanted.connect(desk.undo)
        steps.redo_wanted.connect(desk.redo)
        steps.other_wanted.connect(desk.next_mask)
        steps.carry_wanted.connect(desk.carry)
        steps.time_wanted.connect(desk.carry_through_time)
        self.prompt_rows.selected.connect(desk.select)
        self.prompt_rows.delete_wanted.connect(desk.delete_selected)
        self.object_rows.name_wanted.connect(desk.set_name)
        self.object_rows.colour_wanted.connect(desk.set_colour)
        self.object_rows.finish_wanted.connect(desk.finish)
        status.cancel_wanted.connect(desk.cancel)
        self.file_rows.save_wanted.connect(self._save)
        self.file_rows.open_wanted.connect(self._open)
        status.details_wanted.connect(self._copy_details)
        desk.store.changed.connect(self._show_soon)
        self._lease.models_changed.connect(desk.room.look_for_models)
        self._viewer.events.theme.connect(self._show_soon)
        self.destroyed.connect(partial(_leave, desk, self.engine, self.mouse, self._keys, self._lease))

    # --- showing ---

    def _show_soon(self, *_: object) -> None:
        self._show_timer.start()

    def _show_state(self) -> None:
        state = self.desk.store.now
        for rows in (
            self.source_rows,
            self.offer_row,
            self.tool_rows,
            self.step_rows,
            self.prompt_rows,
            self.object_rows,
            self.file_rows,
        ):
            rows.show_state(state)
        colours = text_colours(self._viewer.theme)
        self.status_rows.show_state(state, colours)
        carries = state.stage in (ClickStage.CARRYING, ClickStage.STOPPING)
        self.engine_rows.show_busy("Wait for the end, or cancel it (Esc)." if carries else "", colours)
        if self._delete_key is not None:
            self._delete_key.setEnabled(state.selected is not None)

    def _rest(self) -> None:
        if self.mouse.position is not None:
            self.desk.hover.at(self.mouse.position)

    # --- what the user does ---

    def _save(self) -> None:
        proposal = self.desk.room.saver.proposal()
        path, _ = QFileDialog.getSaveFileName(self, "Save the click session", str(proposal or ""), _FILES)
        if path:
            self.desk.save_to(Path(path))

    def _open(self) -> None:
        proposal = self.desk.room.saver.proposal()
        folder = "" if proposal is None else str(proposal.parent)
        path, _ = QFileDialog.getOpenFileName(self, "Open a click session", folder, _FILES)
        if path:
            self.desk.open_from(Path(path))

    def _copy_details(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.desk.store.now.details)

    def _cancel(self) -> None:
        if not self.mouse.drop():
            self.desk.cancel()

    def _point_here(self) -> None:
        if self.mouse.position is None:
            self.desk.store.set(notice="Move the mouse over the image first, or type a voxel.")
        else:
            self.desk.point_at(self.mouse.position)

    def _show_help(self) -> None:
        self.help_rows.fold.toggle()
        QTimer.singleShot(_TOGETHER_MS, lambda: self.scroll.ensureWidgetVisible(self.help_rows))

    # --- keys, and where it is ---

    def _slots(self) -> dict[str, Callable[[], None]]:
        desk = self.desk
        tools = {key: partial(desk.choose_tool, tool) for tool, key in TOOL_KEYS.items()}
        return {
            **tools,
            KEYS["sign"]: lambda: desk.set_positive(not desk.store.now.positive),
            KEYS["here"]: self._point_here,
            KEYS["other"]: desk.next_mask,
            KEYS["carry"]: desk.carry,
            KEYS["time"]: desk.carry_through_time,
            KEYS["finish"]: desk.finish,
            KEYS["undo"]: desk.undo,
            KEYS["redo"]: desk.redo,
            KEYS["delete"]: desk.delete_selected,
            KEYS["cancel"]: self._cancel,
            KEYS["help"]: self._show_help,
        }

    def showEvent(self, event: QShowEvent) -> None:  # Qt's name
        """Take mouse and keys of the window that the dock has come into."""
        super().showEvent(event)
        window = self._window()
        if window is not None and not self._keys and not self.desk.room.is_closed:
            for key, slot in self._slots().items():
                shortcut = QShortcut(QKeySequence(key), window)
                shortcut.activated.connect(slot)
                self._keys.append(shortcut)
                if key == KEYS["delete"]:
                    self._delete_key = shortcut
            self.mouse.switch(True)
            self._show_state()

    def hideEvent(self, event: QHideEvent) -> None:  # Qt's name
        """Give mouse and keys back while the dock is not seen, behind another one, say."""
        super().hideEvent(event)
        self.mouse.switch(False)
        self.desk.hover.stop()
        self._delete_key = None
        for key in self._keys:
            with contextlib.suppress(RuntimeError):
                key.deleteLater()
        self._keys.clear()

    def changeEvent(self, event: QEvent) -> None:  # Qt's name
        """Leave the viewer when napari takes the dock away; the widget itself may live on for a while."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            with contextlib.suppress(ValueError, RuntimeError):  # was left before
                self._viewer.events.theme.disconnect(self._show_soon)
            self._save_timer.stop()
            _leave(self.desk, self.engine, self.mouse, self._keys, self._lease)
        super().changeEvent(event)

    def _window(self) -> QMainWindow | None:
        above = self.parentWidget()
        while above is not None and not isinstance(above, QMainWindow):
            above = above.parentWidget()
        return above
