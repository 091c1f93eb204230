"""What a door may ask of an engine and of a click session, wherever the network runs; no torch.

Local and remote ones, and those of tests, are equals behind `Segmenter` and `Session`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .prompts import Prompt
from .types import BoolArray, CancelCheck, Colour, IndexBox, PathLike, Progress
from .volume import Code, LabelMap, Volume

__all__ = [
    "LabelInfo",
    "Listener",
    "LooksAhead",
    "ModelInfo",
    "Region",
    "Segmented",
    "Segmenter",
    "Session",
    "SessionObject",
]

Region = IndexBox | Sequence[IndexBox]
"""One half-open box of stored indices ((i0, j0, k0), (i1, j1, k1)), or several."""

Listener = Callable[[tuple[IndexBox, ...]], None]
"""Called with the boxes of the image in which the mask, or the labels, changed."""


@dataclass(frozen=True)
class LabelInfo:
    """A structure that a model labels.

    Attributes
    ----------
    id : int
    name : str
    colour : (red, green, blue)
    code : Code or None
    """

    id: int
    name: str
    colour: Colour
    code: Code | None = None


@dataclass(frozen=True)
class ModelInfo:
    """What a chooser of models shows, and needs to know which models take an image.

    Attributes
    ----------
    name, title, summary : str
    task : "automatic" or "promptable"
        Whether it segments by itself, or answers clicks.
    dimensions : 2 or 3
        Slices and pictures, or volumes.
    modality : tuple of str
        Such as "MR"; empty if it does not matter.
    channels : tuple of (role, description)
        Images that it takes, in order.
    labels : tuple of LabelInfo
    licence : str
        Of the weights.
    accuracy : str
        In words, such as "Dice 0.884 on 20 test cases".
    recommended : bool
        The best measured one of its task and structures.
    limits : tuple of str
        Sentences.
    spacing : tuple of float, or None
        Millimetres a voxel that it works at, one for each dimension; None: whatever the image has.
    """

    name: str
    title: str
    summary: str
    task: Literal["automatic", "promptable"]
    dimensions: int
    modality: tuple[str, ...]
    channels: tuple[tuple[str, str], ...]
    labels: tuple[LabelInfo, ...]
    licence: str
    accuracy: str
    recommended: bool
    limits: tuple[str, ...] = ()
    spacing: tuple[float, ...] | None = None

    def misfit(self, volume: Volume) -> str | None:
        """Say why the model does not take an image, as far as that can be told at once; None if it does."""
        if self.task != "automatic":
            return None
        if volume.is_flat != (self.dimensions == 2):
            return "it takes volumes" if self.dimensions == 3 else "it takes slices and pictures"
        if volume.modality and self.modality and volume.modality.upper() not in self.modality:
            return f"it takes {' or '.join(self.modality)}"
        wanted, given = len(self.channels), volume.channels
        if wanted != given and {wanted, given} != {1, 3}:
            return f"it takes {wanted} channels: {', '.join(role for role, _ in self.channels)}"
        return None


@dataclass(frozen=True, eq=False)
class Segmented:
    """What `Segmenter.segment` gives back.

    Attributes
    ----------
    labels : LabelMap
        On exactly the grid of the image.
    doubt : ndarray of float32, shape (I, J, K), or None
        In [0, 1].
    report : mapping
        Plain values; see docs/json.md.
    """

    labels: LabelMap
    doubt: NDArray[np.float32] | None
    report: Mapping[str, Any]


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


class Segmenter(Protocol):
    """An engine: in this process, or a server's."""

    def models(self) -> tuple[ModelInfo, ...]:
        """Return the models that can be used, both those that segment by themselves and for clicks."""
        ...

    def segment(
        self,
        volume: Volume,
        model: str | None = None,
        *,
        roi: Region | None = None,
        progress: Progress | None = None,
        cancel: CancelCheck | None = None,
    ) -> Segmented:
        """Segment a volume by itself.

        Parameters
        ----------
        volume : Volume
        model : str, optional
            None: the recommended one of those that fit.
        roi : box, list of boxes, or None
            Regions to label, half-open, in stored indices.
        progress, cancel : callable, optional

        Raises
        ------
        EffsegError
            As `napari_effseg.segment`; a `ServerError` if a server is to blame.
        """
        ...

    def open_session(self, volume: Volume, model: str = "auto") -> Session:
        """Open a click session on an image, to be closed.

        Raises
        ------
        EffsegError
            As `napari_effseg.open_session`; a `ServerError` if a server is to blame.
        """
        ...

    def resume(self, path: PathLike, volume: Volume, model: str = "auto") -> Session:
        """Go on with a session that was saved to an ``.effseg`` file; "auto": by the model that made it."""
        ...

    def close(self) -> None:
        """Free what is held for this user; sessions that are still open are closed."""
        ...

    def __enter__(self) -> Segmenter: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


@runtime_checkable
class LooksAhead(Protocol):
    """A session that can get ready for prompts that may come, while nothing else goes on."""

    def look_ahead(self, axis: int, index: int, *, cancel: CancelCheck | None = None) -> None:
        """Get ready for prompts in the slices beside one; no answer changes, later ones may come sooner.

        Parameters
        ----------
        axis, index : int
            The slice that is shown: axis across it, and its number.
        cancel : callable, optional
            Asked between slices; True: stop.
        """
        ...
