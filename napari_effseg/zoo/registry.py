"""Which cards there are, and which one a name means."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import CardError, UnknownModel, nearest_names
from ..types import PathLike
from ._places import built_in_folder, card_folders
from ._rules import check_card
from .card import Card
from .card_file import read_card

__all__ = ["Registry", "built_in_cards", "cards", "find_card", "read_registry"]


@dataclass(frozen=True)
class Registry:
    """The cards of all folders, and what was wrong with the others."""

    cards: dict[str, Card]
    """By name, built-in cards first."""
    problems: tuple[str, ...]
    """A sentence for each card file that could not be used, naming the file."""


def read_registry() -> Registry:
    """Read the built-in cards and those in the folders named in ``EFFSEG_CARDS``.

    A card that is broken, or whose name an earlier card has, becomes a problem and hides no other card.
    """
    found: dict[str, Card] = {}
    problems: list[str] = []
    for folder in card_folders():
        if not folder.is_dir():
            problems.append(f"{folder}: no such folder; EFFSEG_CARDS names it")
        for path in sorted(folder.glob("*.toml")):
            try:
                card = read_card(path)
            except CardError as err:
                problems.append(str(err))
                continue
            if card.name in found:
                problems.append(f"{path}: the name {card.name} is taken by {found[card.name].path}")
            else:
                found[card.name] = card
    return Registry(found, tuple(problems))


def built_in_cards() -> list[Card]:
    """Return the cards that travel with the package, sorted by name.

    Raises
    ------
    CardError
        If one is broken; the tests keep them true.
    """
    return [read_card(path) for path in sorted(built_in_folder().glob("*.toml"))]


def cards() -> dict[str, Card]:
    """Return all usable cards by name: built-in ones, then those in the folders of ``EFFSEG_CARDS``.

    `read_registry` tells also which card files could not be used, and why.
    """
    return read_registry().cards


def find_card(model: str | PathLike | Card) -> Card:
    """Return the card that `model` means.

    Parameters
    ----------
    model : str, path or Card
        A card's name, the path of a ``.toml`` file, or a card, which is checked and returned.

    Raises
    ------
    UnknownModel
        If no card has this name; the nearest names are suggested, and unusable card files named.
    CardError
        If the file or the card breaks a rule.
    """
    if isinstance(model, Card):
        check_card(model)
        return model
    if _is_path(model):
        return read_card(model)
    name = os.fspath(model)
    registry = read_registry()
    if name in registry.cards:
        return registry.cards[name]
    raise UnknownModel(_unknown(name, registry))


def _is_path(model: PathLike) -> bool:
    if not isinstance(model, str):
        return True
    return model.endswith(".toml") or Path(model).name != model


def _unknown(name: str, registry: Registry) -> str:
    known = ", ".join(registry.cards) or "none"
    message = f"no model is called {name!r}.{nearest_names(name, registry.cards)} Known: {known}"
    if registry.problems:
        message += ". Cards that could not be used: " + "; ".join(registry.problems)
    return message
