"""Decide how a card is applied to an image, before anything is computed: windows, device, time, memory.

Everything here is a pure function of its arguments. What is decided is said in one line before the run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from ..types import IndexBox, SpatialShape
from ..volume import Grid, box_shape
from ..zoo.brief import duration_words
from ..zoo.card import Card
from .costs import Cost, cost_of, passes_of
from .device import DeviceInfo
from .doubt import channels_of
from .frame import Frame, window_shape
from .locate import LOCATING_SECONDS, Place, expected_places
from .plausibility import needs_locating
from .tiling import Tiling
from .windows import ROWS_BYTES

__all__ = ["Plan", "PlanOptions", "RegionPlan", "Step", "resolve", "steps_of"]

BATCH_VOXELS = 2**18
"""Windows are given to the network together until they hold this many voxels (one slice of 512 x 512)."""
SHRINK = (1.0, 0.75, 0.5)
"""Window sides that are tried when memory runs short; below half a window a network sees too little."""
WORKING_BYTES = 6 * ROWS_BYTES
"""Finished rows on their way to labels and doubt: logits, their resampled copy, entropy."""

Precision = Literal["float32", "float16"]


@dataclass(frozen=True)
class PlanOptions:
    """What the caller decided.

    Attributes
    ----------
    boxes : tuple of IndexBox
        Regions to label, stored indices; empty: the whole image, or what will be found in it.
    places : tuple of Place
        Where the card's structure was found, if it was looked for.
    content : IndexBox or None
        Stored indices outside which the image is empty, for a card that sees no other part of it.
    """

    boxes: tuple[IndexBox, ...] = ()
    places: tuple[Place, ...] = ()
    content: IndexBox | None = None


@dataclass(frozen=True)
class Step:
    """One way to run: a step of the ladder that is climbed down when memory runs short."""

    window: SpatialShape
    batch: int
    precision: Precision
    device: str

    def describe(self) -> str:
        """Name the step in words."""
        return f"windows of {_times(self.window)} voxels in {self.precision} on {self.device}"


@dataclass(frozen=True)
class RegionPlan:
    """One region: where it lies, and the windows over it."""

    frame: Frame
    tiling: Tiling


@dataclass(frozen=True)
class Plan:
    """How a card will be applied to an image.

    Attributes
    ----------
    model : str
        Name of the card.
    device : DeviceInfo
        Where the network runs.
    step : Step
        Window, batch and precision to begin with.
    regions : tuple of RegionPlan
        One for each region of interest, or one for the whole image.
    seconds : float
        Estimated time of the run.
    peak_memory_bytes : int
        Estimated peak of the process, with what it holds already.
    device_memory_bytes : int
        Estimated peak on a CUDA or MPS device; 0 on the CPU.
    notes : tuple of str
        What is unusual about this plan, in sentences.
    locates : bool
        Whether the structure is still to be found: `regions` have the right sizes, and lie anywhere.
    """

    model: str
    device: DeviceInfo
    step: Step
    regions: tuple[RegionPlan, ...]
    seconds: float
    peak_memory_bytes: int
    device_memory_bytes: int
    notes: tuple[str, ...]
    locates: bool = False

    @property
    def windows(self) -> int:
        """Number of windows over all regions."""
        return sum(region.tiling.count for region in self.regions)

    def describe(self) -> str:
        """Say the plan in one line.

        Such as "hippocampus-lightm-unet: 2 windows of 48 x 64 x 48 voxels in float32 on cpu (CPU, 2 threads),
        about 3 s and 0.6 GB".
        """
        memory = f"{self.peak_memory_bytes / 1e9:.1f} GB"
        if self.device_memory_bytes:
            memory += f" and {self.device_memory_bytes / 1e9:.1f} GB on the device"
        windows = f"{self.windows} window{'s' * (self.windows != 1)}"
        step = self.step.describe().replace("windows", windows, 1)
        where = f" ({self.device.description})" if self.step.device == self.device.name else ""
        found = ", in boxes that are found first" if self.locates else ""
        return f"{self.model}: {step}{where}{found}, about {duration_words(self.seconds)} and {memory}"


def resolve(options: PlanOptions, card: Card, grid: Grid, device: DeviceInfo) -> Plan:
    """Decide how a card is applied to an image.

    The first step of the ladder whose estimated memory is free is taken; if that is not the card's own
    window, a note says so. If nothing fits, the first step is tried all the same: estimates can be wrong.

    Parameters
    ----------
    options : PlanOptions
        Regions.
    card : Card
        Network, window, orientation, spacing.
    grid : Grid
        Of the stored image.
    device : DeviceInfo
        Where to run, and its free memory.

    Raises
    ------
    VolumeError
        If the card is three-dimensional and the image is one voxel thick.
    """
    locates = not options.boxes and not options.places and needs_locating(grid, card)
    places = expected_places(card, grid) if locates else options.places
    frames = [Frame.at(grid, card, place) for place in places]
    frames = frames or [Frame.of(grid, card, box, options.content) for box in options.boxes or (None,)]
    plans = [plan_step(card, grid, device, frames, step) for step in steps_of(card, device)]
    if locates:
        plans = [replace(plan, locates=True, seconds=plan.seconds + LOCATING_SECONDS) for plan in plans]
    chosen = next((plan for plan in plans if _fits(plan)), None)
    if chosen is None:
        return _with_note(plans[0], "this may need more memory than is free")
    if chosen is plans[0]:
        return chosen
    return _with_note(
        chosen,
        f"too little memory is free for {plans[0].step.describe()} "
        f"(about {_need(plans[0]) / 1e9:.1f} GB); {chosen.step.describe()} are used instead",
    )


def steps_of(card: Card, device: DeviceInfo) -> tuple[Step, ...]:
    """Ways to run a card, each with less memory on the device than the one before.

    One window at a time, smaller windows, then half precision (not on the CPU, whose kernels want
    float32), then the CPU.
    """
    sizes = list(dict.fromkeys(_shrunk(card, fraction) for fraction in SHRINK))
    batched = Step(sizes[0], _batch(sizes[0]), "float32", device.name)
    steps = [batched] if batched.batch > 1 else []
    steps += [Step(size, 1, "float32", device.name) for size in sizes]
    if device.kind != "cpu":
        steps.append(Step(sizes[-1], 1, "float16", device.name))
        steps += [Step(size, 1, "float32", "cpu") for size in sizes]
    return tuple(steps)


def plan_step(card: Card, grid: Grid, device: DeviceInfo, frames: list[Frame], step: Step) -> Plan:
    """Plan one way to run: windows, time and memory."""
    overlap = card.window.overlap
    regions = tuple(
        RegionPlan(frame, Tiling.over(frame.network.shape, step.window, overlap, card.window.places))
        for frame in frames
    )
    cost = cost_of(card, step.device.partition(":")[0], device.threads)
    on_host, on_device = _memory(card, grid, device, regions, step, cost)
    return Plan(
        card.name, device, step, regions, _seconds(card, grid, regions, step, cost), on_host, on_device, ()
    )


def _memory(
    card: Card, grid: Grid, device: DeviceInfo, regions: tuple[RegionPlan, ...], step: Step, cost: Cost
) -> tuple[int, int]:
    """Estimated peak bytes of the process, and of a device that is not the CPU."""
    result = _result_bytes(grid, regions)
    bands = max(_band_bytes(card, region, step) for region in regions)
    voxels = math.prod(step.window) * step.batch
    logits, activations = 4.0 * channels_of(card) * voxels, cost.bytes_per_voxel * voxels
    on_device = 0.0
    if step.device != "cpu":
        on_device, activations = activations / (2 if step.precision == "float16" else 1), 0.0
    whole = sum(_whole_bytes(card, region.frame) for region in regions[:1])
    on_host = result + bands + logits + activations + whole + WORKING_BYTES
    return int(device.process_bytes + on_host), int(on_device)


def _result_bytes(grid: Grid, regions: tuple[RegionPlan, ...]) -> int:
    """Labels and doubt of the regions; several are kept apart until they are merged.

    What is never written takes no memory, however large the image is.
    """
    sizes = [math.prod(box_shape(region.frame.labelled)) for region in regions]
    apart = max(sizes) if len(regions) > 1 else 0
    return 5 * (min(sum(sizes), math.prod(grid.shape)) + apart)


def _band_bytes(card: Card, region: RegionPlan, step: Step) -> int:
    """Rows in work: the image twice (kept and fresh), blended sums for each class, and their weights."""
    tiling = region.tiling
    channels = 2 * len(card.input.channels) + channels_of(card) + 1
    plane = tiling.padded_shape[1] * tiling.padded_shape[2]
    return 4 * channels * tiling.band_rows(step.batch) * plane


def _whole_bytes(card: Card, frame: Frame) -> int:
    """Bytes of an image that is made at once: as stored, with a spline's copy, and on the network's grid."""
    if card.input.manner == "own":
        return 0
    stored, made = math.prod(frame.turn.grid.shape), math.prod(frame.network.shape)
    return len(card.input.channels) * 4 * (stored + 2 * made) + 16 * stored


def _seconds(card: Card, grid: Grid, regions: tuple[RegionPlan, ...], step: Step, cost: Cost) -> float:
    """Estimated seconds: the network over all windows, and a pass over the image before and after."""
    windows = passes_of(card) * sum(region.tiling.count for region in regions)
    passes = 1.5e-7 * math.prod(grid.shape)
    return windows * math.prod(step.window) * cost.seconds_per_voxel + passes


def _fits(plan: Plan) -> bool:
    fresh = plan.peak_memory_bytes - plan.device.process_bytes
    on_device = plan.device_memory_bytes if plan.step.device == plan.device.name else 0
    return fresh <= plan.device.host_free_bytes and on_device <= plan.device.free_bytes


def _need(plan: Plan) -> int:
    return plan.device_memory_bytes or plan.peak_memory_bytes


def _with_note(plan: Plan, note: str) -> Plan:
    return replace(plan, notes=(*plan.notes, note))


def _shrunk(card: Card, fraction: float) -> SpatialShape:
    """Window with its sides scaled down, rounded up to what the network can take."""
    sides = tuple(
        math.ceil(side * fraction / unit) * unit
        for side, unit in zip(card.window.size, card.window.units, strict=True)
    )
    return window_shape(card, sides)


def _batch(window: SpatialShape) -> int:
    return max(1, min(16, BATCH_VOXELS // math.prod(window)))


def _times(sides: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in sides)
