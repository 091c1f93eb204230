"""SEG files as other programs write them, or get them wrong: built element by element."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage, generate_uid

__all__ = ["code", "foreign_seg", "frame", "segment"]

AXIAL = (1, 0, 0, 0, 1, 0)


def code(scheme: str, value: str, meaning: str, **more: Any) -> Dataset:
    entry = Dataset()
    entry.CodingSchemeDesignator, entry.CodeValue, entry.CodeMeaning = scheme, value, meaning
    for keyword, sequence in more.items():
        setattr(entry, keyword, sequence)
    return entry


def segment(number: int, label: str = "", kind: Dataset | None = None, **more: Any) -> Dataset:
    entry = Dataset()
    entry.SegmentNumber, entry.SegmentLabel = number, label or f"Segment_{number}"
    entry.SegmentAlgorithmType = "MANUAL"
    entry.SegmentedPropertyCategoryCodeSequence = [code("SCT", "123037004", "Anatomical Structure")]
    entry.SegmentedPropertyTypeCodeSequence = [kind or code("SCT", "85756007", "Tissue")]
    for keyword, value in more.items():
        setattr(entry, keyword, value)
    return entry


def frame(number: int | None, position: Sequence[float] | None, orientation=None, spacing=None) -> Dataset:
    """Functional groups of a frame; orientation and pixel spacing only where they differ from the shared."""
    groups = Dataset()
    if number is not None:
        identification = Dataset()
        identification.ReferencedSegmentNumber = number
        groups.SegmentIdentificationSequence = [identification]
    if position is not None:
        plane = Dataset()
        plane.ImagePositionPatient = list(position)
        groups.PlanePositionSequence = [plane]
    if orientation is not None:
        groups.PlaneOrientationSequence = [_orientation(orientation)]
    if spacing is not None:
        groups.PixelMeasuresSequence = [_measures(spacing, {})]
    return groups


def foreign_seg(
    path: Path,
    segments: Sequence[Dataset],
    frames: Sequence[Dataset],
    masks: Sequence[np.ndarray],
    *,
    kind: str = "BINARY",
    orientation: Sequence[float] | None = AXIAL,
    spacing: Sequence[float] | None = (1.5, 0.5),
    measures: dict[str, float] | None = None,
    **changes: Any,
) -> Path:
    """Write a SEG; masks are (rows, columns), one a frame."""
    seg = Dataset()
    seg.file_meta = FileMetaDataset()
    seg.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    seg.SOPClassUID, seg.SOPInstanceUID = SegmentationStorage, generate_uid()
    seg.Modality, seg.SegmentationType = "SEG", kind
    seg.SegmentSequence = list(segments)
    shared = Dataset()
    if orientation is not None:
        shared.PlaneOrientationSequence = [_orientation(orientation)]
    if spacing is not None:
        shared.PixelMeasuresSequence = [_measures(spacing, measures or {})]
    seg.SharedFunctionalGroupsSequence = [shared]
    seg.PerFrameFunctionalGroupsSequence = list(frames)
    seg.NumberOfFrames = len(masks)
    seg.Rows, seg.Columns = masks[0].shape
    _pixels(seg, np.array(masks), kind)
    for keyword, value in changes.items():
        setattr(seg, keyword, value)
    seg.save_as(path, enforce_file_format=True)
    return path


def _pixels(seg: Dataset, masks: np.ndarray, kind: str) -> None:
    bits = 1 if kind == "BINARY" else 8 * masks.dtype.itemsize
    seg.SamplesPerPixel, seg.PhotometricInterpretation, seg.PixelRepresentation = 1, "MONOCHROME2", 0
    seg.BitsAllocated = seg.BitsStored = bits
    seg.HighBit = bits - 1
    data = np.packbits(masks.ravel() > 0, bitorder="little") if bits == 1 else masks
    seg.PixelData = data.tobytes() + b"\0" * (data.nbytes % 2)
    seg["PixelData"].VR = "OW" if bits == 16 else "OB"


def _orientation(directions: Sequence[float]) -> Dataset:
    plane = Dataset()
    plane.ImageOrientationPatient = list(directions)
    return plane


def _measures(spacing: Sequence[float], more: dict[str, float]) -> Dataset:
    measures = Dataset()
    measures.PixelSpacing = list(spacing)
    for keyword, value in more.items():
        setattr(measures, keyword, value)
    return measures
