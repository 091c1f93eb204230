"""A click session on several images of one place, one after the other: a structure followed through time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

import numpy as np
from torch import Tensor

from ...errors import PromptError, VolumeError
from ...prompt_voxels import plane_of
from ...prompts import Point, Prompt
from ...protocols import Listener, SessionObject
from ...types import BoolArray, CancelCheck, Colour, IndexBox, PathLike, Progress
from ...volume import LabelMap, Volume
from .body import SliceBody
from .local import LocalSession
from .propagate import Gap, Line, carry, gaps_between, ticker

__all__ = ["TIME", "TimeSession"]

TIME = "time"
"""What is given to `TimeSession.propagate` for an axis."""


class TimeSession:
    """See `protocols.Session`; masks, labels and prompts are those of the time point at hand.

    Parameters
    ----------
    sessions : sequence of LocalSession
        One a time point, of one grid.
    body : SliceBody
        The network of all of them.
    done : sequence of (sequence of int), optional
        The time points that each action so far has changed, to go on from.
    write : callable, optional
        ``write(session, path)`` saves it; given by who knows files.

    Attributes
    ----------
    sessions : tuple of LocalSession

    Raises
    ------
    VolumeError
        If the images do not share a grid.
    """

    def __init__(
        self,
        sessions: Sequence[LocalSession],
        body: SliceBody,
        done: Sequence[Sequence[int]] = (),
        write: Callable[[TimeSession, PathLike], None] | None = None,
    ) -> None:
        _check([session.scene.volume for session in sessions])
        self.sessions = tuple(sessions)
        self._body, self._write = body, write
        self._done, self._undone = [tuple(frames) for frames in done], list[tuple[int, ...]]()
        self._frame = self._done[-1][0] if self._done else 0
        self._listeners: list[Listener] = []

    @property
    def frame(self) -> int:
        """The time point at hand, from 0; may be set."""
        return self._frame

    @frame.setter
    def frame(self, frame: int) -> None:
        if not 0 <= frame < len(self.sessions):
            raise PromptError(
                f"time point {frame} was given; there are {len(self.sessions)}, numbered from 0"
            )
        self._frame = frame
        self._tell()

    @property
    def done(self) -> tuple[tuple[int, ...], ...]:
        """The time points that each action has changed, in order."""
        return tuple(self._done)

    @property
    def masks(self) -> tuple[BoolArray, ...]:
        """The object at hand at every time point."""
        return tuple(session.mask for session in self.sessions)

    @property
    def all_labels(self) -> tuple[LabelMap, ...]:
        """All finished objects at every time point."""
        return tuple(session.labels for session in self.sessions)

    @property
    def mask(self) -> BoolArray:
        """The object at hand, now; read only."""
        return self._now.mask

    @property
    def labels(self) -> LabelMap:
        """All finished objects, now."""
        return self._now.labels

    @property
    def objects(self) -> tuple[SessionObject, ...]:
        """Finished objects, now."""
        return self._now.objects

    @property
    def prompts(self) -> Mapping[int, Prompt]:
        """Prompts of the object at hand, now, by their numbers."""
        return self._now.prompts

    @property
    def undo_words(self) -> str:
        """What `undo` would take back."""
        return self.sessions[self._done[-1][0]].undo_words if self._done else ""

    @property
    def redo_words(self) -> str:
        """What `redo` would bring back."""
        return self.sessions[self._undone[-1][0]].redo_words if self._undone else ""

    @property
    def _now(self) -> LocalSession:
        return self.sessions[self._frame]

    def add(self, prompt: Prompt, *, shown: int | None = None) -> int:
        """See `protocols.Session.add`; numbers are given anew at each time point."""
        number = self._now.add(prompt, shown=shown)
        self._note((self._frame,))
        return number

    def remove(self, prompt_id: int) -> None:
        """See `protocols.Session.remove`."""
        self._now.remove(prompt_id)
        self._note((self._frame,))

    def edit(self, prompt_id: int, prompt: Prompt) -> None:
        """See `protocols.Session.edit`."""
        self._now.edit(prompt_id, prompt)
        self._note((self._frame,))

    def paint(self, box: IndexBox, inside: BoolArray, *, positive: bool = True) -> int:
        """See `protocols.Session.paint`."""
        number = self._now.paint(box, inside, positive=positive)
        self._note((self._frame,))
        return number

    def hypotheses(self, axis: int, index: int) -> tuple[float, ...]:
        """See `protocols.Session.hypotheses`."""
        return self._now.hypotheses(axis, index)

    def choose(self, axis: int, index: int, hypothesis: int) -> None:
        """See `protocols.Session.choose`."""
        self._now.choose(axis, index, hypothesis)
        self._note((self._frame,))

    def chosen(self, axis: int, index: int) -> int:
        """See `protocols.Session.chosen`."""
        return self._now.chosen(axis, index)

    def preview(self, prompt: Prompt, *, shown: int | None = None) -> tuple[tuple[IndexBox, BoolArray], ...]:
        """See `protocols.Session.preview`."""
        return self._now.preview(prompt, shown=shown)

    def propagate(
        self,
        axis: int | str = TIME,
        *,
        progress: Progress | None = None,
        cancel: CancelCheck | None = None,
    ) -> None:
        """Carry the answer on through the volume, or with "time" to the other time points.

        Time points with prompts of their own stay as they are, and the others follow from those beside them;
        without any, all follow from those that show the object.

        Raises
        ------
        PromptError
            If no time point shows the object.
        Cancelled
            If `cancel` said so; nothing has changed.
        """
        if axis != TIME:
            if isinstance(axis, str):
                raise PromptError(f"axis {axis!r} was given to propagate along; expected 0, 1, 2 or {TIME!r}")
            self._now.propagate(axis, progress=progress, cancel=cancel)
            self._note((self._frame,))
            return
        found = self._through_time(progress, cancel)
        changed = [frame for frame, mask in found.items() if (mask != self.sessions[frame].mask).any()]
        for frame in changed:
            self.sessions[frame].bring(found[frame])
        if changed:
            self._note(tuple(changed))

    def commit(self, label: int | None = None, name: str = "", colour: Colour | None = None) -> int:
        """See `protocols.Session.commit`; at all time points that show the object."""
        frames = [frame for frame, session in enumerate(self.sessions) if session.mask.any()]
        if not frames:
            raise PromptError("there is nothing to finish: no voxel is in the object at hand")
        if label is None:
            label = 1 + max((one.label for session in self.sessions for one in session.objects), default=0)
        for frame in frames:
            self.sessions[frame].commit(label, name, colour)
        self._note(tuple(frames))
        return label

    def undo(self) -> str:
        """See `protocols.Session.undo`; the time point of the action comes to hand."""
        if not self._done:
            return ""
        frames = self._done.pop()
        self._undone.append(frames)
        words = [self.sessions[frame].undo() for frame in frames]
        self._go_to(frames)
        return words[0]

    def redo(self) -> str:
        """See `protocols.Session.redo`; the time point of the action comes to hand."""
        if not self._undone:
            return ""
        frames = self._undone.pop()
        self._done.append(frames)
        words = [self.sessions[frame].redo() for frame in frames]
        self._go_to(frames)
        return words[0]

    def save(self, path: PathLike) -> None:
        """See `protocols.Session.save`."""
        if self._write is None:
            raise PromptError("this session was opened without a way to save it")
        self._write(self, path)

    def listen(self, listener: Listener) -> None:
        """See `protocols.Session.listen`; boxes are those of the time point at hand."""
        self._listeners.append(listener)

    def close(self) -> None:
        """See `protocols.Session.close`."""
        for session in self.sessions:
            session.close()
        self._listeners.clear()

    def __enter__(self) -> TimeSession:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _note(self, frames: tuple[int, ...]) -> None:
        """Remember which time points an action has changed."""
        self._done.append(frames)
        self._undone.clear()
        self._tell()

    def _go_to(self, frames: tuple[int, ...]) -> None:
        if self._frame not in frames:
            self._frame = frames[0]
        self._tell()

    def _tell(self) -> None:
        whole: IndexBox = ((0, 0, 0), self._now.scene.shape)
        for listener in self._listeners:
            listener((whole,))

    def _through_time(self, progress: Progress | None, cancel: CancelCheck | None) -> dict[int, BoolArray]:
        """Masks of the time points that follow from others."""
        anchors = [frame for frame, session in enumerate(self.sessions) if session.prompts]
        shown = [frame for frame, session in enumerate(self.sessions) if session.mask.any()]
        anchors = [frame for frame in anchors if frame in shown] or shown
        if not anchors:
            raise PromptError("there is nothing to propagate: no time point shows the object")
        axis = self._axis(anchors)
        gaps = self._gaps(axis, anchors)
        tick = ticker([gap for every in gaps.values() for gap in every], progress, cancel)
        found = {
            frame: np.zeros(self._now.scene.shape, bool)
            for frame in range(len(self.sessions))
            if frame not in anchors
        }
        for index, every in gaps.items():
            for gap in every:
                ends = [end for end in (gap.below, gap.above) if end is not None]
                logits = {end: _shown(self.sessions[end], axis, index) for end in ends}
                answers = carry(gap, logits, self._line(axis, index), self._body, tick)
                for frame, answer in answers.items():
                    if frame in found:
                        self._write_slice(found[frame], axis, index, answer)
        return found

    def _axis(self, anchors: Sequence[int]) -> int:
        """Axis across the slices: that of most prompts, else that of the thickest slices."""
        axes = Counter(axis for frame in anchors for axis, _ in self.sessions[frame].prompted)
        if axes:
            return axes.most_common(1)[0][0]
        return plane_of(Point((0, 0, 0)), self._now.scene.shape, self._now.scene.spacing)

    def _gaps(self, axis: int, anchors: Sequence[int]) -> dict[int, tuple[Gap, ...]]:
        """For each slice that some anchor shows: what lies before, between and after those that do."""
        others = tuple(other for other in range(3) if other != axis)
        shown = {frame: np.atleast_1d(self.sessions[frame].mask.any(axis=others)) for frame in anchors}
        found = {}
        for index in range(self._now.scene.shape[axis]):
            with_it = tuple(frame for frame in sorted(anchors) if shown[frame][index])
            if with_it:
                found[index] = gaps_between(with_it, 0, len(self.sessions))
        return found

    def _line(self, axis: int, index: int) -> Line:
        return Line(
            lambda frame: self.sessions[frame].scene.slice((axis, index)),
            lambda frame: self.sessions[frame].locked_in((axis, index)),
        )

    def _write_slice(self, mask: BoolArray, axis: int, index: int, logits: Tensor) -> None:
        plane = self._now.scene.planes[axis]
        part: list[slice | int] = [slice(None)] * 3
        part[axis] = index
        mask[tuple(part)] = plane.back(logits[None])[0].numpy() > 0


def _shown(session: LocalSession, axis: int, index: int) -> Tensor:
    logits = session.logits_in((axis, index))
    assert logits is not None, "an anchor that shows nothing"
    return logits


def _check(volumes: Sequence[Volume]) -> None:
    if not volumes:
        raise VolumeError("no image was given; a session over time takes at least one")
    first = volumes[0]
    for number, volume in enumerate(volumes):
        if volume.shape != first.shape or not np.allclose(volume.affine, first.affine, atol=1e-4):
            raise VolumeError(
                f"image {number} has {volume.shape} voxels and another place than image 0 ({first.shape}); "
                "the images of a session over time must share one grid"
            )
