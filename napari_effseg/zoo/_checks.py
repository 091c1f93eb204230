"""Checks of single values; each raises `CardError` with the place of the value."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ._schema import Where


def check_sides(sides: Sequence[float], dimensions: int, where: Where) -> None:
    """Refuse sizes that are not positive, or not one for each dimension."""
    if len(sides) != dimensions:
        raise where.error(f"expected {dimensions} entries for dimensions = {dimensions}, got {len(sides)}")
    for index, side in enumerate(sides):
        positive(side, where.at(index))


def match(pattern: re.Pattern[str], text: str, where: Where, expected: str) -> None:
    """Refuse a text that is not of the form that `expected` tells."""
    if not pattern.fullmatch(text):
        raise where.error(f"expected {expected}, got {text!r}")


def not_empty(text: str, where: Where) -> None:
    """Refuse a text without a letter."""
    if not text.strip():
        raise where.error("must not be empty")


def positive(value: float, where: Where) -> None:
    """Refuse a number that is not above 0."""
    if not value > 0:
        raise where.error(f"expected more than 0, got {value}")


def unique(values: Sequence[object], where: Where, what: str) -> None:
    """Refuse a value that an earlier entry has."""
    for index, value in enumerate(values):
        if value in values[:index]:
            raise where.at(index).error(f"the {what} {value!r} is taken by an earlier entry")
