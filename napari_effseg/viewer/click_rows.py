"""Parts of the dock *Click segmentation*. They show a state and emit what the user wants."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from .click_keys import HELP, KEYS, TOOL_KEYS, with_key
from .click_state import ClickState, Tool
from .model_rows import Fold
from .reading_rows import NoteLabel, enable
from .segmentation_rows import combo, fill, named

__all__ = ["FileRows", "HelpRows", "OfferRow", "SourceRows", "StatusRows", "StepRows", "ToolRows", "button"]

_COLUMNS = 4
_STEP_WIDTH = 140  # pixels that a button of two beside each other has for its text
_TOOL_TIPS = {
    Tool.POINT: "Click on the object; drag to move the picture",
    Tool.BOX: "Drag a box around the object",
    Tool.SCRIBBLE: "Draw a line on the object, with the button held down",
    Tool.LASSO: "Draw around the object, with the button held down",
    Tool.ERASE: "Click on marks to take prompts back; the mask follows",
    Tool.BRUSH: "Paint with napari's brush; strokes can be undone like clicks",
    Tool.MOVE: "Drag the picture about; click on a mark to select its prompt",
}
_TOOL_WORDS = {Tool.ERASE: "Erase"}


def button(text: str, key: str = "", name: str = "") -> QPushButton:
    """Button that says its key, and may be narrower than others of its row."""
    made = QPushButton(with_key(text, key) if key else text)
    made.setAccessibleName(name or text)
    made.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return made


class SourceRows(QWidget):
    """Which image, and which model where there are several."""

    image_wanted = Signal(object)
    model_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        self.image, self.model = combo("Image"), combo("Model")
        self.image.activated.connect(lambda at: self.image_wanted.emit(self.image.itemData(at)))
        self.model.activated.connect(lambda at: self.model_wanted.emit(self.model.itemData(at)))
        self._model_name = named("M&odel", self.model)
        grid.addWidget(named("&Image", self.image), 0, 0)
        grid.addWidget(self.image, 0, 1)
        grid.addWidget(self._model_name, 1, 0)
        grid.addWidget(self.model, 1, 1)

    def show_state(self, state: ClickState) -> None:
        """Show what is chosen."""
        fill(self.image, [(layer.name, layer) for layer in state.images], state.image)
        enable(self.image, "The layer that is clicked on", "" if state.images else "No image is open.")
        if not state.images:
            self.image.setPlaceholderText("No image is open")
        entries = [("Automatic", ""), *((choice.title, choice.name) for choice in state.models)]
        fill(self.model, entries, next((name for _, name in entries if name == state.model), ""))
        enable(self.model, "What answers the clicks", "")
        for widget in (self.model, self._model_name):
            widget.setVisible(len(state.models) > 1)


class OfferRow(QFrame):
    """An earlier session of the image: go on, or begin anew."""

    resume_wanted = Signal()
    decline_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.StyledPanel)
        column = QVBoxLayout(self)
        self.words = NoteLabel()
        row = QHBoxLayout()
        self.resume, self.decline = button("Go on with it"), button("Begin anew")
        self.decline.setToolTip("The earlier session is kept under another name")
        self.resume.setToolTip("Shows prompts, objects and masks as they were")
        self.resume.clicked.connect(self.resume_wanted)
        self.decline.clicked.connect(self.decline_wanted)
        row.addWidget(self.resume)
        row.addWidget(self.decline)
        column.addWidget(self.words)
        column.addLayout(row)

    def show_state(self, state: ClickState) -> None:
        """Show the offer, where there is one."""
        self.setVisible(state.offer is not None)
        if state.offer is not None:
            self.words.say(state.offer.words)
            self.resume.setToolTip(f"Shows prompts, objects and masks as they were\n{state.offer.path}")


class ToolRows(QWidget):
    """Tools, the sign, and a point by its numbers."""

    tool_wanted = Signal(object)
    sign_wanted = Signal(bool)
    voxel_wanted = Signal(str)
    hovers_wanted = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        grid = QGridLayout()
        grid.setSpacing(3)
        self.tools: dict[Tool, QPushButton] = {}
        for number, (tool, key) in enumerate(TOOL_KEYS.items()):
            made = self.tools[tool] = button(_TOOL_WORDS.get(tool, tool.value), key, tool.value)
            made.setSizePolicy(QSizePolicy.Policy.MinimumExpanding, QSizePolicy.Policy.Fixed)
            made.setCheckable(True)
            made.clicked.connect(partial(self._want, tool))
            grid.addWidget(made, number // _COLUMNS, number % _COLUMNS)
        column.addLayout(grid)
        row = QHBoxLayout()
        row.setSpacing(3)
        self.object = button("+ the object", KEYS["sign"], "This is the object")
        self.other = button("\N{MINUS SIGN} not the object", KEYS["sign"], "This is not the object")
        for made, positive in ((self.object, True), (self.other, False)):
            made.setCheckable(True)
            made.clicked.connect(partial(self._sign, positive))
            row.addWidget(made)
        column.addLayout(row)
        row = QHBoxLayout()
        self.voxel = QLineEdit()
        self.voxel.setAccessibleName("Point at voxel")
        self.voxel.returnPressed.connect(self._type)
        self.hovers = QCheckBox("Pre&view")
        self.hovers.clicked.connect(self.hovers_wanted)
        row.addWidget(named("Point at &voxel", self.voxel))
        row.addWidget(self.voxel, stretch=1)
        row.addWidget(self.hovers)
        column.addLayout(row)

    def show_state(self, state: ClickState) -> None:
        """Show which tool is in hand."""
        for tool, made in self.tools.items():
            made.setChecked(tool is state.tool)
            enable(made, f"{_TOOL_TIPS[tool]} ({TOOL_KEYS[tool]})", state.why_not)
        tip = f"What the left button says; the right button says the other ({KEYS['sign']} exchanges them)"
        for made, positive in ((self.object, True), (self.other, False)):
            made.setChecked(positive is state.positive)
            enable(made, tip, state.why_not)
        is_picture = state.image is not None and state.image.ndim == 2
        self.voxel.setPlaceholderText("i, j" if is_picture else "i, j, k")
        enable(self.voxel, "Type a voxel's index and press Enter: a point without the mouse", state.why_not)
        self.hovers.setChecked(state.hovers)
        tip = "Outline of what a click here would give, while the mouse rests"
        enable(self.hovers, f"{tip}\n{state.hover_note}".strip(), state.why_not)

    def _want(self, tool: Tool) -> None:
        self.tools[tool].setChecked(True)
        self.tool_wanted.emit(tool)

    def _sign(self, positive: bool) -> None:
        (self.object if positive else self.other).setChecked(True)
        self.sign_wanted.emit(positive)

    def _type(self) -> None:
        self.voxel_wanted.emit(self.voxel.text())
        self.voxel.selectAll()


class StepRows(QWidget):
    """Undo and redo, other masks, through the slices, through time."""

    undo_wanted = Signal()
    redo_wanted = Signal()
    other_wanted = Signal()
    carry_wanted = Signal()
    time_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(3)
        self.undo, self.redo = button("Undo"), button("Redo")
        self.other, self.carry = button("Other mask", KEYS["other"]), button("Through slices", KEYS["carry"])
        self.undo.clicked.connect(self.undo_wanted)
        self.redo.clicked.connect(self.redo_wanted)
        self.other.clicked.connect(self.other_wanted)
        self.carry.clicked.connect(self.carry_wanted)
        for number, made in enumerate((self.undo, self.redo, self.other, self.carry)):
            grid.addWidget(made, number // 2, number % 2)
        self.time = button("Through time", KEYS["time"])
        self.time.clicked.connect(self.time_wanted)
        grid.addWidget(self.time, 2, 0, 1, 2)

    def show_state(self, state: ClickState) -> None:
        """Show what can be done, and what undo and redo would do."""
        for made, words in ((self.undo, f"Undo {state.undo}"), (self.redo, f"Redo {state.redo}")):
            made.setText(
                made.fontMetrics().elidedText(words.strip(), Qt.TextElideMode.ElideRight, _STEP_WIDTH)
            )
        enable(self.undo, f"Take back: {state.undo} ({KEYS['undo']})", state.why_not_undo)
        enable(self.redo, f"Bring back: {state.redo} ({KEYS['redo']})", state.why_not_redo)
        count = f" {state.chosen + 1}/{state.hypotheses}" if state.hypotheses > 1 else ""
        self.other.setText(with_key(f"Other mask{count}", KEYS["other"]))
        tip = f"One click may mean several things; show the next ({KEYS['other']})"
        enable(self.other, tip, state.why_not_other)
        tip = f"Carry the object on through the slices of this plane, as far as it goes ({KEYS['carry']})"
        enable(self.carry, tip, state.why_not_carry)
        tip = f"Carry the object on to the other time points; those with prompts stay ({KEYS['time']})"
        enable(self.time, tip, state.why_not_through_time)
        self.time.setVisible(state.frames > 1)


class StatusRows(QWidget):
    """What goes on, what went wrong and what to do; always in sight."""

    cancel_wanted = Signal()
    details_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 2, 8, 6)
        self.notice = NoteLabel()
        self.notice.setAccessibleName("Notice")
        self.details = button("Copy details")
        self.details.setToolTip("What a report of the fault should hold")
        self.details.clicked.connect(self.details_wanted)
        row = QHBoxLayout()
        self.progress = QProgressBar()
        self.progress.setRange(0, 1000)
        self.cancel = QPushButton(with_key("Cancel", KEYS["cancel"]))
        self.cancel.clicked.connect(self.cancel_wanted)
        row.addWidget(self.progress, stretch=1)
        row.addWidget(self.cancel)
        column.addWidget(self.notice)
        column.addWidget(self.details)
        column.addLayout(row)

    def show_state(self, state: ClickState, colours: dict[str, str]) -> None:
        """Show how things stand."""
        is_going = bool(state.message)
        self.notice.say(state.notice or ("" if is_going else state.why_not))
        is_fault = bool(state.problem or state.details)
        self.notice.setStyleSheet(f"color: {colours['error' if is_fault else 'warning']}")
        self.details.setVisible(bool(state.details))
        self.progress.setVisible(is_going)
        self.cancel.setVisible(is_going)
        self.progress.setValue(round(1000 * state.fraction))
        self.progress.setFormat(state.message)
        enable(self.cancel, "Stop; nothing is changed", "" if state.is_busy else "It is stopping already.")


class FileRows(QWidget):
    """Save and open sessions; where the last one lies."""

    save_wanted = Signal()
    open_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        row = QHBoxLayout()
        self.save, self.open = button("Save session …"), button("Open session …")
        self.save.clicked.connect(self.save_wanted)
        self.open.clicked.connect(self.open_wanted)
        row.addWidget(self.save)
        row.addWidget(self.open)
        self.saved = NoteLabel()
        column.addLayout(row)
        column.addWidget(self.saved)

    def show_state(self, state: ClickState) -> None:
        """Show what was saved."""
        enable(self.save, "Everything in one .effseg file, to go on elsewhere", state.why_not_save)
        why_not_open = "" if state.image is not None and state.models else state.why_not
        enable(self.open, "Go on with a .effseg file of this image", why_not_open)
        self.saved.say(state.saved)
        self.saved.setToolTip(state.saved_in)


class HelpRows(QWidget):
    """The keys, to unfold."""

    def __init__(self) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        table = QWidget()
        grid = QGridLayout(table)
        grid.setContentsMargins(8, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        for row, (key, what) in enumerate(HELP):
            for number, text in enumerate((key, what)):
                label = QLabel(text)
                label.setWordWrap(True)
                grid.addWidget(label, row, number, Qt.AlignmentFlag.AlignTop)
        self.fold = Fold(table)
        self.fold.setText(with_key("Mouse and keys", KEYS["help"]))
        column.addWidget(self.fold)
        column.addWidget(table)
