"""Training on objects of volumes: what is drawn, what is known of it, and runs that go on."""

import json

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_effseg import Cancelled, ConfigError, LabelMap, Volume, io
from napari_effseg.engine.session.blocks import CHANNELS
from napari_effseg.training import run_training
from napari_effseg.training.solids.appearance import change_volume, synthetic_volume
from napari_effseg.training.solids.config import SolidConfig
from napari_effseg.training.solids.lesson import SolidLesson
from napari_effseg.training.solids.run import choice_examples
from napari_effseg.training.solids.sampler import SolidCase, SolidSampler
from napari_effseg.volume import Grid
from napari_effseg.zoo import read_card

CONFIG = """
[card]
name = "prompt-unet-3d"
title = "Anything"
summary = "Carries an object through a volume."
intended_use = "Tests."
limits = ["Nothing else."]
task = "promptable"
dimensions = 3
network = "solid-unet"
licence = "Apache-2.0"

[card.constructor]
features = [4, 8]

[card.input]
modality = ["OT"]
orientation = "LPI"

[[card.input.channels]]
role = "image"
description = "brightness"

[card.input.intensity]
rule = "zscore"

[card.field_of_view]
minimum_mm = [0.1, 0.1, 0.1]
maximum_mm = [1000.0, 1000.0, 1000.0]
locate = "anywhere"

[card.window]
size = [16, 16, 16]
overlap = 0.0
multiple_of = 2

[card.output]
activation = "sigmoid"

[[card.labels]]
id = 1
name = "object"
colour = [230, 159, 0]
code = { scheme = "99TEST", value = "1", meaning = "Object" }

[data]
folder = "learned"

[solids]
choice_folders = ["choice"]
size = 16

[run]
steps = 4
batch_size = 1
validate_every = 2
seed = 3
"""


def balls(seed, shape=(22, 20, 18), count=2):
    """Balls of two classes in noise."""
    random = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"))
    labels = np.zeros(shape, np.int32)
    for number in range(count):
        centre = random.uniform(6, np.asarray(shape) - 6)
        distance = ((grid - centre[:, None, None, None]) ** 2).sum(axis=0)
        labels[distance < 4.5**2] = 1 + number % 2
    image = 100 + 60 * (labels == 1) + 120 * (labels == 2) + random.normal(0, 8, shape)
    return np.clip(image, 0, 255).astype(np.uint8), labels


def case(seed=0, spacing=(1.0, 1.0, 1.0)):
    image, labels = balls(seed)
    return SolidCase(f"case {seed}", Grid(image.shape, np.diag([*spacing, 1.0])), image, labels)


def sampler(seed=1, **options):
    return SolidSampler([[case(n) for n in range(3)]], SolidConfig(size=16, **options), seed)


def of(example):
    return dict(zip(CHANNELS, example.seen, strict=True))


@pytest.mark.parametrize("synthetic", [0.0, 1.0], ids=["real", "synthetic"])
def test_an_example_is_a_function_of_seed_and_number(synthetic):
    one, same = (sampler(synthetic=synthetic).example(5) for _ in range(2))
    assert torch.equal(one.seen, same.seen)
    assert torch.equal(one.target, same.target)
    assert not torch.equal(one.seen, sampler(synthetic=synthetic).example(6).seen)
    assert not torch.equal(one.seen, sampler(2, synthetic=synthetic).example(5).seen)


@pytest.mark.parametrize("number", range(12))
@pytest.mark.parametrize("synthetic", [0.0, 1.0], ids=["real", "synthetic"])
def test_what_is_known_agrees_nearly_with_the_object_and_lies_in_slices(synthetic, number):
    example = sampler(synthetic=synthetic, locked=0.5).example(number)
    seen = of(example)
    known, other = seen["object"] > 0, seen["other"] > 0
    assert example.target.any()
    assert known.any()
    assert not (known & other).any()
    assert example.target[known].float().mean() > 0.5
    assert (~example.target)[other].float().mean() > 0.7
    assert (known | other).float().mean() < 0.95
    assert torch.isfinite(example.seen).all()
    assert not (example.target & (seen["locked"] > 0)).any()


def test_more_slices_are_known_the_more_are_allowed():
    few, many = (
        np.mean([of(sampler(most_slices=most).example(n))["object"].sum() for n in range(10)])
        for most in (1, 6)
    )
    assert few < many


def test_pseudo_objects_weigh_less():
    assert sampler(synthetic=1.0, pseudo_weight=0.3).example(0).weight == 0.3
    assert sampler(synthetic=0.0).example(0).weight == 1.0


def test_a_volume_whose_objects_are_too_small_is_left_out():
    empty = SolidCase(
        "empty", Grid((20, 20, 20), np.eye(4)), *(np.zeros((20, 20, 20), t) for t in (np.uint8, int))
    )
    found = SolidSampler([[empty]], SolidConfig(size=16, synthetic=0.5), 0).example(0)
    assert found.weight == SolidConfig().pseudo_weight


def test_synthetic_volumes_differ_and_are_seen():
    image, labels = synthetic_volume(16, np.random.default_rng(0))
    assert len(labels.unique()) > 1
    between = np.var([float(image[labels == n].mean()) for n in labels.unique()])
    assert between > 1e-3
    assert image.min() >= 0
    assert image.max() <= 1


@pytest.mark.parametrize("seed", range(8))
def test_a_changed_volume_keeps_its_shape_and_stays_finite(seed):
    image = torch.rand(9, 8, 7)
    changed = change_volume(image, np.random.default_rng(seed))
    assert changed.shape == image.shape
    assert torch.isfinite(changed).all()


class Oracle(torch.nn.Module):
    def __init__(self, logits):
        super().__init__()
        self.logits = torch.nn.Parameter(logits)

    def forward(self, x):
        return self.logits.expand(len(x), 1, *x.shape[2:])


def test_the_loss_is_least_where_the_answer_is_right_and_the_score_one():
    example = sampler(synthetic=0.0).example(1)
    right = 10.0 * (2 * example.target.float() - 1)[None, None]
    lesson, random = SolidLesson(), np.random.default_rng(0)
    losses = [lesson.loss(Oracle(sign * right), [example], random).item() for sign in (1, 0, -1)]
    assert losses == sorted(losses)
    assert losses[0] < 0.02
    assert lesson.scores(Oracle(right), {"set": [example]}) == {"set": 1.0}
    assert lesson.scores(Oracle(-right), {"set": [example]})["set"] < 0.1


def test_choice_examples_ask_for_the_largest_piece_of_each_class():
    found = choice_examples(case(4, (1.0, 1.0, 2.0)), 1, 16)
    assert len(found) == len(np.unique(case(4).labels)) - 1
    for example in found:
        _, count = ndimage.label(example.target.numpy(), np.ones((3, 3, 3)))
        assert count == 1


@pytest.fixture
def folders(tmp_path):
    """Two data sets and a configuration."""
    for name, seeds in {"learned": range(3), "choice": range(10, 12)}.items():
        folder = tmp_path / name
        listed = []
        for seed in seeds:
            image, labels = balls(seed)
            volume = Volume(image, np.eye(4))
            for kind, what in {
                "images": volume,
                "labels": LabelMap(labels.astype(np.uint8), np.eye(4)),
            }.items():
                (folder / kind).mkdir(parents=True, exist_ok=True)
                io.save(what, folder / kind / f"case_{seed}.nii.gz")
            listed.append({"image": f"images/case_{seed}.nii.gz", "label": f"labels/case_{seed}.nii.gz"})
        document = {
            "name": name,
            "labels": {"0": "background", "1": "one", "2": "two"},
            "modality": {"0": "MR"},
            "licence": "CC0-1.0",
            "redistributable": True,
            "training": listed,
        }
        (folder / "dataset.json").write_text(json.dumps(document), encoding="utf-8")
    (tmp_path / "config.toml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


def test_a_run_leaves_weights_and_a_card_that_can_be_read(folders):
    run = run_training(folders / "config.toml", output=folders / "run")
    card = read_card(run / "prompt-unet-3d.toml")
    assert card.dimensions == 3
    assert card.task == "promptable"
    history = json.loads((run / "history.json").read_text(encoding="utf-8"))
    assert set(history[-1]["dice"]) == {"choice, 1 slice", "choice, 3 slices"}


def test_the_card_credits_volumes_beside_the_data_sets_and_names_what_was_left_out(folders):
    io.save(Volume(balls(7)[0], np.eye(4)), folders / "loose.nii.gz")
    config = folders / "config.toml"
    more = """[solids]
unlabelled_files = ["loose.nii.gz"]
unlabelled_licences = ["CC-BY 4.0"]
unlabelled_citations = ["Somebody, 2020."]
left_out = ["case_2"]
pseudo = 0.7
"""
    text = config.read_text(encoding="utf-8").replace("[solids]\n", more).replace("steps = 4", "steps = 2")
    config.write_text(text, encoding="utf-8")
    learned = read_card(run_training(config, output=folders / "run") / "prompt-unet-3d.toml").training
    assert learned.dataset == "learned + loose.nii.gz"
    assert learned.licence == "CC0-1.0; CC-BY 4.0 (loose.nii.gz)"
    assert "Somebody, 2020." in learned.citation
    assert learned.split.endswith("left out: case_2")


def test_an_interrupted_run_ends_as_an_uninterrupted_one(folders):
    whole = run_training(folders / "config.toml", output=folders / "whole")
    asked = iter([False] * 7 + [True] * 100)
    with pytest.raises(Cancelled):
        run_training(folders / "config.toml", output=folders / "parts", cancel=lambda: next(asked))
    parts = run_training(folders / "config.toml", output=folders / "parts", resume=True)
    name = "prompt-unet-3d.safetensors"
    assert (whole / name).read_bytes() == (parts / name).read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('network = "solid-unet"', 'network = "unet"', "channels"),
        ("size = 16\n\n[run]", "size = 15\n\n[run]", "15 voxels"),
        ('choice_folders = ["choice"]\n', "", "choice_folders"),
        ("[solids]", "[clicks]\n[solids]", "exclude"),
        ("[solids]\n", '[solids]\nunlabelled_files = ["a.nii.gz"]\n', "a licence and a citation"),
        ("[solids]\n", '[solids]\nleft_out = ["case_0", "case_1", "case_2"]\n', "no volumes"),
    ],
)
def test_what_cannot_be_trained_is_said(folders, old, new, words):
    path = folders / "config.toml"
    text = path.read_text(encoding="utf-8").replace(old, new)
    if 'network = "unet"' in text:
        text = text.replace("features = [4, 8]", "spatial_dims = 3\nfeatures = [4, 8]")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=words):
        run_training(path, output=folders / "run")
