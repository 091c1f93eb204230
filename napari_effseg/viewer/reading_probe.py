"""Words about the place under the cursor; a value that has to be read from disk comes when it comes.

Works on napari's viewer model alone, without Qt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..volume import is_lazy
from .inference import Handlers, Inference
from .placement import level_array
from .reading_cursor import Voxel, label_words, labels_on_top, point_words, unit_of, value_words, voxel_at

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer

__all__ = ["NOTHING", "PENDING", "PlaceWords", "ReadingProbe"]

NOTHING = "-"
PENDING = "…"
_FAILED = "cannot be read"
_NO_SLICE = "only in slices (2D)"
_LANES = ("value", "label")


@dataclass(frozen=True)
class PlaceWords:
    """What the dock says about the voxel under the cursor.

    Attributes
    ----------
    voxel, place, value, label : str
        Index in the file, RAS mm, value of the image, name of the label; `PENDING` while it is being read.
    point_ras : (x, y, z) or None
        The place in numbers, None where there is none.
    """

    voxel: str = NOTHING
    place: str = NOTHING
    value: str = NOTHING
    label: str = ""
    point_ras: tuple[float, float, float] | None = None


class ReadingProbe:
    """Follows the cursor over an image.

    Parameters
    ----------
    viewer : ViewerModel
    reader : Inference
        Thread that reads single voxels of arrays that are not in memory; never more than one at a time, and
        the newest wins, so that a slow disk cannot pile up work.
    changed : callable
        Called, in the thread of the window, when words arrive late.
    """

    def __init__(self, viewer: ViewerModel, reader: Inference, changed: Callable[[], None]) -> None:
        self._viewer, self._reader, self._changed = viewer, reader, changed
        self.words = PlaceWords()

    def look(self, image: Image | Labels | None, position: Sequence[float], has_anatomy: bool) -> PlaceWords:
        """Say what is at a position of the canvas, at once as far as it is in memory.

        Parameters
        ----------
        image : Image or Labels layer, or None
        position : sequence of float
            Of the cursor, in the viewer's world.
        has_anatomy : bool
            Whether mm of the image are the patient's.
        """
        for lane in _LANES:
            self._reader.forget(lane)
        voxel = self._voxel_of(image, position)
        if image is None or voxel is None:
            in_space = image is not None and self._viewer.dims.ndisplay == 3
            self.words = PlaceWords(voxel=_NO_SLICE if in_space else NOTHING)
            return self.words
        i, j, k = voxel.index
        index = f"i {i}  j {j}" if image.ndim == 2 else f"i {i}  j {j}  k {k}"
        point = voxel.point_ras if has_anatomy else None
        self.words = PlaceWords(index, point_words(point) if point else NOTHING, point_ras=point)
        self._ask("value", image, voxel, partial(value_words, unit=unit_of(image)))
        labels = labels_on_top(self._viewer)
        on_labels = voxel if labels is image else self._voxel_of(labels, position)
        if labels is not None and on_labels is not None:
            self._ask("label", labels, on_labels, lambda value: label_words(labels, int(value)))
        return self.words

    def _voxel_of(self, layer: Layer | None, position: Sequence[float]) -> Voxel | None:
        return None if layer is None else voxel_at(self._viewer, layer, position)

    def _ask(self, lane: str, layer: Layer, voxel: Voxel, say: Callable[[Any], str]) -> None:
        array = level_array(layer)
        if not is_lazy(array):
            self._put(lane, say(array[voxel.array_index]))
            return
        self._put(lane, PENDING)
        handlers = Handlers[Any](
            done=lambda value: self._put_late(lane, say(value)),
            failed=lambda _: self._put_late(lane, _FAILED),
        )
        self._reader.submit(lane, lambda *_: np.asarray(array[voxel.array_index]), handlers)

    def _put(self, lane: str, words: str) -> None:
        self.words = replace(self.words, value=words) if lane == "value" else replace(self.words, label=words)

    def _put_late(self, lane: str, words: str) -> None:
        self._put(lane, words)
        self._changed()
