"""Training of two-dimensional cards: slices and pictures with the same sampler, augmentation and loop."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import napari_effseg as eff
from napari_effseg.engine.frame import window_shape
from napari_effseg.io.dataset import read_dataset
from napari_effseg.training.augment import Augmenter, axcodes_of
from napari_effseg.training.config import AugmentConfig, DataConfig, OptimiserConfig, read_config
from napari_effseg.training.data import PatchSampler, load_case
from napari_effseg.training.losses import segmentation_loss
from napari_effseg.training.release import draft_card
from napari_effseg.training.run import run_training

pytest.importorskip("monai")

CONFIG = """
[card]
name = "discs"
title = "Discs"
summary = "A test."
intended_use = "Tests."
limits = ["A test."]
task = "automatic"
dimensions = 2
network = "lightm-unet"
licence = "MIT"

[card.constructor]
spatial_dims = 2
init_filters = 8
in_channels = 1
out_channels = 2
blocks_down = [1, 1]
blocks_up = [1]

[card.input]
modality = ["OT"]
orientation = "LPS"

[[card.input.channels]]
role = "grey"
description = "grey"

[card.input.intensity]
rule = "zscore"

[card.field_of_view]
minimum_mm = [1.0, 1.0, 0.1]
maximum_mm = [1000.0, 1000.0, 1000.0]
locate = "anywhere"

[card.window]
size = [32, 24]
overlap = 0.25
multiple_of = 8

[card.output]
activation = "softmax"

[[card.labels]]
id = 1
name = "disc"
colour = [230, 159, 0]
code = { scheme = "SCT", value = "4421005", meaning = "Cell" }

[data]
folder = "data"

[augment]
quarter_turns = true
mirror = ["LR", "AP"]

[run]
steps = 120
validate_every = 60
batch_size = 4

[optimiser]
learning_rate = 0.005
warmup_steps = 5
average_decay = 0.9
"""


def picture_of_a_disc(seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    i, j = np.indices((30, 40))
    inside = (i - random.integers(8, 22)) ** 2 + (j - random.integers(8, 32)) ** 2 < random.integers(25, 60)
    return (60 + 90 * inside + random.normal(0, 12, inside.shape)).clip(0, 255).astype(np.uint8), inside


@pytest.fixture
def discs(tmp_path):
    """Write a folder of pictures and the configuration beside it."""
    import json

    from imageio.v3 import imwrite

    lists = {"training": range(8), "validation": range(8, 11)}
    for part in ("images", "labels"):
        (tmp_path / "data" / part).mkdir(parents=True)
    for seed in range(11):
        image, inside = picture_of_a_disc(seed)
        imwrite(tmp_path / "data" / "images" / f"{seed}.png", image)
        imwrite(tmp_path / "data" / "labels" / f"{seed}.png", inside.astype(np.uint8))
    entries = {
        name: [{"image": f"images/{seed}.png", "label": f"labels/{seed}.png"} for seed in seeds]
        for name, seeds in lists.items()
    }
    document = {"name": "discs", "labels": {"0": "background", "1": "disc"}, **entries, "test": []}
    (tmp_path / "data" / "dataset.json").write_text(json.dumps(document))
    (tmp_path / "discs.toml").write_text(CONFIG)
    return tmp_path / "discs.toml"


def test_a_network_of_pictures_learns_and_segments_them(discs, tmp_path):
    folder = run_training(discs, output=tmp_path / "run", device="cpu")
    image, inside = picture_of_a_disc(99)
    result = eff.segment(eff.Volume(image[..., None], np.eye(4)), folder / "discs.toml", device="cpu")
    assert eff.metrics.dice(result.labels.data[..., 0] == 1, inside) > 0.8


def test_patches_of_slices_stay_one_voxel_thick(discs):
    config = read_config(discs)
    card = draft_card(config)
    cases = [load_case(entry, card) for entry in read_dataset(discs.parent / "data").split("training")]
    augmenter = Augmenter(config.augment, axcodes_of(card))
    sampler = PatchSampler(cases, window_shape(card), config.data, augmenter, 0)
    for step in range(10):
        images, targets = sampler.batch(step, 2)
        assert images.shape == targets.shape == (2, 1, 1, 32, 24)
        assert images[targets > 0].mean() > images[targets == 0].mean()


def test_a_slice_of_a_volume_is_drawn_with_its_own_labels(discs):
    card = draft_card(read_config(discs))
    case = load_case(read_dataset(discs.parent / "data").split("training")[0], card)
    numbers = torch.arange(1, 6).view(1, 5, 1, 1)
    stack = dataclasses.replace(
        case,
        image=numbers.float().expand(1, 5, 32, 24),
        target=numbers.to(torch.uint8).expand(1, 5, 32, 24),
    )
    sampler = PatchSampler([stack], (1, 32, 24), DataConfig("data"), None, 0)
    drawn = [sampler.batch(step, 1) for step in range(30)]
    assert all(torch.equal(image, target.float()) for image, target in drawn)
    assert len({int(target.max()) for _, target in drawn}) == 5


def test_quarter_turns_keep_image_and_labels_together():
    none = dict.fromkeys(("rotate_degrees", "scale", "noise", "blur_voxels", "contrast", "bias_field"), 0.0)
    config = AugmentConfig(mirror=(), quarter_turns=True, gamma=1.0, low_resolution=0.0, **none)
    for shape, turns in (((1, 1, 16, 16), 4), ((1, 1, 16, 24), 2)):
        image = torch.randn(shape)
        labels = (image > 0).to(torch.uint8)
        made = [Augmenter(config, "LP")(image, labels, seed) for seed in range(40)]
        assert all(torch.equal(a > 0, b > 0) and a.shape == shape for a, b in made)
        assert len({a.numpy().tobytes() for a, _ in made}) == turns


@pytest.mark.parametrize(
    ("plane", "expected"), [("axial", "RA"), ("coronal", "RS"), ("sagittal", "AS"), (None, "RA")]
)
def test_the_axes_of_slices_follow_from_the_plane(discs, plane, expected):
    card = draft_card(read_config(discs))
    spec = dataclasses.replace(card.input, orientation="RAS", plane=plane)
    assert axcodes_of(dataclasses.replace(card, input=spec)) == expected


@pytest.mark.parametrize("loss", ["dice_ce", "dice_focal"])
def test_a_loss_falls_with_every_voxel_that_is_right(loss):
    loss_of = segmentation_loss(OptimiserConfig(loss=loss, dice_weight=0.8))
    truth = torch.zeros(2, 1, 1, 8, 8, dtype=torch.uint8)
    truth[..., 2:6] = 1
    one_hot = torch.cat([truth == 0, truth == 1], dim=1).float()
    losses = [float(loss_of(strength * (2 * one_hot - 1), truth)) for strength in (-4.0, 0.0, 1.0, 4.0, 20.0)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 1e-3
