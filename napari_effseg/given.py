"""Values that users give, in the plain form in which they are kept and written; no torch.

Numbers of numpy, arrays and lists become Python's own, so that whatever a session was given can be saved.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import SupportsIndex

from .errors import PromptError
from .types import Colour, IndexBox

__all__ = ["axis_given", "box_given", "colour_given", "name_given", "whole_given"]

_BRIGHTEST = 255


def whole_given(value: object, name: str) -> int:
    """Return a whole number.

    Parameters
    ----------
    value : object
    name : str
        What it is, for the error.

    Raises
    ------
    PromptError
        If it is none.

    Examples
    --------
    >>> whole_given(3.0, "a label")
    3
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    try:
        return operator.index(value)  # type: ignore[arg-type]  # what is none raises
    except TypeError as err:
        raise PromptError(f"{value!r} was given for {name}; expected a whole number") from err


def axis_given(value: SupportsIndex | float, name: str) -> int:
    """Return an array axis.

    Raises
    ------
    PromptError
        If it is not 0, 1 or 2.
    """
    try:
        axis = whole_given(value, name)
    except PromptError:
        axis = -1
    if axis not in (0, 1, 2):
        raise PromptError(f"axis {value!r} was given {name}; expected 0, 1 or 2")
    return axis


def box_given(box: Sequence[Sequence[SupportsIndex]], name: str) -> IndexBox:
    """Return a half-open box of voxel indices.

    Raises
    ------
    PromptError
        If it is not made of two corners of three whole numbers each, or is empty.
    """
    try:
        low, high = ([whole_given(value, name) for value in corner] for corner in box)
    except (TypeError, ValueError) as err:
        raise PromptError(f"{box!r} was given for {name}; expected ((i0, j0, k0), (i1, j1, k1))") from err
    if len(low) != 3 or len(high) != 3 or not all(a < b for a, b in zip(low, high, strict=True)):
        raise PromptError(
            f"the box {box!r} was given for {name}; expected ((i0, j0, k0), (i1, j1, k1)), half-open, with "
            "at least one voxel"
        )
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def colour_given(colour: Sequence[SupportsIndex]) -> Colour:
    """Return a colour.

    Raises
    ------
    PromptError
        If it is not three whole numbers from 0 to 255.
    """
    try:
        red, green, blue = (whole_given(part, "a colour") for part in colour)
    except (TypeError, ValueError) as err:
        raise PromptError(_no_colour(colour)) from err
    if not all(0 <= part <= _BRIGHTEST for part in (red, green, blue)):
        raise PromptError(_no_colour(colour))
    return red, green, blue


def name_given(name: object) -> str:
    """Return the name of an object.

    Raises
    ------
    PromptError
        If it is no text on one line.
    """
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise PromptError(f"{name!r} was given as an object's name; expected text on one line")
    return name.strip()


def _no_colour(colour: object) -> str:
    return f"the colour {colour!r} was given; expected red, green and blue from 0 to 255"
