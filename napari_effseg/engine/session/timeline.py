"""Events applied one after the other, and taken back as far as a changed list of events asks for.

The mask is thereby a function of the list alone: whatever was added, removed, edited, undone or redone, it is
what applying the list from the beginning would give. Undoing costs nothing, and redoing what was just undone
neither.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...history import Event
from ...types import IndexBox
from .canvas import Canvas, Patch
from .known import Answers

__all__ = ["Step", "Timeline"]

_REMEMBERED = 64
"""Steps that were taken back and may come again."""

Apply = Callable[[Event, Answers], tuple[Answers, list[Patch]]]


@dataclass(frozen=True, eq=False)
class Step:
    """An event, what it led to, and how to take it back; or several whose single steps are not known.

    Attributes
    ----------
    events : tuple of Event
    answers : Answers
    patches : tuple of Patch
    is_stored : bool
        Whether it was read from a file: the answers are then no more than what the masks tell.
    """

    events: tuple[Event, ...]
    answers: Answers
    patches: tuple[Patch, ...]
    is_stored: bool = False


class Timeline:
    """The steps that made the mask on a canvas.

    Parameters
    ----------
    canvas : Canvas
    apply : callable
        ``apply(event, answers)`` paints on the canvas and returns the new answers with the patches.
    """

    def __init__(self, canvas: Canvas, apply: Apply) -> None:
        self._canvas, self._apply = canvas, apply
        self._steps: list[Step] = []
        self._left: OrderedDict[tuple[int, ...], tuple[Step, ...]] = OrderedDict()

    @property
    def answers(self) -> Answers:
        """What the events so far have led to."""
        return self._steps[-1].answers if self._steps else Answers()

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps in order."""
        return tuple(self._steps)

    def sync(self, events: Sequence[Event]) -> list[IndexBox]:
        """Bring the canvas to what these events make, and return the boxes that changed.

        Raises
        ------
        PromptError
            If an event cannot be applied; the canvas is then as it was before.
        """
        before = self.steps
        try:
            return self._sync(events)
        except BaseException:
            self._sync_to(before)
            raise

    def restart(self, steps: Sequence[Step] = ()) -> None:
        """Forget the steps and begin anew, or from steps whose patches are on the canvas already."""
        self._steps = list(steps)
        self._left.clear()

    def _sync(self, events: Sequence[Event]) -> list[IndexBox]:
        boxes = []
        while self._steps and not self._is_begun_by(events):
            boxes += self._take_back()
        known = self._left.get(_name(events), ())
        if known and known[-1].is_stored:  # as it was stored, not as it would be answered now
            boxes += self._sync_to(known)
        for event in events[len(self._events) :]:
            boxes += self._go_on(event)
        return boxes

    def _sync_to(self, steps: Sequence[Step]) -> list[IndexBox]:
        """Return to steps that were there before."""
        boxes = []
        while self._steps and list(steps[: len(self._steps)]) != self._steps:
            boxes += self._take_back()
        for step in steps[len(self._steps) :]:
            boxes += self._bring_back(step)
        return boxes

    def _is_begun_by(self, events: Sequence[Event]) -> bool:
        """Whether the steps are the first of these events."""
        made = self._events
        return len(made) <= len(events) and all(
            one is other or one == other for one, other in zip(made, events, strict=False)
        )

    def _take_back(self) -> list[IndexBox]:
        self._left[_name(self._events)] = self.steps
        step = self._steps.pop()
        for patch in reversed(step.patches):
            self._canvas.take_back(patch)
        while len(self._left) > _REMEMBERED:
            self._left.popitem(last=False)
        return [patch.box for patch in step.patches]

    def _go_on(self, event: Event) -> list[IndexBox]:
        known = self._left.pop(_name([*self._events, event]), ())
        if known and list(known[:-1]) == self._steps:  # else it stood on other steps, as of a file
            return self._bring_back(known[-1])
        answers, patches = self._apply(event, self.answers)
        self._steps.append(Step((event,), answers, tuple(patches)))
        return [patch.box for patch in patches]

    def _bring_back(self, step: Step) -> list[IndexBox]:
        for patch in step.patches:
            self._canvas.bring_back(patch)
        self._steps.append(step)
        return [patch.box for patch in step.patches]

    @property
    def _events(self) -> list[Event]:
        return [event for step in self._steps for event in step.events]


def _name(events: Sequence[Event]) -> tuple[int, ...]:
    """Name of a list of events: these very objects, which whoever keeps the name must keep, too."""
    return tuple(map(id, events))
