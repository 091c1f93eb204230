"""The table of a layer of labels: what it holds, and what its lines and buttons do. No Qt."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from ..errors import EffsegError, VolumeError
from ..io.atomic import Replacement, place_files, staging_path
from ..types import CancelCheck, Progress
from ..volume import same_grid
from .click_places import frame_shown
from .from_layer import frames_of, labels_of_layer, layer_to_volume
from .inference import Handlers, Inference
from .label_files import save_labels_layer
from .measure import LabelRow, measure_labels, rows_as_text
from .placement import grid_of_layer
from .reading_view import go_to
from .source import shows_doubt
from .words import sentence, trouble

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels

__all__ = ["LabelTable", "LabelTableState"]

_GRID_TOLERANCE_MM = 1e-3  # of layers that somebody else placed


@dataclass(frozen=True, eq=False)
class LabelTableState:
    """What the table shows.

    Attributes
    ----------
    layer : Labels layer or None
    image : str
        Name of the image whose intensities are averaged, "" for none.
    rows : tuple of LabelRow
    is_measuring : bool
    is_saving : bool
    note : str
        What was done, or why something could not be done.
    is_problem : bool
        Whether `note` tells of trouble.
    """

    layer: Labels | None = None
    image: str = ""
    rows: tuple[LabelRow, ...] = ()
    is_measuring: bool = False
    is_saving: bool = False
    note: str = ""
    is_problem: bool = False


class LabelTable:
    """Follows the layer of labels that is selected in the viewer, and measures it again when it is edited.

    Parameters
    ----------
    viewer : napari viewer model
    inference : Inference
        Measures and saves.
    """

    changed = Signal(LabelTableState)

    def __init__(self, viewer: ViewerModel, inference: Inference) -> None:
        self.now = LabelTableState()
        self._viewer = viewer
        self._inference = inference
        viewer.layers.selection.events.active.connect(self._follow)
        viewer.layers.events.removed.connect(self._forget_removed)
        viewer.dims.events.point.connect(self._follow_time)
        self._frame = 0  # the time point that was measured
        self._follow()

    def close(self) -> None:
        """Listen no longer."""
        self._viewer.layers.selection.events.active.disconnect(self._follow)
        self._viewer.layers.events.removed.disconnect(self._forget_removed)
        self._viewer.dims.events.point.disconnect(self._follow_time)
        self._listen(None)

    def show(self, layer: Labels, rows: tuple[LabelRow, ...], image: str) -> None:
        """Show a layer that was measured already."""
        self._inference.forget("measure")
        self._listen(layer)
        self._set(layer=layer, rows=rows, image=image, is_measuring=False, note="", is_problem=False)

    def select(self, label: int) -> None:
        """Select a label in its layer, and move sliders and canvas to its middle."""
        layer = self.now.layer
        row = next((row for row in self.now.rows if row.label == label), None)
        if layer is None or row is None:
            return
        layer.selected_label = label
        self._viewer.layers.selection.active = layer
        if row.place_ras is None:
            self._set(note=f"{row.name} does not occur in this image.", is_problem=False)
            return
        try:
            go_to(self._viewer, layer, row.place_ras)
        except EffsegError as err:
            self._set(note=sentence(str(err)), is_problem=True)

    def text(self, separator: str = "\t") -> str:
        """Return the table as text, such as for the clipboard."""
        return rows_as_text(self.now.rows, separator)

    def save_table(self, path: Path) -> None:
        """Write the table as comma-separated values; an older file of the name is replaced."""
        text = self.text(",")

        def write(progress: Progress, cancel: CancelCheck) -> str:
            with staging_path(path) as staged:
                staged.write_text(text, encoding="utf-8", newline="")
                place_files([Replacement(path, staged)])
            return f"Wrote {path}."

        self._submit_saving(write, path)

    def save_labels(self, path: Path) -> None:
        """Write the layer with its names, colours and codes; the ending of the file picks the format."""
        layer = self.now.layer
        if layer is None:
            return

        def write(progress: Progress, cancel: CancelCheck) -> str:
            return save_layer(layer, path)

        self._submit_saving(write, path)

    # --- saving ---

    def _submit_saving(self, write: Callable[[Progress, CancelCheck], str], path: Path) -> None:
        self._set(is_saving=True, note=f"Writing {path.name} …", is_problem=False)
        handlers = Handlers[str](
            done=lambda said: self._set(is_saving=False, note=said, is_problem=False),
            failed=lambda err: self._set(is_saving=False, note=trouble(err)[0], is_problem=True),
        )
        self._inference.submit("save", write, handlers)

    # --- measuring ---

    def _follow(self, event: Any = None) -> None:
        from napari.layers import Labels

        active = self._viewer.layers.selection.active
        if isinstance(active, Labels) and active is not self.now.layer:
            self._listen(active)
            self._set(layer=active, rows=(), image="", note="", is_problem=False)
            self._measure()

    def _follow_time(self, event: Any = None) -> None:
        """Measure the time point that is shown."""
        layer = self.now.layer
        if layer is not None and frames_of(layer) > 1 and frame_shown(self._viewer, layer) != self._frame:
            self._measure()

    def _forget_removed(self, event: Any = None) -> None:
        if self.now.layer is not None and self.now.layer not in self._viewer.layers:
            self._inference.forget("measure")
            self._listen(None)
            self._set(layer=None, rows=(), image="", is_measuring=False, note="", is_problem=False)

    def _listen(self, layer: Labels | None) -> None:
        for old, connect in ((self.now.layer, False), (layer, True)):
            if old is None:
                continue
            for name in ("paint", "data", "features", "colormap"):
                emitter = getattr(old.events, name)
                if connect:
                    emitter.connect(self._measure)
                else:
                    emitter.disconnect(self._measure)

    def _measure(self, event: Any = None) -> None:
        layer = self.now.layer
        if layer is None:
            return
        image = self._image_of(layer)
        over_time = frames_of(layer) > 1
        frame = self._frame = frame_shown(self._viewer, layer) if over_time else 0
        self._set(is_measuring=True)

        def measure(progress: Progress, cancel: CancelCheck) -> tuple[LabelRow, ...]:
            voxels = None
            if image is not None:
                is_channels = image.ndim == 4 and not over_time
                voxels = layer_to_volume(image, frame=frame, channels=is_channels).data
            return measure_labels(labels_of_layer(layer, frame), voxels, cancel)

        name = "" if image is None else f"{image.name}, time point {frame}" if over_time else image.name
        handlers = Handlers[tuple[LabelRow, ...]](
            done=lambda rows: self._set(rows=rows, image=name, is_measuring=False),
            failed=lambda err: self._set(is_measuring=False, note=trouble(err)[0], is_problem=True),
        )
        self._inference.submit("measure", measure, handlers)

    def _image_of(self, labels: Labels) -> Image | None:
        """Topmost image that lies on exactly the same voxels, and has one value for each."""
        from napari.layers import Image

        with contextlib.suppress(VolumeError):
            grid = grid_of_layer(labels)
            for layer in reversed(list(self._viewer.layers)):
                if not isinstance(layer, Image) or layer.ndim != labels.ndim or shows_doubt(layer):
                    continue
                if same_grid(grid_of_layer(layer), grid, _GRID_TOLERANCE_MM):
                    return layer
        return None

    def _set(self, **changes: Any) -> None:
        self.now = replace(self.now, **changes)
        self.changed.emit(self.now)


def save_layer(layer: Labels, path: Path) -> str:
    """Write a layer of labels; return what to tell the user."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        written = save_labels_layer(layer, path)
    files = str(written[0]) if len(written) == 1 else f"{written[0]} to {written[-1].name}"
    return " ".join((f"Wrote {files}.", *(sentence(str(one.message)) for one in said)))
