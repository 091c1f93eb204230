"""A card that was made here, such as by finetuning, becomes one of the user's models, found by name."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import replace
from pathlib import Path

from ..errors import CardError
from ..types import PathLike
from ._atomic import write_atomically
from ._places import models_folder
from .card import Card
from .card_file import read_card, write_card
from .registry import cards
from .weights import verify, weights_path

__all__ = ["free_name", "keep_card", "runs_folder"]


def keep_card(source: PathLike | Card, folder: PathLike | None = None) -> Card:
    """Copy a card and its weights to the user's models.

    Parameters
    ----------
    source : path or Card
        A card's file, or a card that was read from one.
    folder : path, optional
        Where to; default: the user's models.

    Returns
    -------
    Card
        As read back.

    Raises
    ------
    CardError
        If the card breaks a rule or its name is taken.
    WeightsError
        If the weights are missing or not those of the card. After any error nothing is kept.
    """
    card = source if isinstance(source, Card) else read_card(source)
    target = Path(folder) if folder is not None else models_folder()
    taken = cards().get(card.name)
    if taken is not None:
        raise CardError(f"the name {card.name} is taken ({taken.path}); give the new model another (--name)")
    weights = weights_path(card)
    verify(weights, card.weights.sha256, card.weights.size_bytes)
    file, path = target / f"{card.name}.safetensors", target / f"{card.name}.toml"
    target.mkdir(parents=True, exist_ok=True)
    try:
        with weights.open("rb") as original:
            write_atomically(file, lambda copy: shutil.copyfileobj(original, copy))
        return read_card(write_card(replace(card, weights=replace(card.weights, file=file.name)), path))
    except BaseException:
        for made in (path, file):
            with contextlib.suppress(OSError):  # the first error is the one to report
                made.unlink(missing_ok=True)
        raise


def runs_folder() -> Path:
    """Return the folder of finetunings that were begun in a window: beside the user's models."""
    return models_folder().parent / "finetuning"


def free_name(wanted: str) -> str:
    """Return a name that no card has: the one that is wanted, or with a number behind it.

    Examples
    --------
    >>> free_name("hippocampus-slim-unetr")
    'hippocampus-slim-unetr-2'
    """
    taken = cards()
    name, count = wanted, 1
    while name in taken:
        count += 1
        name = f"{wanted}-{count}"
    return name
