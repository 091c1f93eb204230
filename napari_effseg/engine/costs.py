"""What a network costs: bytes and seconds a voxel, from its card where it was measured, else from a table.

These are estimates for the line that is said before a run. They aim to be within a factor of two.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from ..types import SpatialShape
from ..zoo.card import Card, Performance
from .frame import window_shape
from .tiling import Tiling

__all__ = ["Cost", "cost_of", "measured_on", "network_sides", "passes_of"]

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


# Measured on one and two threads of an x86 CPU, which runs the quick forms: `effseg bench` tells the times.
# Bytes are twice what tensors held, for what convolutions take beside them; of the first two, a process's.
_RATES = {
    "lightm-unet": _Rate("init_filters", 8, 100.0, 3e-7),
    "slim-unetr": _Rate("embed_dim", 96, 4.5, 1.5e-9),
    "segresmamba": _Rate("feat_size", 48, 8.0, 5e-8),
    "hrmedseg": _Rate("dim", 96, 1.0, 5e-9),
    "hrmedsegsam": _Rate("dim", 96, 1.0, 5e-9),
    "unet": _Rate("features", 32, 55.0, 1.3e-7),
    "nnunet": _Rate("features_per_stage", 32, 55.0, 2.2e-7),
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
    measured = measured_on(card, kind)
    if measured is None:
        return tabled
    return Cost(tabled.bytes_per_voxel, _seconds_per_voxel(measured, card))


def measured_on(card: Card, kind: str) -> Performance | None:
    """Return the run of a card on such a device that estimates rest on; None if none has a known size."""
    runs = (run for run in card.performance if kind in run.device.lower())
    return next((run for run in runs if network_sides(run, card) is not None), None)


def network_sides(run: Performance, card: Card) -> SpatialShape | None:
    """Voxels that the network saw in a measured case, along its axes; None if the case does not tell."""
    size = _CASE_SIZE.search(run.case)
    if size is None:
        return None
    sides = [int(side) for side in size.groups()[:3]]
    if size[4] is not None and card.input.spacing is not None and card.dimensions == 3:
        sides = [round(n * float(size[4]) / mm) for n, mm in zip(sides, card.input.spacing, strict=True)]
    return sides[0], sides[1], sides[2]


def passes_of(card: Card) -> int:
    """How often the networks of a card see each window: mirrored in every way, and once for each member."""
    return (1 << len(card.window.mirror)) * card.weights.members


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


def _seconds_per_voxel(run: Performance, card: Card) -> float:
    """Seconds a window voxel of a measured case of known size."""
    shape, window = network_sides(run, card), window_shape(card)
    assert shape is not None
    windows = passes_of(card) * Tiling.over(shape, window, card.window.overlap, card.window.places).count
    return run.seconds / (windows * math.prod(window))
