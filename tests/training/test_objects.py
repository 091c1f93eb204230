"""Numbered objects as classes to learn: cores and rims that together are the objects."""

import json

import numpy as np
import pytest
from scipy import ndimage

import napari_effseg as eff
from napari_effseg.io.dataset import read_dataset
from napari_effseg.training import read_config, run_training
from napari_effseg.training.data import load_case
from napari_effseg.training.objects import classes_of
from napari_effseg.training.release import draft_card
from napari_effseg.zoo import Instances
from tests.shapes import packed_discs

from .test_slices import CONFIG

BORDER = Instances(border=2)
EVERYWHERE = np.ones((3, 3, 3))


def test_cores_and_rims_together_are_the_objects():
    objects = packed_discs()
    assert np.array_equal(classes_of(objects, BORDER, flat_axis=2) > 0, objects > 0)


def test_each_object_has_one_core_of_its_own():
    objects = packed_discs()
    cores, count = ndimage.label(classes_of(objects, BORDER, flat_axis=2) == 1, EVERYWHERE)
    owners = {int(core): set(objects[cores == core]) for core in range(1, count + 1)}
    assert count == objects.max()
    assert all(len(owner) == 1 and 0 not in owner for owner in owners.values())


def test_a_rim_is_as_wide_as_the_card_says():
    objects = np.zeros((20, 20, 1), np.uint16)
    objects[4:16, 4:16] = 7
    for width in (1, 2, 3):
        classes = classes_of(objects, Instances(border=2, border_voxels=width), flat_axis=2)
        assert (classes == 1).sum() == (12 - 2 * width) ** 2


@pytest.mark.parametrize("side", [1, 2, 3, 4])
def test_a_small_object_keeps_its_innermost_voxels(side):
    objects = np.zeros((9, 9, 1), np.uint16)
    objects[3 : 3 + side, 3 : 3 + side] = 1
    assert (classes_of(objects, BORDER, flat_axis=2) == 1).any()


def test_the_edge_of_the_image_is_no_rim():
    objects = np.zeros((12, 12, 1), np.uint16)
    objects[:8] = 1
    classes = classes_of(objects, BORDER, flat_axis=2)[..., 0]
    assert (classes[:6] == 1).all()
    assert (classes[6:8] == 2).all()
    assert (classes_of(np.ones((5, 5, 1), np.uint8), BORDER, flat_axis=2) == 1).all()


def test_slices_have_rims_of_their_own_and_volumes_common_ones():
    objects = np.zeros((5, 9, 9), np.uint8)
    objects[1:4, 1:8, 1:8] = 1
    assert (classes_of(objects, BORDER, flat_axis=0)[1] == 1).any()
    assert not (classes_of(objects, BORDER)[1] == 1).any()


def test_without_a_border_all_objects_are_one_label():
    objects = packed_discs()
    assert np.array_equal(classes_of(objects, Instances()), objects > 0)


OBJECTS = """
[[card.labels]]
id = 2
name = "rim"
colour = [0, 0, 200]
code = { scheme = "99EFFSEG", value = "rim", meaning = "Rim" }

[card.postprocess.instances]
border = 2
smallest = 8

[data]
"""


@pytest.fixture
def dish(tmp_path):
    """Write pictures of discs, numbered beyond 255 in 16 bits, and a configuration to learn them."""
    from PIL import Image

    for part in ("images", "labels"):
        (tmp_path / "data" / part).mkdir(parents=True)
    for number in range(6):
        objects = packed_discs(seed=number)[..., 0]
        grey = (60 + 120 * (objects > 0) + np.random.default_rng(number).normal(0, 8, objects.shape)).clip(
            0, 255
        )
        stored = np.where(objects > 0, objects.astype(np.uint16) + 300, 0).astype(np.uint16)
        Image.fromarray(grey.T.astype(np.uint8)).save(tmp_path / "data" / "images" / f"{number}.png")
        Image.fromarray(stored.T).save(tmp_path / "data" / "labels" / f"{number}.png")
    entries = [{"image": f"images/{n}.png", "label": f"labels/{n}.png"} for n in range(6)]
    document = {"name": "discs", "labels": {"0": "background", "1..N": "discs"}}
    lists = {"training": entries[:4], "validation": entries[4:5], "test": entries[5:]}
    (tmp_path / "data" / "dataset.json").write_text(json.dumps({**document, **lists}))
    text = CONFIG.replace("out_channels = 2", "out_channels = 3").replace("\n[data]\n", OBJECTS)
    (tmp_path / "discs.toml").write_text(
        text.replace("steps = 60", "steps = 2").replace("every = 60", "every = 2")
    )
    return tmp_path / "discs.toml"


def test_a_case_of_numbered_objects_becomes_classes(dish):
    dataset = read_dataset(dish.parent / "data")
    case = load_case(dataset.split("training")[0], draft_card(read_config(dish)))
    assert dataset.has_objects
    assert dataset.labels == {}
    assert int(case.labels.data.max()) > 300
    assert set(np.unique(case.target)) == {0, 1, 2}
    assert np.array_equal(case.target[0, 0] > 0, case.labels.data[..., 0] > 0)


def test_a_run_validates_whole_objects_and_their_borders(dish, tmp_path):
    folder = run_training(dish, output=tmp_path / "run", device="cpu")
    scores = json.loads((folder / "history.json").read_text())[-1]["dice"]
    assert set(scores) == {"disc", "rim"}
    assert eff.zoo.read_card(folder / "discs.toml").postprocess.instances == Instances(border=2, smallest=8)
