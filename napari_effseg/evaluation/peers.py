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
_SMALLEST_SIDE = 4  # voxels, of nnU-Net's deepest features


@dataclass(frozen=True)
class Peer:
    """A network of others: its name and how to build it."""

    name: str
    build: Callable[[], nn.Module]


def peers(size: Sequence[int], channels: int, classes: int) -> tuple[Peer, ...]:
    """Return the peers for an input of `channels` and an output of `classes`.

    Parameters
    ----------
    size : sequence of int
        Two or three sides, as `round_up` gives them; nnU-Net's depth depends on them.
    channels, classes : int

    Raises
    ------
    MissingExtra
        If MONAI is not installed.
    """
    monai = require("monai.networks.nets", "train", "the comparison with peers")
    common: dict[str, Any] = {"spatial_dims": len(size), "in_channels": channels, "out_channels": classes}
    return (
        Peer("nnU-Net (MONAI DynUNet)", lambda: monai.DynUNet(**common, **_nnunet_plan(min(size)))),
        Peer("SegResNet (MONAI)", lambda: monai.SegResNet(init_filters=32, **common)),
        Peer("BasicUNet (MONAI)", lambda: monai.BasicUNet(**common)),
    )


def round_up(size: Sequence[int]) -> tuple[int, ...]:
    """Return the next sizes that every peer takes."""
    return tuple(math.ceil(side / _MULTIPLE) * _MULTIPLE for side in size)


def _nnunet_plan(side: int) -> dict[str, Any]:
    """As nnU-Net plans: halved until four voxels are left, at most five times; at most 320 features."""
    halvings = min(5, int(math.log2(side / _SMALLEST_SIDE)))
    return {
        "kernel_size": [3] * (halvings + 1),
        "strides": [1] + [2] * halvings,
        "upsample_kernel_size": [2] * halvings,
        "filters": [min(32 * 2**stage, 320) for stage in range(halvings + 1)],
    }
