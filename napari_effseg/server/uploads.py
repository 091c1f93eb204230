"""Image files that came over the wire: the few kinds that name no other file, within limits."""

from __future__ import annotations

import gzip
import math
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
_AS_THEY_ARE = ((None, None), (1.0, 0.0))
"""Slope and intercept of voxels that are not scaled."""
_FLOAT = 4  # bytes of a voxel that is
_TAIL, _STEP = 2**20, 2**20  # bytes


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
            volume = load(_unpacked(path, most) if path.suffix == ".gz" else path)
        except EffsegError as err:
            raise ImageReadError(str(err).replace(str(folder), "").lstrip("/\\")) from err
        _check_size(int(np.prod(volume.data.shape)) * volume.data.dtype.itemsize, most)
        return replace(volume, data=np.array(volume.data))


def _unpacked(path: Path, most: int) -> Path:
    """Unpack a ``.nii.gz``, and no more of it than its header says: what follows may be without end.

    Raises
    ------
    ImageReadError
        If much more follows, or it is damaged.
    TooLarge
        If its voxels will take more memory than they may.
    """
    plain = path.with_suffix("")
    try:
        with gzip.open(path) as file, plain.open("wb") as unpacked:
            head = file.read(_NIFTI_HEADER)
            left = _length_of(head, most) + _TAIL - len(head)
            unpacked.write(head)
            while left > 0 and (step := file.read(min(_STEP, left))):
                unpacked.write(step)
                left -= len(step)
            if left <= 0 and file.read(1):
                raise ImageReadError(f"more than {_TAIL} bytes follow after the voxels; the file is damaged")
    except (OSError, EOFError, zlib.error) as err:
        raise ImageReadError(f"the file is damaged ({err})") from err
    return plain


def _length_of(head: bytes, most: int) -> int:
    """Say how long the NIfTI file with this header is.

    Raises
    ------
    ImageReadError
        If the header says nonsense.
    TooLarge
        If the voxels, scaled as the header asks for it, take more than `most` bytes.
    """
    from nibabel import Nifti1Header, Nifti2Header
    from nibabel.spatialimages import HeaderDataError

    kind = Nifti2Header if head[4:8] == b"n+2\0" else Nifti1Header
    try:
        header = kind(head[: kind.sizeof_hdr], check=False)
        voxels = math.prod(map(int, header.get_data_shape()))
        size = int(header.get_data_dtype().itemsize)
        is_scaled = header.get_slope_inter() not in _AS_THEY_ARE
        offset = min(int(header.get_data_offset()), _TAIL)
    except (HeaderDataError, ValueError, OverflowError, KeyError) as err:
        raise ImageReadError(f"its NIfTI header is damaged ({err})") from err
    _check_size(voxels * (max(size, _FLOAT) if is_scaled else size), most)
    return offset + voxels * size


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
