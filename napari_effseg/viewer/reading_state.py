"""What the reading dock has to show, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..volume import IntensityWindow
from .display_window import WindowChoice
from .orientation import EdgeLetters, Plane

__all__ = ["DeskState"]


@dataclass(frozen=True)
class DeskState:
    """What a dock has to show.

    Attributes
    ----------
    image : str
        Name of the current image layer, "" for none.
    why_no_anatomy : str
        Why planes, letters and places are off; "" where they are on.
    can_assume, is_assumed : bool
        Whether the reader may say that the axes are (S, P, L), and has said so.
    why_not_turnable : str
        Why left and right cannot be exchanged.
    plane : Plane or None
        That is shown.
    letters : EdgeLetters
    choices : tuple of WindowChoice
    window : IntensityWindow or None
        That is shown; None for a colour picture.
    chosen : str
        Name of the choice that is shown, "" for limits that are none of them.
    notes : tuple of str
        Sentences for the reader.
    """

    image: str = ""
    why_no_anatomy: str = ""
    can_assume: bool = False
    is_assumed: bool = False
    why_not_turnable: str = ""
    plane: Plane | None = None
    letters: EdgeLetters = field(default_factory=EdgeLetters)
    choices: tuple[WindowChoice, ...] = ()
    window: IntensityWindow | None = None
    chosen: str = ""
    notes: tuple[str, ...] = ()
