"""Where each frame of a file lies: position, directions and pixel size in DICOM's own LPS millimetres."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ._values import item, items, number, numbers

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["NO_PIXEL_SIZE", "Place", "Vector", "place_of", "places_along"]

Vector = tuple[float, float, float]

NO_PIXEL_SIZE = "the pixel size is not known: 1 mm is taken"
_AT_DETECTOR = (
    "the pixel size is the one at the detector: what lies before it is smaller by its magnification"
)
_TRANSDUCER = "positions are those in the volume of the transducer, not in the patient"
_BAD_SIZE = "the header gives a pixel size that is not above 0: 1 mm is taken"
_OBLIQUE = "rows and columns are not at right angles: the affine is sheared as the header has it"
_DIRECTIONS_TOLERANCE = 1e-2  # of lengths and of the cosine between rows and columns
_RIGHT_ANGLE = 1e-3  # cosine that rounding of a header explains
_CENTIMETRES, _PLANAR = 3, 1  # units and spatial format of an ultrasound region


@dataclass(frozen=True, slots=True)
class Place:
    """Where one frame lies.

    Parameters
    ----------
    position_lps : (x, y, z) or None
        Centre of the first pixel, mm, patient's left, back and head; None where the header does not say.
    along_row, along_column : (x, y, z)
        Unit vectors in LPS towards growing column and growing row index; those of a picture where unknown.
    pixel_mm : (row, column)
        Distance between rows and between columns.
    thickness_mm : float or None
        Distance to the next slice as the header has it, for frames that have no neighbour.
    notes : tuple of str
        What was taken for want of something better.
    """

    position_lps: Vector | None
    along_row: Vector
    along_column: Vector
    pixel_mm: tuple[float, float]
    thickness_mm: float | None
    notes: tuple[str, ...] = ()

    @property
    def normal(self) -> Vector:
        """Unit vector along which slices are sorted: the cross product of row and column direction."""
        normal = np.cross(self.along_row, self.along_column)
        x, y, z = (normal / np.linalg.norm(normal)).tolist()
        return x, y, z

    def moved(self, distance_mm: float) -> Place:
        """Return the place of the slice at a distance along the normal."""
        if self.position_lps is None:
            return self
        x, y, z = (at + distance_mm * step for at, step in zip(self.position_lps, self.normal, strict=True))
        return Place(
            (x, y, z), self.along_row, self.along_column, self.pixel_mm, self.thickness_mm, self.notes
        )


def place_of(dataset: Dataset, groups: tuple[Dataset | None, ...] = ()) -> Place:
    """Place of one frame.

    Parameters
    ----------
    dataset : Dataset
    groups : tuple of Dataset or None
        Functional groups of the frame, then those that all frames share; empty for classic objects.
    """
    position, orientation, notes = _position_and_orientation(dataset, groups)
    measures = item(groups, "PixelMeasuresSequence") or dataset
    pixel, note = _pixel_size(dataset, measures)
    if note:
        notes = (*notes, note)
    thickness = number(measures, "SpacingBetweenSlices") or number(measures, "SliceThickness")
    thickness = abs(thickness) if thickness else None
    directions = _directions(orientation) if orientation else None
    if position is None or directions is None:
        return Place(None, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), pixel, thickness, notes)
    if abs(float(np.dot(*directions))) > _RIGHT_ANGLE:
        notes = (*notes, _OBLIQUE)
    return Place(position, *directions, pixel, thickness, notes)


def places_along(dataset: Dataset, frames: int) -> list[Place] | None:
    """Places of the frames of a dose grid or a tomography of nuclear medicine; None for other objects."""
    place = place_of(dataset)
    if offsets := numbers(dataset, "GridFrameOffsetVector", frames):
        # relative to the first plane, or, where the first is not 0, positions along z: either way
        # the differences are those between the planes
        return [place.moved(offset - offsets[0]) for offset in offsets]
    numbering = numbers(dataset, "SliceVector", frames)
    spacing = number(dataset, "SpacingBetweenSlices")
    if numbering and spacing:
        return [place.moved((index - 1) * spacing) for index in numbering]
    return None


def _position_and_orientation(
    dataset: Dataset, groups: tuple[Dataset | None, ...]
) -> tuple[Vector | None, tuple[float, ...] | None, tuple[str, ...]]:
    """First that is found of: the functional groups, the data set itself, the detector, the transducer."""
    detector = item((dataset,), "DetectorInformationSequence")
    candidates = (
        (item(groups, "PlanePositionSequence"), item(groups, "PlaneOrientationSequence")),
        (dataset, dataset),
        (detector, detector),
    )
    for where, turned in candidates:
        at = numbers(where, "ImagePositionPatient", 3)
        six = numbers(turned, "ImageOrientationPatient", 6)
        if at and six:
            return (at[0], at[1], at[2]), six, ()
    where = item(groups, "PlanePositionVolumeSequence")
    at = numbers(where, "ImagePositionVolume", 3)
    six = numbers(item(groups, "PlaneOrientationVolumeSequence"), "ImageOrientationVolume", 6)
    if at and six:
        return (at[0], at[1], at[2]), six, (_TRANSDUCER,)
    return None, None, ()


def _directions(orientation: tuple[float, ...]) -> tuple[Vector, Vector] | None:
    """Two unit vectors at right angles, or None where the six numbers are nothing like that."""
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = math.hypot(*row), math.hypot(*column)
    if max(abs(length - 1) for length in lengths) > _DIRECTIONS_TOLERANCE:
        return None
    row, column = row / lengths[0], column / lengths[1]
    if abs(float(row @ column)) > _DIRECTIONS_TOLERANCE:
        return None
    (a, b, c), (d, e, f) = row.tolist(), column.tolist()
    return (a, b, c), (d, e, f)


def _pixel_size(dataset: Dataset, measures: Dataset) -> tuple[tuple[float, float], str]:
    """(between rows, between columns) in mm, and what to say about them."""
    candidates = (
        (numbers(measures, "PixelSpacing", 2), ""),
        (numbers(dataset, "ImagerPixelSpacing", 2), _AT_DETECTOR),
        (numbers(dataset, "NominalScannedPixelSpacing", 2), ""),
        (_ultrasound_pixel(dataset), ""),
    )
    for found, note in candidates:
        if found is not None and min(found) > 0:
            return (found[0], found[1]), note
    is_bad = any(found is not None for found, _ in candidates)
    return (1.0, 1.0), _BAD_SIZE if is_bad else NO_PIXEL_SIZE


def _ultrasound_pixel(dataset: Dataset) -> tuple[float, float] | None:
    """Pixel size of the planar regions of an ultrasound picture, if they agree."""
    sizes = set()
    for region in items(dataset, "SequenceOfUltrasoundRegions"):
        if number(region, "RegionSpatialFormat") != _PLANAR:
            continue
        units = {number(region, f"PhysicalUnits{axis}Direction") for axis in "XY"}
        across, down = number(region, "PhysicalDeltaX"), number(region, "PhysicalDeltaY")
        if units == {_CENTIMETRES} and across and down:
            sizes.add((abs(down) * 10, abs(across) * 10))
    return sizes.pop() if len(sizes) == 1 else None
