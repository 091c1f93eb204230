"""Click segmentation: prompts of the scene to a session, its masks to segments; undo, finish, keep, go on.

Every question to the engine goes through one `Worker`, in order, so that a slow answer never holds the
window, and a fast hand never overtakes itself.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import Marks
from .Nodes import volume_of
from .PointMarks import Mark, PointMarks
from .rooms import (
    BoolArray,
    Box,
    Code,
    Colour,
    LabelMap,
    Lasso,
    Mask,
    Point,
    Prompt,
    PromptError,
    Segmenter,
    ServerError,
    Session,
    Volume,
)
from .SegmentationLogic import words_of
from .Segments import add_segment, check_target, new_segmentation, put_mask, share_memory
from .SessionStore import StoredSession, bytes_of, keep, volume_for
from .Work import Job, Worker

__all__ = ["SHOW_NOTHING", "PromptLogic", "Shown"]

_CURRENT_COLOUR = (255, 200, 40)
_STORING_S = 20.0
_CURRENT_NAME = "EffSeg: in progress"


@dataclass(frozen=True, eq=False)
class Shown:
    """What a session shows at one time.

    Attributes
    ----------
    mask : ndarray of bool, shape (I, J, K)
    prompts : mapping of int to Prompt
    labels : LabelMap or None
        Finished objects.
    undo_words, redo_words : str
    """

    mask: BoolArray
    prompts: Mapping[int, Prompt] = field(default_factory=dict)
    labels: LabelMap | None = None
    undo_words: str = ""
    redo_words: str = ""


SHOW_NOTHING = Shown(np.zeros((1, 1, 1), bool))


def _look(session: Session) -> Shown:
    return Shown(
        np.array(session.mask),
        dict(session.prompts),
        session.labels if session.objects else None,
        session.undo_words,
        session.redo_words,
    )


class PromptLogic:
    """One click session, and the nodes that show it.

    Parameters
    ----------
    worker : Worker
    said : callable
        Called with a sentence for the user.
    changed : callable
        Called when what is shown has changed.
    """

    def __init__(self, worker: Worker, said: Callable[[str], None], changed: Callable[[], None]) -> None:
        self._worker, self._said, self._changed = worker, said, changed
        self._session: Session | None = None
        self._volume: Volume | None = None
        self._codes: dict[int, Code] = {}
        self._text: Any = None
        self._job: Job | None = None
        self.plane = ""
        self.shown = SHOW_NOTHING
        self.volume_node: Any = None
        self.segmentation: Any = None
        self.current = ""
        self.segments: dict[int, str] = {}
        self.points: PointMarks | None = None
        self.is_stored = True

    @property
    def is_open(self) -> bool:
        """Whether there is a session."""
        return self._session is not None

    @property
    def is_busy(self) -> bool:
        """Whether the engine is asked something."""
        return self._worker.is_busy

    # --- beginning and ending ---

    def open(
        self,
        segmenter: Callable[[], Segmenter],
        volume_node: Any,
        model: str = "auto",
        segmentation: Any = None,
    ) -> None:
        """Begin a session on a volume; it is open when `changed` is called.

        Raises
        ------
        VolumeError
            If the volume has no voxels, or lies under a transform that is not linear; or as `check_target`.
        """
        self.close()
        if segmentation is not None:
            check_target(segmentation)
        given = volume_of(volume_node)
        volume = Volume(np.array(given.data), given.affine, modality=given.modality)

        def work(job: Job) -> tuple[Session, Shown]:
            session = segmenter().open_session(volume, model or "auto")
            return session, _look(session)

        def done(found: tuple[Session, Shown]) -> None:
            self._begin(found, volume, volume_node, segmentation)

        self._worker.do(Job(work, done, self._fail))

    def resume(self, segmenter: Callable[[], Segmenter], stored: StoredSession) -> None:
        """Go on with a session that the scene holds.

        Raises
        ------
        PromptError
            If it is damaged, or of another image.
        """
        self.close()
        given = volume_for(stored)
        volume = Volume(np.array(given.data), given.affine, modality=given.modality)

        def work(job: Job) -> tuple[Session, Shown]:
            with tempfile.TemporaryDirectory(prefix="effseg-") as folder:
                session = segmenter().resume(stored.write(Path(folder)), volume)
            return session, _look(session)

        def done(found: tuple[Session, Shown]) -> None:
            self._text = stored.text
            self.current, self.segments = stored.current, dict(stored.segments)
            self._begin(found, volume, stored.volume, stored.segmentation, stored.points)

        self._worker.do(Job(work, done, self._fail))

    def _begin(
        self,
        found: tuple[Session, Shown],
        volume: Volume,
        volume_node: Any,
        segmentation: Any,
        points: Mapping[bool, Any] | None = None,
    ) -> None:
        self._session, shown = found
        self._volume, self.volume_node = volume, volume_node
        name = f"{volume_node.GetName()} objects"
        self.segmentation = new_segmentation(volume_node, name) if segmentation is None else segmentation
        self.points = PointMarks(
            volume_node,
            self.axis,
            self._point_added,
            self._point_edited,
            self._point_removed,
            self._said,
            points,
        )
        self.points.clear()  # those of an earlier session are drawn again
        self._show(shown)

    def close(self) -> None:
        """End the session; what was segmented stays in the scene."""
        session, self._session = self._session, None
        if self.points is not None:
            self.points.close()
        self._remove_current_if_empty()
        self.points, self._text, self._volume = None, None, None
        self.shown, self.current, self.segments, self._codes = SHOW_NOTHING, "", {}, {}
        if session is not None:
            self._worker.do(Job(lambda job: session.close(), lambda _: None, self._fail))

    # --- prompts ---

    def axis(self) -> int:
        """Return the axis across the plane that prompts are meant in.

        That of the plane that is chosen; else of the slice view that the mouse is in; else across the
        only slice, or the coarsest voxels.
        """
        if self.plane:
            return Marks.axis_of_plane(self.plane, self.volume_node)
        seen = Marks.axis_under_mouse(self.volume_node)
        if seen is not None:
            return seen
        volume = volume_of(self.volume_node)
        return max(range(3), key=lambda axis: (volume.shape[axis] == 1, round(volume.spacing[axis], 3), axis))

    def add(self, prompt: Prompt, axis: int | None = None) -> None:
        """Give a prompt."""
        self._ask(lambda session: session.add(prompt, shown=axis))

    def add_box(self, roi: Any, positive: bool = True, is_flat: bool = False) -> None:
        """Give what lies within a ROI node; if flat, only in the plane that is chosen.

        Raises
        ------
        VolumeError
            If it lies beside the image.
        """
        axis = self.axis() if is_flat else None
        self.add(Marks.box_from(roi, self.volume_node, positive, axis), axis)

    def add_lasso(self, curve: Any, positive: bool = True) -> None:
        """Give what a closed curve encloses.

        Raises
        ------
        PromptError
            As `Marks.lasso_from`.
        """
        lasso = Marks.lasso_from(curve, self.volume_node, positive)
        self.add(lasso, lasso.axis)

    def add_scribbles(self, segmentation: Any, segment_id: str, positive: bool = True) -> None:
        """Give what was painted into a segment, line by line.

        Raises
        ------
        PromptError
            If nothing was painted.
        """
        axis = self.axis()
        lines = list(Marks.scribbles_from(segmentation, segment_id, self.volume_node, positive, axis))

        def work(session: Session) -> None:
            for line in lines:
                session.add(line, shown=axis)

        self._ask(work)

    def add_segment(self, segmentation: Any, segment_id: str, positive: bool = True) -> None:
        """Begin with a segment that is there already, or take it away.

        Raises
        ------
        PromptError
            If it is empty where the image is.
        """
        self.add(Marks.mask_from(segmentation, segment_id, self.volume_node, positive))

    def remove(self, prompt_id: int) -> None:
        """Take a prompt back; the mask becomes what it would be without it."""
        self._ask(lambda session: session.remove(prompt_id))

    def _point_added(self, mark: Mark) -> None:
        def work(session: Session) -> None:
            mark.prompt_id = session.add(mark.point, shown=mark.point.axis)

        def refused() -> None:
            if self.points is not None:
                self.points.forget(mark)

        self._ask(work, refused)

    def _point_edited(self, mark: Mark) -> None:
        point = mark.point

        def work(session: Session) -> None:
            if mark.prompt_id is not None:
                session.edit(mark.prompt_id, point)

        self._ask(work)

    def _point_removed(self, mark: Mark) -> None:
        def work(session: Session) -> None:
            if mark.prompt_id is not None:
                session.remove(mark.prompt_id)

        self._ask(work)

    # --- the object ---

    def undo(self) -> None:
        """Take back the last action."""
        self._ask(lambda session: session.undo())

    def redo(self) -> None:
        """Bring back what was undone."""
        self._ask(lambda session: session.redo())

    def propagate(self, progress: Callable[[float, str], None] | None = None) -> None:
        """Carry the answer on through the volume, across the chosen plane."""
        axis = self.axis()
        session = self._known()

        def work(job: Job) -> Shown:
            session.propagate(axis, progress=job.say, cancel=job.is_cancelled)
            return _look(session)

        self._job = self._worker.do(Job(work, self._show, self._fail, progress))
        self._changed()

    def cancel(self) -> None:
        """Stop carrying on."""
        if self._job is not None:
            self._job.cancel()

    def next_mask(self) -> None:
        """Show the next of the masks that the last prompt may mean."""
        prompts = list(self.shown.prompts.values())
        place = _slice_of(prompts[-1]) if prompts else None
        if place is None:
            self._said("The last prompt has one meaning only.")
            return

        def work(session: Session) -> None:
            count = len(session.hypotheses(*place))
            if count:
                session.choose(*place, (session.chosen(*place) + 1) % count)

        self._ask(work)

    def commit(self, name: str = "", colour: Colour | None = None, code: Code | None = None) -> None:
        """Finish the object, and lock it: only undo changes it, and the engine keeps off it."""

        def work(session: Session) -> None:
            label = session.commit(name=name, colour=colour)
            if code is not None:
                self._codes[label] = code

        self._ask(work)

    # --- keeping ---

    def store(self) -> Any:
        """Put the session into the scene, and return its text node; None without a session.

        Waits for the engine.

        Raises
        ------
        PromptError
            If the engine does not answer for a while.
        """
        if self._session is None or self._volume is None or self.points is None:
            return None
        if not self.is_stored:
            self.store_soon()
            try:
                self._worker.finish(_STORING_S)
            except TimeoutError as err:
                raise PromptError(
                    "the engine is busy; wait until it has answered, or cancel what it does"
                ) from err
        return self._text

    def store_soon(self) -> None:
        """Put the session into the scene when the engine has handed it over."""
        session = self._session
        if session is None:
            return
        self.is_stored = True  # until something changes

        def failed(error: Exception) -> None:
            self.is_stored = False
            self._fail(error)

        self._worker.do(Job(lambda job: bytes_of(session), self._keep, failed))

    def _keep(self, content: bytes) -> None:
        if self.points is None or self._volume is None:  # closed meanwhile
            return
        self._text = keep(
            content,
            self.volume_node,
            self._volume.affine,
            self.segmentation,
            self.points.nodes,
            self.segments,
            self.current,
            self._text,
        )

    # --- asking and showing ---

    def _known(self) -> Session:
        if self._session is None:
            raise PromptError("there is no session; begin one on a volume")
        return self._session

    def _ask(self, work: Callable[[Session], Any], refused: Callable[[], None] | None = None) -> None:
        session = self._known()

        def task(job: Job) -> Shown:
            work(session)
            return _look(session)

        def failed(error: Exception) -> None:
            if refused is not None:
                refused()
            self._fail(error)

        self._worker.do(Job(task, self._show, failed))
        self._changed()

    def _fail(self, error: Exception) -> None:
        words = words_of(error)
        if isinstance(error, ServerError) and self.is_open:
            words += "\nWhat was done is in the scene: press End, then Go on."
        self._said(words)
        self._changed()

    def _show(self, shown: Shown) -> None:
        if self.points is None:  # closed meanwhile
            return
        self.shown, self.is_stored = shown, False
        self._show_objects(shown.labels)
        self._show_current(shown.mask)
        self.points.show(shown.prompts)
        self._changed()

    def _show_current(self, mask: BoolArray) -> None:
        segmentation = self.segmentation.GetSegmentation()
        if not self.current or segmentation.GetSegment(self.current) is None:
            self.current = add_segment(self.segmentation, _CURRENT_NAME, _CURRENT_COLOUR)
        put_mask(mask, self.volume_node, self.segmentation, self.current)

    def _show_objects(self, labels: LabelMap | None) -> None:
        """Add segments of objects that were finished, and remove those that undo opened again."""
        segmentation = self.segmentation.GetSegmentation()
        names = {} if labels is None else labels.names
        for label in [label for label in self.segments if label not in names]:
            segmentation.RemoveSegment(self.segments.pop(label))
        if labels is None:
            return
        for label, name in names.items():
            known = self.segments.get(label)
            if known is None or segmentation.GetSegment(known) is None:
                colour = labels.colours.get(label, _CURRENT_COLOUR)
                self.segments[label] = add_segment(
                    self.segmentation, name, colour, self._codes.get(label) or labels.codes.get(label)
                )
                put_mask(labels.data == label, self.volume_node, self.segmentation, self.segments[label])
                share_memory(self.segmentation)

    def _remove_current_if_empty(self) -> None:
        if self.segmentation is not None and self.current and not self.shown.mask.any():
            self.segmentation.GetSegmentation().RemoveSegment(self.current)


def _slice_of(prompt: Prompt) -> tuple[int, int] | None:
    """Return axis and index of the slice that a prompt is meant in; None for a solid one."""
    if prompt.axis is None or isinstance(prompt, Mask):
        return None
    if isinstance(prompt, Point):
        return prompt.axis, prompt.index[prompt.axis]
    low = prompt.low if isinstance(prompt, Box) else np.rint(_path(prompt)[0])
    return prompt.axis, int(low[prompt.axis])


def _path(prompt: Any) -> np.ndarray:
    return prompt.vertices if isinstance(prompt, Lasso) else prompt.points
