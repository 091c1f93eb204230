"""Which models fit an image, and what part of it a model takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import EffsegError
from ..types import CancelCheck
from ..zoo.card import Card
from .case import Case, level_for
from .from_layer import frames_of
from .placement import levels_of, placement_of
from .source import source_of
from .state import ModelOption
from .words import sentence

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = ["Models", "channels_lead", "largest_mm", "models_for", "note_about"]


@dataclass(frozen=True, eq=False)
class Models:
    """All models, with the reason of each that does not fit; unusable card files; the recommended one."""

    options: tuple[ModelOption, ...]
    problems: tuple[str, ...]
    recommended: str


def models_for(case: Case, images: int, cancel: CancelCheck) -> Models:
    """Look which of all cards can be used on a case, where so many images are open."""
    from ..engine import best_of
    from ..zoo import read_registry

    registry = read_registry()
    options = tuple(ModelOption(card, _why_not(card, case, images)) for card in registry.cards.values())
    fitting = [option.card for option in options if not option.reason]
    best = best_of(fitting) if fitting else None
    return Models(options, registry.problems, best.name if best else "")


def _why_not(card: Card, case: Case, images: int) -> str:
    from ..engine import misfit

    try:
        volume = case.trial_volume(card, images)
        reason = misfit(card, volume, case.boxes(level_for(card, case.image)))
    except EffsegError as err:
        reason = str(err)
    return sentence(reason or "")


def largest_mm(card: Card) -> tuple[float, float, float]:
    """Largest image that a model takes, along the axes (S, P, L) of a layer."""
    if sorted(card.input.orientation) == ["I", "J", "K"]:  # stored axes: any of them may be any of these
        return (max(card.field_of_view.maximum_mm),) * 3
    by_letter = dict(zip(card.input.orientation, card.field_of_view.maximum_mm, strict=True))
    s, p, left = (
        next(by_letter[letter] for letter in pair if letter in by_letter) for pair in ("SI", "PA", "LR")
    )
    return s, p, left


def note_about(card: Card | None, image: Image | None) -> str:
    """Say what part of the image is taken, where that is not all of it."""
    if card is None or image is None:
        return ""
    notes = []
    if levels_of(image) > 1:
        level = level_for(card, image)
        spacing = " x ".join(f"{step:.3g}" for step in placement_of(image, level).source.spacing)
        notes.append(f"Resolution level {level} of {levels_of(image)} is used, {spacing} mm a voxel.")
    if frames_of(image) > 1 and not channels_lead(image, card):
        notes.append("Only the volume at the slider is segmented.")
    return " ".join(notes)


def channels_lead(image: Image, card: Card) -> bool:
    """Whether the axis before the spatial ones holds the model's channels."""
    source = source_of(image)
    is_time = source is not None and source.lead == "time"
    return not is_time and frames_of(image) == len(card.input.channels)
