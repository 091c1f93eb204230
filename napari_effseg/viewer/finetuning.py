"""What the panel *Fine-tune a model* does: cases, model, minutes, the run, the new model, before and after.

The work is done in a process of its own. Knows the viewer's model and no Qt; tests drive it without a window.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import Signal

from ..types import CancelCheck, Progress
from ..zoo.card import Card
from .comparing import Compared, compare
from .finetune_cases import CasePicker
from .finetune_models import best_of, find_models
from .finetune_process import FinetuneProcess, Said
from .finetune_run import FinetuneRun, Job, StartProcess
from .finetune_state import BaseModel, FinetuneStore
from .inference import Handlers, Inference
from .labelled_cases import LabelledCase, file_names
from .words import trouble

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["ModelFinetuning"]

_LANES = ("base models", "keep", "compare")


class ModelFinetuning:
    """The panel without its widgets.

    Parameters
    ----------
    viewer : napari viewer model
    inference : Inference
        Reads labels, writes cases, and segments a held-back case in the end.
    folder : Path, optional
        Where runs go; default: beside the user's models.
    start_process : callable
        Starts the process that finetunes.

    Attributes
    ----------
    store : FinetuneStore
        What the panel shows.
    picker : CasePicker
        Chooses the cases.
    runner : FinetuneRun
        Runs, stops, goes on.
    model_added : Signal
        Emitted with the name of a model that is new in the list.
    """

    model_added = Signal(str)

    def __init__(
        self,
        viewer: ViewerModel,
        inference: Inference,
        folder: Path | None = None,
        start_process: StartProcess = FinetuneProcess,
    ) -> None:
        self.store = FinetuneStore()
        self._viewer, self._inference, self._folder = viewer, inference, folder
        self._named_by_hand = False
        self._is_closed = False
        self.runner = FinetuneRun(inference, self.store, self._keep, start_process)
        self.picker = CasePicker(viewer, inference, self.store, self.runner.forget_plan)
        self.look_for_models()

    def close(self) -> None:
        """Listen no longer; a run stops and keeps its checkpoint. More than once does no harm."""
        if self._is_closed:
            return
        self._is_closed = True
        self.picker.close()
        self.runner.close()
        for lane in _LANES:
            self._inference.forget(lane)

    # --- what it is to become ---

    def choose_model(self, name: str) -> None:
        """Begin with this model."""
        self.store.set(model=name)
        self._name_it()
        self.runner.forget_plan()
        self.picker.look()

    def set_minutes(self, minutes: float) -> None:
        """Let it take about so long."""
        self.store.set(minutes=minutes)
        self.runner.forget_plan()

    def set_freeze(self, freeze: str) -> None:
        """Choose what keeps the weights it has."""
        self.store.set(freeze=freeze)
        self.runner.forget_plan()

    def set_name(self, name: str) -> None:
        """Call the new model so."""
        if name != self.store.now.name:
            self._named_by_hand = bool(name.strip())
            self.store.set(name=name)
            self.runner.forget_plan()

    def prepare(self) -> None:
        """Write the cases, and have it measured what a step takes; nothing while the state says why not."""
        now = self.store.now
        if now.is_busy or now.why_not_prepare:
            return
        name = now.name.strip()
        folder = _free_folder(self._runs_folder(), name)
        options = {
            "output": str(folder),
            "name": name,
            "minutes": now.minutes,
            "freeze": now.freeze,
            "names": {one.number: one.name.strip() for one in now.structures},
            "new_labels": True,  # what is new is shown beside each name
        }
        self.runner.prepare(Job(now.model, name, now.cases, folder / "cases", options))

    # --- models ---

    def look_for_models(self) -> None:
        """Look which models can be finetuned."""
        handlers = Handlers[tuple[BaseModel, ...]](
            done=self._models_known, failed=lambda err: self.store.set(problem=trouble(err)[0])
        )
        self._inference.submit("base models", find_models, handlers)

    def _models_known(self, models: tuple[BaseModel, ...]) -> None:
        known = [one.card.name for one in models if not one.reason]
        model = self.store.now.model
        self.store.set(models=models, model=model if model in known else best_of(models))
        self._name_it()
        self.picker.look()

    def _name_it(self) -> None:
        base = self.store.now.base
        if base is not None and not self._named_by_hand:
            self.store.set(name=base.name)

    # --- the new model ---

    def _keep(self, job: Job, plan: Said, card: Path) -> None:
        """Put the new model among the user's, and show what it does beside what its base did."""

        def work(progress: Progress, cancel: CancelCheck) -> Card:
            from ..zoo.own_models import keep_card

            return keep_card(card)

        handlers = Handlers[Card](
            done=lambda kept: self._kept(job, plan, kept), failed=lambda err: self._not_kept(card, err)
        )
        self._inference.submit("keep", work, handlers)

    def _kept(self, job: Job, plan: Said, card: Card) -> None:
        self._named_by_hand = False
        self.look_for_models()
        self.model_added.emit(card.name)
        case = _held_back(job, plan)
        if case is None or case.image not in self._viewer.layers:
            return
        image = case.image

        def work(progress: Progress, cancel: CancelCheck) -> Compared:
            return compare(image, job.model, card, progress, cancel)

        self.store.set(message=f"Segmenting “{image.name}” before and after …")
        handlers = Handlers[Compared](done=self._compared, failed=self._not_compared)
        self._inference.submit("compare", work, handlers)

    def _compared(self, compared: Compared) -> None:
        for layer in compared.layers:
            self._viewer.add_layer(layer)
        names = " and ".join(f"“{layer.name}”" for layer in compared.layers)
        self.store.set(message="", summary=f"{self.store.now.summary} A held-back case: {names}.")

    def _not_kept(self, card: Path, error: Exception) -> None:
        problem, details = trouble(error)
        self.store.set(
            problem=f"The new model lies in {card.parent}, but not in the list. {problem}", details=details
        )

    def _not_compared(self, error: Exception) -> None:
        self.store.set(message="", warnings=(*self.store.now.warnings, trouble(error)[0]))

    def _runs_folder(self) -> Path:
        from ..zoo.own_models import runs_folder

        return self._folder or runs_folder()


def _held_back(job: Job, plan: Said) -> LabelledCase | None:
    """Return the first of the cases that only measured."""
    named = dict(zip(file_names(job.cases), job.cases, strict=True))
    return next((named[name] for name in plan["held_back"] if name in named), None)


def _free_folder(parent: Path, name: str) -> Path:
    """Return a folder that is not there yet, named after the model."""
    folder, count = parent / name, 1
    while folder.exists():
        count += 1
        folder = parent / f"{name}-{count}"
    return folder
