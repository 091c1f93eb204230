"""Write a label map as a DICOM SEG of binary segments, through highdicom.

highdicom is given the geometry of the planes and stand-ins of the source images. Patient, study and
references to the true images come after.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..._extras import require
from ...errors import ExportError
from ...types import IntArray
from ...volume import LabelMap
from ..dicom._silence import hushed
from ._describe import describe
from ._geometry import PURPOSE, Target, geometry
from ._private import store_grid
from ._sources import put_references_back, stand_ins
from ._wording import short_text

if TYPE_CHECKING:
    from highdicom.seg import Segmentation

__all__ = ["write"]

_EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
_UTF8 = "ISO_IR 192"
_MOST_SEGMENTS = 65535
_SERIES_NUMBERS_ABOVE = 1000  # above those that scanners and reconstructions give
_TEXTS = ("LO", "LT", "PN", "SH", "ST", "UC", "UT")
_NO_SERIAL_NUMBER = "0"  # the standard demands one of equipment; software has none


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
    seg = require("highdicom.seg", "dicom", PURPOSE)
    highdicom = require("highdicom", "dicom", PURPOSE)
    by = f" by {labels.made_by.name}" if labels.made_by else ""
    finished: Segmentation = seg.Segmentation(
        source_images=stand_ins(target.reference),
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
        content_description=short_text(f"Segments{by}"),
        series_description=short_text(f"Segmentation{by}"),
        omit_empty_frames=bool(planes.any()),
        **geometry(positions, target),
    )
    return finished


# --- what comes after ---


def _complete(seg: Segmentation, target: Target) -> None:
    """Put in what highdicom was not given: exact geometry, references, patient and study, our grid."""
    reference = target.reference
    if reference.has_place:
        shared = seg.SharedFunctionalGroupsSequence[0]
        exact = geometry(np.empty((0, 3)), target)  # highdicom takes the source's where they are alike
        shared.PlaneOrientationSequence = exact["plane_orientation"]
        shared.PixelMeasuresSequence = exact["pixel_measures"]
    put_references_back(seg, reference)
    for keyword, value in reference.context.elements.items():
        setattr(seg, keyword, value)
    if _is_ascii(seg):
        if "SpecificCharacterSet" in seg:
            del seg.SpecificCharacterSet
    else:
        seg.SpecificCharacterSet = _UTF8
    store_grid(seg, target.grid)


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
