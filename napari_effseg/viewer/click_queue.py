"""Actions on the session, one after the other in the inference thread, none left out; no Qt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import EffsegError, PromptError, ServerError
from ..protocols import Session
from ..types import CancelCheck, Progress
from .click_bench import Answer, Bench
from .click_places import Place, frame_shown, place_at, show_frame, show_slice_of, slice_at
from .click_room import ClickRoom
from .click_state import ClickStage, ClickStore
from .engines import without_server
from .inference import Handlers, Inference, Ticket
from .words import trouble

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["Act", "ClickQueue", "How"]

Act = Callable[[Session, Progress, CancelCheck], Any]
"""``act(session, progress, cancel)``; runs in the inference thread."""


@dataclass(frozen=True)
class How:
    """How an action is treated.

    Attributes
    ----------
    is_much : bool
        It is worth saving at once.
    frame : int, optional
        Time point that it is done at; the one that is shown, if nothing else is said.
    shows_change : bool
        The slice where something changed is brought into sight.
    keeps_notice : bool
        What was said to the user stays.
    """

    is_much: bool = False
    frame: int | None = None
    shows_change: bool = False
    keeps_notice: bool = False


class ClickQueue:
    """Hands actions over, and has their answers shown.

    Parameters
    ----------
    viewer : napari viewer model
    inference : Inference
    store : ClickStore
    room : ClickRoom
    """

    def __init__(self, viewer: ViewerModel, inference: Inference, store: ClickStore, room: ClickRoom) -> None:
        self._viewer, self._inference, self._store, self._room = viewer, inference, store, room
        self._number = 0
        self._pending: dict[str, Ticket] = {}
        self._has_acted: Bench | None = None

    @property
    def is_empty(self) -> bool:
        """Whether every action was answered."""
        return not self._pending

    def act(self, action: Act, how: How | None = None) -> None:
        """Do something with the session, after all that was asked for before."""
        bench = self._room.bench
        if bench is None:
            return
        how = how or How()
        self._inference.forget("click ahead")
        if not how.keeps_notice:
            self._store.set(notice="", details="")
        where = self.where()
        frame = self._room.frame if how.frame is None else how.frame
        self._number += 1
        lane = f"click action {self._number}"
        self._has_acted = bench

        def work(progress: Progress, cancel: CancelCheck) -> Answer:
            return bench.do(lambda session: action(session, progress, cancel), where, frame)

        handlers = Handlers[Answer](
            done=partial(self._answered, lane, bench, how),
            failed=partial(self._failed, lane, bench),
            progress=self._progress,
        )
        self._pending[lane] = self._inference.submit(lane, work, handlers)

    def cancel(self) -> None:
        """Ask what goes on to stop, where it can."""
        self._inference.forget("click ahead")
        for ticket in self._pending.values():
            ticket.cancel()

    def look_at_slice(self, where: tuple[int, int] | None) -> None:
        """Ask how many masks the prompts of a slice may mean; not before anything was done in the session.

        At another time point all else that is seen of the session is asked for, too.
        """
        bench, frame, now = self._room.bench, self._room.frame, self._store.now
        if bench is None or now.is_lost:
            return
        is_other = frame != now.frame
        if not is_other and (where is None or bench is not self._has_acted):
            return

        def done(answer: Answer) -> None:
            if bench is not self._room.bench or frame != self._room.frame:
                return
            if is_other:
                self._room.take(answer)
            elif self.is_empty:
                self._store.set(hypotheses=answer.hypotheses, chosen=answer.chosen)

        def failed(error: Exception) -> None:
            self._store.set(is_lost=isinstance(error, ServerError))

        handlers = Handlers[Answer](done=done, failed=failed)
        self._inference.submit("click slice", lambda *_: bench.do(_nothing, where, frame), handlers)

    # --- where ---

    def where(self) -> tuple[int, int] | None:
        """Axis across the slice that is shown, and its index; None where none of the image is."""
        image = self._room.image
        if image is None or self._room.bench is None:
            return None
        try:
            axis, index = slice_at(self._viewer, image, self._room.grid)
        except EffsegError:
            return None
        return (axis, index) if 0 <= index < self._room.grid.shape[axis] else None

    def path_of(self, positions: Sequence[Sequence[float]]) -> list[Place]:
        """Places of the image along a path of the mouse.

        Raises
        ------
        PromptError
            If the canvas shows no slice of the session's image; it says what to do.
        """
        image, frame = self._room.image, self._room.only_frame
        if image is None:
            raise PromptError("Open an image first.")
        if not image.visible:
            raise PromptError(
                f"“{image.name}”, which is clicked on, is hidden. Show it, or choose another image above."
            )
        if frame is not None and frame_shown(self._viewer, image) != frame:
            raise PromptError(
                f"The image is too large for clicks at all times; these are on time point {frame}. Move the "
                "slider back to it, or choose the image in the list again to begin on the one that is shown."
            )
        return [place_at(self._viewer, image, self._room.grid, position) for position in positions]

    def go_to(self, voxel: Sequence[int]) -> None:
        """Bring the slice of a voxel into sight."""
        image, where = self._room.image, self.where()
        if image is not None and where is not None and voxel[where[0]] != where[1]:
            show_slice_of(self._viewer, image, self._room.grid, voxel)

    # --- answers ---

    def _answered(self, lane: str, bench: Bench, how: How, answer: Answer) -> None:
        self._pending.pop(lane, None)
        if bench is not self._room.bench:
            return
        self._end()
        if self._store.now.is_lost:
            self._store.set(is_lost=False)
        self._room.saver.did(how.is_much)
        self._room.take(answer)
        if how.shows_change:
            self._show_change(answer)
        if self.is_empty:
            self._room.saver.rest(is_due=True)
            self._look_ahead(bench)

    def _look_ahead(self, bench: Bench) -> None:
        """Get ready for the slices beside the one that is shown, until something is done."""
        where = self.where()
        if where is not None:

            def work(progress: Progress, cancel: CancelCheck) -> None:
                bench.look_ahead(where, cancel)

            self._inference.submit("click ahead", work, Handlers[None]())

    def _failed(self, lane: str, bench: Bench, error: Exception) -> None:
        """Say why; what the window may have shown too early becomes what the session says again."""
        self._pending.pop(lane, None)
        if bench is not self._room.bench:
            return
        self._end()
        words, details = trouble(error)
        is_lost = isinstance(error, ServerError)
        self._store.set(notice=without_server(words, error), details=details, is_lost=is_lost)
        handlers, frame = Handlers[Answer](done=self._room.take), self._room.frame
        self._inference.submit("click again", lambda *_: bench.everything(None, frame), handlers)

    def _end(self) -> None:
        if self._store.now.stage in (ClickStage.CARRYING, ClickStage.STOPPING):
            self._store.set(stage=ClickStage.READY, fraction=0.0, message="")

    def _progress(self, fraction: float, message: str) -> None:
        if self._store.now.stage is ClickStage.CARRYING:
            self._store.set(fraction=fraction, message=message)

    def _show_change(self, answer: Answer) -> None:
        """Go to a time point and a slice where something changed, if what is shown has stayed as it was."""
        image = self._room.image
        if image is not None and answer.frame != self._room.frame:
            show_frame(self._viewer, image, answer.frame)
        where = self.where()
        boxes = [patch.box for patch in answer.patches if patch.frame == answer.frame]
        if (
            where is None
            or not boxes
            or any(low[where[0]] <= where[1] < high[where[0]] for low, high in boxes)
        ):
            return
        low, high = boxes[-1]
        self.go_to([(a + b - 1) // 2 for a, b in zip(low, high, strict=True)])


def _nothing(session: Session) -> None:
    pass
