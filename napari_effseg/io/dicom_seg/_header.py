"""What a SEG says of patient and study: copied from a source header, completed where that lacks something.

Only the elements that are named here are read or written: what the standard demands of a segmentation, and
nothing else that is known of the patient. The source files are never touched.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ExportError
from ..dicom._files import read_header
from ..dicom._silence import hushed, library_errors
from ..dicom._values import text

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["Context", "context_of"]

_EMPTY_ALLOWED = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
)
"""Must be there, but may be empty (type 2)."""

_OPTIONAL = (
    *("IssuerOfPatientID", "TypeOfPatientID", "StudyDescription", "PositionReferenceIndicator"),
    *("PatientIdentityRemoved", "DeidentificationMethod", "LongitudinalTemporalInformationModified"),
    *("PatientSpeciesDescription", "PatientBreedDescription", "ResponsiblePerson", "ResponsiblePersonRole"),
    *("ResponsibleOrganization", "QualityControlSubject"),
    *("ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName"),
    *("ClinicalTrialSiteID", "ClinicalTrialSiteName", "ClinicalTrialSubjectID"),
    *("ClinicalTrialSubjectReadingID", "ClinicalTrialTimePointID"),
)
"""Copied where they are there: who keeps a PACS finds the study's objects by them."""

_OF_PICTURES = ("PatientOrientation",)
"""What says where a picture without a place has the patient's sides (type 2C)."""

_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
_IDENTITY = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SeriesNumber")


@dataclass(frozen=True)
class Context:
    """What a SEG takes over from its source.

    Parameters
    ----------
    study_uid, series_uid, frame_of_reference_uid : str
    series_number : int
        Of the source; 0 where it has none.
    elements : dict
        Value by keyword of what is copied; texts are decoded.
    warnings : tuple of str
        What the source lacked, without any value of it.
    """

    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    series_number: int
    elements: dict[str, Any]
    warnings: tuple[str, ...]


def context_of(path: Path, *, has_place: bool) -> Context:
    """Read what a SEG takes over from one file of the series that it belongs to.

    Parameters
    ----------
    path : Path
    has_place : bool
        Whether the series lies in the patient, and so needs a frame of reference.

    Raises
    ------
    ExportError
        If the file does not say to which study and series it belongs: nothing could refer to it.
    """
    header = read_header(path, (*_IDENTITY, *_EMPTY_ALLOWED, *_OPTIONAL, *_OF_PICTURES, *_LOSSY))
    with hushed():
        dataset = header.dataset
        study, series = (text(dataset, keyword) for keyword in _IDENTITY[:2])
        if not study or not series:
            missing = "Study" if not study else "Series"
            raise ExportError(
                f"{path}: has no {missing} Instance UID, so that a DICOM SEG could not say what it belongs "
                "to; give the original series as reference, or write .seg.nrrd"
            )
        elements, mended = _elements(dataset, has_place=has_place)
        frame_of_reference = text(dataset, "FrameOfReferenceUID")
        derives_frame = has_place and not frame_of_reference
        return Context(
            study,
            series,
            frame_of_reference or _derived_uid(series),
            _series_number(dataset),
            elements,
            (*_lacking(dataset, derives_frame), *mended, *_character_set(dataset)),
        )


def _elements(dataset: Dataset, *, has_place: bool) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return decoded values of what is copied, and what to say about those that cannot be."""
    demanded = _EMPTY_ALLOWED if has_place else (*_EMPTY_ALLOWED, *_OF_PICTURES)
    elements: dict[str, Any] = dict.fromkeys(demanded, "")
    damaged = []
    for keyword in (*demanded, *_OPTIONAL, *_LOSSY):
        try:
            if keyword in dataset:
                elements[keyword] = _plain(dataset[keyword].value)
        except library_errors():
            damaged.append(keyword)
    if not damaged:
        return elements, ()
    return elements, (f"the reference's {_names(damaged)} cannot be read; left empty in the SEG",)


def _plain(value: Any) -> Any:
    """Names as text: kept as bytes of another character set they would be wrong in the SEG."""
    from pydicom.multival import MultiValue
    from pydicom.valuerep import PersonName

    if isinstance(value, MultiValue):
        return [_plain(part) for part in value]
    if isinstance(
        value, (str, PersonName, int, float)
    ):  # numbers of VR DS and IS, UIDs and dates are among them
        return str(value)
    if value is None:
        return ""
    raise TypeError(type(value))


def _lacking(dataset: Dataset, derives_frame: bool) -> tuple[str, ...]:
    absent = [keyword for keyword in _EMPTY_ALLOWED if keyword not in dataset]
    said = []
    if absent:
        said.append(f"the reference has no {_names(absent)}; left empty in the SEG")
    if derives_frame:
        said.append(
            "the reference has no Frame of Reference UID; one was derived from its Series Instance UID"
        )
    return tuple(said)


def _character_set(dataset: Dataset) -> tuple[str, ...]:
    """Say when a header's texts are in a character set that it does not name, or names wrongly."""
    from pydicom.charset import python_encoding

    if "SpecificCharacterSet" not in dataset:
        return ()
    declared = dataset.SpecificCharacterSet
    names = [declared] if isinstance(declared, str) or declared is None else list(declared)
    known = [name in python_encoding for name in names]
    if names and any(names) and all(known):
        return ()
    return ("the reference's character set is empty or unknown; its texts were read as ISO 8859-1",)


def _names(keywords: list[str]) -> str:
    from pydicom.datadict import dictionary_description, tag_for_keyword

    return ", ".join(dictionary_description(tag_for_keyword(keyword) or 0) for keyword in keywords)


def _series_number(dataset: Dataset) -> int:
    found = text(dataset, "SeriesNumber")
    return int(found) if found.isdecimal() else 0


def _derived_uid(series_uid: str) -> str:
    """Return the same UID for the same series, so that all its segmentations share one frame of reference."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'{series_uid} frame of reference').int}"
