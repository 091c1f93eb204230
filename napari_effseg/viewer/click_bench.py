"""The session of the panel *Click segmentation*, touched in the inference thread alone.

What a window shows of it travels as plain values: `Answer`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..object_colours import next_colour
from ..prompts import Prompt
from ..protocols import LooksAhead, Session, SessionObject
from ..time_session import TimeSession
from ..types import BoolArray, CancelCheck, Colour, IndexBox, IntArray
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
    frame : int
        Time point.
    """

    box: IndexBox
    values: IntArray
    frame: int = 0


@dataclass(frozen=True, eq=False)
class Finished:
    """Finished objects, and what the next one will be.

    Attributes
    ----------
    objects : tuple of SessionObject
        Of all time points; their volumes are those of the one at hand.
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
    frame : int
        Time point at hand; prompts, volume and hypotheses are those of it.
    prompts : mapping of int to Prompt
    undo, redo : str
    volume_ml : float
        Of the object at hand.
    has_mask : bool
        Whether the object at hand is seen at any time point.
    finished : Finished or None
        None where no object was finished or opened again, and the time point is the same.
    hypotheses, chosen : int, int
        Of the slice that was asked about.
    seconds : float
        How long the action took.
    """

    patches: tuple[Patch, ...]
    frame: int
    prompts: Mapping[int, Prompt]
    undo: str
    redo: str
    volume_ml: float
    has_mask: bool
    finished: Finished | None
    hypotheses: int
    chosen: int
    seconds: float


class Bench:
    """Holds a session, does what it is told, and says what has become of it.

    Parameters
    ----------
    session : Session
        Of one image, or over time.
    volume : Volume
        Its image, or that of a time point.
    """

    def __init__(self, session: Session, volume: Volume) -> None:
        self.session = session
        self._shape = volume.shape
        self._ml = volume.grid.voxel_mm3 / 1000
        sessions = session.sessions if isinstance(session, TimeSession) else (session,)
        self._moments = tuple(_Moment(one) for one in sessions)
        self._label = 1
        self._told = -1  # the time point that was at hand in the last answer

    def everything(self, where: tuple[int, int] | None, frame: int | None = None) -> Answer:
        """Return the whole of it, as for a window that has seen nothing yet."""
        self._go_to(frame)
        for moment in self._moments:
            moment.boxes.append(self._whole)
        return self._answer(where, 0.0)

    def do(
        self, action: Callable[[Session], object], where: tuple[int, int] | None, frame: int | None = None
    ) -> Answer:
        """Do something with the session.

        Parameters
        ----------
        action : callable
        where : (int, int) or None
            Slice whose hypotheses are asked for: axis across it, and its index.
        frame : int, optional
            Time point that comes to hand first.
        """
        for moment in self._moments:
            moment.boxes.clear()
        began = time.perf_counter()
        self._go_to(frame)
        action(self.session)
        return self._answer(where, time.perf_counter() - began)

    def outline(
        self, prompt: Prompt, axis: int, frame: int | None = None
    ) -> tuple[NDArray[np.float64], float]:
        """Outline of what the mask of a slice would be with one more prompt, and the seconds that it took."""
        began = time.perf_counter()
        self._go_to(frame)
        found = self.session.preview(prompt, shown=axis)
        pieces = [edges_of(values, box[0], axis) for box, values in found]
        edges = np.concatenate(pieces) if pieces else np.zeros((0, 2, 3))
        return edges, time.perf_counter() - began

    def look_ahead(self, where: tuple[int, int], cancel: CancelCheck) -> None:
        """Get ready for prompts in the slices beside one, where the session can."""
        if isinstance(self.session, LooksAhead):
            self.session.look_ahead(*where, cancel=cancel)

    def close(self) -> None:
        """Free what the session holds."""
        self.session.close()

    @property
    def _whole(self) -> IndexBox:
        return ((0, 0, 0), self._shape)

    @property
    def _frame(self) -> int:
        return self.session.frame if isinstance(self.session, TimeSession) else 0

    def _go_to(self, frame: int | None) -> None:
        if isinstance(self.session, TimeSession) and frame is not None:
            self.session.frame = frame

    def _answer(self, where: tuple[int, int] | None, seconds: float) -> Answer:
        session, frame = self.session, self._frame
        is_other = any(self._whole in moment.boxes for moment in self._moments)
        finished = self._finished() if is_other or frame != self._told else None
        self._told = frame
        scores = () if where is None else session.hypotheses(*where)
        chosen = 0 if where is None else session.chosen(*where)
        patches = tuple(
            Patch(box, moment.values(box, self._label), at)
            for at, moment in enumerate(self._moments)
            for box in moment.changed()
        )
        return Answer(
            patches,
            frame,
            dict(session.prompts),
            session.undo_words,
            session.redo_words,
            self._moments[frame].voxels * self._ml,
            any(moment.voxels for moment in self._moments),
            finished,
            len(scores),
            chosen,
            seconds,
        )

    def _finished(self) -> Finished:
        """Look at the finished objects again where the whole image has changed; nothing else changes them."""
        before = self._objects()
        for moment in self._moments:
            if self._whole in moment.boxes:
                moment.look()
        objects = self._objects()
        known = {one.label for one in objects}
        self._label = max(known, default=0) + 1
        reopened = next((one for one in reversed(before) if one.label not in known), None)
        return Finished(objects, self._label, next_colour(len(objects)), reopened)

    def _objects(self) -> tuple[SessionObject, ...]:
        """Objects of all time points, with their volumes at the one at hand."""
        here = self._moments[self._frame].objects
        every = {one.label: replace(one, volume_ml=0.0) for moment in self._moments for one in moment.objects}
        every |= {one.label: one for one in here}
        return here if len(self._moments) == 1 else tuple(every[label] for label in sorted(every))


class _Moment:
    """The session of one time point, and what was seen of it last."""

    def __init__(self, session: Session) -> None:
        self.boxes: list[IndexBox] = []
        """What has changed since."""
        self.objects: tuple[SessionObject, ...] = ()
        self.voxels = 0
        """Of the object at hand."""
        self._session = session
        self._taken: IntArray = np.zeros((), np.uint16)
        session.listen(self.boxes.extend)

    def look(self) -> None:
        """Look at the finished objects again."""
        self.objects = self._session.objects
        self._taken = np.asarray(self._session.labels.data, np.uint16)

    def changed(self) -> tuple[IndexBox, ...]:
        """Boxes that have changed, each once."""
        boxes = list(dict.fromkeys(self.boxes))
        self.boxes.clear()
        if boxes:
            self.voxels = int(np.count_nonzero(self._session.mask))
        return (_around(boxes),) if len(boxes) > _MANY else tuple(boxes)

    def values(self, box: IndexBox, label: int) -> IntArray:
        """Labels of a box, `label` being that of the object at hand."""
        there = slices_of(box)
        mask: BoolArray = self._session.mask[there]
        return np.where(mask, np.uint16(label), self._taken[there])


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
