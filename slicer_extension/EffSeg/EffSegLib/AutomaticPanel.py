"""The section *Automatic segmentation*."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt
import slicer

from .Desk import Desk
from .Nodes import boxes_of, volume_of
from .rooms import Cancelled, EffsegError, ModelInfo, Segmented, Volume
from .Rows import enable, fill, quiet, show_progress
from .SegmentationLogic import (
    Choice,
    Order,
    SegmentationLogic,
    choices_for,
    further_roles,
    plan_line,
    warnings_of,
    words_of,
)
from .Sequences import frames_of
from .Work import Job

__all__ = ["AutomaticPanel"]

_VOLUMES = ("vtkMRMLScalarVolumeNode",)


class AutomaticPanel:
    """Wires the section.

    Parameters
    ----------
    ui : object
        Widgets by name.
    desk : Desk
    """

    def __init__(self, ui: Any, desk: Desk) -> None:
        self._ui, self._desk = ui, desk
        self._job: Job | None = None
        self._selectors: dict[str, Any] = {}
        self._rows: dict[str, Any] = {}
        self._column = qt.QVBoxLayout(ui.channelsGroup)
        self._column.setContentsMargins(0, 0, 0, 0)
        ui.applyButton.connect("clicked(bool)", lambda _: self.apply())
        desk.listen(self.show)
        self.show()

    # --- what is chosen ---

    @property
    def model(self) -> ModelInfo | None:
        """The model that is chosen, or else recommended, if it fits."""
        fitting = [choice.info for choice in self._choices() if not choice.reason]
        chosen = next((info for info in fitting if info.name == self._desk.parameters.model), None)
        return (
            chosen or next((info for info in fitting if info.recommended), None) or next(iter(fitting), None)
        )

    def _choices(self) -> tuple[Choice, ...]:
        others = sum(self._desk.scene.GetNumberOfNodesByClass(kind) for kind in _VOLUMES) - 1
        return choices_for(self._desk.models, self._volume(), max(others, 0))

    def _volume(self) -> Volume | None:
        try:
            return volume_of(self._desk.volume)
        except EffsegError:
            return None

    def _others(self) -> list[Any]:
        """Return the nodes of the further channels, in the model's order; None where none is chosen."""
        chosen = dict(self._desk.parameters.channels)
        return [self._desk.node(chosen.get(role, "")) for role in self._roles()]

    def _roles(self) -> tuple[str, ...]:
        model = self.model
        return tuple(role for role, _ in further_roles(model, self._volume())) if model else ()

    def _regions(self) -> list[Any]:
        region = self._desk.node(self._desk.parameters.region)
        return [] if region is None else [region]

    def _frames(self) -> tuple[Any, ...]:
        volume = self._desk.volume
        found = frames_of(volume) if volume is not None and not self._roles() else ()
        return found if self._desk.parameters.all_times else ()

    # --- showing ---

    def show(self) -> None:
        """Show what is chosen, what fits, what would be done, and why something cannot be done."""
        ui = self._ui
        volume = self._desk.volume
        has_times = volume is not None and bool(frames_of(volume))
        several = "The model takes several volumes, which is not done for sequences." if self._roles() else ""
        enable(ui.allTimesBox, several if has_times else "The volume is not one of a sequence.")
        self._show_models()
        self._show_channels()
        plan, why_not = self._plan()
        ui.planLabel.setText(plan)
        ui.applyButton.setText("Apply" if self._job is None else "Cancel")
        enable(ui.applyButton, "" if self._job is not None else why_not, "Segment")
        if self._job is None and why_not:
            ui.planLabel.setText(why_not)

    def _show_models(self) -> None:
        choices, model = self._choices(), self.model
        items = [(choice.info.name, choice.info.name, choice.reason) for choice in choices]
        fill(self._ui.modelBox, items, model.name if model else "")
        misfits = [f"{choice.info.name}: {choice.reason}" for choice in choices if choice.reason]
        summary = f"{model.summary} {' '.join(model.limits)}".strip() if model else ""
        reasons = "\n".join(misfits) if self._desk.volume is not None else ""
        self._ui.modelMessage.setText("\n".join(filter(None, [summary, reasons])))

    def _show_channels(self) -> None:
        """Show a selector for each further image that the model takes."""
        roles = self._roles()
        if tuple(self._selectors) != roles:
            for row in self._rows.values():
                row.setParent(None)
                row.deleteLater()
            self._rows = {}
            self._selectors = {role: self._new_selector(role) for role in roles}
        chosen = dict(self._desk.parameters.channels)
        for role, selector in self._selectors.items():
            with quiet(selector):
                selector.setCurrentNodeID(chosen.get(role, ""))
        self._ui.channelsGroup.setVisible(bool(roles))

    def _new_selector(self, role: str) -> Any:
        selector = slicer.qMRMLNodeComboBox()
        selector.nodeTypes = list(_VOLUMES)
        selector.noneEnabled = True
        selector.addEnabled = selector.removeEnabled = selector.showChildNodeTypes = False
        selector.setMRMLScene(self._desk.scene)
        selector.setCurrentNodeID("")
        selector.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: self._take_channel(role, node))
        row = qt.QWidget()
        line = qt.QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(qt.QLabel(f"{role}:"))
        line.addWidget(selector, 1)
        self._column.addWidget(row)
        self._rows[role] = row
        return selector

    def _take_channel(self, role: str, node: Any) -> None:
        chosen = {**dict(self._desk.parameters.channels), role: _id(node)}
        self._desk.change(channels=tuple((one, chosen.get(one, "")) for one in self._roles()))

    def _plan(self) -> tuple[str, str]:
        """Return what would be done, and why it cannot be."""
        if self._desk.missing:
            return "", self._desk.missing
        if self._desk.volume is None:
            return "", "Choose a volume."
        if not self._desk.knows_models:
            is_busy = self._desk.worker.is_busy
            return "", "One moment …" if is_busy else "Test the connection to the engine first."
        model = self.model
        if model is None:
            return "", "No model fits this volume."
        if None in self._others():
            return "", f"Choose a volume for each of: {', '.join(self._roles())}."
        try:
            volume = volume_of(self._desk.volume)
            boxes = boxes_of(self._regions(), volume.grid)
        except EffsegError as error:
            return "", words_of(error)
        return plan_line(model, volume, boxes, max(len(self._frames()), 1)), ""

    # --- doing ---

    def apply(self) -> None:
        """Begin, or cancel what has begun."""
        if self._job is not None:
            self._job.cancel()
            self._say("Stopping …")
            return
        model, volume = self.model, self._desk.volume
        if model is None or volume is None:
            return
        logic = SegmentationLogic(self._desk.segmenter())
        try:
            target = self._desk.node(self._desk.parameters.segmentation)
            order = logic.order(model, volume, self._others(), self._regions(), self._frames(), target)
        except EffsegError as error:
            self._say(words_of(error))
            return

        def done(results: Sequence[Segmented]) -> None:
            self._deliver(logic, results, order, volume)

        self._say("")
        self._job = self._desk.worker.do(logic.job(order, done, self._failed, self._progress))
        self.show()

    def _deliver(
        self, logic: SegmentationLogic, results: Sequence[Segmented], order: Order, volume: Any
    ) -> None:
        if self._desk.scene.GetNodeByID(volume.GetID() or "") is not volume:
            self._end("The volume was removed from the scene meanwhile; there is nowhere to put the result.")
            return
        with_table = self._desk.parameters.statistics
        if len(results) > 1:
            node, _ = logic.deliver_over_time(results, order, volume, with_table)
        else:
            target = self._desk.node(self._desk.parameters.segmentation)
            node, _ = logic.deliver(results[0], order, volume, target, with_table)
        found = sorted({name for result in results for name in _found(result)})
        words = f"Found: {', '.join(found)}." if found else "None of the structures was found."
        words += f" The segmentation is called {node.GetName()}."
        self._end("\n".join([words, *warnings_of(results, order)]))

    def _progress(self, fraction: float, message: str) -> None:
        show_progress(self._ui.progressBar, self._ui.messageLabel, fraction, message)

    def _failed(self, error: Exception) -> None:
        cancelled = isinstance(error, Cancelled)
        self._end("Cancelled; nothing was changed." if cancelled else words_of(error))

    def _end(self, words: str) -> None:
        self._job = None
        self._ui.progressBar.setVisible(False)
        self._say(words)
        self.show()

    def _say(self, words: str) -> None:
        self._ui.messageLabel.setText(words)


def _id(node: Any) -> str:
    return node.GetID() if node is not None else ""


def _found(result: Segmented) -> list[str]:
    return [result.labels.names.get(label, f"label {label}") for label in result.labels.counts()]
