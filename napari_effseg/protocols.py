"""What a door may ask of a click session, wherever the network runs; no torch.

Local and remote sessions, and the ones of tests, are equals behind `Session`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from .prompts import Prompt
from .types import BoolArray, CancelCheck, Colour, IndexBox, PathLike, Progress
from .volume import LabelMap

__all__ = ["Listener", "Session", "SessionObject"]

Listener = Callable[[tuple[IndexBox, ...]], None]
"""Called with the boxes of the image in which the mask, or the labels, changed."""


@dataclass(frozen=True)
class SessionObject:
    """A finished object.

    Attributes
    ----------
    label : int
    name : str
    colour : (red, green, blue)
    volume_ml : float
    """

    label: int
    name: str
    colour: Colour
    volume_ml: float


class Session(Protocol):
    """One image, its finished objects, and the one at hand. Indices are those of the image as loaded."""

    @property
    def mask(self) -> BoolArray:
        """The object at hand, bool (I, J, K); not to be changed."""
        ...

    @property
    def labels(self) -> LabelMap:
        """All finished objects."""
        ...

    @property
    def objects(self) -> tuple[SessionObject, ...]:
        """Finished objects in the order in which they were finished."""
        ...

    @property
    def prompts(self) -> Mapping[int, Prompt]:
        """Prompts of the object at hand by their numbers, in order."""
        ...

    @property
    def undo_words(self) -> str:
        """What `undo` would take back, in words; empty if nothing."""
        ...

    @property
    def redo_words(self) -> str:
        """What `redo` would bring back, in words; empty if nothing."""
        ...

    def add(self, prompt: Prompt, *, shown: int | None = None) -> int:
        """Give a prompt, and return its number.

        Parameters
        ----------
        prompt : Prompt
        shown : int, optional
            Axis across the plane that is shown.

        Raises
        ------
        PromptError
            If it reaches out of the image; the session stays as it was.
        """
        ...

    def remove(self, prompt_id: int) -> None:
        """Take a prompt away; the mask becomes what it would be without it."""
        ...

    def edit(self, prompt_id: int, prompt: Prompt) -> None:
        """Change a prompt, which keeps its place in the order."""
        ...

    def paint(self, box: IndexBox, inside: BoolArray, *, positive: bool = True) -> int:
        """Paint voxels, or wipe them away, by hand; returns the stroke's number."""
        ...

    def hypotheses(self, axis: int, index: int) -> tuple[float, ...]:
        """Return the scores of the masks that the prompts of a slice may mean, the likeliest first."""
        ...

    def choose(self, axis: int, index: int, hypothesis: int) -> None:
        """Choose another of the masks of a slice, by its rank.

        Raises
        ------
        PromptError
            If the slice has no such mask.
        """
        ...

    def chosen(self, axis: int, index: int) -> int:
        """Return the rank of the mask that a slice shows, of those that its prompts may mean."""
        ...

    def preview(self, prompt: Prompt, *, shown: int | None = None) -> tuple[tuple[IndexBox, BoolArray], ...]:
        """Return what a prompt would make of the mask, box by box; nothing changes, and nothing is kept.

        Parameters
        ----------
        prompt, shown
            As `add`.

        Raises
        ------
        PromptError
            As `add`.
        """
        ...

    def propagate(
        self, axis: int = 2, *, progress: Progress | None = None, cancel: CancelCheck | None = None
    ) -> None:
        """Carry the answer on through the volume, as far as the object goes."""
        ...

    def commit(self, label: int | None = None, name: str = "", colour: Colour | None = None) -> int:
        """Finish the object at hand, lock it, and return its label."""
        ...

    def undo(self) -> str:
        """Take back the last action, and say which; empty if there is none."""
        ...

    def redo(self) -> str:
        """Bring back what was undone, and say what; empty if there is none."""
        ...

    def save(self, path: PathLike) -> None:
        """Write everything to an ``.effseg`` file."""
        ...

    def listen(self, listener: Listener) -> None:
        """Have a function called whenever something changed."""
        ...

    def close(self) -> None:
        """Free what the session holds."""
        ...

    def __enter__(self) -> Session: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
