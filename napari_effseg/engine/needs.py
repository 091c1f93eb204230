"""What a card needs on this machine, for people who choose between cards; and what a run has shown of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..types import IndexBox
from ..volume import Grid
from ..zoo.card import Card, Performance
from ..zoo.measured import measured_here, with_measured_here
from .costs import measured_on, network_sides
from .device import DeviceInfo, resolve_device
from .frame import Frame, window_shape
from .plan import plan_step, steps_of
from .report import Result
from .tiling import Tiling

__all__ = ["HERE", "Needs", "known_by", "needs_of", "observed"]

HERE = "measured here"
_ESTIMATED = "estimated"


@dataclass(frozen=True)
class Needs:
    """Time and memory of a card for one image.

    Attributes
    ----------
    case : str
        The image, in words.
    device : str
        Where, as torch names it.
    seconds : float
    memory_bytes : int
        Peak of the process, with what it holds already.
    device_memory_bytes : int
        Peak on a CUDA or MPS device; 0 on the CPU.
    known_by : str
        How the time is known: "measured here", "estimated from CPU, 2 threads", or "estimated".
    """

    case: str
    device: str
    seconds: float
    memory_bytes: int
    device_memory_bytes: int
    known_by: str


def needs_of(card: Card, device: DeviceInfo) -> Needs:
    """Estimate what a card needs for one image like those that it was measured on, or else for one window.

    Parameters
    ----------
    card : Card
        As it was read; what this machine remembers of it is added here.
    device : DeviceInfo
    """
    grid, case = _typical(card)
    known = with_measured_here(card)
    plan = plan_step(known, grid, device, [Frame.exactly(grid)], steps_of(known, device)[0])
    return Needs(
        case,
        device.name,
        plan.seconds,
        plan.peak_memory_bytes,
        plan.device_memory_bytes,
        known_by(card, plan.device),
    )


def known_by(card: Card, device: DeviceInfo) -> str:
    """Say how the time of a card on a device is known."""
    rests_on = measured_on(with_measured_here(card), device.kind)
    if rests_on is None:
        return _ESTIMATED
    if rests_on in measured_here(card):
        return HERE if rests_on.device == _called(device) else f"{_ESTIMATED} from runs here"
    return f"{_ESTIMATED} from {rests_on.device}"


def observed(result: Result, card: Card, boxes: Sequence[IndexBox] = ()) -> Performance | None:
    """Return what a run has shown of its card, for the estimates of later ones.

    None where it tells nothing about others: a structure that had to be found first, several regions, smaller
    windows or half precision because memory was short.

    Parameters
    ----------
    result : Result
    card : Card
        Whose result it is.
    boxes : sequence of IndexBox
        The regions that were labelled; none for the whole image.
    """
    report = result.report
    if report.located is not None or len(boxes) > 1 or report.precision != "float32":
        return None
    frame = Frame.of(result.labels.grid, card, boxes[0] if boxes else None)
    window = card.window
    if Tiling.over(frame.network.shape, window_shape(card), window.overlap, window.places).count != (
        report.windows
    ):
        return None
    sides = " x ".join(str(side) for side in frame.network.shape)
    return Performance(
        _called(resolve_device(report.device)),
        f"{sides} voxels of the network's image",
        round(report.seconds, 3),
        round(report.peak_memory_bytes / 2**20, 1),
    )


def _called(device: DeviceInfo) -> str:
    return f"{device.name}: {device.description}"


def _typical(card: Card) -> tuple[Grid, str]:
    """Grid of the network's image of a case like those that a card was measured on, and the case in words."""
    for run in card.performance:
        sides = network_sides(run, card)
        if sides is not None:
            return Grid(sides, np.eye(4)), run.case
    window = window_shape(card)
    return Grid(window, np.eye(4)), f"one window of {' x '.join(map(str, card.window.size))} voxels"
