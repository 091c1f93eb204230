"""A finetuning of the panel *Fine-tune a model*, from the cases that are written to what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..types import CancelCheck, Progress
from .finetune_process import FinetuneProcess, Said
from .finetune_state import FinetuneStage, FinetuneStore
from .finetune_words import plan_lines, score_rows, stopped_words, summary_words, trouble_of
from .inference import Deliver, Handlers, Inference
from .labelled_cases import LabelledCase, write_cases
from .words import sentence, trouble

__all__ = ["FinetuneRun", "Job", "StartProcess"]

StartProcess = Callable[[Deliver, Callable[[Said], None]], FinetuneProcess]
_CASES = "cases"


@dataclass(frozen=True, eq=False)
class Job:
    """A finetuning that was asked for, with all that is needed to go on with it.

    Attributes
    ----------
    model, name : str
        The base's name, and the new one's.
    cases : tuple of LabelledCase
    dataset : Path
        Where they are written.
    options : mapping
        As `FinetuneOptions` takes them.
    """

    model: str
    name: str
    cases: tuple[LabelledCase, ...]
    dataset: Path
    options: Mapping[str, Any]

    @property
    def names(self) -> dict[int, str]:
        """What the labels are."""
        return dict(self.options["names"])


class FinetuneRun:
    """Runs one job after the other, and tells the store how it goes.

    Parameters
    ----------
    inference : Inference
        Writes the cases.
    store : FinetuneStore
    finished : callable
        ``finished(job, plan, card)`` where a better model came out, with the file of its card.
    start_process : callable
        Starts the process that finetunes.
    """

    def __init__(
        self,
        inference: Inference,
        store: FinetuneStore,
        finished: Callable[[Job, Said, Path], None],
        start_process: StartProcess = FinetuneProcess,
    ) -> None:
        self._inference, self._store, self._finished = inference, store, finished
        self._start_process = start_process
        self._process: FinetuneProcess | None = None
        self._job: Job | None = None
        self._plan: Said = {}
        self._runs_at_once = False

    def close(self) -> None:
        """Hear no more of it; a run stops by itself and keeps its checkpoint."""
        self._inference.forget(_CASES)
        self.drop()

    def drop(self) -> None:
        """Let go of the process."""
        self._runs_at_once = False
        if self._process is not None:
            self._process.close()
            self._process = None

    # --- what is wanted of it ---

    def prepare(self, job: Job) -> None:
        """Write the cases, and have it measured what a step takes."""
        self.drop()
        self._job = job
        self._begin("Writing the cases …")

        def work(progress: Progress, cancel: CancelCheck) -> Path:
            return write_cases(job.cases, job.names, job.dataset, cancel)

        handlers = Handlers[Path](done=lambda _: self._start(job), failed=self._not_begun)
        self._inference.submit(_CASES, work, handlers)

    def run(self) -> None:
        """Finetune as planned."""
        if self._store.now.stage is FinetuneStage.READY and self._process is not None:
            self._process.run()
            self._store.set(stage=FinetuneStage.RUNNING, fraction=0.0, message="Starting …")

    def stop(self) -> None:
        """Stop after the current step; asked again, at once."""
        stage = self._store.now.stage
        if stage is FinetuneStage.STOPPING and self._process is not None:
            self._process.end()
        elif stage is FinetuneStage.RUNNING and self._process is not None:
            self._process.stop()
            self._store.set(stage=FinetuneStage.STOPPING, message="Stopping after this step …")
        elif stage is FinetuneStage.PREPARING:
            self._inference.forget(_CASES)
            self.drop()
            self._store.set(stage=FinetuneStage.IDLE, message="", summary="Cancelled; nothing was learned.")

    def go_on(self) -> None:
        """Go on with the run that was stopped."""
        if self._job is None or not self._store.now.can_go_on or self._store.now.is_busy:
            return
        self._job = replace(self._job, options={**self._job.options, "resume": True})
        self._begin("Starting …")
        self._runs_at_once = True
        self._start(self._job)

    def forget_plan(self) -> None:
        """Let go of a plan that is no longer what is wanted."""
        if self._store.now.stage is FinetuneStage.READY:
            self.drop()
            self._store.set(stage=FinetuneStage.IDLE, plan=(), notes=(), message="")

    def _begin(self, message: str) -> None:
        self._store.set(
            stage=FinetuneStage.PREPARING,
            fraction=0.0,
            message=message,
            plan=(),
            notes=(),
            points=(),
            before=None,
            scores=(),
            summary="",
            warnings=(),
            can_go_on=False,
            problem="",
            details="",
        )

    def _start(self, job: Job) -> None:
        try:
            self._process = self._start_process(self._inference.deliver, self._told)
        except OSError as err:
            self._not_begun(err)
            return
        self._process.prepare(job.model, job.dataset, job.options)
        self._store.set(message="Starting …")

    def _not_begun(self, error: Exception) -> None:
        problem, details = trouble(error)
        self._store.set(stage=FinetuneStage.IDLE, message="", problem=problem, details=details)

    # --- what the process says ---

    def _told(self, said: Said) -> None:
        {
            "progress": self._progress,
            "planned": self._planned,
            "points": self._points,
            "done": self._done,
            "failed": self._failed,
        }[said["said"]](said)

    def _progress(self, said: Said) -> None:
        if self._store.now.stage in (FinetuneStage.PREPARING, FinetuneStage.RUNNING):
            self._store.set(fraction=said["fraction"], message=sentence(said["message"]).rstrip("."))

    def _planned(self, said: Said) -> None:
        self._plan = said
        notes = tuple(sentence(note) for note in said["notes"])
        lines, stage = plan_lines(said), FinetuneStage.READY
        self._store.set(stage=stage, plan=lines, notes=notes, message="", fraction=0.0)
        if self._runs_at_once:
            self._runs_at_once = False
            self.run()

    def _points(self, said: Said) -> None:
        before = list(said["before"].values())
        self._store.set(
            points=tuple((point["step"], point["mean_dice"]) for point in said["points"]),
            before=float(np.mean(before)) if before else None,
        )

    def _done(self, said: Said) -> None:
        self._process = None
        assert self._job is not None
        self._store.set(
            stage=FinetuneStage.IDLE,
            fraction=0.0,
            message="",
            plan=(),
            notes=(),
            scores=score_rows(said),
            summary=summary_words(said, self._job.name),
            warnings=tuple(sentence(warning) for warning in said["warnings"]),
        )
        if said["card"] is not None:
            self._finished(self._job, self._plan, Path(said["card"]))

    def _failed(self, said: Said) -> None:
        self._process = None
        was = self._store.now.stage
        was_running = was in (FinetuneStage.RUNNING, FinetuneStage.STOPPING)
        self._store.set(stage=FinetuneStage.IDLE, fraction=0.0, message="", plan=(), notes=())
        if said["kind"] == "cancelled" or was is FinetuneStage.STOPPING:
            text = said["message"] if said["kind"] == "cancelled" else "stopped at once"
            self._store.set(summary=stopped_words(text, self._plan["folder"]), can_go_on=was_running)
            return
        problem, details = trouble_of(said)
        self._store.set(problem=problem, details=details, can_go_on=was_running and said["kind"] != "refused")
