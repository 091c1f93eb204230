"""From the items of a Segment Sequence, whoever wrote them, to labels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import VolumeError
from ...types import Colour
from ...volume import Algorithm, Code
from .._labels import free_numbers
from ..dicom._silence import library_errors
from ..dicom._values import item, items, numbers, text, whole
from ..label_table import LabelTable
from ..terminology import side_of
from ._colour import rgb_from_lab
from ._wording import ALGORITHM_KINDS, UNKNOWN_ALGORITHM, Wording, segment_label, wording_in

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["Segment", "segments_of", "table_of"]

_CODE_VALUES = ("CodeValue", "LongCodeValue", "URNCodeValue")


@dataclass(frozen=True)
class Segment:
    """One item of the Segment Sequence.

    Parameters
    ----------
    number : int
        Segment number, by which frames refer to it.
    label : int
        The label that it should become: ours where the description says one, else the number.
    name, colour, code, made_by
        What is known of it.
    """

    number: int
    label: int
    name: str | None
    colour: Colour | None
    code: Code | None
    made_by: Algorithm | None


def segments_of(dataset: Dataset) -> tuple[Segment, ...]:
    """Segments in the order of their numbers; background, number 0 of a label map, is left out."""
    found = {
        segment.number: segment for segment in map(_segment, items(dataset, "SegmentSequence")) if segment
    }
    return tuple(found[number] for number in sorted(found))


def table_of(segments: tuple[Segment, ...]) -> tuple[dict[int, int], LabelTable]:
    """Label of each segment number, and the table by label.

    A label that two segments ask for goes to the first; the other gets the next free number, with a warning.
    """
    given = free_numbers([segment.label for segment in segments])
    labels = dict(zip((segment.number for segment in segments), given, strict=True))
    by_label = dict(zip(given, segments, strict=True))
    warnings: tuple[str, ...] = ()
    if any(segment.label != label for label, segment in by_label.items()):
        warnings = ("two segments say that they are the same label; the later was given a new number",)
    table = LabelTable(
        {label: segment.name for label, segment in by_label.items() if segment.name},
        {label: segment.colour for label, segment in by_label.items() if segment.colour},
        {label: segment.code for label, segment in by_label.items() if segment.code},
        warnings,
    )
    return labels, table


def _segment(entry: Dataset) -> Segment | None:
    number = whole(entry, "SegmentNumber")
    if number is None or number < 1:
        return None
    ours = wording_in(_whole_text(entry, "SegmentDescription"))
    colour = numbers(entry, "RecommendedDisplayCIELabValue", 3)
    return Segment(
        number=number,
        label=ours.label if ours else number,
        name=_name(text(entry, "SegmentLabel"), ours),
        colour=None if colour is None else rgb_from_lab(colour),
        code=None if ours and not ours.has_code else _code(entry),
        made_by=_algorithm(entry),
    )


def _whole_text(dataset: Dataset, keyword: str) -> str:
    """Text of any length with its spaces, which `text` would tidy."""
    try:
        return str(dataset.get(keyword) or "").strip()
    except library_errors():
        return ""


def _name(named: str, ours: Wording | None) -> str | None:
    """Name of a segment; the full one of our wording, unless another program has renamed the segment."""
    if ours is not None and named == " ".join(segment_label(ours.name, ours.label).split()):
        return ours.name  # with its spaces, which `text` tidies
    return named or None


def _code(entry: Dataset) -> Code | None:
    kind = item([entry], "SegmentedPropertyTypeCodeSequence")
    if kind is None:
        return None
    value = next(filter(None, (_whole_text(kind, keyword) for keyword in _CODE_VALUES)), "")
    parts = (text(kind, "CodingSchemeDesignator"), value, text(kind, "CodeMeaning"))
    scheme, value, meaning = (re.sub(r"[|~^]", "/", part) for part in parts)
    try:
        return Code(scheme, value, meaning, _side(entry, kind))
    except VolumeError:  # a part is empty: the segment has no code that another program would know
        return None


def _side(entry: Dataset, kind: Dataset) -> str | None:
    """Laterality, wherever the writing program put it: at the type, the segment, or the anatomic region."""
    for modifier in _modifiers(entry, kind):
        if side := side_of(text(modifier, "CodeValue")):
            return side
    return None


def _modifiers(entry: Dataset, kind: Dataset) -> Iterator[Dataset]:
    for owner in (kind, entry):
        yield from items(owner, "SegmentedPropertyTypeModifierCodeSequence")
    for region in items(entry, "AnatomicRegionSequence"):
        yield from items(region, "AnatomicRegionModifierSequence")
    for structure in items(entry, "PrimaryAnatomicStructureSequence"):
        yield from items(structure, "PrimaryAnatomicStructureModifierSequence")


def _algorithm(entry: Dataset) -> Algorithm | None:
    kind = ALGORITHM_KINDS.get(text(entry, "SegmentAlgorithmType"))
    name = text(entry, "SegmentAlgorithmName")
    if kind is None or name == UNKNOWN_ALGORITHM.name:
        return None
    identification = item([entry], "SegmentationAlgorithmIdentificationSequence")
    version = "" if identification is None else text(identification, "AlgorithmVersion")
    return Algorithm(name or UNKNOWN_ALGORITHM.name, version or UNKNOWN_ALGORITHM.name, kind)
