"""The history of a click session: every action in order, undone and redone without limit.

What a session shows is a function of its image and of this list alone. Actions are frozen; numbers of prompts
and strokes are given once and never again, whatever was undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import PromptError
from .given import axis_given, box_given, colour_given, name_given, whole_given
from .prompts import Box, Lasso, Mask, Point, Prompt, Scribble
from .types import Colour, IndexBox

__all__ = [
    "Action",
    "Add",
    "Bring",
    "Choose",
    "Commit",
    "Edit",
    "Event",
    "History",
    "Propagate",
    "Remove",
    "Stroke",
    "current_events",
    "current_prompts",
    "in_words",
]


@dataclass(frozen=True)
class Add:
    """A prompt was given.

    Attributes
    ----------
    id : int
    prompt : Prompt
    shown : int or None
        Axis across the plane that was shown.
    """

    id: int
    prompt: Prompt
    shown: int | None = None

    def __post_init__(self) -> None:
        _check_is_prompt(self.prompt)
        shown = None if self.shown is None else axis_given(self.shown, "as the one across what is shown")
        object.__setattr__(self, "shown", shown)


@dataclass(frozen=True)
class Remove:
    """A prompt was taken away."""

    id: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", whole_given(self.id, "the number of a prompt"))


@dataclass(frozen=True)
class Edit:
    """A prompt was changed; it keeps its place in the order."""

    id: int
    prompt: Prompt

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", whole_given(self.id, "the number of a prompt"))
        _check_is_prompt(self.prompt)


@dataclass(frozen=True, eq=False)
class Bring:
    """What a box shows was replaced by what was carried there from another time.

    Attributes
    ----------
    box : IndexBox
        Half-open.
    inside : ndarray of bool, of the box's shape
    """

    box: IndexBox
    inside: NDArray[np.bool_]

    def __post_init__(self) -> None:
        object.__setattr__(self, "box", box_given(self.box, "what was carried here"))
        object.__setattr__(self, "inside", _kept(self.inside, self.box))


@dataclass(frozen=True, eq=False)
class Stroke:
    """Voxels were painted, or wiped away, by hand.

    Attributes
    ----------
    id : int
    box : IndexBox
        Half-open.
    inside : ndarray of bool, of the box's shape
    positive : bool
        Painted, or wiped away.
    """

    id: int
    box: IndexBox
    inside: NDArray[np.bool_]
    positive: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "box", box_given(self.box, "a stroke"))
        object.__setattr__(self, "inside", _kept(self.inside, self.box))
        object.__setattr__(self, "positive", bool(self.positive))


def _kept(inside: ArrayLike, box: IndexBox) -> NDArray[np.bool_]:
    """Return a copy of a box's voxels that cannot be changed."""
    shape = tuple(high - low for low, high in zip(*box, strict=True))
    inside = np.asarray(inside)
    if inside.shape != shape or inside.dtype != np.bool_:
        raise PromptError(f"a stroke of {inside.dtype} {inside.shape} was given for a box of {shape}")
    kept = inside.copy()
    kept.setflags(write=False)
    return kept


@dataclass(frozen=True)
class Choose:
    """Another of the masks was chosen that the prompts of a slice may mean.

    Attributes
    ----------
    axis, index : int
        The slice.
    hypothesis : int
        Its rank, 0 for the first.
    """

    axis: int
    index: int
    hypothesis: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "axis", axis_given(self.axis, "of a slice"))
        object.__setattr__(self, "index", whole_given(self.index, "a slice"))
        object.__setattr__(self, "hypothesis", whole_given(self.hypothesis, "the rank of a mask"))


@dataclass(frozen=True)
class Propagate:
    """The answer was carried on through the volume.

    Attributes
    ----------
    axis : int
        0, 1 or 2.
    low, high : int or None
        First slice, and the first beyond; None for as far as it goes.
    """

    axis: int
    low: int | None = None
    high: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "axis", axis_given(self.axis, "to propagate along"))


@dataclass(frozen=True)
class Commit:
    """The object was finished; what follows belongs to the next one."""

    label: int
    name: str
    colour: Colour

    def __post_init__(self) -> None:
        label = whole_given(self.label, "a label")
        if not 1 <= label <= _HIGHEST_LABEL:
            raise PromptError(f"label {label} was given; expected 1 to {_HIGHEST_LABEL}")
        object.__setattr__(self, "label", label)
        object.__setattr__(self, "name", name_given(self.name))
        object.__setattr__(self, "colour", colour_given(self.colour))


Action: TypeAlias = Add | Bring | Remove | Edit | Stroke | Choose | Propagate | Commit
"""Whatever can be undone."""
Event: TypeAlias = Add | Bring | Stroke | Choose | Propagate
"""What makes the mask of an object, once removed prompts are gone and edited ones are changed."""
_HIGHEST_LABEL = 65535
_KINDS = {Point: "point", Box: "box", Scribble: "scribble", Lasso: "lasso", Mask: "mask"}


class History:
    """A list of actions, and how many of them apply.

    Parameters
    ----------
    actions : iterable of Action
    applied : int or None
        How many of them apply; None for all.
    last_id : int
        The highest number that was ever given.
    """

    def __init__(self, actions: Iterable[Action] = (), applied: int | None = None, last_id: int = 0) -> None:
        self._actions = list(actions)
        self._applied = len(self._actions) if applied is None else applied
        if not 0 <= self._applied <= len(self._actions):
            raise PromptError(f"{applied} of {len(self._actions)} actions cannot apply")
        given = (action.id for action in self._actions if isinstance(action, Add | Stroke))
        self._last_id = max(last_id, 0, *given)

    @property
    def actions(self) -> tuple[Action, ...]:
        """All actions, undone ones at the end."""
        return tuple(self._actions)

    @property
    def applied(self) -> tuple[Action, ...]:
        """The actions that apply, in order."""
        return tuple(self._actions[: self._applied])

    @property
    def last_id(self) -> int:
        """The highest number that was ever given."""
        return self._last_id

    @property
    def undoable(self) -> Action | None:
        """What `undo` would take back."""
        return self._actions[self._applied - 1] if self._applied else None

    @property
    def redoable(self) -> Action | None:
        """What `redo` would bring back."""
        return self._actions[self._applied] if self._applied < len(self._actions) else None

    def copy(self) -> History:
        """Return a history that goes on by itself."""
        return History(self._actions, self._applied, self._last_id)

    def new_id(self) -> int:
        """Return a number that was never given before."""
        self._last_id += 1
        return self._last_id

    def do(self, action: Action) -> None:
        """Append an action; what was undone is gone.

        Raises
        ------
        PromptError
            If it changes or takes away a prompt that is not there, or puts a point where another one says the
            opposite.
        """
        if isinstance(action, Remove | Edit) and action.id not in current_prompts(self.applied):
            raise PromptError(f"there is no prompt {action.id} in the object at hand")
        if isinstance(action, Add | Edit) and isinstance(action.prompt, Point):
            self._check_agreement(action.id, action.prompt)
        del self._actions[self._applied :]
        self._actions.append(action)
        self._applied += 1

    def _check_agreement(self, number: int, point: Point) -> None:
        for other, prompt in current_prompts(self.applied).items():
            if not isinstance(prompt, Point) or other == number or prompt.index != point.index:
                continue
            if prompt.positive != point.positive:
                here, there = ("on", "outside of") if point.positive else ("outside of", "on")
                raise PromptError(
                    f"the point {point.index} was given as {here} the object; prompt {other} says that it is "
                    f"{there} it. Remove one of the two"
                )

    def undo(self) -> Action | None:
        """Take back the last action, and return it; None if there is none."""
        action = self.undoable
        self._applied -= action is not None
        return action

    def redo(self) -> Action | None:
        """Bring back the last action that was undone, and return it; None if there is none."""
        action = self.redoable
        self._applied += action is not None
        return action


def current_events(applied: Sequence[Action]) -> tuple[Event, ...]:
    """Return what makes the unfinished object, in order.

    Parameters
    ----------
    applied : sequence of Action
        Such as `History.applied`, or a part of it up to a `Commit`.
    """
    events: list[Event] = []
    for action in applied:
        if isinstance(action, Commit):
            events = []
        elif isinstance(action, Remove):
            events = [event for event in events if not _is_prompt(event, action.id)]
        elif isinstance(action, Edit):
            events = [_edited(event, action) for event in events]
        else:
            events.append(action)
    return tuple(events)


def current_prompts(applied: Sequence[Action]) -> dict[int, Prompt]:
    """Return the prompts of the unfinished object by their numbers, in order."""
    return {event.id: event.prompt for event in current_events(applied) if isinstance(event, Add)}


def in_words(action: Action | None) -> str:
    """Say what an action is, for buttons: "point", "stroke", "remove prompt 3"; empty for None."""
    if action is None:
        return ""
    if isinstance(action, Add):
        kind = _KINDS[type(action.prompt)]
        return kind if action.prompt.positive else f"negative {kind}"
    if isinstance(action, Remove):
        return f"remove prompt {action.id}"
    if isinstance(action, Edit):
        return f"change of prompt {action.id}"
    if isinstance(action, Stroke):
        return "stroke" if action.positive else "wipe"
    if isinstance(action, Commit):
        return f"finish {action.name}"
    return "choice" if isinstance(action, Choose) else "propagate"


def _check_is_prompt(prompt: object) -> None:
    if not isinstance(prompt, Point | Box | Scribble | Lasso | Mask):
        raise PromptError(f"{prompt!r} was given as a prompt; expected a Point, Box, Scribble, Lasso or Mask")


def _is_prompt(event: Event, number: int) -> bool:
    return isinstance(event, Add) and event.id == number


def _edited(event: Event, edit: Edit) -> Event:
    if isinstance(event, Add) and event.id == edit.id:
        return Add(event.id, edit.prompt, event.shown)
    return event
