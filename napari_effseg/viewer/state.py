"""What the panel *Automatic segmentation* shows, as plain values; no Qt, and nothing that computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from ..zoo.card import Card
from .region import Region

if TYPE_CHECKING:
    from napari.layers import Image, Shapes

__all__ = ["DeviceOption", "ModelOption", "PlanWords", "SegmentationState", "Stage", "Store"]


class Stage(Enum):
    """What the panel is doing."""

    IDLE = "idle"
    RUNNING = "running"
    STOPPING = "stopping"


@dataclass(frozen=True)
class ModelOption:
    """A model of the list; `reason` says why it cannot be used on the image, "" if it can."""

    card: Card
    reason: str = ""


@dataclass(frozen=True)
class DeviceOption:
    """A device: as torch names it, and for people."""

    name: str
    description: str


@dataclass(frozen=True)
class PlanWords:
    """What a run would cost.

    Attributes
    ----------
    line : str
        Time, memory, device.
    details : str
        The plan in full.
    notes : tuple of str
        What is unusual about it.
    """

    line: str
    details: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class SegmentationState:
    """Everything that the panel shows.

    Attributes
    ----------
    images : tuple of Image layers
        What can be chosen.
    image : Image layer or None
        What is chosen.
    channels : mapping of str to Image layer
        By role, where the model takes several layers.
    options, problems : tuple of ModelOption, tuple of str
        All models; and the card files that could not be used.
    model : str
        Name of the chosen one, or "".
    devices, device : tuple of DeviceOption, str
    shapes : tuple of Shapes layers
        Where a region can be drawn.
    region_layer, region, region_problem : Shapes layer or None, Region or None, str
        Where the region is drawn, what it is, and why it is none.
    shown_slice : int or None
        Slice across the region that the slider shows.
    is_checking : bool
        Whether it is still being looked at which models fit, or what a run costs.
    plan, plan_problem : PlanWords or None, str
    stage, fraction, message : Stage, float, str
        How far the run is.
    summary, warnings : str, tuple of str
        How the last run went.
    problem, details : str
        Why it went wrong, and what a report of a fault should hold.
    note : str
        What the user should know about the image or the region.
    """

    images: tuple[Image, ...] = ()
    image: Image | None = None
    channels: Mapping[str, Image] = field(default_factory=dict)
    options: tuple[ModelOption, ...] = ()
    problems: tuple[str, ...] = ()
    model: str = ""
    devices: tuple[DeviceOption, ...] = (DeviceOption("auto", "Automatic"),)
    device: str = "auto"
    shapes: tuple[Shapes, ...] = ()
    region_layer: Shapes | None = None
    region: Region | None = None
    region_problem: str = ""
    shown_slice: int | None = None
    is_checking: bool = False
    plan: PlanWords | None = None
    plan_problem: str = ""
    stage: Stage = Stage.IDLE
    fraction: float = 0.0
    message: str = ""
    summary: str = ""
    warnings: tuple[str, ...] = ()
    problem: str = ""
    details: str = ""
    note: str = ""

    @property
    def card(self) -> Card | None:
        """The chosen card."""
        return next((option.card for option in self.options if option.card.name == self.model), None)

    @property
    def misfits(self) -> tuple[ModelOption, ...]:
        """Models that cannot be used on the image."""
        return tuple(option for option in self.options if option.reason)

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs."""
        return self.stage is Stage.IDLE

    @property
    def why_not_run(self) -> str:
        """Why Run cannot be pressed, in words; "" if it can."""
        if self.image is None:
            return "Open an image first: File > Open, or drag a file or DICOM folder into the window."
        if self.region_problem:
            return self.region_problem
        if self.card is None:
            if self.is_checking or not self.options:
                return "Looking which models fit this image …"
            if len(self.misfits) == len(self.options):
                return "No model fits this image; the reasons are listed under the model."
            return "Several models fit; choose one."
        return self.plan_problem


class Store:
    """Holds the state; tells when it has changed.

    Attributes
    ----------
    changed : Signal
        Emitted with the new state.
    """

    changed = Signal(SegmentationState)

    def __init__(self) -> None:
        self.now = SegmentationState()

    def set(self, **changes: Any) -> None:
        """Replace fields of the state."""
        self.now = replace(self.now, **changes)
        self.changed.emit(self.now)
