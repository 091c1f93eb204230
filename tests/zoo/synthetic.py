"""Small cards with random weights, for the tests of every room that needs a model but no accuracy."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from napari_effseg import zoo

PLACEHOLDER = zoo.WeightsFile("synthetic.safetensors", "0" * 64, "CC0-1.0", 1, "float32", 1)


def synthetic_card(
    folder: Path, *, dimensions: int = 3, activation: str = "softmax", seed: int = 0, **changes: Any
) -> zoo.Card:
    """Write a random lightm-unet for CT with two labels into `folder`, and return its card as read back.

    `changes` replace fields of the card before its weights are made, such as
    ``constructor={...}``, ``input=InputSpec(...)`` or ``name="other"``.
    """
    draft = dataclasses.replace(draft_card(dimensions, activation), **changes)
    torch.manual_seed(seed)
    network = zoo.build_network(draft)
    folder.mkdir(parents=True, exist_ok=True)
    file = zoo.save_weights(network.state_dict(), folder / f"{draft.name}.safetensors")
    parameters = sum(values.numel() for values in network.parameters())
    weights = zoo.describe_weights(file, licence="CC0-1.0", parameters=parameters)
    card = dataclasses.replace(draft, weights=weights)
    return zoo.read_card(zoo.write_card(card, folder / f"{draft.name}.toml"))


def draft_card(dimensions: int = 3, activation: str = "softmax") -> zoo.Card:
    """Return a valid card whose weights do not exist."""
    regions = (zoo.Region(0, 1), zoo.Region(1, 2)) if activation == "regions" else ()
    return zoo.Card(
        name="synthetic",
        title="Synthetic",
        summary="Random weights for tests.",
        intended_use="Tests only.",
        limits=("It has learned nothing.",),
        task="automatic",
        dimensions=dimensions,
        network="lightm-unet",
        licence="Apache-2.0",
        constructor={
            "spatial_dims": dimensions,
            "init_filters": 8,
            "in_channels": 1,
            "out_channels": 3 if activation == "softmax" else 2,
            "blocks_down": (1, 1),
            "blocks_up": (1,),
        },
        weights=PLACEHOLDER,
        training=zoo.TrainingData("none", "CC0-1.0", "", "none", "random initialisation"),
        input=zoo.InputSpec(
            modality=("CT",),
            channels=(zoo.ChannelRole("ct", "Hounsfield units"),),
            orientation="RAS" if dimensions == 3 else "LPS",
            intensity=zoo.IntensityRule("fixed_zscore", lower=-1000.0, upper=1000.0, mean=0.0, std=400.0),
            plane=None if dimensions == 3 else "axial",
        ),
        field_of_view=zoo.FieldOfView((0.0, 0.0, 0.0), (600.0, 600.0, 2000.0), "anywhere"),
        window=zoo.WindowSpec((24, 16, 32)[:dimensions], overlap=0.5, multiple_of=2),
        output=zoo.OutputSpec(activation, regions),
        labels=(
            zoo.LabelSpec(1, "left kidney", (230, 159, 0), zoo.CodeSpec("SCT", "64033007", "Kidney"), "left"),
            zoo.LabelSpec(2, "liver", (0, 114, 178), zoo.CodeSpec("SCT", "10200004", "Liver")),
        ),
    )
