"""Files that are broken, and odd ones that are legal, through `effseg segment`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_effseg import load, load_labels

from .conftest import Command

pytestmark = pytest.mark.usefixtures("models")

BROKEN = (
    "truncated_gzip.nii.gz",
    "truncated_data.nii",
    "not_an_image.nii.gz",
    "empty.nii.gz",
    "singular_affine.nii",
)
ODD = (
    "big_endian.nii.gz",
    "gz_suffix_but_plain.nii.gz",
    "int64.nii.gz",
    "scaled_u8.nii.gz",
    "nan_inf.nii.gz",
    "constant.nii.gz",
    "sheared_affine.nii.gz",
    "zero_pixdim_no_form.nii",
)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_one_line_and_leaves_nothing(
    effseg: Command, shared_data: Path, tmp_path: Path, name: str
) -> None:
    output = tmp_path / "out.nii.gz"
    ran = effseg("segment", shared_data / "robustness" / "broken" / name, "-m", "synthetic", "-o", output)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert name in ran.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_is_segmented_where_it_lies_or_refused_in_words(
    effseg: Command, shared_data: Path, tmp_path: Path, name: str
) -> None:
    scan, output = shared_data / "robustness" / "broken" / name, tmp_path / "out.nrrd"
    ran = effseg("segment", scan, "-m", "synthetic", "-o", output, "--roi", "4,4,2:20,20,10")
    if ran.code == 0:
        assert np.allclose(load_labels(output).affine, load(scan).affine, atol=1e-4)
    else:
        assert (ran.code, len(ran.err.splitlines()), output.exists()) == (2, 1, False)


def test_one_slice_is_refused_by_a_card_for_volumes(
    effseg: Command, shared_data: Path, tmp_path: Path
) -> None:
    scan = shared_data / "robustness" / "broken" / "one_slice.nii.gz"
    ran = effseg("segment", scan, "-m", "synthetic", "-o", tmp_path / "out.nrrd")
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert list(tmp_path.iterdir()) == []
