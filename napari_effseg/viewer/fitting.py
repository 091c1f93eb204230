"""Which models fit an image, and what part of it a model takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import EffsegError
from ..types import CancelCheck, IndexBox
from ..volume import Volume
from ..zoo.card import Card
from .case import Case, level_for
from .from_layer import frames_of
from .placement import levels_of, placement_of
from .source import source_of
from .state import ModelCost, ModelOption
from .words import sentence

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = ["Models", "channels_lead", "largest_mm", "level_for_all", "models_for", "note_about"]


@dataclass(frozen=True, eq=False)
class Models:
    """All models, with the reason of each that does not fit; unusable card files; the recommended one."""

    options: tuple[ModelOption, ...]
    problems: tuple[str, ...]
    recommended: str


def models_for(case: Case, images: int, device: str, cancel: CancelCheck) -> Models:
    """Look which of all cards can be used on a case, where so many images are open, and what each takes."""
    from ..engine import best_of
    from ..zoo import read_registry
    from ..zoo.measured import with_measured_here

    registry = read_registry()
    cards = [with_measured_here(card) for card in registry.cards.values()]
    options = tuple(_option(card, case, images, device) for card in cards)
    fitting = [option.card for option in options if not option.reason]
    best = best_of(fitting) if fitting else None
    return Models(options, registry.problems, best.name if best else "")


def level_for_all(cards: Sequence[Card], image: Image) -> int:
    """Level of a multiscale layer that serves each of several cards: the finest that one of them needs."""
    return min((level_for(card, image) for card in cards), default=0)


def _option(card: Card, case: Case, images: int, device: str) -> ModelOption:
    from ..engine import misfit

    try:
        volume = case.trial_volume(card, images)
        boxes = case.boxes(level_for(card, case.image))
        reason = misfit(card, volume, boxes)
        cost = None if reason else _cost(card, volume, boxes, device)
    except EffsegError as err:
        return ModelOption(card, sentence(str(err)))
    return ModelOption(card, sentence(reason or ""), cost)


def _cost(card: Card, volume: Volume, boxes: Sequence[IndexBox], device: str) -> ModelCost:
    from ..engine import known_by, plan_segmentation

    plan = plan_segmentation(volume, card, device, list(boxes) or None)
    memory = plan.device_memory_bytes or plan.peak_memory_bytes
    return ModelCost(plan.seconds, memory, known_by(card, plan.device))


def largest_mm(cards: Sequence[Card]) -> tuple[float, float, float] | None:
    """Largest image that each of these models takes, along the axes (S, P, L) of a layer; None if unknown."""
    sizes = [_largest_of(card) for card in cards]
    if not sizes or not np.isfinite(sizes).all():
        return None
    s, p, left = (min(along) for along in zip(*sizes, strict=True))
    return s, p, left


def _largest_of(card: Card) -> tuple[float, float, float]:
    if sorted(card.input.orientation) == ["I", "J", "K"]:  # stored axes: any of them may be any of these
        return (max(card.field_of_view.maximum_mm),) * 3
    by_letter = dict(zip(card.input.orientation, card.field_of_view.maximum_mm, strict=True))
    s, p, left = (
        next(by_letter[letter] for letter in pair if letter in by_letter) for pair in ("SI", "PA", "LR")
    )
    return s, p, left


def note_about(cards: Sequence[Card], image: Image | None) -> str:
    """Say what part of the image is taken, where that is not all of it."""
    if not cards or image is None:
        return ""
    notes = []
    if levels_of(image) > 1:
        level = level_for_all(cards, image)
        spacing = " x ".join(f"{step:.3g}" for step in placement_of(image, level).source.spacing)
        notes.append(f"Resolution level {level} of {levels_of(image)} is used, {spacing} mm a voxel.")
    if frames_of(image) > 1 and not all(channels_lead(image, card) for card in cards):
        notes.append("Only the volume at the slider is segmented.")
    return " ".join(notes)


def channels_lead(image: Image, card: Card) -> bool:
    """Whether the axis before the spatial ones holds the model's channels."""
    source = source_of(image)
    is_time = source is not None and source.lead == "time"
    return not is_time and frames_of(image) == len(card.input.channels)
