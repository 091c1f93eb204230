"""The layer of labels in which a click session is seen, and what the user paints into it; no Qt."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EffsegError
from ..protocols import SessionObject
from ..types import BoolArray, CancelCheck, Colour, IndexBox, IntArray, Progress
from ..volume import LabelMap, Volume
from .click_bench import Patch, names_and_colours, slices_of
from .click_places import frame_shown, slice_at
from .inference import Deliver
from .label_looks import colormap_of, features_of
from .placement import is_oblique
from .to_layer import labels_layer, labels_over_time, transform_like

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels

__all__ = ["Brushed", "ResultLayer", "warm_up"]

_OBJECTS = re.compile(r" objects( \[\d+\])?$")
"""How names of our layers end; napari numbers those that are there already."""


@dataclass(frozen=True, eq=False)
class Brushed:
    """What the user painted, or wiped away, in one go.

    Attributes
    ----------
    box : IndexBox
    inside : ndarray of bool, of the box's shape
    positive : bool
    frame : int
        Time point.
    """

    box: IndexBox
    inside: BoolArray
    positive: bool
    frame: int = 0


class ResultLayer:
    """Keeps a layer of labels and a session in step.

    The layer is made when there is something to see; if the user deletes it, the next answer makes it anew.

    Parameters
    ----------
    viewer : napari viewer model
    image : Image layer
    volume : Volume
        The session's image.
    level, frame : int, int or None
        Which level of a multiscale layer, which time point it is, where it is one of several.
    frames : int
        Time points of the session, all of which the layer holds.
    painted : callable
        ``painted(strokes, touched)``: told what the user painted, and whether finished objects were touched,
        which stay as they are.
    mode_changed : callable
        Told when the user takes a brush, or puts it away.
    later : callable
        Runs a function in the same thread after what happens now.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        image: Image,
        volume: Volume,
        level: int,
        frame: int | None,
        frames: int,
        painted: Callable[[tuple[Brushed, ...], bool], None],
        mode_changed: Callable[[], None],
        later: Deliver,
    ) -> None:
        self.layer: Labels | None = None
        self._viewer, self._image = viewer, image
        self._level, self._frame = level, frame
        self._painted, self._mode_changed, self._later = painted, mode_changed, later
        self._grid = volume.grid
        sides = (frames, *volume.shape)
        self._known: IntArray = np.zeros(sides, np.uint16)  # what the session says
        self._shown: IntArray = np.zeros(sides, np.uint16)  # what the layer holds, in the same order
        self._label = 1
        self._looks: tuple[Any, ...] = ()

    def close(self) -> None:
        """Listen no longer; the layer stays, as an ordinary one."""
        if self.layer is not None:
            self.layer.events.paint.disconnect(self._paint)
            self.layer.events.mode.disconnect(self._mode)
            self.layer = None

    @property
    def is_brushing(self) -> bool:
        """Whether the user has a brush of napari's in hand."""
        return self.layer is not None and str(self.layer.mode) not in ("pan_zoom", "transform")

    def show(self, patches: Sequence[Patch]) -> None:
        """Take over what the session says; what the user is just painting stays."""
        for patch in patches:
            there = (patch.frame, *slices_of(patch.box))
            shown, known = self._shown[there], self._known[there]
            ours = shown == known
            np.copyto(shown, patch.values, where=ours)
            known[...] = patch.values
        if self.layer is not None and self.layer in self._viewer.layers:
            self.layer.refresh()
        elif self._known.any():
            self.make()

    def look_like(self, objects: tuple[SessionObject, ...], at_hand: tuple[int, str, Colour]) -> None:
        """Show names and colours of the objects; the brush paints the one at hand."""
        looks = (objects, at_hand)
        self._label = at_hand[0]
        if looks != self._looks:
            self._looks = looks
            self._dress()

    def make(self) -> Labels:
        """Return the layer; make it if it is not there."""
        if self.layer is not None and self.layer in self._viewer.layers:
            return self.layer
        from napari.layers import Layer

        self.close()
        name = f"{self._image.name} objects"
        if len(self._shown) > 1:
            data, keywords, kind = labels_over_time(self._shown, self._image, name)
        else:
            labels = LabelMap(self._shown[0], self._grid.affine)
            data, keywords, kind = labels_layer(
                labels, self._image, name=name, level=self._level, frame=self._frame
            )
        keywords |= self._dress_words()
        self.layer = Layer.create(data, keywords, kind)
        active = self._viewer.layers.selection.active
        self._viewer.add_layer(self.layer)
        if active is not None:
            self._viewer.layers.selection.active = active
        self.layer.selected_label = self._label
        self.layer.events.paint.connect(self._paint)
        self.layer.events.mode.connect(self._mode)
        return self.layer

    def replace_alike(self) -> None:
        """Take the place of a layer that an earlier session left, if it shows just what this one does."""
        from napari.layers import Labels

        made = self.layer
        if made is None:
            return
        for layer in tuple(self._viewer.layers):
            if isinstance(layer, Labels) and layer is not made and _shows_the_same(layer, made):
                place, name = self._viewer.layers.index(layer), layer.name
                self._viewer.layers.remove(layer)
                self._viewer.layers.move(self._viewer.layers.index(made), place)
                made.name = name

    def brush(self, positive: bool) -> None:
        """Put napari's brush, or its eraser, into the user's hand."""
        layer = self.make()
        layer.visible = True
        self._viewer.layers.selection.active = layer
        layer.selected_label = self._label
        layer.mode = "paint" if positive else "erase"

    def put_away(self) -> None:
        """Take the brush out of the user's hand."""
        if self.layer is not None and self.is_brushing:
            self.layer.mode = "pan_zoom"
            if self._viewer.layers.selection.active is self.layer and self._image in self._viewer.layers:
                self._viewer.layers.selection.active = self._image

    def follow_image(self) -> None:
        """Lie where the image lies."""
        is_alike = self.layer is not None and self.layer.ndim == self._image.ndim
        if is_alike and self._level == 0 and (self._image.ndim <= 3 or len(self._shown) > 1):
            for name, value in transform_like(self._image, with_time=True).items():
                if name not in ("units", "axis_labels"):
                    setattr(self.layer, name, value)

    def _dress(self) -> None:
        if self.layer is not None:
            for name, value in self._dress_words().items():
                setattr(self.layer, name, value)
            self.layer.selected_label = self._label

    def _dress_words(self) -> dict[str, Any]:
        """Colours and names, as a layer of labels takes them."""
        if not self._looks:
            return {}
        looks = names_and_colours(*self._looks)
        return {"colormap": colormap_of(looks), "features": features_of(looks)}

    def _mode(self, event: Any = None) -> None:
        self._mode_changed()

    def _paint(self, event: Any = None) -> None:
        """Look soon: napari tells of a bucket before it is emptied."""
        self._later(self._look)

    def _look(self) -> None:
        """Find what the user has painted since, and tell; finished objects are put back."""
        if self.layer is None:
            return
        found = [self._look_at(frame) for frame in self._editable_frames()]
        strokes = tuple(stroke for some, _ in found for stroke in some)
        is_locked = any(touched for _, touched in found)
        if is_locked:
            self.layer.refresh()
        if strokes or is_locked:
            self._painted(strokes, is_locked)

    def _look_at(self, frame: int) -> tuple[list[Brushed], bool]:
        """Take over what was painted at a time point; whether finished objects were touched."""
        changed = self._changed(frame)
        if changed is None:
            return [], False
        there = (frame, *slices_of(changed))
        known, shown = self._known[there], self._shown[there]
        touched = shown != known
        locked = touched & (known > 0) & (known != self._label)
        locked |= touched & np.isin(shown, self._locked_labels())
        painted, wiped = touched & ~locked & (shown > 0), touched & ~locked & (shown == 0)
        shown[locked] = known[locked]
        shown[painted] = self._label
        known[painted], known[wiped] = self._label, 0
        strokes = [
            Brushed(*_cropped(changed, inside), positive, frame)
            for inside, positive in ((painted, True), (wiped, False))
            if inside.any()
        ]
        return strokes, bool(locked.any())

    def finished_at(self, frame: int, index: tuple[int, int, int]) -> str | None:
        """Name of the finished object at a voxel; None if there is none."""
        sides = self._known.shape[1:]
        if not all(0 <= at < side for at, side in zip(index, sides, strict=True)):
            return None
        label = int(self._known[(frame, *index)])
        objects = self._looks[0] if self._looks else ()
        return next((one.name for one in objects if one.label == label != self._label), None)

    def _locked_labels(self) -> list[int]:
        return [one.label for one in (self._looks[0] if self._looks else ()) if one.label != self._label]

    def _changed(self, frame: int) -> IndexBox | None:
        """Box of what differs from what the session says."""
        box = self._editable()
        there = (frame, *slices_of(box))
        differs = self._shown[there] != self._known[there]
        return _cropped(box, differs)[0] if differs.any() else None

    def _editable_frames(self) -> Sequence[int]:
        """Time points at which the brush can have painted."""
        frames = range(len(self._shown))
        if self.layer is None or len(frames) == 1 or self.layer.n_edit_dimensions > 3:
            return frames
        return [frame_shown(self._viewer, self._image)]

    def _editable(self) -> IndexBox:
        """Box in which the brush can have painted."""
        whole: IndexBox = ((0, 0, 0), self._grid.shape)
        layer = self.layer
        if layer is None or layer.n_edit_dimensions != 2 or is_oblique(self._image):
            return whole
        try:
            axis, at = slice_at(self._viewer, self._image, self._grid)
        except EffsegError:  # in 3D, say
            return whole
        if not 0 <= at < self._grid.shape[axis]:
            return whole
        low, high = [0, 0, 0], list(self._grid.shape)
        low[axis], high[axis] = at, at + 1
        return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def warm_up(progress: Progress, cancel: CancelCheck) -> None:
    """Have napari compile, away from the window, what coloured labels of 16 bits need."""
    from napari.layers import Labels
    from napari.utils import DirectLabelColormap

    colours = {None: (0.0, 0.0, 0.0, 0.0), 1: (1.0, 1.0, 1.0, 1.0)}
    made = DirectLabelColormap(color_dict=colours)
    Labels(np.ones((2, 2, 2), np.uint16), colormap=made)
    made.map(np.ones((2, 2), np.uint16))


def _shows_the_same(layer: Labels, other: Labels) -> bool:
    """Whether two layers of objects hold the same labels at the same place."""
    is_ours = _OBJECTS.search(layer.name) is not None
    one, two = layer.data, other.data
    if not is_ours or not isinstance(one, np.ndarray) or one.shape != two.shape or one.dtype != two.dtype:
        return False
    corners = [np.zeros(one.ndim), *np.diag(one.shape)]
    lies_there = all(np.allclose(layer.data_to_world(at), other.data_to_world(at)) for at in corners)
    return lies_there and np.array_equal(one, two)


def _cropped(box: IndexBox, inside: NDArray[np.bool_]) -> tuple[IndexBox, BoolArray]:
    """Box around what is set in a box, and what is set in it."""
    low, high = [], []
    for axis in range(3):
        set_at = np.flatnonzero(inside.any(axis=tuple(other for other in range(3) if other != axis)))
        low.append(int(set_at[0]))
        high.append(int(set_at[-1]) + 1)
    part = inside[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    i, j, k = box[0]
    return ((i + low[0], j + low[1], k + low[2]), (i + high[0], j + high[1], k + high[2])), part
