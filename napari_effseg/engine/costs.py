"""What a network costs: bytes and seconds a voxel, from its card where it was measured, else from a table.

These are estimates for the line that is said before a run. They aim to be within a factor of two.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from ..zoo.card import Card, Performance
from .frame import window_shape
from .tiling import Tiling

__all__ = ["Cost", "cost_of"]

_CASE_SIZE = re.compile(r"(\d+)\s*x\s*(\d+)\s*x\s*(\d+)(?: voxels at ([\d.]+) mm)?")


@dataclass(frozen=True)
class Cost:
    """What a network needs for a voxel of its window, in float32.

    Attributes
    ----------
    bytes_per_voxel : float
        Memory for activations at their peak.
    seconds_per_voxel : float
        Time on this device.
    """

    bytes_per_voxel: float
    seconds_per_voxel: float


@dataclass(frozen=True)
class _Rate:
    """Costs of a network for each channel at full resolution, and the constructor argument that tells these.

    Seconds are those of one CPU thread.
    """

    width_argument: str
    default_width: int
    bytes_per_voxel_and_channel: float
    seconds_per_voxel_and_channel: float


# Measured on one thread of an x86 server CPU; LightM-UNet: 75 to 135 bytes, 3e-7 to 9e-7 s.
_RATES = {
    "lightm-unet": _Rate("init_filters", 8, 100.0, 4e-7),
    "slim-unetr": _Rate("embed_dim", 96, 4.5, 4e-9),
    "nnunet": _Rate("features_per_stage", 32, 100.0, 4e-7),  # not measured: as the others
}
_UNKNOWN = _Rate("init_filters", 16, 100.0, 4e-7)
_CUDA_THREADS = 200.0
"""CPU threads that a CUDA device stands for; a guess on the low side, until the card tells measured times."""


def cost_of(card: Card, kind: str, threads: int) -> Cost:
    """Estimate what a network costs.

    Parameters
    ----------
    card : Card
        Times that were measured for it on such a device come first, then the table.
    kind : str
        "cpu", "cuda" or "mps".
    threads : int
        Threads of the CPU; a network gains about their square root.
    """
    tabled = _tabled_cost(card, kind, threads)
    for measured in card.performance:
        seconds = _seconds_per_voxel(measured, card, kind)
        if seconds is not None:
            return Cost(tabled.bytes_per_voxel, seconds)
    return tabled


def _tabled_cost(card: Card, kind: str, threads: int) -> Cost:
    rate = _RATES.get(card.network, _UNKNOWN)
    given = card.constructor.get(rate.width_argument, rate.default_width)
    width = given[0] if isinstance(given, tuple) else given  # of the first level, where each has its own
    channels = float(width) if isinstance(width, (int, float)) else float(rate.default_width)
    speed = _CUDA_THREADS if kind == "cuda" else math.sqrt(threads)
    return Cost(
        rate.bytes_per_voxel_and_channel * channels,
        rate.seconds_per_voxel_and_channel * channels / speed,
    )


def _seconds_per_voxel(measured: Performance, card: Card, kind: str) -> float | None:
    """Seconds a window voxel of a measured case; None for another kind of device or a case without a size."""
    size = _CASE_SIZE.search(measured.case)
    if kind not in measured.device.lower() or size is None:
        return None
    sides = [int(side) for side in size.groups()[:3]]
    if size[4] is not None and card.input.spacing is not None and card.dimensions == 3:
        sides = [round(n * float(size[4]) / mm) for n, mm in zip(sides, card.input.spacing, strict=True)]
    shape = (sides[0], sides[1], sides[2])
    window = window_shape(card)
    windows = Tiling.over(shape, window, card.window.overlap).count
    return measured.seconds / (windows * math.prod(window))
