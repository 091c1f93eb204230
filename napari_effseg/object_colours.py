"""Colours of new objects: told apart by colour-blind eyes, too."""

from __future__ import annotations

from .types import Colour

__all__ = ["PALETTE", "next_colour"]

PALETTE: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
"""Okabe and Ito, Color Universal Design, without black and grey."""


def next_colour(objects: int) -> Colour:
    """Return the colour of the next object after so many."""
    return PALETTE[objects % len(PALETTE)]
