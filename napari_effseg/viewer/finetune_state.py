"""What the panel *Fine-tune a model* shows, as plain values; no Qt, and nothing that computes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from ..zoo.card import Card
from .labelled_cases import LabelledCase, Structure

if TYPE_CHECKING:
    from napari.layers import Image, Labels

__all__ = ["FREEZES", "BaseModel", "FinetuneStage", "FinetuneState", "FinetuneStore", "ScoreRow"]

FREEZES = {
    "none": "Everything",
    "encoder": "All but the encoder (faster, less memory)",
    "all-but-head": "Only the last layer (fastest)",
}
"""What learns, by the name of what is frozen."""
_FEWEST_CASES = 2


class FinetuneStage(Enum):
    """What the panel is doing."""

    IDLE = "idle"
    PREPARING = "preparing"
    READY = "ready"
    RUNNING = "running"
    STOPPING = "stopping"


@dataclass(frozen=True)
class BaseModel:
    """A model to begin with; `reason` says why it cannot be, "" if it can; `name` is free for a new one."""

    card: Card
    reason: str = ""
    name: str = ""


@dataclass(frozen=True)
class ScoreRow:
    """Mean Dice of a structure over the held-back cases; None where nothing better was found."""

    name: str
    before: float
    after: float | None


@dataclass(frozen=True, eq=False)
class FinetuneState:
    """Everything that the panel shows.

    Attributes
    ----------
    images, labels : tuple of layers
        What can be chosen.
    image, layer : Image layer or None, Labels layer or None
        What the next case is.
    cases : tuple of LabelledCase
    models, model : tuple of BaseModel, str
    structures, structures_problem, is_looking : tuple of Structure, str, bool
        What the labels of the cases are; why that is not known; whether it is being looked at.
    minutes, freeze, name : float, str, str
    stage, fraction, message : FinetuneStage, float, str
    plan, notes : tuple of (str, str), tuple of str
        Lines of name and value on what it will take; what else to know before.
    points, before : tuple of (int, float), float or None
        Step and mean Dice of each validation, and before the first step.
    scores : tuple of ScoreRow
    summary, warnings : str, tuple of str
        How the last run went.
    can_go_on : bool
        Whether a run was stopped that can go on.
    problem, details : str
    """

    images: tuple[Image, ...] = ()
    labels: tuple[Labels, ...] = ()
    image: Image | None = None
    layer: Labels | None = None
    cases: tuple[LabelledCase, ...] = ()
    models: tuple[BaseModel, ...] = ()
    model: str = ""
    structures: tuple[Structure, ...] = ()
    structures_problem: str = ""
    is_looking: bool = False
    minutes: float = 10.0
    freeze: str = "none"
    name: str = ""
    stage: FinetuneStage = FinetuneStage.IDLE
    fraction: float = 0.0
    message: str = ""
    plan: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    points: tuple[tuple[int, float], ...] = ()
    before: float | None = None
    scores: tuple[ScoreRow, ...] = ()
    summary: str = ""
    warnings: tuple[str, ...] = ()
    can_go_on: bool = False
    problem: str = ""
    details: str = ""

    @property
    def base(self) -> BaseModel | None:
        """The chosen model."""
        return next((one for one in self.models if one.card.name == self.model), None)

    @property
    def is_busy(self) -> bool:
        """Whether something runs that choices would disturb."""
        return self.stage in (FinetuneStage.PREPARING, FinetuneStage.RUNNING, FinetuneStage.STOPPING)

    @property
    def why_not_add(self) -> str:
        """Why no case can be added, "" if one can."""
        if self.image is None:
            return "Open an image first."
        if self.layer is None:
            return "There is no layer of labels; “New labels” makes one to paint on."
        if any(case.image is self.image for case in self.cases):
            return f"“{self.image.name}” is in the list already."
        return ""

    @property
    def why_not_prepare(self) -> str:
        """Why it cannot begin, "" if it can."""
        if self.base is None:
            return "Looking which models there are …" if not self.models else "Choose a model."
        if self.base.reason:
            return self.base.reason
        missing = _FEWEST_CASES - len(self.cases)
        if missing > 0:
            more = "a case" if missing == 1 else f"{missing} cases"
            return f"Add {more}: one is learned from, and one is held back to measure on."
        if all(case.hold_back for case in self.cases):
            return "All cases are held back; at least one must be learned from."
        return self._why_not_named()

    def _why_not_named(self) -> str:
        if self.structures_problem:
            return self.structures_problem
        if self.is_looking:
            return "Looking at the labels …"
        if not self.structures:
            return "The layers of labels are empty; paint the structures first."
        unnamed = next((one.number for one in self.structures if not one.name.strip()), None)
        if unnamed is not None:
            return f"Say what label {unnamed} is."
        if not self.name.strip():
            return "Give the new model a name."
        return ""


class FinetuneStore:
    """Holds the state; tells when it has changed.

    Attributes
    ----------
    changed : Signal
        Emitted with the new state.
    """

    changed = Signal(FinetuneState)

    def __init__(self) -> None:
        self.now = FinetuneState()

    def set(self, **changes: Any) -> None:
        """Replace fields of the state."""
        self.now = replace(self.now, **changes)
        self.changed.emit(self.now)
