"""A click session whose network runs here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from torch import Tensor

from ...errors import PromptError
from ...given import whole_given
from ...history import (
    Action,
    Add,
    Bring,
    Choose,
    Commit,
    Edit,
    Event,
    History,
    Propagate,
    Remove,
    Stroke,
    current_events,
    current_prompts,
    in_words,
)
from ...object_colours import next_colour
from ...prompts import Prompt
from ...protocols import Listener, SessionObject
from ...session_state import ObjectVoxels, SessionState, packed, unpacked
from ...types import BoolArray, CancelCheck, Colour, IndexBox, IntArray, PathLike, Progress
from ...volume import LabelMap, Volume
from .answers import apply_event
from .body import Embeds, SliceBody
from .canvas import Canvas, Patch, slices_of
from .carrying import check_shown
from .in_planes import SliceKey
from .known import Answers, Bodies, SliceState, Watch
from .painting import locked_in, logits_shown
from .restore import step_of
from .scene import Scene
from .solid import SolidBody
from .timeline import Step, Timeline

__all__ = ["LocalSession"]


@dataclass(frozen=True, eq=False)
class _Finished:
    """An object that was committed: how it was made, and the voxels that it was given."""

    commit: Commit
    steps: tuple[Step, ...]
    voxels: IntArray


class LocalSession:
    """See `protocols.Session`.

    Parameters
    ----------
    volume : Volume
    body : SliceBody
        The network.
    history : History, optional
        To go on from.
    write : callable, optional
        ``write(session, path)`` saves it; given by who knows files.
    solid : SolidBody, optional
        The network that carries objects through volumes; without it they are followed slice by slice.
    """

    def __init__(
        self,
        volume: Volume,
        body: SliceBody,
        history: History | None = None,
        write: Callable[[LocalSession, PathLike], None] | None = None,
        solid: SolidBody | None = None,
    ) -> None:
        self.scene = Scene(volume)
        self.history = History() if history is None else history
        self._bodies, self._write = Bodies(body, solid), write
        self._canvas = Canvas(self.scene.shape)
        self._taken: IntArray = np.zeros(self.scene.shape, np.uint16)
        self._finished: list[_Finished] = []
        self._timeline = Timeline(self._canvas, self._apply)
        self._listeners: list[Listener] = []
        self._watch = Watch()
        self._unlike: Step | None = None
        self._sync()

    @classmethod
    def restored(
        cls,
        volume: Volume,
        body: SliceBody,
        state: SessionState,
        write: Callable[[LocalSession, PathLike], None] | None = None,
        solid: SolidBody | None = None,
    ) -> LocalSession:
        """Open a session again, its masks shown as they were.

        Raises
        ------
        PromptError
            If it is of another image.
        """
        session = cls(volume, body, None, write, solid)
        if session.scene.sha256 != state.image_sha256:
            raise PromptError(
                f"the session is of another image ({state.shape} voxels, this one {session.scene.shape}); "
                "open the image that it was made on"
            )
        session._restore(state)
        return session

    def state(self, model: str, weights_sha256: str) -> SessionState:
        """Return all that is needed to go on later.

        Parameters
        ----------
        model : str
            Name of the card.
        weights_sha256 : str
        """
        size = self._taken.size
        objects = []
        for finished in self._finished:
            mask = np.zeros(size, bool)
            mask[finished.voxels] = True
            objects.append(ObjectVoxels(finished.commit, packed(mask)))
        return SessionState(
            self.scene.sha256,
            self.scene.shape,
            self.scene.volume.affine,
            model,
            weights_sha256,
            self.history.copy(),
            tuple(objects),
            packed(self._canvas.mask),
        )

    @property
    def mask(self) -> BoolArray:
        """The object at hand; read only."""
        shown = self._canvas.mask.view()
        shown.setflags(write=False)
        return shown

    @property
    def labels(self) -> LabelMap:
        """All finished objects."""
        commits = [finished.commit for finished in self._finished]
        return LabelMap(
            self._taken.copy(),
            self.scene.volume.affine,
            {commit.label: commit.name for commit in commits},
            {commit.label: commit.colour for commit in commits},
        )

    @property
    def objects(self) -> tuple[SessionObject, ...]:
        """Finished objects in the order in which they were finished."""
        millilitres = self.scene.grid.voxel_mm3 / 1000
        found = {}
        for finished in self._finished:
            commit = finished.commit
            volume = int((self._taken == commit.label).sum()) * millilitres
            found[commit.label] = SessionObject(commit.label, commit.name, commit.colour, volume)
        return tuple(found.values())

    @property
    def prompts(self) -> Mapping[int, Prompt]:
        """Prompts of the object at hand by their numbers, in order."""
        return current_prompts(self.history.applied)

    @property
    def undo_words(self) -> str:
        """What `undo` would take back."""
        return in_words(self.history.undoable)

    @property
    def redo_words(self) -> str:
        """What `redo` would bring back."""
        return in_words(self.history.redoable)

    def add(self, prompt: Prompt, *, shown: int | None = None) -> int:
        """See `protocols.Session.add`."""
        number = self.history.new_id()
        self._do(Add(number, prompt, shown))
        return number

    def remove(self, prompt_id: int) -> None:
        """See `protocols.Session.remove`."""
        self._do(Remove(prompt_id))

    def edit(self, prompt_id: int, prompt: Prompt) -> None:
        """See `protocols.Session.edit`."""
        self._do(Edit(prompt_id, prompt))

    def paint(self, box: IndexBox, inside: BoolArray, *, positive: bool = True) -> int:
        """See `protocols.Session.paint`."""
        stroke = Stroke(self.history.new_id(), box, inside, positive)
        low, high = stroke.box
        if any(a < 0 or b > side for a, b, side in zip(low, high, self.scene.shape, strict=True)):
            raise PromptError(f"a stroke in {stroke.box} was given; the image has {self.scene.shape} voxels")
        self._do(stroke)
        return stroke.id

    def bring(self, mask: BoolArray) -> None:
        """Replace the mask by one that was carried here from another time."""
        self._do(Bring(((0, 0, 0), self.scene.shape), mask))

    @property
    def body(self) -> SliceBody:
        """The network that answers in slices."""
        return self._bodies.slices

    @property
    def prompted(self) -> tuple[SliceKey, ...]:
        """Slices that have prompts of their own."""
        self._settle()
        return tuple(key for key, state in self._timeline.answers.slices.items() if state.prompts)

    def logits_in(self, key: SliceKey) -> Tensor | None:
        """Logits of what a slice shows, (I, J) in pixels of its plane; None if nothing is known of it."""
        self._settle()
        state = self._timeline.answers.slices.get(key, SliceState())
        return logits_shown(key, state, self._canvas, self.scene)

    def locked_in(self, key: SliceKey) -> Tensor | None:
        """Finished objects in a slice, float32 (I, J) in pixels of its plane; None if there are none."""
        return locked_in(key, self.scene, self._taken)

    def hypotheses(self, axis: int, index: int) -> tuple[float, ...]:
        """See `protocols.Session.hypotheses`."""
        self._settle()
        state = self._timeline.answers.slices.get((axis, index))
        return () if state is None else tuple(one.score for one in state.hypotheses)

    def choose(self, axis: int, index: int, hypothesis: int) -> None:
        """See `protocols.Session.choose`."""
        known = len(self.hypotheses(axis, index))
        if not 0 <= hypothesis < known:
            raise PromptError(
                f"mask {hypothesis} of slice {index} was chosen; there are {known}, numbered from 0"
            )
        self._do(Choose(axis, index, hypothesis))

    def chosen(self, axis: int, index: int) -> int:
        """See `protocols.Session.chosen`."""
        self._settle()
        state = self._timeline.answers.slices.get((axis, index))
        return 0 if state is None else state.chosen

    def preview(self, prompt: Prompt, *, shown: int | None = None) -> tuple[tuple[IndexBox, BoolArray], ...]:
        """See `protocols.Session.preview`."""
        self._settle()
        _, patches = self._apply(Add(0, prompt, shown), self._timeline.answers)
        found = tuple((patch.box, self._canvas.mask[slices_of(patch.box)].copy()) for patch in patches)
        for patch in reversed(patches):
            self._canvas.take_back(patch)
        return found

    def look_ahead(self, axis: int, index: int, *, cancel: CancelCheck | None = None) -> None:
        """See `protocols.LooksAhead.look_ahead`."""
        if not isinstance(self.body, Embeds):
            return
        for beside in (index + 1, index - 1):
            if 0 <= beside < self.scene.shape[axis] and not (cancel is not None and cancel()):
                self.body.look_ahead(self.scene.slice((axis, beside)))

    def propagate(
        self, axis: int = 2, *, progress: Progress | None = None, cancel: CancelCheck | None = None
    ) -> None:
        """See `protocols.Session.propagate`."""
        action = Propagate(axis)
        self._settle()
        check_shown(action.axis, self._timeline.answers, self._canvas, self.scene)
        self._watch = Watch(progress, cancel)
        try:
            self._do(action)
        finally:
            self._watch = Watch()

    def commit(self, label: int | None = None, name: str = "", colour: Colour | None = None) -> int:
        """See `protocols.Session.commit`."""
        if not self._canvas.mask.any():
            raise PromptError(
                "there is nothing to finish: no voxel is in the object at hand. Say first where it is, off "
                "what is finished"
            )
        known = {finished.commit.label: finished.commit for finished in self._finished}
        number = max(known, default=0) + 1 if label is None else whole_given(label, "a label")
        before = known.get(number)
        name = name or (before.name if before else f"object {number}")
        if colour is None:
            colour = before.colour if before else next_colour(len(known))
        self._do(Commit(number, name, colour))
        return number

    def undo(self) -> str:
        """See `protocols.Session.undo`."""
        with self._as_it_was():
            words = in_words(self.history.undo())
            boxes = self._sync()
        self._tell(boxes)
        return words

    def redo(self) -> str:
        """See `protocols.Session.redo`."""
        self._settle()
        with self._as_it_was():
            words = in_words(self.history.redo())
            boxes = self._sync()
        self._tell(boxes)
        return words

    def save(self, path: PathLike) -> None:
        """See `protocols.Session.save`."""
        if self._write is None:
            raise PromptError("this session was opened without a way to save it")
        self._write(self, path)

    def listen(self, listener: Listener) -> None:
        """See `protocols.Session.listen`."""
        self._listeners.append(listener)

    def close(self) -> None:
        """See `protocols.Session.close`."""
        self._timeline.restart()
        self._listeners.clear()

    def __enter__(self) -> LocalSession:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _settle(self) -> None:
        """Replay the object at hand once where it was restored.

        What comes next is then answered as if the session had never been closed. Where the answers are others
        than those that are shown, as they may be on another machine, what is shown stays.
        """
        stored = next((step for step in self._timeline.steps if step.is_stored), None)
        if stored is None or stored is self._unlike:
            return
        canvas = Canvas(self.scene.shape)

        def apply(event: Event, answers: Answers) -> tuple[Answers, list[Patch]]:
            return apply_event(event, answers, canvas, self.scene, self._bodies, self._taken, Watch())

        timeline = Timeline(canvas, apply)
        timeline.sync(current_events(self.history.applied))
        if (canvas.mask == self._canvas.mask).all():
            self._timeline.restart(timeline.steps)
        else:
            self._unlike = stored

    def _do(self, action: Action) -> None:
        """Do an action; if it cannot be done, the session stays as it was."""
        self._settle()
        with self._as_it_was():
            self.history.do(action)
            boxes = self._sync()
        self._tell(boxes)

    @contextmanager
    def _as_it_was(self) -> Iterator[None]:
        """Leave the history as it was where something cannot be done."""
        before = self.history.copy()
        try:
            yield
        except BaseException:
            self.history = before
            raise

    def _tell(self, boxes: tuple[IndexBox, ...]) -> None:
        if boxes:
            for listener in self._listeners:
                listener(boxes)

    def _sync(self) -> tuple[IndexBox, ...]:
        """Bring finished objects and the canvas to what the history says; returns where something changed."""
        objects = _by_object(self.history.applied)
        boxes: list[IndexBox] = []
        while self._finished and not self._is_kept(objects):
            boxes += self._reopen()
        for events, commit in objects[len(self._finished) : -1]:
            boxes += self._timeline.sync(events)
            boxes += self._finish(commit)
        boxes += self._timeline.sync(objects[-1][0])
        return tuple(boxes)

    def _restore(self, state: SessionState) -> None:
        """Take over history and masks as they were."""
        self.history = state.history.copy()
        objects = _by_object(self.history.applied)
        for (events, commit), kept in zip(objects, state.objects, strict=False):
            mask = unpacked(kept.bits, self.scene.shape)
            self._canvas.mask[...] = mask
            self._timeline.restart([step_of(events, mask, self.scene)])
            self._finish(commit)
        mask = unpacked(state.mask_bits, self.scene.shape)
        self._canvas.mask[...] = mask
        events = objects[-1][0]
        self._timeline.restart([step_of(events, mask, self.scene)] if events else [])

    def _is_kept(self, objects: Sequence[tuple[tuple[Event, ...], Commit | None]]) -> bool:
        """Whether the finished objects are the first of these."""
        if len(self._finished) >= len(objects):
            return False
        return all(
            finished.commit is commit for finished, (_, commit) in zip(self._finished, objects, strict=False)
        )

    def _finish(self, commit: Commit | None) -> list[IndexBox]:
        """Give the object at hand its label, and clear the canvas."""
        assert commit is not None
        voxels = np.flatnonzero(self._canvas.mask)
        self._finished.append(_Finished(commit, self._timeline.steps, voxels))
        self._taken.reshape(-1)[voxels] = commit.label
        self._canvas.mask[...] = False
        self._timeline.restart()
        return [((0, 0, 0), self.scene.shape)]

    def _reopen(self) -> list[IndexBox]:
        """Take the label of the object that was finished last back, and put it on the canvas again."""
        self._timeline.sync(())
        finished = self._finished.pop()
        self._taken.reshape(-1)[finished.voxels] = 0
        self._canvas.mask.reshape(-1)[finished.voxels] = True
        self._timeline.restart(finished.steps)
        return [((0, 0, 0), self.scene.shape)]

    def _apply(self, event: Event, answers: Answers) -> tuple[Answers, list[Patch]]:
        return apply_event(event, answers, self._canvas, self.scene, self._bodies, self._taken, self._watch)


def _by_object(applied: Sequence[Action]) -> list[tuple[tuple[Event, ...], Commit | None]]:
    """Events of each finished object with its commit, and of the one at hand with None."""
    objects: list[tuple[tuple[Event, ...], Commit | None]] = []
    since: list[Action] = []
    for action in applied:
        if isinstance(action, Commit):
            objects.append((current_events(since), action))
            since = []
        else:
            since.append(action)
    return [*objects, (current_events(since), None)]
