"""The grid of the label map, in a private block of the SEG: slices without a segment have no frame.

Private creator "napari-effseg" in group 0063: element 01 is the affine from voxel index to LPS, 16 numbers
row by row; element 02 is the number of columns, rows and slices. Other programs pass it over; where the
frames do not lie on that grid, so do we.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...volume import Grid, lps_to_ras, ras_to_lps
from ..dicom._silence import library_errors

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["store_grid", "stored_grid"]

_GROUP, _CREATOR = 0x0063, "napari-effseg"
_AFFINE, _SHAPE = 0x01, 0x02


def store_grid(dataset: Dataset, grid: Grid) -> None:
    """Write the grid into a SEG."""
    block = dataset.private_block(_GROUP, _CREATOR, create=True)
    block.add_new(_AFFINE, "FD", ras_to_lps(grid.affine).ravel().tolist())
    block.add_new(_SHAPE, "UL", list(grid.shape))


def stored_grid(dataset: Dataset) -> Grid | None:
    """Grid that `store_grid` wrote; None where there is none, or it is damaged."""
    try:
        block = dataset.private_block(_GROUP, _CREATOR)
        affine = np.array(block[_AFFINE].value, dtype=np.float64).reshape(4, 4)
        columns, rows, slices = (int(side) for side in block[_SHAPE].value)
        return Grid((columns, rows, slices), lps_to_ras(affine))
    except library_errors():  # VolumeError among them, a ValueError
        return None
