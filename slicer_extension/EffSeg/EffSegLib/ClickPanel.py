"""The section *Segmentation by clicks*."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

from .Desk import Desk
from .PromptLogic import PromptLogic
from .rooms import Code, Colour, EffsegError, Prompt
from .Rows import enable, fill, quiet, show_progress
from .SegmentationLogic import words_of
from .Segments import segment_ids
from .SessionStore import StoredSession, stored_sessions

__all__ = ["ClickPanel", "place_points"]

_PROMPTABLE = "promptable"
_PLANES = (
    ("That of the view that is clicked in", "", ""),
    ("Axial", "axial", ""),
    ("Coronal", "coronal", ""),
    ("Sagittal", "sagittal", ""),
)
_SIGNS = (("The object", "+", ""), ("Not the object", "-", ""))
_OWN = ("A name of my own", "", "")


class ClickPanel:
    """Wires the section.

    Parameters
    ----------
    ui : object
        Widgets by name.
    desk : Desk
    place : callable
        ``place(markups node or None)``: let the user place points into it, or no longer.
    """

    def __init__(self, ui: Any, desk: Desk, place: Callable[[Any], None]) -> None:
        self._ui, self._desk, self._place = ui, desk, place
        self.logic = PromptLogic(desk.worker, self._say, self.show)
        self._progress_is_shown = False
        fill(ui.planeBox, _PLANES, desk.parameters.plane)
        fill(ui.signBox, _SIGNS, "+")
        self._connect()
        desk.listen(self.show)
        self.show()

    def _connect(self) -> None:
        ui, logic = self._ui, self.logic
        actions: dict[str, Callable[[], None]] = {
            "beginButton": self.begin,
            "resumeButton": self.resume,
            "endButton": self.end,
            "undoButton": logic.undo,
            "redoButton": logic.redo,
            "nextMaskButton": logic.next_mask,
            "propagateButton": self.propagate,
            "boxButton": lambda: logic.add_box(
                self._chosen("promptRoiSelector"), self._sign, ui.flatBox.checked
            ),
            "lassoButton": lambda: logic.add_lasso(self._chosen("promptCurveSelector"), self._sign),
            "scribbleButton": lambda: logic.add_scribbles(*self._segment(), self._sign),
            "maskButton": lambda: logic.add_segment(*self._segment(), self._sign),
            "removePromptButton": self.remove_prompt,
            "commitButton": self.commit,
        }
        for name, action in actions.items():
            getattr(ui, name).connect("clicked(bool)", lambda _, action=action: self._try(action))
        ui.positiveButton.connect("toggled(bool)", lambda on: self._place_points(True, on))
        ui.negativeButton.connect("toggled(bool)", lambda on: self._place_points(False, on))
        for name in ("promptRoiSelector", "promptCurveSelector"):
            getattr(ui, name).connect("currentNodeChanged(vtkMRMLNode*)", lambda *_: self.show())
        ui.promptSegmentationSelector.connect(
            "currentNodeChanged(vtkMRMLNode*)", lambda *_: self._list_segments()
        )
        ui.promptList.connect("currentRowChanged(int)", lambda *_: self._show_buttons())
        ui.structureBox.connect("currentIndexChanged(int)", lambda *_: self._take_structure())

    def _try(self, action: Callable[[], None]) -> None:
        """Do what a button says; what is in the way is told."""
        self._say("")
        try:
            action()
        except EffsegError as error:
            self._say(words_of(error))
        self.show()

    # --- what is chosen ---

    @property
    def _sign(self) -> bool:
        return bool(self._ui.signBox.currentData == "+")

    def _chosen(self, name: str) -> Any:
        return getattr(self._ui, name).currentNode()

    def _segment(self) -> tuple[Any, str]:
        return self._chosen("promptSegmentationSelector"), self._ui.promptSegmentBox.currentData

    def _stored(self) -> StoredSession | None:
        found = stored_sessions(self._desk.scene)
        mine = [one for one in found if one.volume is self._desk.volume]
        return next(iter(mine or found), None)

    # --- the session ---

    def begin(self) -> None:
        """Begin on the volume that is chosen."""
        target = self._desk.node(self._desk.parameters.segmentation)
        self.logic.open(self._desk.segmenter(), self._desk.volume, self._ui.clickModelBox.currentData, target)

    def resume(self) -> None:
        """Go on with the session that the scene holds."""
        stored = self._stored()
        if stored is not None:
            self._desk.change(volume=stored.volume.GetID())
            self.logic.resume(self._desk.segmenter(), stored)

    def end(self) -> None:
        """End the session, and stop placing points."""
        self._stop_placing()
        self.logic.store()
        self.logic.close()

    def propagate(self) -> None:
        """Carry the object on, or stop doing so."""
        if self._progress_is_shown:
            self.logic.cancel()
            return
        self._progress_is_shown = True
        self.logic.propagate(self._progress)

    def commit(self) -> None:
        """Finish the object under the name that is given."""
        colour, code = self._structure()
        name = self._ui.nameEdit.text.strip()
        self.logic.commit(name, colour, code if code is None or name == self._structure_name() else None)
        self._ui.nameEdit.setText("")

    def remove_prompt(self) -> None:
        """Take the prompt back that is chosen in the list."""
        row = self._ui.promptList.currentRow
        numbers = list(self.logic.shown.prompts)
        if 0 <= row < len(numbers):
            self.logic.remove(numbers[row])

    # --- structures ---

    def _labels(self) -> list[tuple[str, Colour, Code | None]]:
        """Return the structures that the models know, each once."""
        found = {label.name: label for model in self._desk.models for label in model.labels}
        return [(label.name, label.colour, label.code) for label in found.values()]

    def _structure(self) -> tuple[Colour | None, Code | None]:
        name = self._structure_name()
        return next(((colour, code) for one, colour, code in self._labels() if one == name), (None, None))

    def _structure_name(self) -> str:
        return self._ui.structureBox.currentData or ""

    def _take_structure(self) -> None:
        self._ui.nameEdit.setText(self._structure_name())

    # --- placing points ---

    def _place_points(self, sign: bool, on: bool) -> None:
        ui = self._ui
        if on:
            other = ui.negativeButton if sign else ui.positiveButton
            with quiet(other):
                other.setChecked(False)
        nodes = self.logic.points.nodes if self.logic.points is not None else {}
        self._place(nodes.get(sign) if on else None)

    def _stop_placing(self) -> None:
        for button in (self._ui.positiveButton, self._ui.negativeButton):
            button.setChecked(False)

    # --- showing ---

    def show(self) -> None:
        """Show the session, and what can be done."""
        self.logic.plane = self._desk.parameters.plane
        promptable = [model for model in self._desk.models if model.task == _PROMPTABLE]
        by_worth = sorted(promptable, key=lambda model: not model.recommended)
        items = [(model.name, model.name, "") for model in by_worth]
        names = [name for _, name, _ in items]
        chosen = self._desk.parameters.click_model
        fill(self._ui.clickModelBox, items, chosen if chosen in names else (names[0] if names else ""))
        structures = [_OWN, *((name, name, "") for name, _, _ in self._labels())]
        if self._ui.structureBox.count != len(structures):
            fill(self._ui.structureBox, structures, self._structure_name())
        self._list_prompts()
        self._show_buttons()
        if self._progress_is_shown and not self.logic.is_busy:
            self._progress_is_shown = False
            self._ui.clickProgress.setVisible(False)
        self._ui.propagateButton.setText("Cancel" if self._progress_is_shown else "Propagate")

    def _show_buttons(self) -> None:
        ui, logic, shown = self._ui, self.logic, self.logic.shown
        closed = "" if logic.is_open else "Begin a session first."
        enable(ui.beginButton, self._why_not_begin(), "Begin a session on the volume above")
        why_not_resume = self._desk.missing if self._stored() else "The scene holds no session."
        enable(ui.resumeButton, "End this session first." if logic.is_open else why_not_resume)
        for name in ("endButton", "positiveButton", "negativeButton"):
            enable(getattr(ui, name), closed)
        enable(ui.boxButton, closed or ("" if self._chosen("promptRoiSelector") else "Choose or draw a ROI."))
        enable(
            ui.lassoButton,
            closed or ("" if self._chosen("promptCurveSelector") else "Choose or draw a curve."),
        )
        no_segment = "" if ui.promptSegmentBox.currentData else "Choose a segment."
        enable(ui.scribbleButton, closed or no_segment)
        enable(ui.maskButton, closed or no_segment)
        chosen = 0 <= ui.promptList.currentRow < len(shown.prompts)
        enable(ui.removePromptButton, closed or ("" if chosen else "Choose a prompt of the list."))
        enable(ui.nextMaskButton, closed or ("" if shown.prompts else "Give a prompt first."))
        nothing = "" if shown.mask.any() else "There is no object yet."
        enable(ui.propagateButton, closed or nothing)
        enable(ui.commitButton, closed or nothing)
        ui.undoButton.setText(f"Undo {shown.undo_words}".strip())
        ui.redoButton.setText(f"Redo {shown.redo_words}".strip())
        enable(ui.undoButton, closed or ("" if shown.undo_words else "There is nothing to undo."))
        enable(ui.redoButton, closed or ("" if shown.redo_words else "There is nothing to redo."))

    def _why_not_begin(self) -> str:
        if self.logic.is_open:
            return "End this session first."
        if self._desk.missing:
            return self._desk.missing
        if self._desk.volume is None:
            return "Choose a volume."
        return "" if self._ui.clickModelBox.currentData else "The engine has no model that answers clicks."

    def _list_prompts(self) -> None:
        box = self._ui.promptList
        lines = [f"{number}: {_words(prompt)}" for number, prompt in self.logic.shown.prompts.items()]
        if [box.item(at).text() for at in range(box.count)] == lines:
            return
        with quiet(box):
            box.clear()
            for line in lines:
                box.addItem(line)

    def _list_segments(self) -> None:
        node = self._chosen("promptSegmentationSelector")
        ids = segment_ids(node) if node is not None else ()
        names = [(node.GetSegmentation().GetSegment(one).GetName(), one, "") for one in ids]
        chosen = self._ui.promptSegmentBox.currentData
        fill(self._ui.promptSegmentBox, names, chosen if chosen in ids else (ids[0] if ids else ""))
        self.show()

    def _progress(self, fraction: float, message: str) -> None:
        show_progress(self._ui.clickProgress, self._ui.clickMessage, fraction, message)

    def _say(self, words: str) -> None:
        self._ui.clickMessage.setText(words)


def place_points(node: Any) -> None:
    """Let the mouse place points into a markups node; None: let it go."""
    logic = slicer.app.applicationLogic()
    interaction, selection = logic.GetInteractionNode(), logic.GetSelectionNode()
    if node is None:
        interaction.SetCurrentInteractionMode(interaction.ViewTransform)
        return
    selection.SetReferenceActivePlaceNodeClassName(node.GetClassName())
    selection.SetActivePlaceNodeID(node.GetID())
    interaction.SetPlaceModePersistence(1)
    interaction.SetCurrentInteractionMode(interaction.Place)


def _words(prompt: Prompt) -> str:
    kind = type(prompt).__name__.lower()
    where = f" {prompt.index}" if hasattr(prompt, "index") else ""
    return kind + where if prompt.positive else f"not: {kind}{where}"
