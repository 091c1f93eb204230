"""From labels to the items of a Segment Sequence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ..._extras import require
from ...errors import ExportError
from ...volume import Code, LabelMap
from ..terminology import side_code
from ._colour import lab_from_rgb
from ._geometry import PURPOSE
from ._wording import (
    ALGORITHM_KINDS,
    LONGEST_NAME,
    UNKNOWN_ALGORITHM,
    Wording,
    description_of,
    segment_label,
    short_text,
)

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription
    from pydicom.dataset import Dataset

__all__ = ["describe", "storable"]

_LONGEST_SCHEME = 16  # characters of a coding scheme's name (VR SH)
_UNCODED = ("SCT", "85756007", "Tissue")  # what Slicer writes where nothing is known
_ANATOMICAL = ("SCT", "123037004", "Anatomical Structure")
_ABNORMAL = ("SCT", "49755003", "Morphologically Abnormal Structure")


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
        if len(name) > LONGEST_NAME:
            raise ExportError(
                f"the name of label {label} has {len(name)} characters; DICOM SEG holds {LONGEST_NAME}"
            )
    for label, code in labels.codes.items():
        if len(code.scheme) > _LONGEST_SCHEME:
            raise ExportError(
                f"label {label}: the coding scheme {code.scheme!r} has {len(code.scheme)} characters; "
                f"DICOM holds {_LONGEST_SCHEME}"
            )
        codes[label] = replace(code, meaning=short_text(code.meaning))
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
    seg = require("highdicom.seg", "dicom", PURPOSE)
    highdicom = require("highdicom", "dicom", PURPOSE)
    made_by = labels.made_by or UNKNOWN_ALGORITHM
    name, code, colour = labels.names.get(label), labels.codes.get(label), labels.colours.get(label)
    kind, category = _property(code)
    description: SegmentDescription = seg.SegmentDescription(
        segment_number=number,
        segment_label=segment_label(name, label),
        segmented_property_category=_concept(category),
        segmented_property_type=_concept(kind),
        algorithm_type=next(key for key, value in ALGORITHM_KINDS.items() if value == made_by.kind),
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=short_text(made_by.name),
            family=_concept(("DCM", "123110", "Artificial Intelligence")),
            version=short_text(made_by.version),
        ),
    )
    if code is not None and code.laterality is not None:
        modifiers = [_concept(side_code(code.laterality))]
        description.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = modifiers
    if colour is not None:
        description.RecommendedDisplayCIELabValue = list(lab_from_rgb(colour))
    description.SegmentDescription = description_of(Wording(label, name, has_code=code is not None))
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
    coding = require("highdicom.sr", "dicom", PURPOSE)
    scheme, value, meaning = code
    concept: Dataset = coding.CodedConcept(value, scheme, meaning)
    return concept
