"""The README's main job: a real case, no model named, a result near the reference, exactly in place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_effseg import load, load_labels, zoo
from napari_effseg.metrics import label_scores

from .conftest import Command

pytestmark = pytest.mark.skipif(not zoo.cards(), reason="needs a built-in model, and there is none yet")


@pytest.mark.parametrize("name", ["hippocampus", "hippocampus-2"])
def test_a_sample_case_is_segmented_as_its_reference_says(effseg: Command, tmp_path: Path, name: str) -> None:
    image, truth, output = (tmp_path / f"{part}.nii.gz" for part in ("case", "truth", "case_seg"))
    assert effseg("sample", name, image, "--reference", truth).code == 0
    ran = effseg("segment", image, "-o", output, "--overlay", tmp_path / "case_seg.png")
    assert ran.code == 0, ran.err
    result = load_labels(output)
    assert np.array_equal(result.affine, load(image).affine)
    assert result.names == {1: "anterior hippocampus", 2: "posterior hippocampus"}
    scores = label_scores(load_labels(truth), result)
    assert min(score.dice for score in scores) > 0.8
    assert max(score.hausdorff95_mm for score in scores) < 4
    assert (tmp_path / "case_seg.png").stat().st_size > 10_000


def test_a_sample_case_raises_no_warning(effseg: Command, tmp_path: Path) -> None:
    effseg("sample", "hippocampus", tmp_path / "case.nii.gz")
    assert "warning" not in effseg("segment", tmp_path / "case.nii.gz").err
