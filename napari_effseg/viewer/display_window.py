"""Which intensity windows a reader is offered for an image, and why some of them are not.

Pure: facts about an image in, choices out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from ..volume.windowing import WINDOWS, IntensityWindow, looks_like_hounsfield

__all__ = ["ImageFacts", "WindowChoice", "WindowKind", "window_choices"]

_NO_WINDOW = {
    "colour": "A colour picture is shown as it is.",
    "labels": "Labels have colours, and no window.",
}
_READER_ORDER = (
    "soft tissue",
    "lung",
    "bone",
    "brain",
    "mediastinum",
    "abdomen",
    "liver",
    "spine",
    "angiography",
    "stroke",
)


class WindowKind(Enum):
    """Where a window's limits come from."""

    HEADER = "header"
    AUTO = "auto"
    FULL = "full"
    PRESET = "preset"


@dataclass(frozen=True)
class WindowChoice:
    """One entry of the list of windows.

    Attributes
    ----------
    name : str
        As the list shows it.
    kind : WindowKind
    window : IntensityWindow or None
        Its limits; None where they follow from the values of the image.
    reason : str
        Why it cannot be chosen; "" where it can.
    """

    name: str
    kind: WindowKind
    window: IntensityWindow | None = None
    reason: str = ""


@dataclass(frozen=True)
class ImageFacts:
    """What decides about windows.

    Attributes
    ----------
    kind : "grey", "colour" or "labels"
    modality : str or None
        "CT", "MR", ... where the file says.
    header : IntensityWindow or None
        The window that the file asks for.
    extremes : (low, high) or None
        About the smallest and largest value; None where they are not known without reading the file.
    """

    kind: Literal["grey", "colour", "labels"] = "grey"
    modality: str | None = None
    header: IntensityWindow | None = None
    extremes: tuple[float, float] | None = None


def window_choices(facts: ImageFacts) -> tuple[WindowChoice, ...]:
    """All windows in the order of the list; those that make no sense for the image say why."""
    no_window = _NO_WINDOW.get(facts.kind, "")
    no_header = "" if facts.header else "The file asks for no window."
    no_presets = no_window or _why_no_presets(facts)
    return (
        WindowChoice("From the file", WindowKind.HEADER, facts.header, no_window or no_header),
        WindowChoice("Auto (1-99 %)", WindowKind.AUTO, reason=no_window),
        WindowChoice("Full range", WindowKind.FULL, reason=no_window),
        *(
            WindowChoice(f"CT {name}", WindowKind.PRESET, WINDOWS[name], no_presets)
            for name in sorted(WINDOWS, key=_place)
        ),
    )


def _place(name: str) -> tuple[int, str]:
    """Order of the presets: the common ones first, any that this list does not know yet at the end."""
    return (_READER_ORDER.index(name) if name in _READER_ORDER else len(_READER_ORDER)), name


def _why_no_presets(facts: ImageFacts) -> str:
    if facts.modality is not None:
        return (
            "" if facts.modality == "CT" else f"CT windows are in Hounsfield units; this is {facts.modality}."
        )
    if facts.extremes is None:
        return "CT windows are in Hounsfield units, and the file does not say that this is CT."
    if looks_like_hounsfield(*facts.extremes):
        return ""
    low, high = facts.extremes
    return f"CT windows are in Hounsfield units; values from {low:g} to {high:g} do not look like it."
