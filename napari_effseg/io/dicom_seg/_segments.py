"""What a SEG says of its segments, and what we say of labels: two ways of writing one table.

Segments are numbered from 1 without gaps, as the standard wants; the label's own number stands at the start
of the Segment Description (0062,0006), "effseg label 300: Left hippocampus", and so comes back. The name
stands there too, whole: the Segment Label holds 64 characters and no backslash.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..._extras import require
from ...errors import ExportError, VolumeError
from ...types import Colour
from ...volume import Algorithm, Code, LabelMap
from .._labels import free_numbers
from ..dicom._silence import library_errors
from ..dicom._values import item, items, numbers, text, whole
from ..label_table import LabelTable
from ..terminology import side_code, side_of
from ._colour import lab_from_rgb, rgb_from_lab

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription
    from pydicom.dataset import Dataset

__all__ = ["Segment", "describe", "segments_of", "storable", "table_of"]

_LONGEST_LABEL = 64  # characters of a Segment Label, a code's meaning, an algorithm's name (VR LO)
_LONGEST_SCHEME = 16  # of a coding scheme's name (VR SH)
_LONGEST_NAME = 900  # fits with the number into a Segment Description (VR ST, 1024)
_LABEL = re.compile(r"effseg label (\d{1,18})( \(no code\))?(?:: (.*))?", re.DOTALL)
_UNCODED = ("SCT", "85756007", "Tissue")  # what Slicer writes where nothing is known
_ANATOMICAL = ("SCT", "123037004", "Anatomical Structure")
_ABNORMAL = ("SCT", "49755003", "Morphologically Abnormal Structure")
_KINDS = {"AUTOMATIC": "automatic", "SEMIAUTOMATIC": "semiautomatic", "MANUAL": "manual"}
_UNKNOWN_ALGORITHM = Algorithm("not stated", "not stated", "semiautomatic")
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


# --- writing ---


def storable(labels: LabelMap) -> tuple[LabelMap, tuple[str, ...]]:
    """Return the label map as a SEG can hold it, and warnings that say what was cut.

    Raises
    ------
    ExportError
        If a name or the name of a coding scheme is too long.
    """
    codes: dict[int, Code] = {}
    warnings = []
    for label, name in labels.names.items():
        if len(name) > _LONGEST_NAME:
            raise ExportError(
                f"the name of label {label} has {len(name)} characters; DICOM SEG holds {_LONGEST_NAME}"
            )
    for label, code in labels.codes.items():
        if len(code.scheme) > _LONGEST_SCHEME:
            raise ExportError(
                f"label {label}: the coding scheme {code.scheme!r} has {len(code.scheme)} characters; "
                f"DICOM holds {_LONGEST_SCHEME}"
            )
        codes[label] = replace(code, meaning=_short(code.meaning))
        if codes[label] != code:
            warnings.append(f"the meaning of label {label}'s code was shortened to what DICOM holds")
    return replace(labels, codes=codes), tuple(warnings)


def describe(labels: LabelMap, numbers: Mapping[int, int]) -> list[SegmentDescription]:
    """Items of the Segment Sequence.

    Parameters
    ----------
    labels : LabelMap
        As `storable` returns it.
    numbers : dict
        Segment number of each label, 1 to N.
    """
    return [_describe(labels, label, number) for label, number in numbers.items()]


def _describe(labels: LabelMap, label: int, number: int) -> SegmentDescription:
    seg = require("highdicom.seg", "dicom", "writing DICOM SEG")
    highdicom = require("highdicom", "dicom", "writing DICOM SEG")
    made_by = labels.made_by or _UNKNOWN_ALGORITHM
    name, code, colour = labels.names.get(label), labels.codes.get(label), labels.colours.get(label)
    kind, category = _property(code)
    description: SegmentDescription = seg.SegmentDescription(
        segment_number=number,
        segment_label=_segment_label(name, label),
        segmented_property_category=_concept(category),
        segmented_property_type=_concept(kind),
        algorithm_type=next(key for key, value in _KINDS.items() if value == made_by.kind),
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=_short(made_by.name),
            family=_concept(("DCM", "123110", "Artificial Intelligence")),
            version=_short(made_by.version),
        ),
    )
    if code is not None and code.laterality is not None:
        modifiers = [_concept(side_code(code.laterality))]
        description.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = modifiers
    if colour is not None:
        description.RecommendedDisplayCIELabValue = list(lab_from_rgb(colour))
    description.SegmentDescription = (
        f"effseg label {label}{'' if code else ' (no code)'}{f': {name}' if name else ''}"
    )
    return description


def _property(code: Code | None) -> tuple[tuple[str, str, str], tuple[str, str, str]]:
    """Type and category of what is segmented, each scheme, value and meaning."""
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code as DicomCode

    if code is None:
        return _UNCODED, _UNCODED
    kind = (code.scheme, code.value, code.meaning)
    is_lesion = DicomCode(code.value, code.scheme, code.meaning) in codes.cid7159  # Lesion Segmentation Types
    return kind, _ABNORMAL if is_lesion else _ANATOMICAL


def _concept(code: tuple[str, str, str]) -> Dataset:
    coding = require("highdicom.sr", "dicom", "writing DICOM SEG")
    scheme, value, meaning = code
    concept: Dataset = coding.CodedConcept(value, scheme, meaning)
    return concept


def _segment_label(name: str | None, label: int) -> str:
    return _short(name) if name else f"Label {label}"


def _short(words: str) -> str:
    """Text as a value of VR LO can hold it."""
    return words.replace("\\", "/")[:_LONGEST_LABEL].strip()


# --- reading ---


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
    ours = _LABEL.fullmatch(_whole_text(entry, "SegmentDescription"))
    label = int(ours[1]) if ours else 0
    colour = numbers(entry, "RecommendedDisplayCIELabValue", 3)
    return Segment(
        number=number,
        label=label or number,
        name=_name(text(entry, "SegmentLabel"), ours[3] if ours else None, label),
        colour=None if colour is None else rgb_from_lab(colour),
        code=None if ours and ours[2] else _code(entry),
        made_by=_algorithm(entry),
    )


def _whole_text(dataset: Dataset, keyword: str) -> str:
    """Text of any length with its spaces, which `text` would tidy."""
    try:
        return str(dataset.get(keyword) or "").strip()
    except library_errors():
        return ""


def _name(segment_label: str, full: str | None, label: int) -> str | None:
    """Name of a segment; the full one of the description, unless another program has renamed the segment."""
    if label and segment_label == _segment_label(full, label) and (full or "").isprintable():
        return full
    return segment_label or None


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
    kind = _KINDS.get(text(entry, "SegmentAlgorithmType"))
    name = text(entry, "SegmentAlgorithmName")
    if kind is None or name == _UNKNOWN_ALGORITHM.name:
        return None
    identification = item([entry], "SegmentationAlgorithmIdentificationSequence")
    version = "" if identification is None else text(identification, "AlgorithmVersion")
    return Algorithm(name or "not stated", version or "not stated", kind)
