"""What a file or folder is, told without reading its voxels."""

from __future__ import annotations

import itertools
from pathlib import Path

from ..errors import ImageReadError
from ._formats import ending_of, format_for_reading
from ._nrrd_header import read_header
from ._sniff import looks_like_dicom
from .dicom._files import files_in
from .label_table import is_label_table, table_path
from .slicer_segments import is_segmentation

__all__ = ["DICOM", "format_name", "holds_labels"]

DICOM = "DICOM"
_LOOKED_AT = 50  # files of a folder, in the order of their names


def format_name(path: Path) -> str | None:
    """Name of the format of a file or folder, such as "NIfTI"; None if it is none that is read.

    Of a folder that may be DICOM the first bytes of a few files are looked at, of others the name alone.
    """
    try:
        name = format_for_reading(path).name
    except ImageReadError:
        return None
    if name == DICOM and path.is_dir():
        files = itertools.islice(files_in(path), _LOOKED_AT)
        return DICOM if any(looks_like_dicom(file) for file in files) else None
    return name


def holds_labels(path: Path) -> bool:
    """Whether a file says that it is a segmentation.

    It does by Slicer's fields in an NRRD header, or by a table of label names beside it. Integers alone say
    nothing: most images are integers.

    Raises
    ------
    ImageReadError
        If it is NRRD and its header is broken.
    """
    if not path.is_file():
        return False
    if ending_of(path) in (".nrrd", ".seg.nrrd", ".nhdr"):
        return is_segmentation(read_header(path).fields)
    table = table_path(path)
    return table.is_file() and is_label_table(table)
