"""Parts of the dock "Image reading". They show what they are given and emit what the reader wants."""

from __future__ import annotations

import math
from functools import partial
from typing import TypeVar

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QResizeEvent, QStandardItemModel
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from ..volume import IntensityWindow
from .display_window import WindowChoice
from .orientation import Plane, Sides
from .reading_probe import PlaceWords
from .reading_state import DeskState

__all__ = ["KEYS", "NoteLabel", "PlaceRows", "PlaneRow", "SidesRow", "WindowRows", "enable"]

KEYS = {
    Plane.AXIAL: "F5",
    Plane.CORONAL: "F6",
    Plane.SAGITTAL: "F7",
    "sides": "F8",
    "next window": "F9",
    "previous window": "Shift+F9",
    "go to": "F3",
    "copy": "F4",
}
"""Keys that work wherever the focus is in the window."""

_Layout = TypeVar("_Layout", QHBoxLayout, QGridLayout, QFormLayout)
_SIDES_WORDS = {
    Sides.RADIOLOGICAL: "Radiological (left at right)",
    Sides.NEUROLOGICAL: "Neurological (left at left)",
}
_CUSTOM = "Custom"
_LARGEST = 1e12


def enable(widget: QWidget, tip: str, reason: str) -> None:
    """Enable a control, or disable it and have it say why."""
    widget.setEnabled(not reason)
    widget.setToolTip(reason or tip)


class NoteLabel(QLabel):
    """Text over as many lines as it needs, which keeps its height where room is scarce.

    A layout takes the height of wrapped text for something that it may leave out; the rows above would be
    squeezed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def say(self, text: str) -> None:
        """Show a text; nothing takes no room."""
        self.setText(text)
        self.setVisible(bool(text))
        self._keep_height()

    def resizeEvent(self, event: QResizeEvent) -> None:  # Qt's name
        """Take another number of lines at another width."""
        super().resizeEvent(event)
        self._keep_height()

    def _keep_height(self) -> None:
        self.setMinimumHeight(max(self.heightForWidth(self.width()), 0))


class PlaneRow(QWidget):
    """Three buttons for the planes."""

    wanted = Signal(object)
    """A Plane."""

    def __init__(self) -> None:
        super().__init__()
        row = _bare(QHBoxLayout(self))
        self.buttons: dict[Plane, QPushButton] = {}
        for plane in Plane:
            button = QPushButton(plane.value)
            button.setCheckable(True)
            button.clicked.connect(partial(self._want, plane))
            self.buttons[plane] = button
            row.addWidget(button)

    def show_state(self, state: DeskState) -> None:
        """Show which plane is seen."""
        for plane, button in self.buttons.items():
            button.setChecked(plane is state.plane)
            enable(button, f"{plane.value} slices, upright ({KEYS[plane]})", state.why_no_anatomy)

    def _want(self, plane: Plane) -> None:
        self.wanted.emit(plane)


class SidesRow(QWidget):
    """Where left is, and whether letters say so."""

    sides_wanted = Signal(object)
    """Sides."""
    letters_wanted = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        row = _bare(QHBoxLayout(self))
        self.sides = QComboBox()
        for sides, words in _SIDES_WORDS.items():
            self.sides.addItem(words, sides)
        self.sides.setMinimumContentsLength(12)
        self.sides.activated.connect(lambda number: self.sides_wanted.emit(self.sides.itemData(number)))
        self.letters = QCheckBox("Letters")
        self.letters.setChecked(True)
        self.letters.toggled.connect(self.letters_wanted)
        row.addWidget(self.sides, stretch=1)
        row.addWidget(self.letters)

    def show_state(self, state: DeskState, sides: Sides) -> None:
        """Show which sides the pictures have."""
        self.sides.setCurrentIndex(self.sides.findData(sides))
        tip = (
            "Radiological: as if facing the patient, or from the feet. Neurological: from behind, or from "
            f"the head. Sagittal pictures have the front at the left in both. ({KEYS['sides']})"
        )
        enable(self.sides, tip, state.why_not_turnable)
        enable(
            self.letters,
            "L left, R right, A front, P back, S head, I feet; two letters on a slant",
            state.why_no_anatomy,
        )


class WindowRows(QWidget):
    """List of windows, level and width."""

    name_wanted = Signal(str)
    window_wanted = Signal(object)
    """An IntensityWindow."""

    def __init__(self) -> None:
        super().__init__()
        grid = _bare(QGridLayout(self))
        self.choices = QComboBox()
        self.choices.setMinimumContentsLength(12)
        self.choices.activated.connect(self._choose)
        self.level, self.width = _number_box("level"), _number_box("width")
        for box in (self.level, self.width):
            box.valueChanged.connect(self._set)
        grid.addWidget(_name("W&indow", self.choices), 0, 0)
        grid.addWidget(self.choices, 0, 1, 1, 3)
        for column, (words, box) in enumerate((("Level", self.level), ("Width", self.width))):
            grid.addWidget(_name(words, box), 1, 2 * column)
            grid.addWidget(box, 1, 2 * column + 1)
            grid.setColumnStretch(2 * column + 1, 1)

    def show_state(self, state: DeskState) -> None:
        """Show the windows and which of them is seen."""
        self._show_choices(state.choices, state.chosen)
        tip = f"Named windows ({KEYS['next window']} the next, {KEYS['previous window']} the one before)"
        reasons = [choice.reason for choice in state.choices]
        off = "" if state.image else state.why_no_anatomy
        some_off = next((reason for reason in reversed(reasons) if reason), "")
        enable(self.choices, f"{tip}\n{some_off}".strip(), off or (some_off if all(reasons) else ""))
        reason = "" if state.window else off or some_off
        enable(self.level, "Middle of the intensities that are shown", reason)
        enable(self.width, "From the darkest to the brightest intensity that is shown", reason)
        if state.window is not None:
            self._show_window(state.window)
        else:
            for box in (self.level, self.width):
                box.clear()

    def step(self, by: int) -> None:
        """Choose the next window that makes sense (1), or the one before (-1)."""
        names = [self.choices.itemText(n) for n in range(self.choices.count()) if self._is_enabled(n)]
        now = self.choices.currentText()
        if names:
            at = names.index(now) + by if now in names else (0 if by > 0 else -1)
            self.name_wanted.emit(names[at % len(names)])

    def _is_enabled(self, number: int) -> bool:
        model = self.choices.model()
        return isinstance(model, QStandardItemModel) and model.item(number).isEnabled()

    def _show_choices(self, choices: tuple[WindowChoice, ...], chosen: str) -> None:
        texts = [choice.name for choice in choices]
        model = self.choices.model()
        if [self.choices.itemText(n) for n in range(self.choices.count())][1:] != texts:
            self.choices.clear()
            self.choices.addItems([_CUSTOM, *texts])
        if isinstance(model, QStandardItemModel) and self.choices.count():
            model.item(0).setEnabled(False)
            for number, choice in enumerate(choices, start=1):
                model.item(number).setEnabled(not choice.reason)
                self.choices.setItemData(number, choice.reason or None, Qt.ItemDataRole.ToolTipRole)
        self.choices.setCurrentIndex(texts.index(chosen) + 1 if chosen in texts else 0)

    def _show_window(self, window: IntensityWindow) -> None:
        decimals = min(max(2 - math.floor(math.log10(window.width)), 0), 9)
        for box, value in ((self.level, window.level), (self.width, window.width)):
            with QSignalBlocker(box):
                box.setDecimals(decimals)
                box.setSingleStep(10.0 ** (math.floor(math.log10(window.width)) - 1))
                box.setMinimum(-_LARGEST if box is self.level else 10.0**-decimals)
                box.setValue(value)

    def _choose(self, number: int) -> None:
        self.name_wanted.emit(self.choices.itemText(number))

    def _set(self) -> None:
        self.window_wanted.emit(IntensityWindow(self.level.value(), self.width.value()))


class PlaceRows(QWidget):
    """The voxel under the cursor, and a place to go to."""

    place_wanted = Signal(str)
    copy_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        form = _bare(QFormLayout(self))
        self.voxel, self.place, self.value = (_shown_words() for _ in range(3))
        form.addRow("Voxel", self.voxel)
        form.addRow("RAS mm", self.place)
        form.addRow("Value", self.value)
        self.field = QLineEdit()
        self.field.setPlaceholderText("12.3, -4, 20")
        self.field.returnPressed.connect(lambda: self.place_wanted.emit(self.field.text()))
        self.copy = QPushButton("Copy")
        self.copy.clicked.connect(self.copy_wanted)
        row = QHBoxLayout()
        row.addWidget(self.field, stretch=1)
        row.addWidget(self.copy)
        form.addRow(_name("&Go to", self.field), row)
        self.voxel.setToolTip("Index in the array as the file stores it, counted from 0")
        self.place.setToolTip(
            "R to the patient's right, A to the front, S to the head; negative the other way"
        )
        self.value.setToolTip("Value of the image, and the label that lies on it")

    def show_state(self, state: DeskState) -> None:
        """Enable what makes sense."""
        tip = (
            "Place in mm that the cursor clicked last, or that you type: three numbers (R, A, S), or with "
            f"letters such as L 12 P 4 S 20. Enter goes there ({KEYS['go to']} to type)"
        )
        enable(self.field, tip, state.why_no_anatomy)
        enable(
            self.copy,
            f"Copy this place. {KEYS['copy']} takes the place under the cursor first",
            state.why_no_anatomy,
        )

    def show_words(self, words: PlaceWords) -> None:
        """Show what is under the cursor."""
        self.voxel.setText(words.voxel)
        self.place.setText(words.place)
        self.value.setText(f"{words.value}   {words.label}" if words.label else words.value)


def _bare(layout: _Layout) -> _Layout:
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    return layout


def _number_box(name: str) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setObjectName(name)
    box.setRange(-_LARGEST, _LARGEST)
    box.setKeyboardTracking(False)
    # Without this, boxes would be as wide as the largest number that they could hold.
    box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    box.setMinimumWidth(76)
    return box


def _name(words: str, of: QWidget) -> QLabel:
    """Label of a control; its underlined letter takes the keyboard there."""
    label = QLabel(words)
    label.setBuddy(of)
    return label


def _shown_words() -> QLabel:
    label = QLabel("-")
    label.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    return label
