"""What the panel *Automatic segmentation* shows, as plain values; no Qt, and nothing that computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from ..protocols import ModelInfo
from ..zoo.card import Card
from ..zoo.selecting import Wish, matches, why_none
from .region import Region

if TYPE_CHECKING:
    from napari.layers import Image, Shapes

__all__ = ["DeviceOption", "ModelCost", "ModelOption", "PlanWords", "SegmentationState", "Stage", "Store"]


class Stage(Enum):
    """What the panel is doing."""

    IDLE = "idle"
    RUNNING = "running"
    STOPPING = "stopping"


@dataclass(frozen=True)
class ModelCost:
    """What a model would take on the image that is chosen.

    Attributes
    ----------
    seconds : float
    memory_bytes : int
        Peak of the process; on a device that is not the CPU, that of the device.
    known_by : str
        How the time is known: "measured here", "estimated from ...", "estimated".
    """

    seconds: float
    memory_bytes: int
    known_by: str


@dataclass(frozen=True)
class ModelOption:
    """A model of the list.

    Attributes
    ----------
    card : Card
    reason : str
        Why it cannot be used on the image, "" if it can.
    cost : ModelCost or None
        None where it cannot be used, or a server does not tell.
    told : ModelInfo or None
        What a server tells of its model, of which the card then has a part.
    """

    card: Card
    reason: str = ""
    cost: ModelCost | None = None
    told: ModelInfo | None = None


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
    also : tuple of str
        Names of models that run after it, into the same layer.
    later_wins : bool
        Whether later models replace the labels of earlier ones.
    wish : Wish
        What the list of models is narrowed down to.
    is_here, engine_problem : bool, str
        Whether networks run on this computer; why it is not known which models the server has.
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
    also: tuple[str, ...] = ()
    later_wins: bool = False
    wish: Wish = field(default_factory=Wish)
    is_here: bool = True
    engine_problem: str = ""
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
    def chosen(self) -> tuple[str, ...]:
        """Names of the models that will run, in their order."""
        return (self.model, *self.also) if self.model else ()

    @property
    def picked(self) -> tuple[ModelOption, ...]:
        """The models that will run, in their order."""
        known = {option.card.name: option for option in self.options}
        return tuple(known[name] for name in self.chosen if name in known)

    @property
    def cards(self) -> tuple[Card, ...]:
        """The cards of the models that will run, in their order."""
        return tuple(option.card for option in self.picked)

    @property
    def card(self) -> Card | None:
        """The chosen card, the first of several."""
        return next(iter(self.cards), None)

    @property
    def shown(self) -> tuple[ModelOption, ...]:
        """Models that are what the list is narrowed down to; those that cannot be used come last."""
        found = (option for option in self.options if matches(option.card, self.wish))
        return tuple(sorted(found, key=lambda option: bool(option.reason)))

    @property
    def why_none_shown(self) -> str:
        """Why the list is empty, "" if it is not."""
        if self.shown or not self.options or self.wish.is_empty:
            return ""
        return why_none([option.card for option in self.options], self.wish)

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
        if self.engine_problem:
            return self.engine_problem
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
