"""Write a label map as a DICOM SEG of binary segments, through highdicom.

highdicom is given the geometry of the planes and stand-ins of the source images that hold nothing of the
patient: it logs and quotes what it is given. Patient, study and references to the true images come after.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..._extras import require
from ...errors import ExportError
from ...types import IntArray
from ...volume import Grid, LabelMap, ras_to_lps
from ..dicom._silence import hushed
from ._private import store_grid
from ._reference import Reference, SourceImage
from ._segments import describe

if TYPE_CHECKING:
    from highdicom.seg import Segmentation
    from pydicom.dataset import Dataset

__all__ = ["Target", "write"]

_PURPOSE = "writing DICOM SEG"
_CT, _SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7"
_EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
_UTF8 = "ISO_IR 192"
_MOST_SEGMENTS = 65535
_SERIES_NUMBERS_ABOVE = 1000  # above those that scanners and reconstructions give
_NO_SERIAL_NUMBER = "0"  # the standard demands one of equipment; software has none


@dataclass(frozen=True)
class Target:
    """Where the frames of a SEG go.

    Parameters
    ----------
    reference : Reference
    grid : Grid
        Of the label map as it is written: columns, rows, slices.
    positions_lps : ndarray, shape (K, 3)
        Of the first pixel of each slice, mm.
    """

    reference: Reference
    grid: Grid
    positions_lps: NDArray[np.float64]


def write(labels: LabelMap, path: Path, *, target: Target) -> None:
    """Write a label map that lies on `target.grid`.

    Raises
    ------
    ExportError
        If there is nothing to describe, or highdicom refuses it.
    MissingExtra
        If highdicom is not installed.
    """
    numbers = _segment_numbers(labels)
    planes, indices = _planes(labels.data, numbers)
    with hushed():
        try:
            seg = _segmentation(labels, numbers, planes, target.positions_lps[indices], target)
        except (AttributeError, LookupError, TypeError, ValueError) as err:
            raise ExportError(f"{path}: highdicom could not make a DICOM SEG of it ({err})") from err
        _complete(seg, target)
        seg.save_as(path, enforce_file_format=True)


# --- what goes in ---


def _segment_numbers(labels: LabelMap) -> dict[int, int]:
    """Segment number of each label that is described or occurs."""
    known = sorted({*labels.described, *labels.counts()})
    if not known:
        raise ExportError("the label map is empty and names no label; a DICOM SEG needs at least one segment")
    if len(known) > _MOST_SEGMENTS:
        raise ExportError(f"there are {len(known):,} labels; a DICOM SEG holds {_MOST_SEGMENTS:,} segments")
    return {label: number for number, label in enumerate(known, start=1)}


def _planes(data: IntArray, numbers: dict[int, int]) -> tuple[IntArray, list[int]]:
    """Segment numbers in the slices that have any, (N, rows, columns), and which slices they are.

    With none at all, the first slice: a SEG must have a frame.
    """
    indices = [k for k in range(data.shape[2]) if data[:, :, k].any()] or [0]
    known = np.array([0, *numbers])  # in rising order
    kind = np.uint8 if len(numbers) <= np.iinfo(np.uint8).max else np.uint16
    planes: IntArray = np.empty((len(indices), data.shape[1], data.shape[0]), kind)
    for plane, k in zip(planes, indices, strict=True):
        plane[:] = np.searchsorted(known, data[:, :, k].T)
    return planes, indices


def _segmentation(
    labels: LabelMap,
    numbers: dict[int, int],
    planes: IntArray,
    positions: NDArray[np.float64],
    target: Target,
) -> Segmentation:
    seg = require("highdicom.seg", "dicom", _PURPOSE)
    highdicom = require("highdicom", "dicom", _PURPOSE)
    made_by = labels.made_by.name if labels.made_by else "not stated"
    finished: Segmentation = seg.Segmentation(
        source_images=_stand_ins(target),
        pixel_array=planes,
        segmentation_type=seg.SegmentationTypeValues.BINARY,
        segment_descriptions=describe(labels, numbers),
        series_instance_uid=highdicom.UID(),
        series_number=_SERIES_NUMBERS_ABOVE + target.reference.context.series_number,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="napari-effseg",
        manufacturer_model_name="napari-effseg",
        software_versions=metadata.version("napari-effseg"),
        device_serial_number=_NO_SERIAL_NUMBER,
        transfer_syntax_uid=_EXPLICIT_LITTLE,
        content_label="SEGMENTATION",
        content_description=f"Segments by {made_by}"[:64],
        series_description=f"Segmentation by {made_by}"[:64],
        omit_empty_frames=bool(planes.any()),
        **_geometry(positions, target),
    )
    return finished


def _geometry(positions: NDArray[np.float64], target: Target) -> dict[str, Any]:
    """Positions, directions and pixel sizes in highdicom's form; none for a picture without a place."""
    if not target.reference.has_place:
        return {}
    highdicom = require("highdicom", "dicom", _PURPOSE)
    spacing = target.grid.spacing
    return {
        "plane_positions": [highdicom.PlanePositionSequence("PATIENT", position) for position in positions],
        "plane_orientation": highdicom.PlaneOrientationSequence("PATIENT", _orientation(target.grid)),
        "pixel_measures": highdicom.PixelMeasuresSequence(
            pixel_spacing=(spacing[1], spacing[0]),
            slice_thickness=spacing[2],
            spacing_between_slices=spacing[2],
        ),
    }


def _orientation(grid: Grid) -> list[float]:
    """Direction of the rows (along i), then of the columns (along j), in LPS."""
    lps = ras_to_lps(grid.affine)[:3] / [*grid.spacing, 1]
    return [*lps[:, 0].tolist(), *lps[:, 1].tolist()]


def _stand_ins(target: Target) -> list[Dataset]:
    """One data set for each slice of the series with its place and nothing of the patient.

    A missing slice has one, too: highdicom finds the source of all planes, or of none.
    """
    return [_stand_in(k, target.reference) for k in range(len(target.reference.images))]


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
    image.SliceThickness = DSfloat(spacing[2], auto_format=True)
    if reference.has_pixel_size:
        image.PixelSpacing = [DSfloat(spacing[1], auto_format=True), DSfloat(spacing[0], auto_format=True)]
    if reference.has_place:
        image.FrameOfReferenceUID = context.frame_of_reference_uid
        position = reference.positions_lps[k].tolist()
        image.ImagePositionPatient = [DSfloat(part, auto_format=True) for part in position]
        directions = _orientation(reference.grid)
        image.ImageOrientationPatient = [DSfloat(part, auto_format=True) for part in directions]
    for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if keyword in context.elements:
            setattr(image, keyword, context.elements[keyword])
    return image


def _stand_in_uid(k: int) -> str:
    return f"2.25.{k + 1}"


# --- what comes after ---


def _complete(seg: Segmentation, target: Target) -> None:
    """Put in what highdicom was not given: exact geometry, references, patient and study, our grid."""
    reference = target.reference
    if reference.has_place:
        shared = seg.SharedFunctionalGroupsSequence[0]
        exact = _geometry(np.empty((0, 3)), target)  # highdicom takes the source's where they are alike
        shared.PlaneOrientationSequence = exact["plane_orientation"]
        shared.PixelMeasuresSequence = exact["pixel_measures"]
    _refer(seg, reference)
    for keyword, value in reference.context.elements.items():
        setattr(seg, keyword, value)
    if _is_ascii(seg):
        if "SpecificCharacterSet" in seg:
            del seg.SpecificCharacterSet
    else:
        seg.SpecificCharacterSet = _UTF8
    store_grid(seg, target.grid)


def _refer(seg: Segmentation, reference: Reference) -> None:
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


def _is_ascii(dataset: Iterable[Any]) -> bool:
    """Whether every text of a data set, without its frames, is plain ASCII."""
    for element in dataset:
        if element.VR == "SQ":
            if element.keyword != "PerFrameFunctionalGroupsSequence" and not all(
                map(_is_ascii, element.value)
            ):
                return False
        elif element.VR in _TEXTS and not str(element.value).isascii():
            return False
    return True


_TEXTS = ("LO", "LT", "PN", "SH", "ST", "UC", "UT")
