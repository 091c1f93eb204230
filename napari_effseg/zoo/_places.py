"""Folders where cards and weights are looked for."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from .card import Card

_ROOM = Path(__file__).parent
_CHECKOUT = _ROOM.parents[1]


def built_in_folder() -> Path:
    """Return the folder of the package's own cards."""
    return _ROOM / "cards"


def models_folder() -> Path:
    """Return the folder of models that the user has added: ``EFFSEG_MODELS``, else one of the user's data."""
    named = os.environ.get("EFFSEG_MODELS", "").strip()
    if named:
        return Path(named).expanduser()
    return platformdirs.user_data_path("napari-effseg", appauthor=False) / "models"


def card_folders() -> list[Path]:
    """Return the folders of cards: the package's, the user's own, then those named in ``EFFSEG_CARDS``."""
    named = os.environ.get("EFFSEG_CARDS", "").split(os.pathsep)
    added = [folder for folder in (models_folder(),) if folder.is_dir()]
    return [built_in_folder(), *added, *(Path(name).expanduser() for name in named if name.strip())]


def cache_folder() -> Path:
    """Return the folder of what can be had again: ``EFFSEG_CACHE``, else the user's cache."""
    named = os.environ.get("EFFSEG_CACHE", "").strip()
    if named:
        return Path(named).expanduser()
    return platformdirs.user_cache_path("napari-effseg", appauthor=False)


def cache_file(card: Card) -> Path:
    """Return where fetched weights of this card are kept, named by content so that no two cards clash."""
    return cache_folder() / "weights" / f"{card.weights.sha256}.safetensors"


def times_file(card: Card) -> Path:
    """Return where the times of this card's checkpoint on this machine are kept."""
    return cache_folder() / "times" / f"{card.weights.sha256}.json"


def weights_candidates(card: Card) -> list[Path]:
    """Return where the card's weights may lie, best first.

    Beside the card, in the package (as a wheel has it), in the checkout, in the user's cache.
    """
    file = card.weights.file
    beside = [card.path.parent / file] if card.path else []
    checkout = [_CHECKOUT / "weights" / file] if (_CHECKOUT / "pyproject.toml").is_file() else []
    return [*beside, _ROOM / "weights_data" / file, *checkout, cache_file(card)]
