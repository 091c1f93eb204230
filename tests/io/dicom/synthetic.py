"""DICOM series made up of numbers, with a patient whose name must never be heard of again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid
from pydicom.valuerep import format_number_as_ds

from napari_effseg.volume import ras_to_lps

SERIES = "1.2.826.0.1.3680043.8.498.1"
OTHER_SERIES = "1.2.826.0.1.3680043.8.498.2"
SECRETS = ("Quagmire", "19570413", "MRN-4711", "Ward 9 telephone")
_KIND = {"CT": CTImageStorage, "MR": MRImageStorage}


def decimals(values) -> list[str]:
    """Numbers as DICOM's decimal strings, which have 16 characters."""
    return [format_number_as_ds(float(value)) for value in np.ravel(values)]


def image(pixels: np.ndarray, *, modality: str = "MR", syntax: UID = ExplicitVRLittleEndian, **tags):
    """One object without a place: (rows, columns), (rows, columns, 3) or (frames, rows, columns) pixels."""
    uid = generate_uid()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = _KIND.get(modality, "1.2.840.10008.5.1.4.1.1.7")
    meta.MediaStorageSOPInstanceUID = uid
    meta.TransferSyntaxUID = syntax
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.9", SERIES
    dataset.PatientName, dataset.PatientBirthDate = SECRETS[0], SECRETS[1]
    dataset.PatientID, dataset.PatientComments = SECRETS[2], SECRETS[3]
    dataset.Modality, dataset.SeriesDescription = modality, "synthetic"
    _describe_pixels(dataset, np.ascontiguousarray(pixels))
    set_tags(dataset, **tags)
    return dataset


def _describe_pixels(dataset: Dataset, pixels: np.ndarray) -> None:
    colours = pixels.shape[-1] == 3 and pixels.ndim in (3, 4) and pixels.dtype == np.uint8
    spatial = pixels.shape[:-1] if colours else pixels.shape
    if len(spatial) == 3:
        dataset.NumberOfFrames = spatial[0]
    dataset.Rows, dataset.Columns = spatial[-2:]
    dataset.SamplesPerPixel = 3 if colours else 1
    dataset.PhotometricInterpretation = "RGB" if colours else "MONOCHROME2"
    if colours:
        dataset.PlanarConfiguration = 0
    bits = 8 * pixels.dtype.itemsize
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    packed = pixels.tobytes()
    dataset.PixelData = packed + b"\0" * (len(packed) % 2)
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"


def set_tags(dataset: Dataset, **tags) -> None:
    """Set elements by keyword; None deletes."""
    for keyword, value in tags.items():
        if value is None:
            if keyword in dataset:
                delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)


def place(dataset: Dataset, affine: np.ndarray, k: int) -> Dataset:
    """Give an object the place of slice `k` of a grid whose affine goes to RAS."""
    lps = ras_to_lps(affine)
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    dataset.ImageOrientationPatient = decimals((lps[:3, :2] / spacing[:2]).T)
    dataset.ImagePositionPatient = decimals(lps[:3, 3] + k * lps[:3, 2])
    dataset.PixelSpacing = decimals((spacing[1], spacing[0]))
    dataset.SliceThickness = decimals(spacing[2])[0]
    return dataset


def slices(data: np.ndarray, affine: np.ndarray, **tags) -> list[FileDataset]:
    """Objects of the slices of an (I, J, K) array."""
    return [
        place(image(data[:, :, k].T, InstanceNumber=k + 1, **tags), affine, k) for k in range(data.shape[2])
    ]


def write(folder: Path, datasets, names=None) -> Path:
    """Write objects into a folder, which is created, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, dataset in enumerate(datasets):
        name = names[number] if names else f"IM{number:04d}.dcm"
        dataset.save_as(folder / name, enforce_file_format=True)
    return folder


def item(**tags) -> Dataset:
    """Return a data set for a sequence."""
    dataset = Dataset()
    set_tags(dataset, **tags)
    return dataset


def sequence(**tags) -> Sequence:
    """Sequence with one item."""
    return Sequence([item(**tags)])


def enhanced(data: np.ndarray, affine: np.ndarray, order=None, marks=None, **tags) -> FileDataset:
    """One multi-frame object with functional groups; the `order` of its frames, and more groups of each."""
    order = list(range(data.shape[2])) if order is None else list(order)
    dataset = image(np.stack([data[:, :, k].T for k in order]), **tags)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.4.1")
    frames = []
    for number, k in enumerate(order):
        one = place(Dataset(), affine, k)
        group = item(PlanePositionSequence=sequence(ImagePositionPatient=one.ImagePositionPatient))
        set_tags(group, **(marks[number] if marks else {}))
        frames.append(group)
    shared = item(
        PlaneOrientationSequence=sequence(ImageOrientationPatient=one.ImageOrientationPatient),
        PixelMeasuresSequence=sequence(PixelSpacing=one.PixelSpacing, SliceThickness=one.SliceThickness),
    )
    dataset.PerFrameFunctionalGroupsSequence = Sequence(frames)
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    return dataset


def numbered(shape=(5, 7, 6), dtype=np.int16) -> np.ndarray:
    """Voxels that are all different."""
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def assert_same_place(volume, data: np.ndarray, affine: np.ndarray, tolerance_mm: float = 1e-4) -> None:
    """Compare a volume with an array on another storage of the same lattice, voxel by voxel in the world."""
    index = np.indices(volume.shape).reshape(3, -1)
    world = volume.affine[:3, :3] @ index + volume.affine[:3, 3:]
    theirs = np.linalg.inv(affine) @ np.vstack([world, np.ones(world.shape[1])])
    nearest = np.rint(theirs[:3]).astype(int)
    back = affine[:3, :3] @ nearest + affine[:3, 3:]
    assert np.linalg.norm(back - world, axis=0).max() <= tolerance_mm
    assert sorted(volume.shape) == sorted(data.shape)
    np.testing.assert_array_equal(volume.data[tuple(index)], data[tuple(nearest)])
