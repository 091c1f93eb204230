"""Small DICOM series, written with pydicom, and a reading of SEG files that knows nothing of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from napari_effseg.volume import Grid, lps_to_ras, ras_to_lps

__all__ = ["frames_by_segment", "gantry", "oblique_grid", "segments_ras", "write_series"]

TURN, TILT = np.deg2rad(25), np.deg2rad(-14)


def oblique_grid(shape=(9, 11, 7), spacing=(0.8, 1.3, 3.1), origin=(-87.25, 120.5, -512.75)) -> Grid:
    """Grid of an oblique series: columns, rows, slices along their normal."""
    about_z = np.array([[np.cos(TURN), -np.sin(TURN), 0], [np.sin(TURN), np.cos(TURN), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(TILT), -np.sin(TILT)], [0, np.sin(TILT), np.cos(TILT)]])
    lps = np.eye(4)
    lps[:3, :3] = about_z @ about_x @ np.diag(spacing)
    lps[:3, 3] = origin
    return Grid(shape, lps_to_ras(lps))


def gantry(grid: Grid, degrees: float = 15) -> Grid:
    """Shift every slice along the rows, as a tilted gantry does."""
    affine = np.array(grid.affine)
    shear = np.tan(np.deg2rad(degrees)) * grid.spacing[2]
    affine[:3, 2] += affine[:3, 1] / grid.spacing[1] * shear
    return Grid(grid.shape, affine)


def write_series(folder: Path, grid: Grid, **changes: Any) -> Path:
    """Write one file a slice; a change of None takes an element away, a callable is given k."""
    folder.mkdir(exist_ok=True, parents=True)
    lps = ras_to_lps(grid.affine)
    study, series, frame_of_reference = (generate_uid() for _ in range(3))
    voxels = np.random.default_rng(0).integers(-1000, 1000, grid.shape, dtype=np.int16)
    for k in range(grid.shape[2]):
        image = _image(grid, lps, k, voxels[:, :, k].T)
        image.StudyInstanceUID, image.SeriesInstanceUID = study, series
        image.FrameOfReferenceUID = frame_of_reference
        for keyword, value in changes.items():
            if value is None:
                delattr(image, keyword)
            else:
                setattr(image, keyword, value(k) if callable(value) else value)
        image.save_as(folder / f"{(k * 5) % 17:02}_{k}.dcm", enforce_file_format=True)
    return folder


def _image(grid: Grid, lps: np.ndarray, k: int, pixels: np.ndarray) -> Dataset:
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, generate_uid()
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.PatientName, image.PatientID = "Muster^Erika", "secret-4711"
    image.PatientBirthDate, image.PatientSex = "19700101", "F"
    image.StudyID, image.StudyDate, image.StudyTime = "1", "20200102", "101112"
    image.AccessionNumber, image.ReferringPhysicianName = "A1", "Doc^Tor"
    image.Modality, image.SeriesNumber, image.InstanceNumber = "CT", 4, k + 1
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.Columns, image.Rows = grid.shape[:2]
    directions = lps[:3, :3] / grid.spacing
    image.ImageOrientationPatient = _decimals([*directions[:, 0], *directions[:, 1]])
    image.ImagePositionPatient = _decimals(lps[:3, 3] + k * lps[:3, 2])
    image.PixelSpacing = _decimals([grid.spacing[1], grid.spacing[0]])
    image.SliceThickness = _decimals([abs(_normal(directions) @ lps[:3, 2])])[0]
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
    image.RescaleSlope, image.RescaleIntercept = 1, 0
    image.PixelData = np.ascontiguousarray(pixels).tobytes()
    return image


def _normal(directions: np.ndarray) -> np.ndarray:
    return np.cross(directions[:, 0], directions[:, 1])


def _decimals(values: Any) -> list[str]:
    return [pydicom.valuerep.format_number_as_ds(float(value)) for value in values]


# --- an independent reading ---


def frames_by_segment(path: Path) -> dict[int, list[tuple[np.ndarray, np.ndarray]]]:
    """(affine of pixel indices to LPS, mask (rows, columns)) of each frame, by segment number.

    The standard's equation for pixels in the patient, C.7.6.2.1.1, on the functional groups; bits unpacked
    by hand.
    """
    seg = pydicom.dcmread(path)
    bits = np.unpackbits(np.frombuffer(seg.PixelData, np.uint8), bitorder="little")
    size = seg.Rows * seg.Columns
    shared = seg.SharedFunctionalGroupsSequence[0]
    found: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
    for number, own in enumerate(seg.PerFrameFunctionalGroupsSequence):
        groups = {
            element.keyword: element.value[0]
            for group in (shared, own)
            for element in group
            if element.VR == "SQ" and element.value
        }
        mask = bits[number * size : (number + 1) * size].reshape(seg.Rows, seg.Columns)
        row, column = np.array(groups["PlaneOrientationSequence"].ImageOrientationPatient, float).reshape(
            2, 3
        )
        between_rows, between_columns = map(float, groups["PixelMeasuresSequence"].PixelSpacing)
        to_lps = np.column_stack(
            [
                column * between_rows,
                row * between_columns,
                np.array(groups["PlanePositionSequence"].ImagePositionPatient, float),
            ]
        )
        segment = groups["SegmentIdentificationSequence"].ReferencedSegmentNumber
        found.setdefault(segment, []).append((to_lps, mask))
    return found


def segments_ras(path: Path) -> dict[int, np.ndarray]:
    """Mean position in RAS mm of each segment's voxels."""
    places: dict[int, np.ndarray] = {}
    for segment, frames in frames_by_segment(path).items():
        points = []
        for to_lps, mask in frames:
            indices = np.argwhere(mask)
            points.append(np.column_stack([indices, np.ones(len(indices))]) @ to_lps.T)
        everywhere = np.concatenate(points)
        if len(everywhere):
            places[segment] = everywhere.mean(axis=0) * (-1, -1, 1)
    return places
