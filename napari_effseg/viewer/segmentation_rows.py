"""Parts of the dock *Automatic segmentation*. They show a state and emit what the user wants."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from .case import needs_layers, roles_of
from .placement import placement_of
from .reading_rows import enable
from .state import SegmentationState, Stage

__all__ = [
    "BUSY",
    "DeviceRow",
    "ImageRows",
    "RegionRows",
    "RunRows",
    "combo",
    "fill",
    "named",
    "say",
    "wrapped",
]

BUSY = "Wait for the run to end, or cancel it."
"""Why nothing can be chosen during a run."""
_NARROW = 10  # characters that a list shows at least; its entries are as long as they are


def combo(name: str) -> QComboBox:
    """List that may be narrower than its entries."""
    box = QComboBox()
    box.setAccessibleName(name)
    box.setMinimumContentsLength(_NARROW)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return box


def wrapped(name: str = "") -> QLabel:
    """Text over as many lines as it needs, which can be selected and copied."""
    label = QLabel()
    label.setWordWrap(True)
    label.setAccessibleName(name)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setMinimumWidth(1)
    return label


def named(text: str, buddy: QWidget) -> QLabel:
    """Label of a control; its underlined letter takes the keyboard there."""
    label = QLabel(text)
    label.setBuddy(buddy)
    return label


def say(label: QLabel, text: str) -> None:
    """Show a text; nothing takes no room."""
    label.setText(text)
    label.setVisible(bool(text))


def fill(box: QComboBox, entries: list[tuple[str, Any]], chosen: Any) -> None:
    """Show entries of text and data; nothing is emitted."""
    with QSignalBlocker(box):
        same = [box.itemText(at) for at in range(box.count())] == [text for text, _ in entries]
        if not same or any(box.itemData(at) is not data for at, (_, data) in enumerate(entries)):
            box.clear()
            for text, data in entries:
                box.addItem(text, data)
        box.setCurrentIndex(next((at for at, (_, data) in enumerate(entries) if data is chosen), -1))


class ImageRows(QWidget):
    """Which image, and for a model of several channels which layer is which."""

    image_wanted = Signal(object)
    channel_wanted = Signal(str, object)

    def __init__(self) -> None:
        super().__init__()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setColumnStretch(1, 1)
        self.image = combo("Image")
        self.image.activated.connect(lambda at: self.image_wanted.emit(self.image.itemData(at)))
        self._grid.addWidget(named("Im&age", self.image), 0, 0)
        self._grid.addWidget(self.image, 0, 1)
        self.note = wrapped("About the image")
        self._grid.addWidget(self.note, 1, 0, 1, 2)
        self.channels: dict[str, QComboBox] = {}

    def show_state(self, state: SegmentationState) -> None:
        """Show what is chosen."""
        fill(self.image, [(layer.name, layer) for layer in state.images], state.image)
        why_not = "" if state.images else "No image is open."
        enable(self.image, "The layer that is segmented", why_not or ("" if state.is_idle else BUSY))
        if not state.images:
            self.image.setPlaceholderText("No image is open")
        say(self.note, state.note)
        self._show_channels(state)

    def _show_channels(self, state: SegmentationState) -> None:
        image = state.image
        cards = [card for card in state.cards if image is not None and needs_layers(card, image)]
        roles = list(dict.fromkeys(role for card in cards for role in roles_of(card)))
        if list(self.channels) != roles:
            self._rebuild(roles)
        for role, box in self.channels.items():
            fill(box, [(layer.name, layer) for layer in state.images], state.channels.get(role))
            enable(box, f"The layer that is the model's channel {role}", "" if state.is_idle else BUSY)

    def _rebuild(self, roles: list[str]) -> None:
        for row in range(2, self._grid.rowCount()):
            for column in (0, 1):
                item = self._grid.itemAtPosition(row, column)
                if item is not None:
                    item.widget().deleteLater()
                    self._grid.removeItem(item)
        self.channels = {}
        for row, role in enumerate(roles, start=2):
            box = self.channels[role] = combo(f"Channel {role}")
            box.activated.connect(
                lambda at, role=role, box=box: self.channel_wanted.emit(role, box.itemData(at))
            )
            self._grid.addWidget(named(role, box), row, 0)
            self._grid.addWidget(box, row, 1)


class DeviceRow(QWidget):
    """Where to compute."""

    device_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self.device = combo("Device")
        self.device.activated.connect(lambda at: self.device_wanted.emit(self.device.itemData(at)))
        row.addWidget(named("D&evice", self.device))
        row.addWidget(self.device, stretch=1)

    def show_state(self, state: SegmentationState) -> None:
        """Show the devices of this machine; a server has its own."""
        self.setVisible(state.is_here)
        with QSignalBlocker(self.device):
            self.device.clear()
            for option in state.devices:
                self.device.addItem(option.description, option.name)
            self.device.setCurrentIndex(self.device.findData(state.device))
        enable(self.device, "Where the network runs", "" if state.is_idle else BUSY)


class RegionRows(QWidget):
    """The part of the image that gets labels."""

    draw_wanted = Signal()
    clear_wanted = Signal()
    layer_wanted = Signal(object)
    slices_wanted = Signal(int, int)

    def __init__(self) -> None:
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(2, 1)
        self.layer = combo("Region")
        self.layer.activated.connect(lambda at: self.layer_wanted.emit(self.layer.itemData(at)))
        self.draw = QPushButton("&Draw region")
        self.draw.clicked.connect(self.draw_wanted)
        self.clear = QPushButton("&Clear region")
        self.clear.clicked.connect(self.clear_wanted)
        self.slices = QLabel("Slices")
        self.first, self.last = QSpinBox(), QSpinBox()
        for box, end in ((self.first, "First"), (self.last, "Last")):
            box.setAccessibleName(f"{end} slice of the region")
            box.setKeyboardTracking(False)
            box.valueChanged.connect(self._set_slices)
        self.slices.setBuddy(self.first)
        self.size = wrapped("Size of the region")
        grid.addWidget(named("Regio&n", self.layer), 0, 0)
        grid.addWidget(self.layer, 0, 1, 1, 2)
        grid.addWidget(self.draw, 1, 1)
        grid.addWidget(self.clear, 1, 2)
        grid.addWidget(self.slices, 2, 0)
        grid.addWidget(self.first, 2, 1)
        grid.addWidget(self.last, 2, 2)
        grid.addWidget(self.size, 3, 0, 1, 3)

    def show_state(self, state: SegmentationState) -> None:
        """Show the region, or that there is none."""
        busy = "" if state.is_idle else BUSY
        no_image = "Open an image first." if state.image is None else ""
        fill(
            self.layer,
            [("Whole image", None), *((layer.name, layer) for layer in state.shapes)],
            state.region_layer,
        )
        enable(self.layer, "Shapes drawn on the image; only what lies in them gets labels", no_image or busy)
        enable(self.draw, "Drag a rectangle over the structure, then set its slices", no_image or busy)
        nothing = "There is no region." if state.region_layer is None else ""
        enable(self.clear, "Label the whole image again", nothing or busy)
        self._show_slices(state, busy)
        say(self.size, _about_region(state))

    def _show_slices(self, state: SegmentationState, busy: str) -> None:
        region, image = state.region, state.image
        is_deep = region is not None and image is not None and image.ndim > 2
        for widget in (self.slices, self.first, self.last):
            widget.setVisible(is_deep)
        if region is None or image is None or not is_deep:
            return
        count = placement_of(image).grid.shape[region.axis]
        for box, value, word in ((self.first, region.first, "first"), (self.last, region.last, "last")):
            with QSignalBlocker(box):
                box.setRange(0, count - 1)
                box.setValue(value)
            enable(box, f"The {word} slice of the region, 0 to {count - 1}", busy)

    def _set_slices(self) -> None:
        self.slices_wanted.emit(self.first.value(), self.last.value())


def _about_region(state: SegmentationState) -> str:
    if state.region_problem:
        return state.region_problem
    if state.region_layer is not None and state.region is None:
        return "Drag a rectangle over the structure on the image."
    if state.region is None or state.image is None:
        return ""
    sides = [side for side in state.region.size_mm(placement_of(state.image)) if side > 0]
    text = " x ".join(f"{side:.0f}" for side in sides) + " mm"
    if len(state.region.rectangles) > 1:
        text = f"{len(state.region.rectangles)} boxes, the first {text}"
    if state.region.left_out:
        text += f"; {state.region.left_out} drawn in another plane are left out"
    if state.shown_slice is not None:
        text += f"; slice {state.shown_slice} is shown"
    return f"Region: {text}. Drag its corners to change it."


class RunRows(QWidget):
    """What a run would cost, the button, and how far it is."""

    run_wanted = Signal()
    cancel_wanted = Signal()
    details_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self.plan = wrapped("What a run would cost")
        self.button = QPushButton("&Run")
        self.button.setMinimumHeight(32)
        self.button.clicked.connect(self._press)
        self.progress = QProgressBar()
        self.progress.setRange(0, 1000)
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName("Progress")
        self.status = wrapped("Status")
        self.details = QPushButton("Copy details for a report")
        self.details.clicked.connect(self.details_wanted)
        self.warnings = wrapped("Warnings")
        for widget in (self.plan, self.button, self.progress, self.status, self.details, self.warnings):
            column.addWidget(widget)
        self._is_running = False

    def show_state(self, state: SegmentationState, colours: dict[str, str]) -> None:
        """Show plan, progress and outcome."""
        self._is_running = not state.is_idle
        why_not = state.why_not_run
        if state.stage is Stage.STOPPING:
            self.button.setText("Stopping …")
            enable(self.button, "", "It stops after the step that it is at.")
        elif self._is_running:
            self.button.setText("&Cancel")
            kept = "models that have finished are kept" if state.also else "nothing is changed"
            enable(self.button, f"Stop the run; {kept} (Esc)", "")
        else:
            count = len(state.chosen)
            self.button.setText(f"&Run {count} models" if count > 1 else "&Run")
            enable(self.button, "Segment the image (Alt+R)", why_not)
        say(self.plan, _about_plan(state))
        self.plan.setToolTip(state.plan.details if state.plan else "")
        self.progress.setVisible(self._is_running)
        self.progress.setValue(round(1000 * state.fraction))
        self._show_outcome(state, colours)

    def _show_outcome(self, state: SegmentationState, colours: dict[str, str]) -> None:
        if self._is_running:
            text, colour = state.message, ""
        elif state.problem:
            text, colour = state.problem, colours["error"]
        else:
            text, colour = state.summary, ""
        say(self.status, text)
        self.status.setStyleSheet(f"color: {colour}" if colour else "")
        self.details.setVisible(bool(state.details) and not self._is_running)
        say(self.warnings, "" if self._is_running else "\n".join(f"⚠ {text}" for text in state.warnings))
        self.warnings.setStyleSheet(f"color: {colours['warning']}")

    def _press(self) -> None:
        (self.cancel_wanted if self._is_running else self.run_wanted).emit()


def _about_plan(state: SegmentationState) -> str:
    """Say the plan, or why there is none."""
    if not state.is_idle:
        return ""
    if state.why_not_run:
        return state.why_not_run
    if state.plan is None:
        return "Planning …" if state.is_checking else ""
    return "\n".join((f"{state.plan.line}.", *(f"⚠ {note}" for note in state.plan.notes)))
