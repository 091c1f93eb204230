"""Upright in the body: which axis of the patient an array axis runs along, and which way."""

from __future__ import annotations

from ...volume import Grid

__all__ = ["body_axis", "runs_upright"]

_PAIRS = ("LR", "PA", "IS")
_TOWARDS = "LPI"


def body_axis(grid: Grid, axis: int) -> int:
    """Return along which of the patient's axes an array axis runs.

    Returns
    -------
    int
        0 from side to side, 1 from front to back, 2 from head to feet.
    """
    return next(place for place, pair in enumerate(_PAIRS) if grid.axcodes[axis] in pair)


def runs_upright(grid: Grid, axis: int) -> bool:
    """Whether an array axis runs towards the patient's left, back or feet, as it is shown to networks."""
    return grid.axcodes[axis] in _TOWARDS
