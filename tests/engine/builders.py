"""Cards, volumes and tiny networks that the tests of this folder share."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_effseg import zoo
from napari_effseg.volume import Volume
from tests.zoo.synthetic import draft_card

OBLIQUE = np.array(
    [[0.9, 0.12, 0.0, -31.0], [-0.1, 1.2, 0.3, 17.0], [0.05, -0.2, 2.0, 42.0], [0.0, 0.0, 0.0, 1.0]]
)
SHAPE = (19, 26, 14)


def card_for(
    dimensions: int = 3,
    activation: str = "softmax",
    *,
    intensity: zoo.IntensityRule | None = None,
    spacing: tuple[float, ...] | None = None,
    plane: Any = "same",
    channels: tuple[str, ...] = ("ct",),
    modality: tuple[str, ...] = ("CT",),
    **changes: Any,
) -> zoo.Card:
    """A card that does nothing to intensities, unless told, and has windows of (12, 8, 16) voxels."""
    draft = draft_card(dimensions, activation)
    given = dataclasses.replace(
        draft.input,
        intensity=intensity or zoo.IntensityRule("none"),
        spacing=spacing,
        plane=draft.input.plane if plane == "same" else plane,
        channels=tuple(zoo.ChannelRole(role, role) for role in channels),
        modality=modality,
    )
    window = zoo.WindowSpec((12, 8, 16)[:dimensions], overlap=0.5, multiple_of=4)
    return dataclasses.replace(draft, **{"input": given, "window": window, **changes})


def labelled(*names: str, **fields: Any) -> tuple[zoo.LabelSpec, ...]:
    """Labels 1, 2, ... with these names; `fields` go to all of them."""
    code = zoo.CodeSpec("SCT", "10200004", "Liver")
    return tuple(
        zoo.LabelSpec(index + 1, name, (index % 256, 20, 30), code, **fields)
        for index, name in enumerate(names)
    )


def noise_volume(shape: tuple[int, ...] = SHAPE, seed: int = 0, affine: Any = OBLIQUE, **more: Any) -> Volume:
    """An oblique, anisotropic volume of HU-like noise, int16."""
    values = np.random.default_rng(seed).normal(0, 400, shape)
    return Volume(values.astype(np.int16), affine, **more)


class Levels(nn.Module):
    """Look at each voxel alone: three classes with centres at -400, 0 and 400."""

    def forward(self, x: Tensor) -> Tensor:
        centres = torch.tensor([0.0, 400.0, -400.0]).reshape(-1, *[1] * (x.ndim - 2))
        return -((x - centres) ** 2) / 400.0**2


class Context(nn.Module):
    """Look at neighbours too: one random convolution, so that axes, windows and padding matter."""

    def __init__(self, dimensions: int = 3, channels: int = 1, classes: int = 3) -> None:
        super().__init__()
        torch.manual_seed(7)
        kind = nn.Conv3d if dimensions == 3 else nn.Conv2d
        self.conv = kind(channels, classes, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x / 400.0)
