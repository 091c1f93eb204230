"""What a click would give, shown while the mouse rests: the newest wins, late answers are dropped. No Qt."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EffsegError, ServerError
from ..prompts import Point
from .click_queue import ClickQueue
from .click_room import ClickRoom
from .click_state import ClickStore, Tool
from .inference import Handlers, Inference

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["Hover"]

_SLOW_SECONDS = 0.25
"""A preview that takes longer comes too late, and keeps clicks waiting."""
_COUNTED = 3
"""Previews after which it is known how long one takes."""
_NO_LINES = np.zeros((0, 2, 3))


class Hover:
    """Asks for previews, shows their outlines, and switches itself off where they are slow.

    Parameters
    ----------
    viewer : napari viewer model
    inference : Inference
    store : ClickStore
    room : ClickRoom
    queue : ClickQueue
        Nothing is previewed while it works.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        inference: Inference,
        store: ClickStore,
        room: ClickRoom,
        queue: ClickQueue,
    ) -> None:
        self._viewer, self._inference, self._store = viewer, inference, store
        self._room, self._queue = room, queue
        self._seconds: deque[float] = deque(maxlen=5)
        self._asked: tuple[Any, ...] | None = None

    def switch(self, is_on: bool) -> None:
        """Show previews, or do not; switched on, they get another chance to be quick enough."""
        self.stop()
        self._seconds.clear()
        self._store.set(hovers=is_on, hover_note="")

    def at(self, position: Sequence[float]) -> None:
        """Show what a click at a place of the canvas would give, if nothing else goes on."""
        now, bench = self._store.now, self._room.bench
        if not (now.hovers and now.is_ready and now.tool is Tool.POINT and now.shows_slice):
            return
        if bench is None or now.is_lost or not self._queue.is_empty:
            return
        try:
            place = self._queue.path_of([position])[0]
        except EffsegError:
            self.stop()
            return
        frame = self._room.frame
        asked = (frame, place.voxel, place.axis, now.positive)
        if asked == self._asked:
            return
        self.stop()
        if not place.is_in(self._room.grid.shape):
            return
        self._asked = asked
        point = Point(place.voxel, positive=now.positive, axis=place.axis)
        handlers = Handlers[tuple[NDArray[np.float64], float]](done=self._show, failed=self._failed)
        self._inference.submit("click hover", lambda *_: bench.outline(point, place.axis, frame), handlers)

    def stop(self) -> None:
        """Show none; the answer to one that is being computed is dropped."""
        self._asked = None
        self._inference.forget("click hover")
        if self._room.marks is not None:
            self._room.marks.preview(_NO_LINES)

    def _failed(self, error: Exception) -> None:
        """Ask a server that does not answer no more, so that a click need not wait for it."""
        if isinstance(error, ServerError):
            self._store.set(is_lost=True)

    def _show(self, found: tuple[NDArray[np.float64], float]) -> None:
        edges, seconds = found
        self._seconds.append(seconds)
        if self._room.marks is not None and self._asked is not None:
            self._room.marks.preview(edges)
        took = median(self._seconds)
        if len(self._seconds) >= _COUNTED and took > _SLOW_SECONDS:
            self.switch(False)
            self._store.set(hover_note=f"Switched off: an answer takes {took:.1f} s here.")
