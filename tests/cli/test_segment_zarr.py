"""`effseg segment` of OME-Zarr images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_effseg import load, load_labels
from tests.io.zarr_images import axes_of, write_image, zipped

from .conftest import Command

pytestmark = pytest.mark.usefixtures("models")

ROI = "2,0,1:14,14,9"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).normal(0, 400, (10, 14, 20)).astype(np.int16)
    levels = [values, values[:, ::2, ::2].copy()]
    scales = [[1.7, 0.9, 1.1], [1.7, 1.8, 2.2]]
    return write_image(tmp_path / "brain.ome.zarr", levels, axes_of("zyx"), scales)


def test_an_image_is_segmented_and_the_result_named_after_it(effseg: Command, image: Path) -> None:
    ran = effseg("segment", image, "-m", "synthetic", "--roi", ROI)
    assert ran.code == 0, ran.err
    labels = load_labels(image.parent / "brain_seg.nii.gz")
    np.testing.assert_allclose(labels.affine, load(image).affine, atol=1e-4)
    assert labels.shape == (20, 14, 10)
    assert not labels.data[:2].any()


def test_a_level_is_segmented_on_its_own_grid(effseg: Command, image: Path) -> None:
    output = image.parent / "coarse.seg.nrrd"
    ran = effseg("segment", image, "-m", "synthetic", "--level", 1, "-o", output)
    assert ran.code == 0, ran.err
    assert load_labels(output).shape == (10, 7, 10)


def test_a_level_that_is_not_there_is_bad_input(effseg: Command, image: Path) -> None:
    ran = effseg("segment", image, "-m", "synthetic", "--level", 5)
    assert ran.code == 2
    assert "levels 0 to 1" in ran.err


def test_a_zip_file_gets_a_result_of_its_name(effseg: Command, image: Path) -> None:
    ran = effseg("segment", zipped(image, "packed.ome.zarr.zip"), "-m", "synthetic")
    assert ran.code == 0, ran.err
    assert load_labels(image.parent / "packed_seg.nii.gz").shape == (20, 14, 10)


def test_the_result_of_an_image_inside_of_a_store_lies_beside_the_store(effseg: Command, image: Path) -> None:
    store = image.parent / "many.zarr"
    store.mkdir()
    (store / ".zgroup").write_text('{"zarr_format": 2}')
    ran = effseg("segment", image.rename(store / "1"), "-m", "synthetic")
    assert ran.code == 0, ran.err
    assert (image.parent / "many_1_seg.nii.gz").is_file()
    assert not list(store.rglob("*_seg*"))


def test_a_damaged_chunk_is_bad_input_and_leaves_nothing(effseg: Command, image: Path) -> None:
    for chunk in (image / "0").glob("[0-9]*"):
        chunk.write_bytes(b"damaged")
    ran = effseg("segment", image, "-m", "synthetic")
    assert ran.code == 2
    assert "cannot be read" in ran.err
    assert [path.name for path in image.parent.iterdir()] == ["brain.ome.zarr"]
