"""Which model the dock *Automatic segmentation* uses: a list, facts about it, and a chooser to unfold."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QStandardItem, QStandardItemModel
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from .model_chooser import ModelChooser
from .reading_rows import enable
from .segmentation_rows import BUSY, combo, named, say, wrapped
from .state import SegmentationState
from .words import about_model, facts_of

__all__ = ["Fold", "ModelRows"]


class Fold(QToolButton):
    """A line that unfolds what stands below it."""

    def __init__(self, below: QWidget) -> None:
        super().__init__()
        self._below = below
        self.setCheckable(True)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.toggled.connect(self.show_below)
        self.show_below()

    def show_below(self, *_: object) -> None:
        """Show what stands below, if it is unfolded and this line is there."""
        is_open = self.isChecked()
        self.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)
        self._below.setVisible(is_open and not self.isHidden())


class ModelRows(QWidget):
    """Which model, what it is for, and why the others cannot be used."""

    model_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        row = QHBoxLayout()
        self.model = combo("Model")
        self.model.activated.connect(lambda at: self.model_wanted.emit(self.model.itemData(at)))
        row.addWidget(named("&Model", self.model))
        row.addWidget(self.model, stretch=1)
        column.addLayout(row)
        self.about = wrapped("About the model")
        self.facts = FactLines()
        self.chooser = ModelChooser()
        self.compare = Fold(self.chooser)
        self.compare.toggled.connect(self._forget_wish)
        self.reasons = wrapped("Why the others cannot be used")
        self.why = Fold(self.reasons)
        for widget in (self.about, self.facts, self.compare, self.chooser, self.why, self.reasons):
            column.addWidget(widget)
        self._must_choose = False

    def show_state(self, state: SegmentationState) -> None:
        """Show all models; those that do not fit cannot be chosen, and say why."""
        self._fill(state)
        blocked = "" if state.options else state.why_not_run
        enable(self.model, about_model(state.card)[1], blocked or ("" if state.is_idle else BUSY))
        alone = state.picked[0] if len(state.picked) == 1 else None
        say(self.about, about_model(alone.card)[0] if alone else "")
        self.facts.show_facts(facts_of(alone) if alone else ())
        self._show_chooser(state)
        self._show_reasons(state)

    def _show_chooser(self, state: SegmentationState) -> None:
        self.compare.setText("&Queue models, or compare them")
        self.compare.setVisible(len(state.options) > 1)
        must_choose = bool(state.options) and not state.chosen and len(state.misfits) < len(state.options)
        if must_choose and not self._must_choose and not state.is_checking:
            self.compare.setChecked(True)  # nothing is recommended: here is what to choose from
        self._must_choose = must_choose
        self.compare.show_below()
        self.chooser.show_state(state)

    def _show_reasons(self, state: SegmentationState) -> None:
        count = len(state.misfits) + len(state.problems)
        self.why.setText(f"Why {count} other model{'s' * (count != 1)} cannot be used here")
        self.why.setVisible(count > 0)
        lines = [f"{option.card.name}: {option.reason}" for option in state.misfits]
        self.reasons.setText("\n".join((*lines, *state.problems)))
        if state.options and len(state.misfits) == len(state.options) and not state.is_checking:
            self.why.setChecked(True)
        self.why.show_below()

    def _fill(self, state: SegmentationState) -> None:
        model = QStandardItemModel(self.model)
        shown = state.shown
        for option in (*shown, *(picked for picked in state.picked if picked not in shown)):
            item = QStandardItem(option.card.name)
            item.setData(option.card.name, Qt.ItemDataRole.UserRole)
            item.setToolTip(f"{option.card.title}. {option.reason or option.card.summary}")
            item.setEnabled(not option.reason)
            model.appendRow(item)
        with QSignalBlocker(self.model):
            self.model.setModel(model)
            self.model.setPlaceholderText(_placeholder(state))
            is_one = len(state.chosen) == 1
            self.model.setCurrentIndex(self.model.findData(state.model) if is_one else -1)

    def _forget_wish(self, is_open: bool) -> None:
        """Show all models again when the fields that narrowed the list down are out of sight."""
        if not is_open:
            self.chooser.clear_wish()


class FactLines(QWidget):
    """Lines of a name and a value."""

    def __init__(self) -> None:
        super().__init__()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(1, 1)
        self.lines: list[tuple[QLabel, QLabel]] = []

    def show_facts(self, facts: tuple[tuple[str, str], ...]) -> None:
        """Show these, and no others."""
        while len(self.lines) < len(facts):
            name, value = QLabel(), wrapped()
            row = len(self.lines)
            self._grid.addWidget(name, row, 0, Qt.AlignmentFlag.AlignTop)
            self._grid.addWidget(value, row, 1)
            self.lines.append((name, value))
        for at, (name, value) in enumerate(self.lines):
            words, text = facts[at] if at < len(facts) else ("", "")
            value.setAccessibleName(words)
            say(name, words)
            say(value, text)
        self.setVisible(bool(facts))


def _placeholder(state: SegmentationState) -> str:
    if state.image is None:
        return "Open an image first"
    if len(state.chosen) > 1:
        return f"{len(state.chosen)} models, one after the other"
    if state.is_checking and not state.model:
        return "Looking which fit …"
    if state.engine_problem:
        return "Not known yet"
    return "None fits this image" if len(state.misfits) == len(state.options) else "Choose one"
