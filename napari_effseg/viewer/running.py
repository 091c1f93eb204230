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
from .fitting import channels_lead
from .from_layer import frames_of
from .inference import Handlers, Inference, Ticket
from .label_table import LabelTable
from .measure import LabelRow, measure_labels
from .placement import placement_of
from .reading_view import put_sliders, shows_labels
from .source import METADATA_KEY, REPORT_KEY, source_of
from .state import Stage, Store
from .to_layer import doubt_layer, labels_layer
from .words import sentence, trouble

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from ..engine import Result

__all__ = ["Run", "Runner", "warm_up"]


@dataclass(frozen=True, eq=False)
class Run:
    """A run that was begun: what it segments, and where its image lay then."""

    case: Case
    card: Card
    level: int
    view: Reorientation

    @property
    def name(self) -> str:
        """Name of the layer to be."""
        return f"{self.case.image.name} segmentation"

    @property
    def frame(self) -> int | None:
        """Time point, where the image has several."""
        image = self.case.image
        return self.case.frame if frames_of(image) > 1 and not channels_lead(image, self.card) else None


@dataclass(frozen=True, eq=False)
class _Finished:
    """What a run gave: layers ready to be shown, since napari compiles code when it makes the first."""

    result: Result
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

    def start(self, run: Run, device: str) -> None:
        """Segment; what is segmented are the layers as they are now."""
        card = run.card
        parts, boxes = run.case.parts(card, run.level), run.case.boxes(run.level)

        def work(progress: Progress, cancel: CancelCheck) -> _Finished:
            from ..engine import segment

            volume = parts.joined()
            result = segment(volume, card, device, boxes or None, progress, cancel)
            return _finished(run, result, measure_labels(result.labels, volume.data, cancel))

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
        problem, details = trouble(error)
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
            labels = _labels_alone(run, finished.result)
        self._viewer.add_layer(labels)
        if not note:  # in a later turn, so that the window is never held up by both
            self._inference.deliver(lambda: self._insert_below(finished.doubt, labels))
        self._table.show(labels, finished.rows, run.case.image.name)
        self._bring_into_sight(labels, finished.rows)
        self._end()
        found = sum(row.voxels > 0 for row in finished.rows)
        report = finished.result.report
        self._store.set(
            summary=f"Done in {report.seconds:.1f} s on {report.device}: {found} of "
            f"{len(finished.rows)} structures found, in the layer “{labels.name}”.{note}",
            warnings=tuple(sentence(warning) for warning in report.warnings),
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


def _finished(run: Run, result: Result, rows: tuple[LabelRow, ...]) -> _Finished:
    from napari.layers import Layer

    image = run.case.image
    labels = labels_layer(result.labels, image, name=run.name, level=run.level, frame=run.frame)
    labels[1]["metadata"][REPORT_KEY] = result.report.to_json()
    doubt = doubt_layer(result.doubt, image, level=run.level, frame=run.frame)
    return _Finished(result, rows, Layer.create(*labels), Layer.create(*doubt))


def _labels_alone(run: Run, result: Result) -> Labels:
    """Layer of labels where the image was, which is no longer there."""
    from napari.layers import Layer

    labels = labels_layer(result.labels, name=run.name)
    metadata, image = labels[1]["metadata"], source_of(run.case.image)
    knows_sides = image is not None and image.knows_sides
    metadata[METADATA_KEY] = replace(metadata[METADATA_KEY], knows_sides=knows_sides)
    metadata[REPORT_KEY] = result.report.to_json()
    return Layer.create(*labels)


def warm_up(progress: Progress, cancel: CancelCheck) -> None:
    """Have napari compile, away from the window, what the first coloured labels and shapes need."""
    from napari.layers import Labels, Shapes
    from napari.utils import DirectLabelColormap

    colours = {None: (0.0, 0.0, 0.0, 0.0), 1: (1.0, 1.0, 1.0, 1.0)}
    Labels(np.ones((2, 2, 2), np.uint8), colormap=DirectLabelColormap(color_dict=colours))
    Shapes(ndim=3).add_rectangles(np.array([(0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0)]))
