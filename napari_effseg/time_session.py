"""A click session on several images of one place, one after the other: a structure followed through time.

Where the networks run makes no difference here; no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Protocol, TypeAlias

import numpy as np

from .errors import PromptError, VolumeError
from .given import whole_given
from .object_colours import next_colour
from .prompts import Prompt
from .protocols import Listener, LooksAhead, Session, SessionObject
from .types import BoolArray, CancelCheck, Colour, IndexBox, PathLike, Progress
from .volume import LabelMap, Volume

__all__ = ["TIME", "Done", "Moment", "Through", "TimeSession", "check_one_grid"]

TIME = "time"
"""What is given to `TimeSession.propagate` for an axis."""
Done: TypeAlias = tuple[tuple[int, ...], ...]
"""The time points that each action has changed, in order."""
Through: TypeAlias = Callable[[Progress | None, CancelCheck | None], Mapping[int, BoolArray]]


class Moment(Session, Protocol):
    """The session of one time point."""

    def bring(self, mask: BoolArray) -> None:
        """Replace the mask by one that was carried here from another time."""
        ...


class TimeSession:
    """See `protocols.Session`; masks, labels and prompts are those of the time point at hand.

    Parameters
    ----------
    sessions : sequence of Moment
        One a time point, here or on a server.
    volumes : sequence of Volume
        Their images.
    through : callable
        ``through(progress, cancel)`` -> masks of the time points that follow from the others.
    done : sequence of (sequence of int), optional
        The time points that each action so far has changed, to go on from.
    undone : sequence of (sequence of int), optional
        Those of each action that was undone, the last one undone last.
    write : callable, optional
        ``write(done, undone, path)`` saves it; given by who knows files.

    Attributes
    ----------
    sessions : tuple of Moment

    Raises
    ------
    VolumeError
        If the images do not share a grid.
    """

    def __init__(
        self,
        sessions: Sequence[Moment],
        volumes: Sequence[Volume],
        through: Through,
        done: Sequence[Sequence[int]] = (),
        undone: Sequence[Sequence[int]] = (),
        write: Callable[[Done, Done, PathLike], None] | None = None,
    ) -> None:
        check_one_grid(volumes)
        self.sessions = tuple(sessions)
        self._whole: IndexBox = ((0, 0, 0), volumes[0].shape)
        self._through, self._write = through, write
        self._done, self._undone = ([tuple(frames) for frames in each] for each in (done, undone))
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
    def done(self) -> Done:
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
    def _now(self) -> Moment:
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

    def look_ahead(self, axis: int, index: int, *, cancel: CancelCheck | None = None) -> None:
        """See `protocols.LooksAhead.look_ahead`."""
        if isinstance(self._now, LooksAhead):
            self._now.look_ahead(axis, index, cancel=cancel)

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
        found = self._through(progress, cancel)
        changed = [frame for frame, mask in found.items() if (mask != self.sessions[frame].mask).any()]
        self._do_all(changed, lambda frame: self.sessions[frame].bring(found[frame]))

    def commit(self, label: int | None = None, name: str = "", colour: Colour | None = None) -> int:
        """See `protocols.Session.commit`; at all time points that show the object."""
        frames = [frame for frame, session in enumerate(self.sessions) if session.mask.any()]
        if not frames:
            raise PromptError(
                "there is nothing to finish: no voxel is in the object at hand. Say first where it is, off "
                "what is finished"
            )
        known = {one.label: one for session in self.sessions for one in session.objects}
        number = 1 + max(known, default=0) if label is None else whole_given(label, "a label")
        before = known.get(number)
        name = name or (before.name if before else "")
        wanted = colour
        if wanted is None:
            wanted = before.colour if before else next_colour(len(known))
        self._do_all(frames, lambda frame: self.sessions[frame].commit(number, name, wanted))
        return number

    def undo(self) -> str:
        """See `protocols.Session.undo`; the time point of the action comes to hand."""
        return self._move(self._done, self._undone, lambda session: session.undo())

    def redo(self) -> str:
        """See `protocols.Session.redo`; the time point of the action comes to hand."""
        return self._move(self._undone, self._done, lambda session: session.redo())

    def save(self, path: PathLike) -> None:
        """See `protocols.Session.save`."""
        if self._write is None:
            raise PromptError("this session was opened without a way to save it")
        self._write(self.done, tuple(self._undone), path)

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

    def _do_all(self, frames: Sequence[int], do: Callable[[int], object]) -> None:
        """Do something at several time points; where a server is lost midway, what was done can be undone."""
        did: list[int] = []
        try:
            for frame in frames:
                do(frame)
                did.append(frame)
        finally:
            if did:
                self._note(tuple(did))

    def _move(
        self,
        source: list[tuple[int, ...]],
        target: list[tuple[int, ...]],
        step: Callable[[Moment], str],
    ) -> str:
        """Undo or redo an action at all its time points; where a server is lost midway, the rest stays."""
        if not source:
            return ""
        frames, moved, words = source[-1], 0, ""
        try:
            for frame in frames:
                words = step(self.sessions[frame]) or words
                moved += 1
        finally:
            source[-1:] = [frames[moved:]] if moved < len(frames) else []
            if moved:
                target.append(frames[:moved])
                self._go_to(frames[:moved])
        return words

    def _go_to(self, frames: tuple[int, ...]) -> None:
        if self._frame not in frames:
            self._frame = frames[0]
        self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener((self._whole,))


def check_one_grid(volumes: Sequence[Volume]) -> None:
    """Refuse images that do not share a grid.

    Raises
    ------
    VolumeError
        Naming the first one that does not.
    """
    if not volumes:
        raise VolumeError("no image was given; a session over time takes at least one")
    first = volumes[0]
    for number, volume in enumerate(volumes):
        if volume.shape != first.shape or not np.allclose(volume.affine, first.affine, atol=1e-4):
            raise VolumeError(
                f"image {number} has {volume.shape} voxels and another place than image 0 ({first.shape}); "
                "the images of a session over time must share one grid"
            )
