"""A tiny data set in the Decathlon's style, and a configuration to train on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from napari_effseg import LabelMap, save
from napari_effseg.training import folder as run_folder

from .balls import ball

CONFIG = """
[card]
name = "ball-lightm-unet"
title = "Balls"
summary = "Finds bright balls in noise."
intended_use = "Tests."
limits = ["Nothing else."]
task = "automatic"
dimensions = 3
network = "lightm-unet"
licence = "Apache-2.0"

[card.constructor]
spatial_dims = 3
init_filters = 8
in_channels = 1
out_channels = 2
blocks_down = [1, 1]
blocks_up = [1]

[card.input]
modality = ["MR"]
orientation = "RAS"

[[card.input.channels]]
role = "t1"
description = "anything"

[card.input.intensity]
rule = "zscore"

[card.field_of_view]
minimum_mm = [8.0, 8.0, 8.0]
maximum_mm = [64.0, 64.0, 64.0]
locate = "region"

[card.window]
size = [16, 16, 16]
overlap = 0.5
multiple_of = 2

[card.output]
activation = "softmax"

[[card.labels]]
id = 1
name = "ball"
colour = [255, 0, 0]
code = { scheme = "99EFFSEG", value = "ball", meaning = "Ball" }

[data]
folder = "data"

[augment]
mirror = ["LR"]

[optimiser]
learning_rate = 0.01
warmup_steps = 2
average_decay = 0.5

[run]
steps = STEPS
batch_size = 2
validate_every = 4
seed = 3
"""


@pytest.fixture(autouse=True, scope="package")
def _curves_are_drawn_once_for_each_run() -> Iterator[None]:
    """Leave the picture of a run as its first validation drew it: drawing takes longer than the steps here.

    That it is drawn again after every validation, `test_folder.py` looks at.
    """
    draw = run_folder.draw_curves
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            run_folder,
            "draw_curves",
            lambda history, path, *rest: path.exists() or draw(history, path, *rest),
        )
        yield


@pytest.fixture
def ball_config(tmp_path: Path):
    """Path of a configuration for the tiny data set, given the number of steps."""
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    (data / "labels").mkdir()
    entries = []
    for number in range(6):
        image, mask = ball(number)
        entry = {"image": f"images/ball_{number}.nii.gz", "label": f"labels/ball_{number}.nii.gz"}
        save(image, data / entry["image"])
        save(LabelMap(mask, image.affine), data / entry["label"])
        entries.append(entry)
    document = {
        "name": "balls",
        "labels": {"0": "background", "1": "ball"},
        "licence": "CC0 1.0",
        "citation": "nobody",
        "redistributable": True,
        "training": entries[:4],
        "validation": entries[4:5],
        "test": entries[5:],
    }
    (data / "dataset.json").write_text(json.dumps(document), encoding="utf-8")

    def write(steps: int, name: str = "config.toml", **changes: str) -> Path:
        text = CONFIG.replace("STEPS", str(steps))
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write
