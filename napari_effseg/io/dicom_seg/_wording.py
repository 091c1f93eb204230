"""How a label's number and name stand in a segment.

Segments are numbered from 1 without gaps, as the standard wants; the label's own number stands at the start
of the Segment Description (0062,0006), "effseg label 300: Left hippocampus", and so comes back. The name
stands there too, whole: the Segment Label (0062,0005) holds 64 characters and no backslash.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...volume import Algorithm

__all__ = [
    "ALGORITHM_KINDS",
    "LONGEST_NAME",
    "UNKNOWN_ALGORITHM",
    "Wording",
    "description_of",
    "segment_label",
    "short_text",
    "wording_in",
]

ALGORITHM_KINDS = {"AUTOMATIC": "automatic", "SEMIAUTOMATIC": "semiautomatic", "MANUAL": "manual"}
"""Segment Algorithm Type -> `Algorithm.kind`."""

UNKNOWN_ALGORITHM = Algorithm("not stated", "not stated", "semiautomatic")
"""What is written where nobody said: the standard demands a type, and it is not known to be automatic."""

LONGEST_NAME = 900
"""Characters that fit with the number into a Segment Description (VR ST, 1024)."""

_LONGEST_TEXT = 64  # characters of a Segment Label, a code's meaning, an algorithm's name (VR LO)
_DESCRIPTION = re.compile(r"effseg label (\d{1,18})( \(no code\))?(?:: (.*))?", re.DOTALL)


@dataclass(frozen=True)
class Wording:
    """What a Segment Description of ours says.

    Parameters
    ----------
    label : int
        At least 1.
    name : str or None
    has_code : bool
        Whether the segment's type is the label's code, rather than one that stands for none.
    """

    label: int
    name: str | None
    has_code: bool


def description_of(wording: Wording) -> str:
    """Text for a Segment Description.

    Examples
    --------
    >>> description_of(Wording(300, "Left hippocampus", has_code=True))
    'effseg label 300: Left hippocampus'
    """
    without = "" if wording.has_code else " (no code)"
    return f"effseg label {wording.label}{without}{f': {wording.name}' if wording.name else ''}"


def wording_in(description: str) -> Wording | None:
    """Read what `description_of` writes; None for the text of another program."""
    found = _DESCRIPTION.fullmatch(description)
    if found is None or int(found[1]) == 0:
        return None
    name = found[3] if found[3] and found[3].isprintable() else None
    return Wording(int(found[1]), name, has_code=not found[2])


def segment_label(name: str | None, label: int) -> str:
    """Text for a Segment Label, which must not be empty."""
    return short_text(name) if name else f"Label {label}"


def short_text(words: str) -> str:
    """Text as a value of VR LO can hold it."""
    return words.replace("\\", "/")[:_LONGEST_TEXT].strip()
