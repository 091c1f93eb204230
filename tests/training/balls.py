"""Bright balls in noise, stored in different axis orders, and a card of random weights to find them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from napari_effseg import LabelMap, Volume, save, zoo
from tests.zoo.synthetic import synthetic_card

TURNED = np.array([[-1.0, 0, 0, 14], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
"""Affine of a case that is stored the other way round, at the same place."""


def ball(number: int) -> tuple[Volume, np.ndarray]:
    """Image and mask of one case; odd ones are stored the other way round."""
    random = np.random.default_rng(number)
    centre = random.uniform(6, 9, 3)
    grid = np.stack(np.meshgrid(np.arange(15), np.arange(17), np.arange(16), indexing="ij"), -1)
    mask = (np.linalg.norm(grid - centre, axis=-1) < 4).astype(np.uint8)
    image = (100 * mask + random.normal(200, 20, mask.shape)).astype(np.float32)
    if number % 2:
        return Volume(image[::-1], TURNED), mask[::-1]
    return Volume(image, np.eye(4)), mask


def ball_folder(folder: Path, cases: int = 5, label: int = 1) -> Path:
    """Write cases ball_0, ball_1, ... into images/ and labels/, where the ball has this number."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    for number in range(cases):
        image, mask = ball(number)
        save(image, folder / "images" / f"ball_{number}.nii.gz")
        save(LabelMap(mask * np.uint8(label), image.affine), folder / "labels" / f"ball_{number}.nii.gz")
    return folder


def list_cases(folder: Path, names: dict[str, str], validation: int = 1, test: int = 1) -> Path:
    """Write a dataset.json over the cases of a folder, the last ones for validation and test."""
    stems = sorted(path.name for path in (folder / "images").iterdir())
    entries = [{"image": f"images/{name}", "label": f"labels/{name}"} for name in stems]
    first, second = len(entries) - validation - test, len(entries) - test
    document: dict[str, Any] = {"name": "balls", "labels": names, "licence": "CC0 1.0", "citation": "nobody"}
    document |= {"training": entries[:first], "validation": entries[first:second], "test": entries[second:]}
    (folder / "dataset.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def ball_card(folder: Path, *names: str, **changes: Any) -> zoo.Card:
    """Write a card for MR with these structures, by default one ball, and random weights."""
    names = names or ("ball",)
    code = zoo.CodeSpec("99EFFSEG", "ball", "Ball")
    fields: dict[str, Any] = {
        "name": "balls",
        "input": zoo.InputSpec(
            modality=("MR",),
            channels=(zoo.ChannelRole("t1", "anything"),),
            orientation="RAS",
            intensity=zoo.IntensityRule("zscore"),
        ),
        "field_of_view": zoo.FieldOfView((8.0, 8.0, 8.0), (40.0, 40.0, 40.0), "region"),
        "window": zoo.WindowSpec((16, 16, 16), overlap=0.5, multiple_of=2),
        "labels": tuple(zoo.LabelSpec(n, name, (n, 0, 0), code) for n, name in enumerate(names, 1)),
        "constructor": {
            "spatial_dims": 3,
            "init_filters": 8,
            "in_channels": 1,
            "out_channels": len(names) + 1,
            "blocks_down": (1, 1),
            "blocks_up": (1,),
        },
    }
    return synthetic_card(folder, **{**fields, **changes})
