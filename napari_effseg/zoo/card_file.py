"""Read and write cards as TOML."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from ..errors import CardError
from ..types import PathLike
from ._atomic import write_atomically
from ._rules import check_card
from ._schema import Where, build, to_table
from ._toml import dump_toml
from .card import Card

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["card_to_table", "card_to_toml", "parse_card", "read_card", "write_card"]

_LARGEST_CARD = 1 << 20  # bytes; a card of a hundred labels has about thirty thousand


def read_card(path: PathLike) -> Card:
    """Read and check the card in a TOML file.

    Raises
    ------
    CardError
        If the file cannot be read, is no TOML, or breaks a rule; the message names file and field.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > _LARGEST_CARD:
            raise CardError(f"{path}: {size} bytes; a card has at most {_LARGEST_CARD}")
        text = path.read_text(encoding="utf-8")
    except OSError as err:
        raise CardError(f"{path}: cannot be read: {err.strerror or err}") from err
    except UnicodeDecodeError as err:
        raise CardError(f"{path}: not a text file in UTF-8") from err
    return dataclasses.replace(parse_card(text, source=str(path)), path=path)


def parse_card(card: str | Mapping[str, object], *, source: str = "card") -> Card:
    """Make a checked card of TOML text, or of the table that such text holds.

    Parameters
    ----------
    card : str or mapping
    source : str
        What messages call it, such as the file's name.

    Raises
    ------
    CardError
        If the text is no TOML or the card breaks a rule; the message names `source` and the field.
    """
    try:
        table = tomllib.loads(card) if isinstance(card, str) else card
    except tomllib.TOMLDecodeError as err:
        raise CardError(f"{source}: not valid TOML: {err}") from err
    made = build(Card, table, Where(source))
    check_card(made, source)
    return made


def card_to_table(card: Card) -> dict[str, object]:
    """Return the card as the table that its TOML file holds; `parse_card` of it equals the card.

    Raises
    ------
    CardError
        If the card breaks a rule.
    """
    check_card(card)
    return to_table(card)


def card_to_toml(card: Card) -> str:
    """Return the card as TOML; `parse_card` of it equals the card.

    Raises
    ------
    CardError
        If the card breaks a rule.
    """
    return dump_toml(card_to_table(card))


def write_card(card: Card, path: PathLike) -> Path:
    """Check the card and write it to `path`; an older file is replaced as a whole or not at all.

    Raises
    ------
    CardError
        If the card breaks a rule; nothing is written.
    """
    text = card_to_toml(card)
    target = Path(os.fspath(path))
    write_atomically(target, lambda file: file.write(text.encode("utf-8")))
    return target
