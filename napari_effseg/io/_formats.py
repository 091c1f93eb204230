"""Which format a file name's ending means, and what to say when it means none."""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from ..errors import ExportError, ImageReadError
from ._sniff import looks_like_dicom, looks_like_zarr

__all__ = [
    "FORMATS",
    "Format",
    "container_of",
    "ending_of",
    "format_for_reading",
    "format_for_writing",
    "stem_of",
]


@dataclass(frozen=True)
class Format:
    """A file format and the module of this room that knows it.

    Parameters
    ----------
    name : str
        As users call it.
    endings : tuple of str
        Lower case, with the dot; longer before shorter.
    module : str
        Has ``read(path, choice)`` and ``read_labels(path)``; with `writes` also ``write(thing, path, ...)``.
        DICOM has a module for images and one for segmentations.
    writes : bool
        Whether results can be saved in it.
    """

    name: str
    endings: tuple[str, ...]
    module: str
    writes: bool = False

    def load_module(self) -> ModuleType:
        """Import the module, and with it the library that parses the format."""
        return importlib.import_module(f".{self.module}", __package__)


FORMATS = (
    Format("NIfTI", (".nii.gz", ".nii"), "nifti", writes=True),
    Format("NRRD", (".seg.nrrd", ".nrrd"), "nrrd", writes=True),
    Format("NRRD header", (".nhdr",), "nrrd"),
    Format("MetaImage", (".mha",), "metaimage", writes=True),
    Format("MetaImage header", (".mhd",), "metaimage"),
    Format("TIFF", (".ome.tiff", ".ome.tif", ".tiff", ".tif"), "tiff"),
    Format("PNG or JPEG", (".png", ".jpg", ".jpeg"), "pictures"),
    Format("NumPy", (".npy", ".npz"), "numpy_files"),
    Format("OME-Zarr", (".ome.zarr.zip", ".ome.zarr", ".zarr.zip", ".zarr", ".ozx"), "ome_zarr"),
    Format("DICOM", (".dcm", ".dicom", ".ima"), "dicom"),
    Format("DICOM SEG", (".dcm",), "dicom_seg", writes=True),  # after the images of the same ending
)

_DICOM = next(entry for entry in FORMATS if entry.name == "DICOM")
_OME_ZARR = next(entry for entry in FORMATS if entry.name == "OME-Zarr")
_NEAR_ENDING = 0.7  # difflib's similarity: ".nifti" is near ".nii", ".pdf" is near nothing

# Endings that people will try, with what helps.
_HINTS = {
    ".par": "Philips PAR/REC files are not read; convert with dcm2niix to .nii.gz",
    ".rec": "Philips PAR/REC files are not read; convert with dcm2niix to .nii.gz",
    ".brik": "AFNI files are not read; convert with 3dAFNItoNIFTI to .nii.gz",
    ".head": "AFNI files are not read; convert with 3dAFNItoNIFTI to .nii.gz",
    ".img": "an Analyze or NIfTI pair is not read; convert it to .nii.gz",
    ".hdr": "an Analyze or NIfTI pair is not read; convert it to .nii.gz",
    ".mgz": "FreeSurfer files are not read; convert with mri_convert to .nii.gz",
    ".mgh": "FreeSurfer files are not read; convert with mri_convert to .nii.gz",
    ".mnc": "MINC files are not read; convert with mnc2nii to .nii",
}


def ending_of(path: Path) -> str:
    """Return the ending that names the format, lower case, such as ".nii.gz"; else a file's last suffix."""
    name = path.name.lower()
    known = (ending for entry in FORMATS for ending in entry.endings)
    matches = [ending for ending in known if name.endswith(ending)]
    if matches:
        return max(matches, key=len)
    return "" if path.is_dir() else path.suffix.lower()  # "CT.2024" is a folder's whole name


def stem_of(path: Path) -> str:
    """File name without the ending that names the format: "a.nii.gz" -> "a"."""
    ending = ending_of(path)
    return path.name[: len(path.name) - len(ending)] if ending else path.name


def container_of(path: Path) -> Path:
    """Return the outermost Zarr folder that a path is or lies in, else the path itself."""
    inside = [folder for folder in (path, *path.parents) if folder.is_dir() and looks_like_zarr(folder)]
    return inside[-1] if inside else path


def format_for_reading(path: Path) -> Format:
    """Format that the file's ending names; a folder is Zarr or DICOM, a file of no known ending may be DICOM.

    Raises
    ------
    ImageReadError
        If it names none that is read; the message lists the endings and the nearest.
    """
    ending = ending_of(path)
    if path.is_dir() and ending not in _HINTS:
        return _OME_ZARR if ending in _OME_ZARR.endings or looks_like_zarr(path) else _DICOM
    for entry in FORMATS:
        if ending in entry.endings:
            return entry
    if path.is_file() and looks_like_dicom(path):
        return _DICOM
    endings = list(dict.fromkeys(known for entry in FORMATS for known in entry.endings))
    raise ImageReadError(_unknown(path, "read", endings))


def format_for_writing(path: Path) -> Format:
    """Format that the output's ending names.

    Raises
    ------
    ExportError
        If it names none that is written; the message lists the endings and the nearest.
    """
    ending = ending_of(path)
    for entry in FORMATS:
        if entry.writes and ending in entry.endings:
            return entry
    endings = [known for entry in FORMATS if entry.writes for known in entry.endings]
    raise ExportError(_unknown(path, "written", endings))


def _unknown(path: Path, done: str, endings: list[str]) -> str:
    ending = ending_of(path)
    given = f"ends in {ending}" if ending else "has no ending"
    hint = _HINTS.get(ending, "") if done == "read" else ""
    reason = hint or f"{given}, which cannot be {done}"
    near = difflib.get_close_matches(ending, endings, n=1, cutoff=_NEAR_ENDING)
    suggestion = f" Did you mean {near[0]}?" if near and not hint else ""
    return f"{path}: {reason}; expected one of {' '.join(endings)}.{suggestion}"
