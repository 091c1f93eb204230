"""Parts of the dock *Fine-tune a model*. They show a state and emit what the user wants."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QStandardItem, QStandardItemModel
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from .finetune_state import FREEZES, FinetuneState
from .reading_rows import enable
from .segmentation_rows import combo, fill, named, wrapped
from .tables import fit_rows, small_table

__all__ = ["CaseRows", "GoalRows", "StructureRows"]

_BUSY = "Wait for the end, or stop it."
_IMAGE, _LABELS, _HELD = range(3)
_NUMBER, _NAME, _ABOUT = range(3)
_INTRO = (
    "Open a few images with their labels, or paint the labels, and add each pair as a case. Some are held "
    "back: they show how good the model is before and after."
)
_KNOWN = "The model knows it; what it has learned goes on"
_NEW = "The model does not know it; it begins from nothing"


class CaseRows(QWidget):
    """Which image has which labels."""

    image_wanted = Signal(object)
    layer_wanted = Signal(object)
    add_wanted = Signal()
    add_all_wanted = Signal()
    new_wanted = Signal()
    remove_wanted = Signal(int)
    hold_back_wanted = Signal(int, bool)

    def __init__(self) -> None:
        super().__init__()
        self._busy = ""
        self.lines = small_table("Cases", ("Image", "Labels", "Hold back"), _IMAGE, _LABELS)
        self.image, self.layer = combo("Image of the next case"), combo("Labels of the next case")
        self.image.activated.connect(lambda at: self.image_wanted.emit(self.image.itemData(at)))
        self.layer.activated.connect(lambda at: self.layer_wanted.emit(self.layer.itemData(at)))
        self.add, self.add_all = QPushButton("Add case"), QPushButton("Add all")
        self.new = QPushButton("New labels")
        self.remove = QPushButton("Remove case")
        self.add.clicked.connect(self.add_wanted)
        self.add_all.clicked.connect(self.add_all_wanted)
        self.new.clicked.connect(self.new_wanted)
        self.remove.clicked.connect(lambda: self.remove_wanted.emit(self.lines.currentRow()))
        self.lines.itemChanged.connect(self._tick)
        self.lines.itemSelectionChanged.connect(self._show_remove)
        self.intro = wrapped("What this is for")
        self.intro.setText(_INTRO)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        grid.addWidget(self.intro, 5, 0, 1, 2)
        grid.addWidget(named("Image", self.image), 0, 0)
        grid.addWidget(self.image, 0, 1)
        grid.addWidget(named("Labels", self.layer), 1, 0)
        grid.addWidget(self.layer, 1, 1)
        buttons = QHBoxLayout()
        for button in (self.new, self.add, self.add_all):
            buttons.addWidget(button)
        grid.addLayout(buttons, 2, 0, 1, 2)
        grid.addWidget(self.lines, 3, 0, 1, 2)
        grid.addWidget(self.remove, 4, 0, 1, 2)

    def show_state(self, state: FinetuneState) -> None:
        """Show what can be added, and what was."""
        self._busy = _BUSY if state.is_busy else ""
        no_image = "" if state.images else "Open an image first."
        no_labels = "" if state.labels else "There is no layer of labels yet."
        fill(self.image, [(layer.name, layer) for layer in state.images], state.image)
        fill(self.layer, [(layer.name, layer) for layer in state.labels], state.layer)
        enable(self.image, "Image of the next case", no_image or self._busy)
        enable(self.layer, "Its labels; they lie on the same voxels", no_labels or self._busy)
        enable(self.add, "Add this image with these labels", state.why_not_add or self._busy)
        enable(self.add_all, "Add every image that has labels on its voxels", no_image or self._busy)
        enable(
            self.new,
            "An empty layer on this image, with the model's structures to paint",
            no_image or self._busy,
        )
        self._fill(state)
        self._show_remove()

    def _fill(self, state: FinetuneState) -> None:
        self.lines.setVisible(bool(state.cases))
        self.intro.setVisible(not state.cases)
        at = self.lines.currentRow()
        with QSignalBlocker(self.lines):
            self.lines.setRowCount(len(state.cases))
            for row, case in enumerate(state.cases):
                for column, text in ((_IMAGE, case.image.name), (_LABELS, case.labels.name)):
                    cell = QTableWidgetItem(text)
                    cell.setToolTip(text)
                    self.lines.setItem(row, column, cell)
                held = QTableWidgetItem()
                held.setFlags(
                    Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
                )
                held.setCheckState(Qt.CheckState.Checked if case.hold_back else Qt.CheckState.Unchecked)
                held.setToolTip("Only measure on this case; with none ticked, a fifth is held back by a rule")
                self.lines.setItem(row, _HELD, held)
            self.lines.setCurrentCell(min(at, len(state.cases) - 1), _IMAGE)
        self.lines.setEnabled(not self._busy)
        fit_rows(self.lines, len(state.cases))

    def _show_remove(self) -> None:
        none = "" if self.lines.currentRow() >= 0 else "Select a case in the list."
        self.remove.setVisible(self.lines.rowCount() > 0)
        enable(self.remove, "Take the case out of the list; its layers stay", none or self._busy)

    def _tick(self, cell: QTableWidgetItem) -> None:
        if cell.column() == _HELD:
            self.hold_back_wanted.emit(cell.row(), cell.checkState() == Qt.CheckState.Checked)


class StructureRows(QWidget):
    """What the labels of the cases are, and what they are to the model."""

    name_wanted = Signal(int, str)

    def __init__(self) -> None:
        super().__init__()
        self.lines = small_table("Structures", ("Label", "Structure", "Model"), _NAME)
        self.lines.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.boxes: dict[int, QComboBox] = {}
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.lines)

    def show_state(self, state: FinetuneState) -> None:
        """Show each label that occurs, with its name to be changed."""
        self.setVisible(bool(state.structures))
        known = [label.name for label in state.base.card.labels] if state.base else []
        if [one.number for one in state.structures] != list(self.boxes):
            self._rebuild(state)
        for row, one in enumerate(state.structures):
            box = self.boxes[one.number]
            with QSignalBlocker(box):
                if [box.itemText(at) for at in range(box.count())] != known:
                    box.clear()
                    box.addItems(known)
                if not box.lineEdit().hasFocus() or box.currentText() != one.name:
                    box.setEditText(one.name)
                    box.lineEdit().setCursorPosition(0)  # the beginning of a long name is what tells it
            enable(box, "Choose a structure of the model, or type another", _BUSY if state.is_busy else "")
            about = QTableWidgetItem(one.about)
            about.setToolTip(_KNOWN if one.about == "known" else _NEW)
            self.lines.setItem(row, _ABOUT, about)

    def _rebuild(self, state: FinetuneState) -> None:
        self.boxes = {}
        self.lines.setRowCount(len(state.structures))
        for row, one in enumerate(state.structures):
            self.lines.setItem(row, _NUMBER, QTableWidgetItem(str(one.number)))
            box = self.boxes[one.number] = combo(f"Structure of label {one.number}")
            box.setEditable(True)
            box.lineEdit().setPlaceholderText("What is it?")
            box.activated.connect(partial(self._emit, one.number))
            box.lineEdit().editingFinished.connect(partial(self._emit, one.number))
            self.lines.setCellWidget(row, _NAME, box)
        fit_rows(self.lines, len(state.structures))

    def _emit(self, number: int, *_: object) -> None:
        box = self.boxes.get(number)
        if box is not None:
            self.name_wanted.emit(number, box.currentText().strip())


class GoalRows(QWidget):
    """Which model to begin with, how long, what learns, and what it will be called."""

    model_wanted = Signal(str)
    minutes_wanted = Signal(float)
    freeze_wanted = Signal(str)
    name_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.model = combo("Model to begin with")
        self.model.activated.connect(lambda at: self.model_wanted.emit(self.model.itemData(at)))
        self.minutes = QDoubleSpinBox()
        self.minutes.setAccessibleName("Minutes")
        self.minutes.setDecimals(1)
        self.minutes.setRange(0.1, 24 * 60)
        self.minutes.setSuffix(" min")
        self.minutes.setKeyboardTracking(False)
        self.minutes.valueChanged.connect(self.minutes_wanted)
        self.freeze = combo("What learns")
        for name, words in FREEZES.items():
            self.freeze.addItem(words, name)
        self.freeze.activated.connect(lambda at: self.freeze_wanted.emit(self.freeze.itemData(at)))
        self.name = QLineEdit()
        self.name.setAccessibleName("Name of the new model")
        self.name.editingFinished.connect(lambda: self.name_wanted.emit(self.name.text()))
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        rows = (
            ("&Begin with", self.model),
            ("Minutes", self.minutes),
            ("Learns", self.freeze),
            ("Name", self.name),
        )
        for row, (words, control) in enumerate(rows):
            grid.addWidget(named(words, control), row, 0)
            grid.addWidget(control, row, 1)

    def show_state(self, state: FinetuneState) -> None:
        """Show what is chosen; models that cannot be finetuned are off and say why."""
        busy = _BUSY if state.is_busy else ""
        model = QStandardItemModel(self.model)
        for one in sorted(state.models, key=lambda one: bool(one.reason)):
            item = QStandardItem(one.card.name)
            item.setData(one.card.name, Qt.ItemDataRole.UserRole)
            item.setToolTip(f"{one.card.title}. {one.reason or one.card.summary}")
            item.setEnabled(not one.reason)
            model.appendRow(item)
        with QSignalBlocker(self.model):
            self.model.setModel(model)
            self.model.setPlaceholderText("Looking which there are …" if not state.models else "Choose one")
            self.model.setCurrentIndex(self.model.findData(state.model) if state.model else -1)
        with QSignalBlocker(self.minutes):
            self.minutes.setValue(state.minutes)
        with QSignalBlocker(self.freeze):
            self.freeze.setCurrentIndex(self.freeze.findData(state.freeze))
        if not self.name.hasFocus():
            self.name.setText(state.name)
        enable(self.model, "The model that goes on learning; it stays as it is", busy)
        enable(self.minutes, "About how long it may take; as many steps as fit", busy)
        enable(self.freeze, "What keeps its weights needs neither time nor memory, and learns nothing", busy)
        enable(self.name, "What the new model is called in the list of models", busy)
