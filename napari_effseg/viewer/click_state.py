"""What the panel *Click segmentation* shows, as plain values; no Qt, and nothing that computes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from ..protocols import SessionObject
from ..types import Colour

if TYPE_CHECKING:
    from napari.layers import Image

    from .click_saving import Offer

__all__ = ["ClickStage", "ClickState", "ClickStore", "ModelChoice", "PromptRow", "Tool"]

_NOTHING_YET = "Click on an object first."


class Tool(Enum):
    """What the mouse does on the canvas."""

    MOVE = "Move"
    POINT = "Point"
    BOX = "Box"
    SCRIBBLE = "Scribble"
    LASSO = "Lasso"
    ERASE = "Erase prompt"
    BRUSH = "Brush"


class ClickStage(Enum):
    """What the panel is doing."""

    CLOSED = "closed"
    OPENING = "opening"
    READY = "ready"
    CARRYING = "carrying"
    STOPPING = "stopping"


@dataclass(frozen=True)
class ModelChoice:
    """A model that answers clicks: its name, and its title for people."""

    name: str
    title: str


@dataclass(frozen=True)
class PromptRow:
    """A prompt of the object at hand.

    Attributes
    ----------
    id : int
    words : str
        What and where it is.
    positive : bool
    """

    id: int
    words: str
    positive: bool


@dataclass(frozen=True, eq=False)
class ClickState:
    """Everything that the panel shows.

    Attributes
    ----------
    images, image : tuple of Image layers, Image layer or None
    models, model : tuple of ModelChoice, str
        Those that answer clicks, the best first; the name of the chosen one, "" if there is none.
    is_looking : bool
        Whether it is still being looked which models there are.
    stage, fraction, message : ClickStage, float, str
    tool, positive : Tool, bool
        What the mouse does, and whether it says "the object" or "not the object".
    hovers, hover_note : bool, str
        Whether the mask is shown before a click; why it is not.
    prompts, selected : tuple of PromptRow, int or None
    objects : tuple of SessionObject
        Finished ones.
    label, name, colour, volume_ml : int, str, Colour, float
        Of the object at hand.
    has_mask : bool
        Whether that is seen, at any time point.
    frames, frame : int, int
        Time points of the session, and the one whose prompts and volumes are shown.
    undo, redo : str
        What they would take back or bring back.
    hypotheses, chosen : int, int
        How many masks the prompts of the slice may mean, and which is shown.
    shows_slice, has_depth : bool
        Whether the canvas shows slices, and whether there are others in the same direction.
    offer : Offer or None
        A session of this image that was saved before.
    saved, saved_in : str
        When it was saved last, and in which file.
    notice : str
        What the last thing that the user did could not do, and what to do instead.
    problem, details : str
        Why there is no session, and what a report of a fault should hold.
    is_lost : bool
        Whether a server did not answer the last time; only what the user does asks it again.
    """

    images: tuple[Image, ...] = ()
    image: Image | None = None
    models: tuple[ModelChoice, ...] = ()
    model: str = ""
    is_looking: bool = True
    stage: ClickStage = ClickStage.CLOSED
    fraction: float = 0.0
    message: str = ""
    tool: Tool = Tool.POINT
    positive: bool = True
    hovers: bool = True
    hover_note: str = ""
    prompts: tuple[PromptRow, ...] = ()
    selected: int | None = None
    objects: tuple[SessionObject, ...] = ()
    label: int = 1
    name: str = ""
    colour: Colour = (230, 159, 0)
    volume_ml: float = 0.0
    has_mask: bool = False
    frames: int = 1
    frame: int = 0
    undo: str = ""
    redo: str = ""
    hypotheses: int = 0
    chosen: int = 0
    shows_slice: bool = True
    has_depth: bool = True
    offer: Offer | None = None
    saved: str = ""
    saved_in: str = ""
    notice: str = ""
    problem: str = ""
    details: str = ""
    is_lost: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether a click would be answered."""
        return self.stage is ClickStage.READY

    @property
    def is_busy(self) -> bool:
        """Whether something goes on that can be cancelled."""
        return self.stage in (ClickStage.OPENING, ClickStage.CARRYING)

    @property
    def why_not(self) -> str:
        """Why clicks are not answered now, "" if they are."""
        if self.image is None:
            return "Open an image first: File > Open, or drag a file or DICOM folder into the window."
        if self.problem:
            return self.problem
        if not self.models:
            return "Looking which models answer clicks …" if self.is_looking else NO_MODEL
        if self.stage is ClickStage.CLOSED:
            return "Stopped while the image was opened; press Open again."
        if self.stage is ClickStage.OPENING:
            return "Wait until the image is ready for clicks."
        if self.stage is not ClickStage.READY:
            return "Wait for the end, or cancel it (Esc)."
        return ""

    @property
    def why_not_undo(self) -> str:
        """Why nothing can be taken back, "" if it can."""
        return self.why_not or ("" if self.undo else "There is nothing to undo.")

    @property
    def why_not_redo(self) -> str:
        """Why nothing can be brought back, "" if it can."""
        return self.why_not or ("" if self.redo else "Nothing was undone.")

    @property
    def why_not_finish(self) -> str:
        """Why the object at hand cannot be finished, "" if it can."""
        return self.why_not or ("" if self.has_mask else _NOTHING_YET)

    @property
    def why_not_carry(self) -> str:
        """Why the object cannot be carried on through the slices, "" if it can."""
        if self.why_not_finish:
            return self.why_not_finish
        if self.volume_ml == 0:
            return "The object is not seen at this time point; go to one where it is."
        if not self.shows_slice:
            return "Show slices first (2D, Ctrl+Y): it goes through the slices of the plane that is shown."
        return "" if self.has_depth else "There is only one slice in this direction."

    @property
    def why_not_through_time(self) -> str:
        """Why the object cannot be carried on to other time points, "" if it can."""
        return self.why_not_finish or ("" if self.frames > 1 else "The image has one time point only.")

    @property
    def why_not_other(self) -> str:
        """Why no other mask can be shown, "" if one can."""
        if self.why_not_finish:
            return self.why_not_finish
        return "" if self.hypotheses > 1 else "The prompts of this slice have one meaning only."

    @property
    def why_not_delete(self) -> str:
        """Why no prompt can be deleted, "" if one can."""
        if self.why_not:
            return self.why_not
        if not self.prompts:
            return "There is no prompt yet."
        return (
            "" if self.selected is not None else "Select a prompt first: in the list, or with a click on it."
        )

    @property
    def why_not_save(self) -> str:
        """Why the session cannot be saved, "" if it can."""
        return self.why_not or (
            "" if self.undo or self.redo or self.objects else "There is nothing to save yet."
        )


NO_MODEL = (
    "No model that answers clicks is installed. Name the folder of one in EFFSEG_CARDS, or train one with "
    "“effseg train”, and open this panel again."
)
"""What to do where no promptable card is found."""


class ClickStore:
    """Holds the state; tells when it has changed.

    Attributes
    ----------
    changed : Signal
        Emitted with the new state.
    """

    changed = Signal(ClickState)

    def __init__(self) -> None:
        self.now = ClickState()

    def set(self, **changes: Any) -> None:
        """Replace fields of the state."""
        self.now = replace(self.now, **changes)
        self.changed.emit(self.now)
