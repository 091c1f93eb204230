"""The dock *Fine-tune a model*: wiring between its parts and `ModelFinetuning`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtGui import QGuiApplication, QKeySequence
from qtpy.QtWidgets import QShortcut, QVBoxLayout, QWidget

from .finetune_progress import ProgressRows
from .finetune_rows import CaseRows, GoalRows, StructureRows
from .finetune_state import FinetuneStage
from .finetuning import ModelFinetuning
from .looks import text_colours
from .qt_bridge import Lease, lease_inference
from .scrolling import scrolling_column

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["FinetuneWidget"]

_TOGETHER_MS = 10
"""Changes that come within this time are shown together."""
_WIDTH = 360  # the title of the dock fits


def _leave(panel: ModelFinetuning, lease: Lease, *_: object) -> None:
    """Stop listening; a run keeps its checkpoint and ends. More than once does no harm."""
    panel.close()
    lease.leave()


class FinetuneWidget(QWidget):
    """Choose cases, a model and minutes; see what it will take, and then how much better the model is.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Or the proxy that napari gives to plugins, which know this argument by its name.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self._lease = lease_inference(self._viewer)
        self.panel = ModelFinetuning(self._viewer, self._lease.inference)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_TOGETHER_MS)
        self._timer.timeout.connect(self._show_state)
        self._shown = (FinetuneStage.IDLE, False, False)
        self._build()
        self._connect()
        self._show_state()

    def _build(self) -> None:
        self.goal_rows, self.case_rows = GoalRows(), CaseRows()
        self.structure_rows, self.progress_rows = StructureRows(), ProgressRows()
        self.scroll = scrolling_column(
            (self.case_rows, self.structure_rows, self.goal_rows, self.progress_rows)
        )
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.scroll)
        self.setMinimumWidth(_WIDTH)

    def _connect(self) -> None:
        panel, cases, goal = self.panel, self.case_rows, self.goal_rows
        cases.image_wanted.connect(panel.picker.choose_image)
        cases.layer_wanted.connect(panel.picker.choose_layer)
        cases.add_wanted.connect(panel.picker.add_case)
        cases.add_all_wanted.connect(panel.picker.add_all)
        cases.new_wanted.connect(panel.picker.new_labels)
        cases.remove_wanted.connect(panel.picker.remove_case)
        cases.hold_back_wanted.connect(panel.picker.hold_back)
        self.structure_rows.name_wanted.connect(panel.picker.name_structure)
        goal.model_wanted.connect(panel.choose_model)
        goal.minutes_wanted.connect(panel.set_minutes)
        goal.freeze_wanted.connect(panel.set_freeze)
        goal.name_wanted.connect(panel.set_name)
        self.progress_rows.press_wanted.connect(self._press)
        self.progress_rows.go_on_wanted.connect(panel.runner.go_on)
        self.progress_rows.details_wanted.connect(self._copy_details)
        panel.store.changed.connect(self._show_soon)
        panel.model_added.connect(self._lease.tell_of_models)
        self._viewer.events.theme.connect(self._show_soon)
        self.stop_key = QShortcut(QKeySequence(Qt.Key.Key_Escape), self)
        self.stop_key.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        self.stop_key.activated.connect(self._stop_by_key)
        self.destroyed.connect(partial(_leave, panel, self._lease))

    def _press(self) -> None:
        stage = self.panel.store.now.stage
        if stage is FinetuneStage.IDLE:
            self.panel.prepare()
        elif stage is FinetuneStage.READY:
            self.panel.runner.run()
        else:
            self.panel.runner.stop()

    def _stop_by_key(self) -> None:
        """Stop; pressed again it changes nothing, since what is at stake is larger than in a run."""
        if self.panel.store.now.stage is not FinetuneStage.STOPPING:
            self.panel.runner.stop()

    def _show_soon(self, *_: object) -> None:
        self._timer.start()

    def _show_state(self) -> None:
        state = self.panel.store.now
        for rows in (self.case_rows, self.structure_rows, self.goal_rows):
            rows.show_state(state)
        self.progress_rows.show_state(state, text_colours(self._viewer.theme))
        self.stop_key.setEnabled(state.is_busy)
        shown = (state.stage, bool(state.points), bool(state.scores))
        if shown != self._shown:
            self._shown = shown
            QTimer.singleShot(_TOGETHER_MS, self._show_progress)  # when the rows have their places

    def _show_progress(self) -> None:
        """Bring the button, and what stands below it, into sight."""
        rows = self.progress_rows
        for widget in (rows.scores, rows.status, rows.curve, rows.button):
            if widget.isVisible():
                self.scroll.ensureWidgetVisible(widget)

    def _copy_details(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.panel.store.now.details)

    def changeEvent(self, event: QEvent) -> None:  # Qt's name
        """Leave the viewer when napari takes the dock away; the widget itself may live on for a while."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._viewer.events.theme.disconnect(self._show_soon)
            _leave(self.panel, self._lease)
        super().changeEvent(event)
