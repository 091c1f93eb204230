"""Networks of others to measure beside ours, as MONAI builds them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from .._extras import require

__all__ = ["Peer", "peers", "round_up"]

_MULTIPLE = 32
"""Sides that all peers take (five halvings)."""


@dataclass(frozen=True)
class Peer:
    """A network of others: its name and how to build it."""

    name: str
    build: Callable[[], nn.Module]


def peers(dimensions: int, channels: int, classes: int) -> tuple[Peer, ...]:
    """Return the peers for an input of `channels` and an output of `classes`.

    Raises
    ------
    MissingExtra
        If MONAI is not installed.
    """
    monai = require("monai.networks.nets", "train", "the comparison with peers")
    common: dict[str, Any] = {"spatial_dims": dimensions, "in_channels": channels, "out_channels": classes}
    return (
        Peer("nnU-Net (MONAI DynUNet)", lambda: monai.DynUNet(**common, **_nnunet_plan())),
        Peer("SegResNet (MONAI)", lambda: monai.SegResNet(init_filters=32, **common)),
        Peer("SwinUNETR (MONAI)", lambda: monai.SwinUNETR(feature_size=48, **common)),
        Peer("BasicUNet (MONAI)", lambda: monai.BasicUNet(**common)),
    )


def round_up(size: Sequence[int]) -> tuple[int, ...]:
    """Return the next sizes that every peer takes."""
    return tuple(math.ceil(side / _MULTIPLE) * _MULTIPLE for side in size)


def _nnunet_plan() -> dict[str, Any]:
    """Six stages up to 320 features: nnU-Net's default plan in three dimensions."""
    return {
        "kernel_size": [3] * 6,
        "strides": [1, 2, 2, 2, 2, 2],
        "upsample_kernel_size": [2] * 5,
        "filters": [32, 64, 128, 256, 320, 320],
    }
