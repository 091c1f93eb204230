"""Which models can be finetuned in the window, and which of them is offered first."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import EffsegError
from ..types import CancelCheck, Progress
from ..zoo.brief import headline
from ..zoo.card import Card
from .finetune_state import BaseModel
from .words import sentence

__all__ = ["best_of", "find_models"]


def find_models(progress: Progress, cancel: CancelCheck) -> tuple[BaseModel, ...]:
    """Look through all cards."""
    from ..zoo import read_registry
    from ..zoo.own_models import free_name

    cards = read_registry().cards.values()
    return tuple(BaseModel(card, _why_not(card), free_name(f"{card.name}-finetuned")) for card in cards)


def best_of(models: Sequence[BaseModel]) -> str:
    """Name of the model with the best measured accuracy of those that can be finetuned; "" if none can."""
    possible = [one.card for one in models if not one.reason]
    return max(possible, key=_mean).name if possible else ""


def _why_not(card: Card) -> str:
    from ..training.finetune.card import check_base

    try:
        check_base(card)
    except EffsegError as err:
        return sentence(str(err))
    if len(card.input.channels) > 1:
        return f"{card.name} takes several images for each case; use the command effseg finetune."
    return ""


def _mean(card: Card) -> float:
    row = headline(card)
    return 0.0 if row is None else row.mean
