"""From a header to what is in the file: its series, and a record for each frame that can be read."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ImageReadError
from ._files import Header
from ._kinds import Layout, layout_of, why_no_image, why_not_readable
from ._places import Place, place_of, places_along
from ._silence import hushed
from ._values import item, items, number, numbers, tag_of, text, texts

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["TAGS", "Content", "Frame", "content_of"]

TAGS = (
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesDescription", "Modality", "ImageType"),
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation"),
    *("BitsAllocated", "BitsStored", "PixelRepresentation", "PlanarConfiguration"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"),
    *("SpacingBetweenSlices", "SliceLocation", "ImagerPixelSpacing", "NominalScannedPixelSpacing"),
    *("SequenceOfUltrasoundRegions", "DetectorInformationSequence", "GridFrameOffsetVector", "SliceVector"),
    *("PhaseVector", "TimeSlotVector", "RRIntervalVector", "EnergyWindowVector", "DetectorVector"),
    *("RescaleSlope", "RescaleIntercept", "DoseGridScaling", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *("DiffusionBValue", "DiffusionGradientOrientation", "SequenceName", "EchoTime", "InversionTime"),
    *("TemporalPositionIdentifier", "NominalPercentageOfCardiacPhase", "TriggerTime", "FlipAngle", "KVP"),
    *("ConvolutionKernel", "AcquisitionNumber", "AcquisitionTime", "ContentTime", "InstanceNumber"),
)
"""What is read of each header: nothing that tells who the patient is."""

_NM_VECTORS = ("PhaseVector", "TimeSlotVector", "RRIntervalVector", "EnergyWindowVector", "DetectorVector")
_SIEMENS_B_VALUE = re.compile(r"_b(\d+)(?:#(\d+))?")  # in SequenceName, "*ep_b800#3"
_ZERO_SLOPE = "the rescale slope is 0, which would make every voxel the same: the values are those stored"
_BAD_RESCALE = "the rescale slope or intercept cannot be read: the values are those stored"
_TABLE_LEFT_OUT = "the Modality LUT is not applied: the values are those stored"

MarkValue = float | str | tuple[float, ...] | tuple[str, ...] | None


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame of a file.

    Parameters
    ----------
    path : Path
    index : int
        Which frame of the file, from 0.
    instance_uid : str
        Of the file's object.
    layout : Layout
        How its pixels are stored.
    place : Place
        Where it lies.
    slice_location : float or None
        As the header says, mm; used where there is no position.
    slope, intercept : float
        Stored value -> value.
    window : (level, width) or None
        To be shown first.
    image_type : tuple of str
    marks : dict of str to value
        What may tell this frame from others at its place, in words that users know.
    order : dict of str to float
        What frames at one place may be ordered by.
    notes : tuple of str
    """

    path: Path
    index: int
    instance_uid: str
    layout: Layout
    place: Place
    slice_location: float | None
    slope: float
    intercept: float
    window: tuple[float, float] | None
    image_type: tuple[str, ...]
    marks: dict[str, MarkValue]
    order: dict[str, float]
    notes: tuple[str, ...]

    @property
    def is_rescaled(self) -> bool:
        """Whether slope and intercept change anything."""
        return (self.slope, self.intercept) != (1.0, 0.0)


@dataclass(frozen=True)
class Content:
    """What one file holds.

    Parameters
    ----------
    path : Path
    series_uid, description, modality : str
        "" where the header does not say.
    is_image : bool
        Whether it was made to be looked at; else `why_not` says what it is.
    frames : tuple of Frame
        Empty where it cannot be read.
    why_not : str
        Why not, as the rest of a sentence that starts with the file's name; else "".
    """

    path: Path
    series_uid: str
    description: str
    modality: str
    is_image: bool
    frames: tuple[Frame, ...]
    why_not: str = ""


def content_of(header: Header) -> Content:
    """Series and frames of a file; what cannot be read is said in the answer, not raised."""
    with hushed():
        dataset = header.dataset
        named = (
            header.path,
            text(dataset, "SeriesInstanceUID"),
            text(dataset, "SeriesDescription"),
            text(dataset, "Modality").upper(),
        )
        if reason := why_no_image(header):
            return Content(*named, False, (), reason)
        if reason := why_not_readable(header):
            return Content(*named, True, (), reason)
        try:
            layout = layout_of(header)
            return Content(*named, True, tuple(_frames(header, layout)))
        except ImageReadError as err:
            return Content(*named, True, (), str(err))


def _frames(header: Header, layout: Layout) -> Iterator[Frame]:
    dataset, count = header.dataset, layout.frames
    shared = item((dataset,), "SharedFunctionalGroupsSequence")
    groups = items(dataset, "PerFrameFunctionalGroupsSequence")
    if groups and len(groups) < count:
        raise ImageReadError(f"it describes {len(groups)} of its {count} frames")
    along = places_along(dataset, count) if not groups and count > 1 else None
    whole_file = place_of(dataset)
    for index in range(count):
        own = (groups[index], shared) if groups else (shared,)
        if along is not None:
            place = along[index]
        else:
            place = place_of(dataset, own) if groups or shared is not None else whole_file
        slope, intercept, note = _rescale(dataset, own)
        marks = _marks(dataset, own)
        if count > 1 and not groups:
            marks["time point"] = _time_point(dataset, index, count)
        yield Frame(
            header.path,
            index,
            text(dataset, "SOPInstanceUID"),
            layout,
            place,
            number(dataset, "SliceLocation"),
            slope,
            intercept,
            _window(item(own, "FrameVOILUTSequence") or dataset),
            texts(dataset, "ImageType"),
            marks,
            _order(dataset, index),
            (*place.notes, note) if note else place.notes,
        )


def _time_point(dataset: Dataset, index: int, count: int) -> MarkValue:
    """Tell the frames of a classic multi-frame object apart, by its vectors or their order."""
    vectors = [numbers(dataset, keyword, count) for keyword in _NM_VECTORS]
    found = tuple(vector[index] for vector in vectors if vector)
    return found or (None if numbers(dataset, "SliceVector", count) else float(index))


def _rescale(dataset: Dataset, groups: tuple[Dataset | None, ...]) -> tuple[float, float, str]:
    """Slope, intercept, and what to say about them."""
    source = item(groups, "PixelValueTransformationSequence") or dataset
    if tag_of("DoseGridScaling") in dataset:
        scaling = number(dataset, "DoseGridScaling")
        return (scaling, 0.0, "") if scaling else (1.0, 0.0, _BAD_RESCALE)
    if items(source, "ModalityLUTSequence"):
        return 1.0, 0.0, _TABLE_LEFT_OUT
    slope, intercept = number(source, "RescaleSlope"), number(source, "RescaleIntercept")
    for keyword, value in (("RescaleSlope", slope), ("RescaleIntercept", intercept)):
        if value is None and text(source, keyword):
            return 1.0, 0.0, _BAD_RESCALE
    if slope == 0:
        return 1.0, 0.0, _ZERO_SLOPE
    return 1.0 if slope is None else slope, intercept or 0.0, ""


def _window(source: Dataset) -> tuple[float, float] | None:
    level, width = number(source, "WindowCenter"), number(source, "WindowWidth")
    return (level, width) if level is not None and width is not None and width > 0 else None


def _marks(dataset: Dataset, groups: tuple[Dataset | None, ...]) -> dict[str, MarkValue]:
    """Collect what may tell frames at one place apart, first choice first."""
    diffusion = item(groups, "MRDiffusionSequence") or dataset
    gradient = item((diffusion,), "DiffusionGradientDirectionSequence") or diffusion
    echo = item(groups, "MREchoSequence")
    cardiac = item(groups, "CardiacSynchronizationSequence") or dataset
    content = item(groups, "FrameContentSequence")
    b_value, direction = (
        number(diffusion, "DiffusionBValue"),
        numbers(gradient, "DiffusionGradientOrientation", 3),
    )
    siemens = _SIEMENS_B_VALUE.search(text(dataset, "SequenceName"))
    marks: dict[str, MarkValue] = {
        "b-value": float(siemens[1]) if b_value is None and siemens else b_value,
        "gradient direction": tuple(round(part, 4) for part in direction) if direction else None,
        "direction number": float(siemens[2]) if siemens and siemens[2] else None,
        "echo time": number(echo, "EffectiveEchoTime") if echo else number(dataset, "EchoTime"),
        "inversion time": number(dataset, "InversionTime"),
        "flip angle": number(dataset, "FlipAngle"),
        "time point": number(content, "TemporalPositionIndex")
        if content
        else number(dataset, "TemporalPositionIdentifier"),
        "cardiac phase": number(cardiac, "NominalPercentageOfCardiacPhase"),
        "trigger delay": number(cardiac, "NominalCardiacTriggerDelayTime"),
        "image type": _frame_type(groups) or texts(dataset, "ImageType")[2:] or None,
        "tube voltage": number(dataset, "KVP"),
        "kernel": texts(dataset, "ConvolutionKernel") or None,
        "acquisition": number(content, "FrameAcquisitionNumber")
        if content
        else number(dataset, "AcquisitionNumber"),
        "stack": text(content, "StackID") or None if content else None,
    }
    return marks


def _frame_type(groups: tuple[Dataset | None, ...]) -> tuple[str, ...]:
    for keyword in ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence"):
        found = item(groups, keyword)
        if found is not None:
            return (*texts(found, "FrameType")[2:], text(found, "ComplexImageComponent"))
    return ()


def _order(dataset: Dataset, index: int) -> dict[str, float]:
    keywords = ("TriggerTime", "AcquisitionTime", "ContentTime", "InstanceNumber")
    found = {keyword: number(dataset, keyword) for keyword in keywords}
    order = {keyword: value for keyword, value in found.items() if value is not None and math.isfinite(value)}
    return {**order, "index": float(index)}
