"""Values of a data set, whatever was stored under their tags. All to be called inside `hushed`."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, MutableSequence, Sequence
from typing import TYPE_CHECKING, Any

from ._silence import library_errors

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.tag import BaseTag

__all__ = ["item", "items", "number", "numbers", "tag_of", "text", "texts", "whole"]

_LONGEST_TEXT = 64  # characters; what DICOM allows for a description


@functools.cache
def tag_of(keyword: str) -> BaseTag:
    """Tag of a keyword of the standard."""
    from pydicom.tag import Tag

    return Tag(keyword)


def text(dataset: Dataset, keyword: str) -> str:
    """Text on one line, "" where there is none; of several values the first."""
    found = texts(dataset, keyword)
    return found[0] if found else ""


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """Every value as text on one line, without control characters."""
    return tuple(_one_line(part) for part in _parts(dataset, keyword))


def number(dataset: Dataset, keyword: str) -> float | None:
    """First value as a finite number, None where it is missing or no number."""
    found = _parts(dataset, keyword)
    return _as_number(found[0]) if found else None


def numbers(dataset: Dataset | None, keyword: str, count: int) -> tuple[float, ...] | None:
    """Return exactly `count` finite numbers, or None."""
    found = [] if dataset is None else [_as_number(part) for part in _parts(dataset, keyword)]
    finite = tuple(part for part in found if part is not None)
    return finite if len(finite) == len(found) == count else None


def whole(dataset: Dataset, keyword: str) -> int | None:
    """First value as an integer, None where it is missing or no integer."""
    found = number(dataset, keyword)
    return int(found) if found is not None and found == int(found) else None


def items(dataset: Dataset | None, keyword: str) -> Sequence[Dataset]:
    """Items of a sequence, none where it is missing or something else."""
    from pydicom.sequence import Sequence as DicomSequence

    found = None if dataset is None else _value(dataset, keyword)
    return found if isinstance(found, DicomSequence) else ()


def item(datasets: Iterable[Dataset | None], keyword: str) -> Dataset | None:
    """First item of the first of these data sets that has the sequence, None without."""
    for dataset in datasets:
        if found := items(dataset, keyword):
            return found[0]
    return None


def _value(dataset: Dataset, keyword: str) -> Any:
    tag = tag_of(keyword)  # looking up by keyword is ten times as slow, and most elements are not there
    try:
        return dataset[tag].value if tag in dataset else None
    except library_errors():  # of a value that cannot be parsed nothing is known
        return None


def _parts(dataset: Dataset, keyword: str) -> list[Any]:
    found = _value(dataset, keyword)
    if isinstance(found, MutableSequence):
        return list(found)
    return [] if found is None or found == "" else [found]


def _as_number(part: Any) -> float | None:
    try:
        found = float(part)
    except library_errors():
        return None
    return found if math.isfinite(found) else None


def _one_line(part: Any) -> str:
    cleaned = "".join(letter if letter.isprintable() else " " for letter in str(part))
    return " ".join(cleaned.split())[:_LONGEST_TEXT]
