"""Image files that came over the wire: the few kinds that name no other file, within limits."""

from __future__ import annotations

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import EffsegError, ImageReadError
from ..volume import Volume
from .wire import TooLarge

__all__ = ["ending_of", "scratch", "volume_from"]

_ENDINGS = (".nii.gz", ".nii", ".nrrd")
_NIFTI_HEADER = 540


def ending_of(name: str) -> str:
    """Return the ending of a file's name, all that is taken of it.

    Raises
    ------
    ImageReadError
        If files of that kind are not taken.
    """
    found = next((ending for ending in _ENDINGS if name.lower().endswith(ending)), None)
    if found is None:
        raise ImageReadError(f"files that end in {', '.join(_ENDINGS)} are taken; another one was sent")
    return found


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="effseg-") as folder:
        yield Path(folder)


def volume_from(content: BinaryIO, name: str, most: int) -> Volume:
    """Read an image file.

    Parameters
    ----------
    content : binary file
    name : str
        What it was called; only its ending is used.
    most : int
        Bytes of voxels.

    Raises
    ------
    ImageReadError
        If it is none, or names another file.
    TooLarge
        If it has more voxels.
    """
    from ..io import load, load_grid

    with scratch() as folder:
        path = folder / f"image{ending_of(name)}"
        with path.open("wb") as file:
            shutil.copyfileobj(content, file)
        try:
            _refuse_other_files(path)
            _check_size(int(np.prod(load_grid(path).shape, dtype=object)), most)
            volume = load(path)
        except EffsegError as err:
            raise ImageReadError(str(err).replace(str(folder), "").lstrip("/\\")) from err
        _check_size(int(np.prod(volume.data.shape)) * volume.data.dtype.itemsize, most)
        return replace(volume, data=np.array(volume.data))


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise TooLarge(f"an image of {size} bytes was sent; at most {most}")


def _refuse_other_files(path: Path) -> None:
    """Refuse what is not of the kind that its name says, or has its voxels in another file: one of ours.

    Raises
    ------
    ImageReadError
        If it is so.
    """
    if path.suffix == ".nrrd":
        from ..io.nrrd import names_another_file

        if names_another_file(path):
            raise ImageReadError("an NRRD file was sent whose voxels are in another file; send them together")
        return
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        try:
            head = file.read(_NIFTI_HEADER)
        except (OSError, EOFError, zlib.error) as err:
            raise ImageReadError(f"the file is damaged ({err})") from err
    if head[344:348] != b"n+1\0" and head[4:8] != b"n+2\0":
        raise ImageReadError("the file is no NIfTI file with header and voxels in one")
