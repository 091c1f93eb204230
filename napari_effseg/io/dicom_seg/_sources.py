"""The images that a SEG refers to: stand-ins for highdicom, and the true ones put back.

highdicom logs and quotes what it is given, and knows some kinds of objects only. So it gets one plain data
set a slice, with the slice's place and nothing of the patient, and finds out which frame lies on which.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ._geometry import orientation, slice_distance
from ._reference import Reference, SourceImage

if TYPE_CHECKING:
    from highdicom.seg import Segmentation
    from pydicom.dataset import Dataset

__all__ = ["put_references_back", "stand_ins"]

_CT, _SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7"
_FIRST_UID = 0x6B1F0C9A4E2D47C3A8D5917E3B60F200  # a random number, so that no true UID is met


def stand_ins(reference: Reference) -> list[Dataset]:
    """One data set for each slice of the series with its place and nothing of the patient.

    A missing slice has one, too: highdicom finds the source of all planes, or of none.
    """
    return [_stand_in(k, reference) for k in range(len(reference.images))]


def _stand_in(k: int, reference: Reference) -> Dataset:
    from pydicom.dataset import Dataset
    from pydicom.valuerep import DSfloat

    context, spacing = reference.context, reference.grid.spacing
    image = Dataset()
    image.SOPClassUID = _CT if reference.has_place else _SECONDARY_CAPTURE
    image.SOPInstanceUID = _stand_in_uid(k)
    image.StudyInstanceUID, image.SeriesInstanceUID = context.study_uid, context.series_uid
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex"):
        setattr(image, keyword, "")
    for keyword in ("AccessionNumber", "StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"):
        setattr(image, keyword, "")
    image.Modality = "OT"
    image.Columns, image.Rows = reference.grid.shape[:2]
    image.SliceThickness = DSfloat(slice_distance(reference.grid), auto_format=True)
    if reference.has_pixel_size:
        image.PixelSpacing = [DSfloat(spacing[1], auto_format=True), DSfloat(spacing[0], auto_format=True)]
    if reference.has_place:
        image.FrameOfReferenceUID = context.frame_of_reference_uid
        position = reference.positions_lps[k].tolist()
        image.ImagePositionPatient = [DSfloat(part, auto_format=True) for part in position]
        directions = orientation(reference.grid)
        image.ImageOrientationPatient = [DSfloat(part, auto_format=True) for part in directions]
    for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if keyword in context.elements:
            setattr(image, keyword, context.elements[keyword])
    return image


def _stand_in_uid(k: int) -> str:
    return f"2.25.{_FIRST_UID + k}"


def put_references_back(seg: Segmentation, reference: Reference) -> None:
    """Replace the references to stand-ins by those to the true images."""
    from pydicom.dataset import Dataset

    images = {_stand_in_uid(k): image for k, image in enumerate(reference.images)}
    for group in seg.PerFrameFunctionalGroupsSequence:
        group.DerivationImageSequence = [
            derivation for derivation in group.DerivationImageSequence if _refer_back(derivation, images)
        ]
    present = [image for image in reference.images if image is not None]
    whole = dict.fromkeys(replace(image, frame=None) for image in present)
    seg.SourceImageSequence = list(map(_reference_item, whole))
    series = Dataset()
    series.SeriesInstanceUID = reference.context.series_uid
    series.ReferencedInstanceSequence = list(map(_reference_item, whole))
    seg.ReferencedSeriesSequence = [series]


def _refer_back(derivation: Dataset, images: dict[str, SourceImage | None]) -> bool:
    """Name the true images in a derivation; whether there are any."""
    present = []
    for source in derivation.SourceImageSequence:
        uid = source.ReferencedSOPInstanceUID
        if uid not in images:  # frames of several segments share one item: it is done
            present.append(source)
        elif (image := images[uid]) is not None:
            _set_reference(source, image)
            present.append(source)
    derivation.SourceImageSequence = present
    return bool(present)


def _reference_item(image: SourceImage) -> Dataset:
    from pydicom.dataset import Dataset

    entry = Dataset()
    _set_reference(entry, image)
    return entry


def _set_reference(entry: Dataset, image: SourceImage) -> None:
    entry.ReferencedSOPClassUID = image.class_uid
    entry.ReferencedSOPInstanceUID = image.instance_uid
    if image.frame is not None:
        entry.ReferencedFrameNumber = image.frame
