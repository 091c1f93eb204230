"""A run of the panel *Automatic segmentation*: begun, watched, cancelled; its result goes into the viewer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import EffsegError
from ..types import CancelCheck, Progress
from ..volume import Reorientation, same_grid
from ..zoo.card import Card
from .case import Case
from .engines import trouble_in_run
from .fitting import channels_lead
from .from_layer import frames_of
from .inference import Handlers, Inference, Ticket
from .label_table import LabelTable
from .measure import LabelRow, measure_labels
from .placement import placement_of
from .queueing import Queued, Task, run_queue
from .reading_view import put_sliders, shows_labels
from .source import METADATA_KEY, REPORT_KEY, source_of
from .state import Stage, Store
from .to_layer import doubt_layer, labels_layer
from .words import outcome_words, sentence

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from ..engine import Combined
    from .automatic import Automatic

__all__ = ["Run", "Runner", "warm_up"]


@dataclass(frozen=True, eq=False)
class Run:
    """A run that was begun: what it segments by which models, and where its image lay then."""

    case: Case
    cards: tuple[Card, ...]
    level: int
    view: Reorientation
    later_wins: bool = False

    @property
    def name(self) -> str:
        """Name of the layer to be."""
        return f"{self.case.image.name} segmentation"

    @property
    def frame(self) -> int | None:
        """Time point, where the image has several."""
        image = self.case.image
        is_whole = any(channels_lead(image, card) for card in self.cards)
        return self.case.frame if frames_of(image) > 1 and not is_whole else None


@dataclass(frozen=True, eq=False)
class _Finished:
    """What a run gave: layers ready to be shown, since napari compiles code when it makes the first."""

    queued: Queued
    rows: tuple[LabelRow, ...]
    labels: Labels
    doubt: Image


class Runner:
    """Runs a model on the inference thread, and adds what comes out to the viewer.

    Parameters
    ----------
    viewer : napari viewer model
    inference : Inference
    store : Store
        Is told how far the run is and how it went.
    table : LabelTable
        Shows the new labels.
    settled : callable
        Called when a run has ended, before its outcome is told.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        inference: Inference,
        store: Store,
        table: LabelTable,
        settled: Callable[[], None],
    ) -> None:
        self._viewer = viewer
        self._inference = inference
        self._store = store
        self._table = table
        self._settled = settled
        self._ticket: Ticket | None = None
        self._is_closed = False

    def close(self) -> None:
        """Forget what is under way."""
        self._is_closed = True
        self._inference.forget("run")

    def start(self, run: Run, engine: Automatic, device: str) -> None:
        """Segment; what is segmented are the layers as they are now."""
        boxes = run.case.boxes(run.level)
        tasks = [Task(card, run.case.parts(card, run.level).joined) for card in run.cards]

        def work(progress: Progress, cancel: CancelCheck) -> _Finished:
            queued = run_queue(tasks, engine, device, boxes, run.later_wins, progress, cancel)
            stop = cancel if len(tasks) == 1 else _never  # what a queue has finished is kept
            return _finished(run, queued, measure_labels(queued.combined.labels, queued.volume.data, stop))

        self._store.set(
            stage=Stage.RUNNING,
            fraction=0.0,
            message="Starting …",
            problem="",
            details="",
            summary="",
            warnings=(),
        )
        handlers = Handlers[_Finished](
            done=lambda finished: self._show(run, finished), failed=self._failed, progress=self._progress
        )
        self._ticket = self._inference.submit("run", work, handlers)

    def cancel(self) -> None:
        """Stop the run at the next place where it can stop."""
        if self._ticket is not None and self._store.now.stage is Stage.RUNNING:
            self._ticket.cancel()
            self._store.set(stage=Stage.STOPPING, message="Stopping after this step …")

    def _progress(self, fraction: float, message: str) -> None:
        if self._store.now.stage is Stage.RUNNING:
            self._store.set(fraction=fraction, message=sentence(message).rstrip("."))

    def _failed(self, error: Exception) -> None:
        problem, details = trouble_in_run(error)
        self._end()
        self._store.set(problem=problem, details=details)

    def _end(self) -> None:
        self._ticket = None
        self._store.set(stage=Stage.IDLE, fraction=0.0, message="")
        self._settled()

    # --- the result ---

    def _show(self, run: Run, finished: _Finished) -> None:
        """Add labels, and below them doubt, exactly where the image is."""
        note, labels = self._moved(run), finished.labels
        if note:
            labels = _labels_alone(run, finished.queued.combined)
        self._viewer.add_layer(labels)
        if not note:  # in a later turn, so that the window is never held up by both
            self._inference.deliver(lambda: self._insert_below(finished.doubt, labels))
        self._table.show(labels, finished.rows, run.case.image.name)
        self._bring_into_sight(labels, finished.rows)
        self._end()
        outcome = outcome_words(finished.queued, finished.rows, len(run.cards))
        self._store.set(
            summary=f"{outcome.summary}, in the layer “{labels.name}”.{note}",
            warnings=outcome.warnings,
            details=outcome.details,
        )

    def _bring_into_sight(self, labels: Labels, rows: tuple[LabelRow, ...]) -> None:
        """Move the sliders to the largest label, where the slice that is shown holds none at all."""
        places = {row.voxels: row.place_ras for row in rows if row.place_ras is not None}
        if places and not shows_labels(self._viewer, labels):
            put_sliders(self._viewer, labels, places[max(places)])

    def _insert_below(self, doubt: Image, labels: Labels) -> None:
        layers = self._viewer.layers
        if self._is_closed or labels not in layers:
            return
        active = layers.selection.active
        layers.insert(layers.index(labels), doubt)
        layers.selection.active = active

    def _moved(self, run: Run) -> str:
        """Say that the image is no longer where it was when the run began; "" if it is."""
        image = run.case.image
        if image not in self._viewer.layers:
            return " The image was closed meanwhile."
        try:
            here = same_grid(placement_of(image).source, run.view.source)
        except EffsegError:
            here = False
        return "" if here else " The image was moved meanwhile; the result lies where it was."


def _never() -> bool:
    return False


def _finished(run: Run, queued: Queued, rows: tuple[LabelRow, ...]) -> _Finished:
    from napari.layers import Layer

    image, result = run.case.image, queued.combined
    labels = labels_layer(result.labels, image, name=run.name, level=run.level, frame=run.frame)
    labels[1]["metadata"][REPORT_KEY] = result.to_json()
    doubt = doubt_layer(result.doubt, image, level=run.level, frame=run.frame)
    return _Finished(queued, rows, Layer.create(*labels), Layer.create(*doubt))


def _labels_alone(run: Run, result: Combined) -> Labels:
    """Layer of labels where the image was, which is no longer there."""
    from napari.layers import Layer

    labels = labels_layer(result.labels, name=run.name)
    metadata, image = labels[1]["metadata"], source_of(run.case.image)
    knows_sides = image is not None and image.knows_sides
    metadata[METADATA_KEY] = replace(metadata[METADATA_KEY], knows_sides=knows_sides)
    metadata[REPORT_KEY] = result.to_json()
    return Layer.create(*labels)


def warm_up(progress: Progress, cancel: CancelCheck) -> None:
    """Have napari compile, away from the window, what the first coloured labels and shapes need."""
    from napari.layers import Labels, Shapes
    from napari.utils import DirectLabelColormap

    colours = {None: (0.0, 0.0, 0.0, 0.0), 1: (1.0, 1.0, 1.0, 1.0)}
    Labels(np.ones((2, 2, 2), np.uint8), colormap=DirectLabelColormap(color_dict=colours))
    Shapes(ndim=3).add_rectangles(np.array([(0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0)]))
