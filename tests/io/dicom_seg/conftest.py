"""A label map that a careless writer would lose parts of, and its series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_effseg.volume import Algorithm, Code, LabelMap

from .series import oblique_grid, write_series


@pytest.fixture
def labels() -> LabelMap:
    """On the grid of `folder`: three labels that occur, one that does not, empty slices at both ends."""
    grid = oblique_grid()
    data = np.zeros(grid.shape, dtype=np.int32)
    data[1:4, 2:5, 1:3] = 3
    data[5:8, 6:10, 2:5] = 4
    data[0, 0, 4] = 70_000
    return LabelMap(
        data,
        grid.affine,
        {
            3: "Left hippocampus",
            4: 'Größe: "2" := \\n, ' + "long " * 20 + "end",
            9: "not found",
            70_000: "ilot",
        },
        {3: (255, 10, 3), 4: (1, 128, 127), 9: (0, 0, 0)},
        {
            3: Code("SCT", "5366008", "Hippocampus", "left"),
            4: Code("SCT", "108369006", "Neoplasm", "right"),
            9: Code("SCT", "85756007", "Tissue"),
        },
        made_by=Algorithm("hippocampus-lightm-unet", "0.1.0, weights 0123456789ab"),
    )


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An oblique series of 9 columns, 11 rows and 7 slices."""
    return write_series(tmp_path_factory.mktemp("dicom") / "series", oblique_grid())
