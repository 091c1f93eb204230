"""An object is carried from the time points that show it to the others, slice by slice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from ...errors import PromptError
from ...prompt_voxels import plane_of
from ...prompts import Point
from ...time_session import Done, TimeSession, check_one_grid
from ...types import BoolArray, CancelCheck, PathLike, Progress
from .body import SliceBody
from .local import LocalSession
from .propagate import Gap, Line, carry, gaps_between, ticker

__all__ = ["ThroughTime", "over_time"]


def over_time(
    sessions: Sequence[LocalSession],
    body: SliceBody,
    done: Sequence[Sequence[int]] = (),
    undone: Sequence[Sequence[int]] = (),
    write: Callable[[Done, Done, PathLike], None] | None = None,
) -> TimeSession:
    """Join the sessions of time points to one.

    Parameters
    ----------
    sessions : sequence of LocalSession
        One a time point, of one grid.
    body : SliceBody
        The network of all of them.
    done, undone, write
        As `TimeSession`.

    Raises
    ------
    VolumeError
        If the images do not share a grid.
    """
    volumes = [session.scene.volume for session in sessions]
    check_one_grid(volumes)
    return TimeSession(sessions, volumes, ThroughTime(sessions, body), done, undone, write)


class ThroughTime:
    """Says what an object looks like at the time points that do not show it.

    Parameters
    ----------
    sessions : sequence of LocalSession
    body : SliceBody
    """

    def __init__(self, sessions: Sequence[LocalSession], body: SliceBody) -> None:
        self._sessions, self._body = tuple(sessions), body

    def __call__(self, progress: Progress | None, cancel: CancelCheck | None) -> dict[int, BoolArray]:
        """Return the masks of the time points that follow from others; nothing changes.

        Raises
        ------
        PromptError
            If no time point shows the object.
        Cancelled
            If `cancel` said so.
        """
        anchors = [frame for frame, session in enumerate(self._sessions) if session.prompts]
        shown = [frame for frame, session in enumerate(self._sessions) if session.mask.any()]
        anchors = [frame for frame in anchors if frame in shown] or shown
        if not anchors:
            raise PromptError("there is nothing to propagate: no time point shows the object")
        axis = self._axis(anchors)
        gaps = self._gaps(axis, anchors)
        tick = ticker([gap for every in gaps.values() for gap in every], progress, cancel)
        found = {
            frame: np.zeros(self._sessions[0].scene.shape, bool)
            for frame in range(len(self._sessions))
            if frame not in anchors
        }
        for index, every in gaps.items():
            for gap in every:
                ends = [end for end in (gap.below, gap.above) if end is not None]
                logits = {end: _shown(self._sessions[end], axis, index) for end in ends}
                answers = carry(gap, logits, self._line(axis, index), self._body, tick)
                for frame, answer in answers.items():
                    if frame in found:
                        self._write_slice(found[frame], axis, index, answer)
        return found

    def _axis(self, anchors: Sequence[int]) -> int:
        """Axis across the slices: that of most prompts, else that of the thickest slices."""
        axes = Counter(axis for frame in anchors for axis, _ in self._sessions[frame].prompted)
        if axes:
            return axes.most_common(1)[0][0]
        return plane_of(Point((0, 0, 0)), self._sessions[0].scene.shape, self._sessions[0].scene.spacing)

    def _gaps(self, axis: int, anchors: Sequence[int]) -> dict[int, tuple[Gap, ...]]:
        """For each slice that some anchor shows: what lies before, between and after those that do."""
        others = tuple(other for other in range(3) if other != axis)
        shown = {frame: np.atleast_1d(self._sessions[frame].mask.any(axis=others)) for frame in anchors}
        found = {}
        for index in range(self._sessions[0].scene.shape[axis]):
            with_it = tuple(frame for frame in sorted(anchors) if shown[frame][index])
            if with_it:
                found[index] = gaps_between(with_it, 0, len(self._sessions))
        return found

    def _line(self, axis: int, index: int) -> Line:
        return Line(
            lambda frame: self._sessions[frame].scene.slice((axis, index)),
            lambda frame: self._sessions[frame].locked_in((axis, index)),
        )

    def _write_slice(self, mask: BoolArray, axis: int, index: int, logits: Tensor) -> None:
        plane = self._sessions[0].scene.planes[axis]
        part: list[slice | int] = [slice(None)] * 3
        part[axis] = index
        mask[tuple(part)] = plane.back(logits[None])[0].numpy() > 0


def _shown(session: LocalSession, axis: int, index: int) -> Tensor:
    logits = session.logits_in((axis, index))
    assert logits is not None, "an anchor that shows nothing"
    return logits
