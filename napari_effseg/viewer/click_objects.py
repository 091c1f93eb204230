"""Lists of the dock *Click segmentation*: the prompts of the object at hand, and all objects."""

from __future__ import annotations

from qtpy.QtCore import QModelIndex, QSignalBlocker, QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ..types import Colour
from .click_keys import KEYS
from .click_rows import button
from .click_state import ClickState
from .reading_rows import enable

__all__ = ["ObjectRows", "PromptRows"]

_COLOUR, _NAME, _VOLUME, _LOCK = range(4)
_ROWS_SEEN = 4
_SWATCH = 14


class PromptRows(QWidget):
    """Prompts of the object at hand, one of which can be selected and deleted."""

    selected = Signal(object)
    """Number of a prompt, or None."""
    delete_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        row = QHBoxLayout()
        name = QLabel("&Prompts")
        self.list = QListWidget()
        self.list.setAccessibleName("Prompts")
        self.list.setToolTip("Select one to go to its slice")
        name.setBuddy(self.list)
        self.list.currentRowChanged.connect(self._select)
        self.list.itemClicked.connect(lambda item: self._select(self.list.row(item)))
        self.delete = button("Delete prompt", KEYS["delete"])
        self.delete.clicked.connect(self.delete_wanted)
        row.addWidget(name)
        row.addWidget(self.delete, stretch=1)
        column.addLayout(row)
        column.addWidget(self.list)

    def show_state(self, state: ClickState) -> None:
        """Show the prompts, the newest in sight."""
        with QSignalBlocker(self.list):
            shown = [self.list.item(at).data(Qt.ItemDataRole.UserRole) for at in range(self.list.count())]
            if shown != list(state.prompts):
                self.list.clear()
                for prompt in state.prompts:
                    item = QListWidgetItem(prompt.words)
                    item.setData(Qt.ItemDataRole.UserRole, prompt)
                    self.list.addItem(item)
                self.list.scrollToBottom()
            ids = [prompt.id for prompt in state.prompts]
            at = ids.index(state.selected) if state.selected in ids else -1
            if at != self.list.currentRow() or at < 0:
                self.list.setCurrentRow(at)
        line = self.list.fontMetrics().height() + 6
        self.list.setFixedHeight(line * min(max(len(state.prompts), 1), _ROWS_SEEN) + 8)
        enable(self.delete, f"The mask follows ({KEYS['delete']})", state.why_not_delete)

    def _select(self, row: int) -> None:
        item = self.list.item(row)
        self.selected.emit(None if item is None else item.data(Qt.ItemDataRole.UserRole).id)


class ObjectRows(QWidget):
    """The object at hand, and the finished ones: colour, name, volume, lock."""

    name_wanted = Signal(str)
    colour_wanted = Signal(object)
    """Red, green and blue, 0-255."""
    finish_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self.table = QTableWidget(1, 4)
        self.table.setAccessibleName("Objects")
        self.table.setHorizontalHeaderLabels(["", "Object", "mL", ""])
        header, rows = self.table.horizontalHeader(), self.table.verticalHeader()
        for number in (_COLOUR, _VOLUME, _LOCK):
            header.setSectionResizeMode(number, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        header.setMinimumSectionSize(24)
        rows.hide()
        self._line = self.table.fontMetrics().height() + 10
        rows.setDefaultSectionSize(self._line)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setTabKeyNavigation(False)
        self.table.setIconSize(QSize(_SWATCH, _SWATCH))
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.table.itemChanged.connect(self._renamed)
        self.table.activated.connect(self._activated)
        self.table.clicked.connect(self._activated)
        self.finish = button("Finish object, next", KEYS["finish"])
        self.finish.clicked.connect(self.finish_wanted)
        column.addWidget(self.table)
        column.addWidget(self.finish)
        self._state = ClickState()

    def show_state(self, state: ClickState) -> None:
        """Show the objects; the one at hand comes first."""
        self._state = state
        with QSignalBlocker(self.table):
            self.table.setRowCount(1 + len(state.objects))
            self._at_hand(state)
            for row, one in enumerate(reversed(state.objects), start=1):
                tip = "Finished: nothing but undo changes it, and the model keeps off it"
                self._cell(row, _COLOUR, "", tip, one.colour)
                self._cell(row, _NAME, one.name, tip)
                self._cell(row, _VOLUME, _millilitres(one.volume_ml), tip)
                self._cell(row, _LOCK, "locked", tip)
        shown = min(self.table.rowCount(), _ROWS_SEEN + 1)
        self.table.setFixedHeight(self.table.horizontalHeader().height() + shown * self._line + 4)
        tip = f"Lock it under its name and begin the next ({KEYS['finish']})"
        enable(self.finish, tip, state.why_not_finish)

    def _at_hand(self, state: ClickState) -> None:
        why = state.why_not
        self._cell(0, _COLOUR, "", why or "Click to choose another colour", state.colour)
        name = self._cell(0, _NAME, state.name or f"object {state.label}", why or "Double-click to name it")
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        wanted = flags if why else flags | Qt.ItemFlag.ItemIsEditable
        if name.flags() != wanted:
            name.setFlags(wanted)
        tip = "The object at hand; clicks change it"
        self._cell(0, _VOLUME, _millilitres(state.volume_ml), tip)
        self._cell(0, _LOCK, "at hand", tip)

    def _cell(
        self, row: int, column: int, text: str, tip: str, colour: Colour | None = None
    ) -> QTableWidgetItem:
        item = self.table.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
            self.table.setItem(row, column, item)
            if column == _VOLUME:
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        # only what is new: a cell that is set ends what is typed into it
        if item.text() != text:
            item.setText(text)
        if item.toolTip() != tip:
            item.setToolTip(tip)
        if colour is not None and item.data(Qt.ItemDataRole.UserRole) != colour:
            swatch = QPixmap(_SWATCH, _SWATCH)
            swatch.fill(QColor(*colour))
            item.setIcon(QIcon(swatch))
            item.setData(Qt.ItemDataRole.UserRole, colour)
        return item

    def _renamed(self, item: QTableWidgetItem) -> None:
        if (item.row(), item.column()) == (0, _NAME):
            self.name_wanted.emit("" if item.text() == f"object {self._state.label}" else item.text())

    def _activated(self, index: QModelIndex) -> None:
        if (index.row(), index.column()) != (0, _COLOUR) or self._state.why_not:
            return
        chosen = QColorDialog.getColor(QColor(*self._state.colour), self, "Colour of the object at hand")
        if chosen.isValid():
            self.colour_wanted.emit((chosen.red(), chosen.green(), chosen.blue()))


def _millilitres(volume: float) -> str:
    if volume == 0:
        return "\N{EN DASH}"
    return f"{volume:.3g}" if volume < 100 else f"{volume:.0f}"
