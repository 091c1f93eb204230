"""What segments by itself for the panel *Automatic segmentation*, on this computer or a server. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from ..types import CancelCheck, IndexBox, Progress
from ..volume import Volume
from ..zoo.card import Card
from .automatic_server import OnServer
from .case import Case
from .engine_choice import EngineChoice
from .engines import Engines
from .fitting import Models, level_for_all, models_for
from .state import PlanWords
from .words import queue_words

if TYPE_CHECKING:
    from ..engine import Result

__all__ = ["Automatic", "Here", "automatic_of"]


class Automatic(Protocol):
    """An engine; asked in the inference thread alone."""

    def models(self, case: Case, images: int, device: str, cancel: CancelCheck) -> Models:
        """Look which models can be used on a case, where so many images are open, and what each takes."""
        ...

    def plan(self, case: Case, cards: Sequence[Card], device: str) -> PlanWords:
        """Say what it would cost to run models on a case, one after the other."""
        ...

    def segment(
        self,
        volume: Volume,
        card: Card,
        device: str,
        boxes: Sequence[IndexBox],
        progress: Progress,
        cancel: CancelCheck,
    ) -> Result:
        """Run a model; no boxes stand for the whole image."""
        ...


def automatic_of(choice: EngineChoice, engines: Engines) -> Automatic:
    """Return the engine of a choice."""
    return Here() if choice.is_here else OnServer(choice, engines)


class Here:
    """The engine of this computer; it remembers how long models take."""

    def __init__(self) -> None:
        self._has_run: set[tuple[str, str]] = set()

    def models(self, case: Case, images: int, device: str, cancel: CancelCheck) -> Models:
        """See `Automatic.models`."""
        return models_for(case, images, device, cancel)

    def plan(self, case: Case, cards: Sequence[Card], device: str) -> PlanWords:
        """See `Automatic.plan`."""
        from ..engine import plan_segmentation

        level = level_for_all(cards, case.image)
        roi = case.boxes(level) or None
        volumes = (case.parts(card, level).joined() for card in cards)
        plans = (
            plan_segmentation(volume, card, device, roi) for card, volume in zip(cards, volumes, strict=True)
        )
        return queue_words(list(plans))

    def segment(
        self,
        volume: Volume,
        card: Card,
        device: str,
        boxes: Sequence[IndexBox],
        progress: Progress,
        cancel: CancelCheck,
    ) -> Result:
        """See `Automatic.segment`."""
        from ..engine import segment

        result = segment(volume, card, device, list(boxes) or None, progress, cancel)
        self._keep_time(boxes, card, result)
        return result

    def _keep_time(self, boxes: Sequence[IndexBox], card: Card, result: Result) -> None:
        """Remember how long a run took; not the first of its network, which had to be loaded and compiled."""
        from ..engine import observed
        from ..zoo.measured import remember

        network = (card.weights.sha256, result.report.device)
        seen = observed(result, card, boxes) if network in self._has_run else None
        self._has_run.add(network)
        if seen is not None:
            remember(card, seen)
