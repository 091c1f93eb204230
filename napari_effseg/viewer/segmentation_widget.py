"""The dock *Automatic segmentation*: wiring between its parts and `AutomaticSegmentation`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtGui import QGuiApplication, QKeySequence
from qtpy.QtWidgets import QShortcut, QVBoxLayout, QWidget

from .engine_choice import shared_setting
from .engine_desk import EngineDesk
from .engine_rows import EngineRows
from .engines import Engines
from .label_table_widget import LabelTableWidget
from .looks import text_colours
from .model_rows import ModelRows
from .qt_bridge import Lease, lease_inference
from .scrolling import scrolling_column
from .segmentation_rows import BUSY, DeviceRow, ImageRows, RegionRows, RunRows
from .segmenting import AutomaticSegmentation
from .state import Stage

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["SegmentationWidget"]

_TOGETHER_MS = 10
"""Changes that come within this time are shown together."""
_WIDTH = 360  # the title of the dock fits


def _leave(panel: AutomaticSegmentation, engine: EngineDesk, lease: Lease, *_: object) -> None:
    """Stop listening and computing; more than once does no harm."""
    engine.close()
    panel.close(lease.leave)


class SegmentationWidget(QWidget):
    """Choose an image and a model, run, and see named, coloured labels.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Or the proxy that napari gives to plugins, which know this argument by its name.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self._lease = lease_inference(self._viewer)
        setting, engines = shared_setting(self._viewer), Engines()
        self.engine = EngineDesk(setting, self._lease.inference, engines)
        self.panel = AutomaticSegmentation(self._viewer, self._lease.inference, setting, engines)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_TOGETHER_MS)
        self._timer.timeout.connect(self._show_state)
        self._shown_stage = Stage.IDLE
        self._build()
        self._connect()
        self._show_state()

    def _build(self) -> None:
        self.image_rows, self.model_rows = ImageRows(), ModelRows()
        self.engine_rows, self.device_row = EngineRows(self.engine), DeviceRow()
        self.region_rows, self.run_rows = RegionRows(), RunRows()
        self.table = LabelTableWidget(self.panel.table)
        self.scroll = scrolling_column(
            (
                self.image_rows,
                self.model_rows,
                self.engine_rows,
                self.device_row,
                self.region_rows,
                self.run_rows,
                self.table,
            )
        )
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.scroll)
        self.setMinimumWidth(_WIDTH)

    def _connect(self) -> None:
        panel = self.panel
        self.image_rows.image_wanted.connect(panel.choose_image)
        self.image_rows.channel_wanted.connect(panel.choose_channel)
        self.model_rows.model_wanted.connect(panel.choose_model)
        self.model_rows.chooser.model_wanted.connect(panel.choose_model)
        self.model_rows.chooser.queue_wanted.connect(panel.queue_model)
        self.model_rows.chooser.wish_wanted.connect(panel.look_for)
        self.model_rows.chooser.later_wins_wanted.connect(panel.let_later_win)
        self.device_row.device_wanted.connect(panel.choose_device)
        self.region_rows.draw_wanted.connect(panel.draw_region)
        self.region_rows.clear_wanted.connect(panel.clear_region)
        self.region_rows.layer_wanted.connect(panel.choose_region_layer)
        self.region_rows.slices_wanted.connect(panel.set_slices)
        self.run_rows.run_wanted.connect(panel.run)
        self.run_rows.cancel_wanted.connect(panel.cancel)
        self.run_rows.details_wanted.connect(self._copy_details)
        panel.store.changed.connect(self._show_soon)
        self._lease.models_changed.connect(panel.look_again)
        self._viewer.events.theme.connect(self._show_soon)
        self.cancel_key = QShortcut(QKeySequence(Qt.Key.Key_Escape), self)
        self.cancel_key.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        self.cancel_key.activated.connect(panel.cancel)
        self.destroyed.connect(partial(_leave, panel, self.engine, self._lease))

    def _show_soon(self, *_: object) -> None:
        self._timer.start()

    def _show_state(self) -> None:
        state = self.panel.store.now
        for rows in (self.image_rows, self.model_rows, self.device_row, self.region_rows):
            rows.show_state(state)
        colours = text_colours(self._viewer.theme)
        self.run_rows.show_state(state, colours)
        self.engine_rows.show_busy("" if state.is_idle else BUSY, colours)
        self.cancel_key.setEnabled(not state.is_idle)
        if state.stage is not self._shown_stage:
            self._shown_stage = state.stage
            QTimer.singleShot(_TOGETHER_MS, self._show_status)  # when the rows have their places

    def _show_status(self) -> None:
        """Bring progress or outcome into sight, where the dock is lower than what it holds."""
        rows = self.run_rows
        self.scroll.ensureWidgetVisible(rows.status if rows.progress.isHidden() else rows.progress)

    def _copy_details(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.panel.store.now.details)

    def changeEvent(self, event: QEvent) -> None:  # Qt's name
        """Leave the viewer when napari takes the dock away; the widget itself may live on for a while."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._viewer.events.theme.disconnect(self._show_soon)
            _leave(self.panel, self.engine, self._lease)
        super().changeEvent(event)
