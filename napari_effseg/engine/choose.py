"""Which card an image gets when none is named, and which regions of it are to be labelled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import numpy as np

from ..errors import CardError, UnknownModel, VolumeError
from ..types import IndexBox, PathLike, SpatialShape
from ..volume import Grid, Volume
from ..zoo import cards, find_card
from ..zoo.card import Card
from .frame import sub_grid
from .plausibility import check_field_of_view, needs_locating
from .preprocess import select_channels

__all__ = ["Roi", "best_of", "choose_card", "fits", "misfit", "recommended", "regions_of"]

Roi = IndexBox | Sequence[IndexBox]
"""One half-open box of stored indices ((i0, j0, k0), (i1, j1, k1)), or several."""


def choose_card(model: str | PathLike | Card | None, volume: Volume, boxes: Sequence[IndexBox]) -> Card:
    """Return the card that `model` means; without one, the recommended card of those that fit.

    Raises
    ------
    UnknownModel
        If no card has this name, none fits, or several that do different things fit.
    CardError
        If the card breaks a rule, or is of a model that answers clicks.
    """
    if model is None:
        return recommended(volume, boxes, cards())
    card = find_card(model)
    if card.task != "automatic":
        raise CardError(f"{card.name} answers clicks and segments nothing by itself; name another model")
    return card


def recommended(volume: Volume, boxes: Sequence[IndexBox], known: Mapping[str, Card]) -> Card:
    """Choose among the cards that fit an image.

    If all of them segment the same structures, it is the one with the best measured mean Dice. If they
    segment different ones, only the user knows which is meant.

    Raises
    ------
    UnknownModel
        If no card fits, with the reason of each; or if the choice is the user's, with the candidates.
    """
    reasons = {name: misfit(card, volume, boxes) for name, card in known.items()}
    candidates = [known[name] for name, reason in reasons.items() if reason is None]
    if not candidates:
        said = "; ".join(f"{name}: {reason}" for name, reason in reasons.items()) or "no models are installed"
        raise UnknownModel(f"no model fits this image: {said}")
    best = best_of(candidates)
    if best is None:
        named = ", ".join(f"{card.name} ({card.title})" for card in candidates)
        raise UnknownModel(f"several models fit this image; name one of them with -m: {named}")
    return best


def best_of(candidates: Sequence[Card]) -> Card | None:
    """Return the card with the best measured mean Dice if all segment the same structures, else None."""
    if len({frozenset(card.label_names.values()) for card in candidates}) != 1:
        return None
    return max(candidates, key=_mean_dice)


def fits(card: Card, volume: Volume, boxes: Sequence[IndexBox] = ()) -> bool:
    """Whether a card can be applied to an image and its modality is not known to be another."""
    return misfit(card, volume, boxes) is None


def misfit(card: Card, volume: Volume, boxes: Sequence[IndexBox] = ()) -> str | None:
    """Say why a card does not fit an image, or return None if it does."""
    if card.task != "automatic":
        return "it answers clicks"
    if volume.is_flat != (card.dimensions == 2):
        return "it takes volumes" if card.dimensions == 3 else "it takes slices and pictures"
    if volume.modality is not None and volume.modality.upper() not in card.input.modality:
        return f"it takes {' or '.join(card.input.modality)}"
    try:
        select_channels(volume, card)
        if boxes or not needs_locating(volume.grid, card):
            for grid in _parts(volume.grid, boxes):
                check_field_of_view(grid, card)
    except VolumeError as err:
        return str(err)
    return None


def regions_of(roi: Roi | None, shape: SpatialShape) -> tuple[IndexBox, ...]:
    """Check regions of interest.

    Parameters
    ----------
    roi : box, sequence of boxes, or None
        Half-open, stored indices.
    shape : (I, J, K)
        Voxels of the image.

    Returns
    -------
    tuple of IndexBox
        Empty for None.

    Raises
    ------
    VolumeError
        If something else was given, or a box is empty or leaves the image.
    """
    if roi is None:
        return ()
    try:
        boxes = np.asarray(roi)
    except ValueError as err:
        raise VolumeError(_not_a_region(roi)) from err
    boxes = boxes[None] if boxes.ndim == 2 else boxes
    if boxes.ndim != 3 or boxes.shape[1:] != (2, 3) or boxes.dtype.kind not in "iu" or len(boxes) == 0:
        raise VolumeError(_not_a_region(roi))
    return tuple(_checked(cast("list[list[int]]", box.tolist()), shape) for box in boxes)


def _checked(box: list[list[int]], shape: SpatialShape) -> IndexBox:
    (i0, j0, k0), (i1, j1, k1) = box
    for axis, (start, stop, side) in enumerate(zip(box[0], box[1], shape, strict=True)):
        if not 0 <= start < stop <= side:
            raise VolumeError(
                f"the region {i0},{j0},{k0}:{i1},{j1},{k1} runs from {start} to {stop} along axis "
                f"{'IJK'[axis]}; expected a range of at least one voxel inside 0 to {side}"
            )
    return (i0, j0, k0), (i1, j1, k1)


def _not_a_region(roi: object) -> str:
    return (
        f"{roi!r} is no region; expected ((i0, j0, k0), (i1, j1, k1)) in whole voxels, half-open, "
        "or a list of such boxes"
    )


def _parts(grid: Grid, boxes: Sequence[IndexBox]) -> Iterable[Grid]:
    return [sub_grid(grid, box) for box in boxes] if boxes else [grid]


def _mean_dice(card: Card) -> float:
    measured = [entry.mean for entry in card.accuracy if entry.metric == "dice" and entry.label == "mean"]
    return max(measured, default=0.0)
