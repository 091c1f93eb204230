"""The session of the panel *Click segmentation*, touched in the inference thread alone.

What a window shows of it travels as plain values: `Answer`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..prompts import Prompt
from ..protocols import Session, SessionObject
from ..types import BoolArray, Colour, IndexBox, IntArray
from ..volume import LabelMap, Volume
from .click_gestures import edges_of

__all__ = ["Answer", "Bench", "Finished", "Patch", "slices_of"]

_MANY = 8
"""More boxes than this are sent as the one around them."""


@dataclass(frozen=True, eq=False)
class Patch:
    """Labels of a box of the image, the object at hand among them.

    Attributes
    ----------
    box : IndexBox
    values : ndarray of uint16, of the box's shape
    """

    box: IndexBox
    values: IntArray


@dataclass(frozen=True, eq=False)
class Finished:
    """Finished objects, and what the next one will be.

    Attributes
    ----------
    objects : tuple of SessionObject
    label, colour : int, Colour
        Of the object at hand.
    reopened : SessionObject or None
        One that was finished before, and is at hand again.
    """

    objects: tuple[SessionObject, ...]
    label: int
    colour: Colour
    reopened: SessionObject | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """What an action changed, and what can be done next.

    Attributes
    ----------
    patches : tuple of Patch
    prompts : mapping of int to Prompt
    undo, redo : str
    volume_ml : float
        Of the object at hand.
    finished : Finished or None
        None where no object was finished or opened again.
    hypotheses, chosen : int, int
        Of the slice that was asked about.
    seconds : float
        How long the action took.
    """

    patches: tuple[Patch, ...]
    prompts: Mapping[int, Prompt]
    undo: str
    redo: str
    volume_ml: float
    finished: Finished | None
    hypotheses: int
    chosen: int
    seconds: float


class Bench:
    """Holds a session, does what it is told, and says what has become of it.

    Parameters
    ----------
    session : Session
    volume : Volume
        Its image.
    """

    def __init__(self, session: Session, volume: Volume) -> None:
        self.session = session
        self._shape = volume.shape
        self._ml = volume.grid.voxel_mm3 / 1000
        self._boxes: list[IndexBox] = []
        self._taken: IntArray = np.zeros((), np.uint16)
        self._label = 1
        self._objects: tuple[SessionObject, ...] = ()
        session.listen(self._boxes.extend)

    def everything(self, where: tuple[int, int] | None) -> Answer:
        """Return the whole of it, as for a window that has seen nothing yet."""
        self._boxes.append(self._whole)
        return self._answer(where, 0.0)

    def do(self, action: Callable[[Session], object], where: tuple[int, int] | None) -> Answer:
        """Do something with the session.

        Parameters
        ----------
        action : callable
        where : (int, int) or None
            Slice whose hypotheses are asked for: axis across it, and its index.
        """
        self._boxes.clear()
        began = time.perf_counter()
        action(self.session)
        return self._answer(where, time.perf_counter() - began)

    def outline(self, prompt: Prompt, axis: int) -> tuple[NDArray[np.float64], float]:
        """Outline of what the mask of a slice would be with one more prompt, and the seconds that it took."""
        began = time.perf_counter()
        found = self.session.preview(prompt, shown=axis)
        pieces = [edges_of(values, box[0], axis) for box, values in found]
        edges = np.concatenate(pieces) if pieces else np.zeros((0, 2, 3))
        return edges, time.perf_counter() - began

    def close(self) -> None:
        """Free what the session holds."""
        self.session.close()

    @property
    def _whole(self) -> IndexBox:
        return ((0, 0, 0), self._shape)

    def _answer(self, where: tuple[int, int] | None, seconds: float) -> Answer:
        session = self.session
        finished = self._finished() if self._whole in self._boxes else None
        scores = () if where is None else session.hypotheses(*where)
        chosen = 0 if where is None else session.chosen(*where)
        return Answer(
            self._patches(),
            dict(session.prompts),
            session.undo_words,
            session.redo_words,
            float(np.count_nonzero(session.mask)) * self._ml,
            finished,
            len(scores),
            chosen,
            seconds,
        )

    def _finished(self) -> Finished:
        """Look at the finished objects again; only what changes the whole image changes them."""
        before = self._objects
        self._objects = self.session.objects
        self._taken = np.asarray(self.session.labels.data, np.uint16)
        known = {one.label for one in self._objects}
        self._label = max(known, default=0) + 1
        reopened = next((one for one in reversed(before) if one.label not in known), None)
        return Finished(self._objects, self._label, next_colour(self._objects), reopened)

    def _patches(self) -> tuple[Patch, ...]:
        boxes = list(dict.fromkeys(self._boxes))
        self._boxes.clear()
        if len(boxes) > _MANY:
            boxes = [_around(boxes)]
        return tuple(Patch(box, self._values(box)) for box in boxes)

    def _values(self, box: IndexBox) -> IntArray:
        there = slices_of(box)
        mask: BoolArray = self.session.mask[there]
        return np.where(mask, np.uint16(self._label), self._taken[there])


def next_colour(objects: tuple[SessionObject, ...]) -> Colour:
    """Colour that a session gives the next object by itself."""
    from ..engine.session.colours import next_colour as after  # not before torch is wanted

    return after(len(objects))


def slices_of(box: IndexBox) -> tuple[slice, slice, slice]:
    """Return the slices of a half-open box."""
    i, j, k = (slice(low, high) for low, high in zip(*box, strict=True))
    return i, j, k


def _around(boxes: list[IndexBox]) -> IndexBox:
    low = np.min([box[0] for box in boxes], axis=0).tolist()
    high = np.max([box[1] for box in boxes], axis=0).tolist()
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def names_and_colours(objects: tuple[SessionObject, ...], at_hand: tuple[int, str, Colour]) -> LabelMap:
    """Names and colours of all objects as a label map without voxels, for `label_looks`."""
    label, name, colour = at_hand
    names = {one.label: one.name for one in objects} | {label: name or f"object {label}"}
    colours: dict[int, Any] = {one.label: one.colour for one in objects} | {label: colour}
    return LabelMap(np.zeros((1, 1, 1), np.uint8), np.eye(4), names, colours)
