"""Label maps of hundreds of objects, as of nuclei, go through every format with all that is known of them."""

import numpy as np
import pytest

from napari_effseg import load_labels, save
from napari_effseg.engine.objects import object_colour
from napari_effseg.volume import Code, Grid, LabelMap

from .dicom_seg.series import write_series

COUNT = 500
NUCLEUS = Code("SCT", "84640000", "Nucleus")


def many_objects(grid):
    data = np.zeros(grid.shape, np.uint16)
    spots = [(i, j, k) for k in range(grid.shape[2]) for i in range(1, 60, 4) for j in range(1, 90, 4)]
    for number, (i, j, k) in enumerate(spots[:COUNT], start=1):
        data[i : i + 2, j : j + 3, k] = number
    numbers = range(1, COUNT + 1)
    return LabelMap(
        data,
        grid.affine,
        {number: f"nucleus {number}" for number in numbers},
        {number: object_colour(number) for number in numbers},
        dict.fromkeys(numbers, NUCLEUS),
    )


def assert_same(found, wanted):
    assert np.array_equal(found.data, wanted.data)
    assert (found.names, found.codes) == (wanted.names, wanted.codes)
    assert max(np.abs(np.subtract(found.colours[n], wanted.colours[n])).max() for n in wanted.colours) <= 1


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "seg.nrrd", "mha"])
def test_hundreds_of_objects_come_back_from_a_file(tmp_path, ending):
    labels = many_objects(Grid((64, 96, 2), np.diag([-1.0, -1.0, 1.0, 1.0])))
    save(labels, tmp_path / f"nuclei.{ending}")
    assert_same(load_labels(tmp_path / f"nuclei.{ending}"), labels)


def test_hundreds_of_objects_come_back_from_dicom_seg(tmp_path):
    pytest.importorskip("highdicom")
    grid = Grid((64, 96, 2), np.diag([-1.0, -1.0, 1.0, 1.0]))
    series = write_series(tmp_path / "series", grid)
    save(many_objects(grid), tmp_path / "nuclei.dcm", reference=series)
    assert_same(load_labels(tmp_path / "nuclei.dcm"), many_objects(grid))
