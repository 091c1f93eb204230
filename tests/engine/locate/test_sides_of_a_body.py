"""Sides proved where they differ: a real trunk, labelled, stored in six axis orders, as its own template."""

import numpy as np
import pytest
from torch import Tensor, nn
from torch.nn.functional import pad

import napari_effseg as eff
from napari_effseg import zoo
from napari_effseg.engine import locate as module
from napari_effseg.engine import segment_with
from napari_effseg.engine.locate.template import Template
from napari_effseg.volume import Grid, Volume, reorient, resample_array, transform_points
from tests.engine.builders import card_for, labelled

ORDERS = ("ILP", "LAS", "LPS", "PIR", "RAS", "SRA")
KIDNEYS = {"left": 3, "right": 2}  # of the reference
IDS = {"left": (11,), "right": (21,)}


@pytest.fixture(scope="module")
def folder(shared_data):
    return shared_data / "viewer_nifti" / "orientation"


@pytest.fixture(scope="module")
def reference(folder):
    return reorient(eff.load_labels(folder / "labels" / "ct_RAS.nii.gz"), "RAS")


@pytest.fixture
def own_template(folder, monkeypatch):
    """Register the slab to a coarse copy of itself: an asymmetric template, unlike the one that ships."""
    volume = reorient(eff.load(folder / "images" / "ct_RAS.nii.gz"), "RAS")
    sides = [round(side * spacing / 6) for side, spacing in zip(volume.shape, volume.spacing, strict=True)]
    affine = volume.affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] += volume.affine[:3, :3] @ (0.5, 0.5, 0.5)
    grid = Grid(tuple(sides), affine)
    image = ((resample_array(volume.data, volume.grid, grid) + 200) / 500).clip(0, 1).astype(np.float32)
    body = image > 0.2
    template = Template(image, body, np.ones_like(body), grid)
    monkeypatch.setattr(module, "load_template", lambda name: template)
    monkeypatch.setattr(module.answer, "_MOST_AT_EDGE", 1.0)  # soft tissue goes on around the kidneys


def kidney_card(reference):
    """Boxes around both kidneys, of which the template, the slab itself, knows the places."""
    boxes = []
    for side, label in KIDNEYS.items():
        x, y, z = transform_points(
            reference.affine, np.argwhere(reference.data == label).mean(axis=0)
        ).tolist()
        boxes.append((side, (x, y, z)))
    middle = np.mean([centre[0] for _, centre in boxes])
    assert boxes[0][1][0] < middle < boxes[1][1][0]
    view = zoo.FieldOfView((10.0, 10.0, 10.0), (90.0, 90.0, 90.0), "template")
    spec = zoo.LocateSpec(
        "mni152", tuple(zoo.LocatedBox(at, (60.0, 60.0, 60.0), side, IDS[side]) for side, at in boxes)
    )
    labels = labelled("kidney")
    return card_for(spacing=(3.0, 3.0, 3.0), field_of_view=view, locate=spec, labels=labels)


class SoftTissue(nn.Module):
    """Look at each voxel alone: -30 to 70 HU, which fat around the kidneys has not."""

    def forward(self, x: Tensor) -> Tensor:
        return pad(50 - (x - 20).abs(), (0, 0, 0, 0, 0, 0, 1, 0))


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS)
def test_each_kidney_has_its_side_in_every_storage(order, folder, reference, own_template):
    volume = eff.load(folder / "images" / f"ct_{order}.nii.gz")
    result = segment_with(SoftTissue(), Volume(volume.data, volume.affine), kidney_card(reference), "cpu")
    found = reorient(result.labels, "RAS").data
    for side, label in KIDNEYS.items():
        there = reference.data == label
        assert (found[there] == IDS[side][0]).mean() > 0.8
        assert not np.isin(found[there], [ids[0] for other, ids in IDS.items() if other != side]).any()
