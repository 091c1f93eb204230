"""Arrays of zeros for results that may be larger than memory."""

from __future__ import annotations

import math
import mmap
import shutil
import sys
import tempfile
from typing import Any

import numpy as np
import psutil
from numpy.typing import DTypeLike, NDArray

from ..types import SpatialShape

__all__ = ["zeros"]

_SHARE_OF_MEMORY = 0.5
_GIGABYTE = 1e9
_REFUSALS = (
    MemoryError,
    OSError,
    OverflowError,
    ValueError,
)  # of sizes that cannot be had, or not be counted


def zeros(shape: SpatialShape, dtype: DTypeLike, written: int) -> NDArray[Any]:
    """Zeros, of which about `written` voxels will be written.

    Memory is taken where an array is written, so that the labels of a small region of a huge image cost
    little. Where the system does not lend that much address space, or what will be written takes more than
    half of the free memory, the array lies in a temporary file that vanishes with it.

    Raises
    ------
    MemoryError
        If neither memory nor the folder for temporary files has room.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size > sys.maxsize:
        raise MemoryError(f"a result of {size:.1e} bytes is more than any array holds")
    needed = written * np.dtype(dtype).itemsize
    if needed < _SHARE_OF_MEMORY * psutil.virtual_memory().available:
        try:
            sparse = 2 * written < math.prod(shape) and hasattr(mmap, "MAP_ANONYMOUS")
            return _in_small_pages(shape, np.dtype(dtype)) if sparse else np.zeros(shape, dtype)
        except (MemoryError, OSError):
            pass  # the address space: a file is tried
    return _in_file(shape, np.dtype(dtype), needed)


def _in_small_pages(shape: SpatialShape, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Zeros in pages of a few kilobytes; numpy asks for those of 2 MB, of which a region touches many."""
    pages = mmap.mmap(-1, math.prod(shape) * dtype.itemsize, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        pages.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(pages, dtype).reshape(shape)


def _in_file(shape: SpatialShape, dtype: np.dtype[Any], needed: int) -> NDArray[Any]:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if needed > free:  # a full disk would end the process when the array is written
        raise MemoryError(
            f"the result takes {needed / _GIGABYTE:.1f} GB; neither memory nor {folder}, which has "
            f"{free / _GIGABYTE:.1f} GB free, has room for it"
        )
    try:
        with tempfile.TemporaryFile(prefix="effseg-") as file:
            return np.asarray(np.memmap(file, dtype, "w+", shape=shape))
    except OSError as err:
        size = math.prod(shape) * dtype.itemsize
        raise MemoryError(f"no temporary file of {size / _GIGABYTE:.1f} GB for the result: {err}") from err
