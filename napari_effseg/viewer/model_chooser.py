"""The chooser of models: narrowed down by structure and modality, compared, and ticked to run in turn."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker, Qt, QTimer, Signal
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ..zoo.brief import duration_words, images_words, listed
from ..zoo.selecting import Wish, known_modalities
from .reading_rows import enable
from .segmentation_rows import BUSY, combo, say, wrapped
from .state import ModelOption, SegmentationState
from .words import accuracy_in_short, accuracy_of

__all__ = ["ModelChooser"]

_COLUMNS = {
    "Model": "Ticked models run one after the other",
    "Dice": "As the card was measured; another metric is named",
    "Time": "For this image, on this machine",
    "GB": "Memory at its peak, with what napari holds already",
}
_NAME, _ACCURACY, _TIME, _MEMORY = range(4)
_CARD = Qt.ItemDataRole.UserRole
_NUMBER = Qt.ItemDataRole.UserRole + 1
_SHOWN_ROWS = 6
_TYPING_MS = 150
"""What is typed within this time is looked for together."""


class _Cell(QTableWidgetItem):
    """A cell that is sorted by its number; one without a number comes last."""

    def __lt__(self, other: QTableWidgetItem) -> bool:
        mine, theirs = self.data(_NUMBER), other.data(_NUMBER)
        if mine is None or theirs is None:
            return mine is not None or (theirs is None and bool(self.text() < other.text()))
        return bool(mine < theirs)


class _Lines(QTableWidget):
    """A table whose lines are chosen with Enter too."""

    chosen = Signal(int)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # Qt's name
        """Choose the line with Enter; Space ticks it, as Qt does it."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.chosen.emit(self.currentRow())
            return
        super().keyPressEvent(event)


class ModelChooser(QWidget):
    """Shows the models that fit what is looked for, and emits what the user wants of them."""

    wish_wanted = Signal(object)
    """A Wish."""
    model_wanted = Signal(str)
    queue_wanted = Signal(str, bool)
    later_wins_wanted = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self._rows: tuple[ModelOption, ...] | None = None
        self._just_ticked = False
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(_TYPING_MS)
        self._typing.timeout.connect(self._emit_wish)
        self._build()

    def _build(self) -> None:
        self.organ = QLineEdit()
        self.organ.setAccessibleName("Structure to look for")
        self.organ.setPlaceholderText("Structure, such as liver")
        self.organ.setToolTip("A word of a structure's name or SNOMED meaning, or a part of the body")
        self.organ.setClearButtonEnabled(True)
        self.organ.textEdited.connect(lambda _: self._typing.start())
        self.organ.textChanged.connect(self._emit_if_cleared)
        self.modality = combo("Images that models take")
        self.modality.activated.connect(lambda _: self._emit_wish())
        self.none = wrapped("Why no model is shown")
        self.lines = _Lines(0, len(_COLUMNS))
        self.lines.setAccessibleName("Models")
        self.lines.setHorizontalHeaderLabels(list(_COLUMNS))
        for column, tip in enumerate(_COLUMNS.values()):
            self.lines.horizontalHeaderItem(column).setToolTip(tip)
        self.lines.verticalHeader().hide()
        self.lines.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.lines.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.lines.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.lines.setTabKeyNavigation(False)  # Tab leaves the table
        self.lines.setToolTip(
            "Click a line, or press Enter on it, to use this model alone. Tick several (Space) to run all"
        )
        self.lines.setWordWrap(False)
        header = self.lines.horizontalHeader()
        header.setMinimumSectionSize(24)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        self.lines.cellClicked.connect(self._click)
        self.lines.chosen.connect(self._choose_line)
        self.lines.itemChanged.connect(self._tick)
        self.order = wrapped("Order of the models")
        self.later_wins = QCheckBox("Later models replace labels of earlier ones")
        self.later_wins.toggled.connect(self.later_wins_wanted)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        row = QHBoxLayout()
        row.addWidget(self.organ, stretch=2)
        row.addWidget(self.modality, stretch=1)
        column.addLayout(row)
        for widget in (self.none, self.lines, self.order, self.later_wins):
            column.addWidget(widget)

    def clear_wish(self) -> None:
        """Look for nothing in particular."""
        if not self._wish().is_empty:
            with QSignalBlocker(self.organ):
                self.organ.clear()
            self.modality.setCurrentIndex(0)
            self._emit_wish()

    # --- showing ---

    def show_state(self, state: SegmentationState) -> None:
        """Show the models that are looked for, with a tick on those that will run."""
        busy = "" if state.is_idle else BUSY
        self._show_modalities(state)
        enable(self.modality, "Only models that take such images", busy)
        self.organ.setEnabled(not busy)
        say(self.none, state.why_none_shown)
        self.lines.setVisible(bool(state.shown))
        self.lines.setEnabled(not busy)
        if state.shown != self._rows:
            self._rows = state.shown
            self._fill(state.shown)
        self._show_ticks(state.chosen)
        several = len(state.chosen) > 1
        say(self.order, _order(state) if several else "")
        self.later_wins.setVisible(several)
        with QSignalBlocker(self.later_wins):
            self.later_wins.setChecked(state.later_wins)
        enable(self.later_wins, "Else a later model labels only what is still free", busy)

    def _show_modalities(self, state: SegmentationState) -> None:
        codes = known_modalities(option.card for option in state.options)
        if [self.modality.itemData(at) for at in range(1, self.modality.count())] != list(codes):
            with QSignalBlocker(self.modality):
                self.modality.clear()
                self.modality.addItem("All images", "")
                for code in codes:
                    self.modality.addItem(code, code)
        with QSignalBlocker(self.modality):
            self.modality.setCurrentIndex(max(self.modality.findData(state.wish.modality), 0))

    def _fill(self, options: Sequence[ModelOption]) -> None:
        with QSignalBlocker(self.lines):
            self.lines.setSortingEnabled(False)
            self.lines.clearSpans()
            self.lines.setRowCount(len(options))
            for at, option in enumerate(options):
                self._fill_line(at, option)
        height = self.lines.verticalHeader().defaultSectionSize()
        shown = min(max(len(options), 2), _SHOWN_ROWS)
        self.lines.setFixedHeight(shown * height + self.lines.horizontalHeader().sizeHint().height() + 4)

    def _fill_line(self, at: int, option: ModelOption) -> None:
        for column, (text, number) in enumerate(_cells(option)):
            cell = _Cell(text)
            cell.setData(_CARD, option.card.name)
            if number is not None:
                cell.setData(_NUMBER, number)
            cell.setToolTip(_tip(option))
            flags = Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled
            if column == _NAME:
                flags |= Qt.ItemFlag.ItemIsUserCheckable
                cell.setCheckState(Qt.CheckState.Unchecked)
            elif not option.reason:
                cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            cell.setFlags(Qt.ItemFlag.NoItemFlags if option.reason else flags)
            self.lines.setItem(at, column, cell)
        if option.reason:
            self.lines.setSpan(at, _ACCURACY, 1, len(_COLUMNS) - _ACCURACY)

    def _show_ticks(self, chosen: Sequence[str]) -> None:
        with QSignalBlocker(self.lines):
            for row in range(self.lines.rowCount()):
                cell = self.lines.item(row, _NAME)
                ticked = cell.data(_CARD) in chosen
                cell.setCheckState(Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)

    # --- what the user wants ---

    def _wish(self) -> Wish:
        return Wish(self.organ.text().strip(), self.modality.currentData() or "")

    def _emit_wish(self) -> None:
        self._typing.stop()
        self.wish_wanted.emit(self._wish())

    def _emit_if_cleared(self, text: str) -> None:
        if not text:
            self._emit_wish()

    def _click(self, row: int, column: int) -> None:
        """Use this model alone; of a click on its box, `_tick` was told just before."""
        if not self._just_ticked:
            self._choose_line(row)

    def _tick(self, cell: QTableWidgetItem) -> None:
        self._just_ticked = True
        QTimer.singleShot(0, self._forget_tick)
        self.queue_wanted.emit(cell.data(_CARD), cell.checkState() == Qt.CheckState.Checked)

    def _forget_tick(self) -> None:
        self._just_ticked = False

    def _choose_line(self, row: int) -> None:
        cell = self.lines.item(row, _NAME)
        if cell is not None and cell.flags() & Qt.ItemFlag.ItemIsEnabled:
            self.model_wanted.emit(cell.data(_CARD))


def _order(state: SegmentationState) -> str:
    """Say in which order models run, and which label stays where two overlap."""
    names = ", ".join(f"{at}. {name}" for at, name in enumerate(state.chosen, start=1))
    stays = "later" if state.later_wins else "earlier"
    return f"In turn, into one layer: {names}. Where two overlap, the label of the {stays} one stays."


def _cells(option: ModelOption) -> tuple[tuple[str, float | None], ...]:
    """Text and number of each column; a model that cannot be used has its reason in place of numbers."""
    name, cost = option.card.name, option.cost
    if option.reason:
        return (name, None), (option.reason, None), ("", None), ("", None)
    if cost is None:  # a server does not tell
        return (name, None), accuracy_in_short(option), ("-", None), ("-", None)
    return (
        (name, None),
        accuracy_in_short(option),
        (duration_words(cost.seconds), cost.seconds),
        (f"{cost.memory_bytes / 1e9:.1f}", float(cost.memory_bytes)),
    )


def _tip(option: ModelOption) -> str:
    card, cost = option.card, option.cost
    lines = [
        f"{card.title} ({images_words(card)})",
        option.reason,
        f"Labels: {listed(label.name for label in card.labels)}",
        f"Accuracy: {accuracy_of(option)}",
        f"Time: {cost.known_by}" if cost is not None else "",
        f"Licence of the weights: {card.weights.licence}",
    ]
    return "\n".join(filter(None, lines))
