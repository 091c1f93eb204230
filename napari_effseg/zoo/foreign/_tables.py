"""Typed reading of plain tables from foreign JSON files; errors name the file and the field."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import CardError

__all__ = ["Table", "finite", "index_of", "read_json"]

_LARGEST = 16 << 20  # bytes; plans of a hundred labels have some thousand lines
_INDEX = re.compile("[0-9]{1,6}")


@dataclass(frozen=True)
class Table:
    """A table of a foreign file, and where it stands there."""

    values: Mapping[str, object]
    source: str
    field: str = ""

    def place(self, key: str) -> str:
        """Return what messages call an entry."""
        return f"{self.source}: {self._below(key)}"

    def _below(self, key: str) -> str:
        return f"{self.field}{'.' if self.field else ''}{key}"

    def error(self, key: str, message: str) -> CardError:
        """Return the error to raise about an entry."""
        return CardError(f"{self.place(key)}: {message}")

    def table(self, key: str) -> Table:
        """Return a table below this one."""
        found = self.values.get(key)
        if not isinstance(found, Mapping):
            raise self.error(key, f"expected a table, got {_brief(found)}")
        return Table(found, self.source, self._below(key))

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text."""
        found = self.values.get(key, default)
        if not isinstance(found, str):
            raise self.error(key, f"expected text, got {_brief(found)}")
        return found

    def number(self, key: str, default: float | None = None) -> float:
        """Return a number."""
        found = self.values.get(key, default)
        number = finite(found)
        if number is None:
            raise self.error(key, f"expected a number, got {_brief(found)}")
        return number

    def whole(self, key: str) -> int:
        """Return a whole number."""
        found = self.number(key)
        if found != int(found):
            raise self.error(key, f"expected a whole number, got {found}")
        return int(found)

    def numbers(self, key: str) -> tuple[float, ...]:
        """Return a list of numbers."""
        found = self.values.get(key)
        if not isinstance(found, Sequence) or isinstance(found, str):
            raise self.error(key, f"expected a list of numbers, got {_brief(found)}")
        table = Table({str(index): entry for index, entry in enumerate(found)}, self.source, self._below(key))
        return tuple(table.number(name) for name in table.values)

    def wholes(self, key: str) -> tuple[int, ...]:
        """Return a list of whole numbers."""
        found = self.numbers(key)
        if any(value != int(value) for value in found):
            raise self.error(key, f"expected whole numbers, got {found}")
        return tuple(int(value) for value in found)


def index_of(key: object) -> int | None:
    """Return a key that is an index, such as "0"; None if it is none."""
    return int(str(key)) if _INDEX.fullmatch(str(key)) else None


def finite(value: object) -> float | None:
    """Return a value as a number; None if it is none, infinite, or too large for one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def read_json(path: Path) -> Table:
    """Read a JSON file that holds a table.

    Raises
    ------
    CardError
        If it cannot be read, is too large, or holds something else.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise CardError(f"{path}: {path.stat().st_size} bytes; expected at most {_LARGEST}")
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise CardError(f"{path}: cannot be read: {err.strerror or err}") from err
    except (ValueError, RecursionError) as err:
        raise CardError(f"{path}: not valid JSON: {err}") from err
    if not isinstance(found, dict):
        raise CardError(f"{path}: expected a table, got {_brief(found)}")
    return Table(found, str(path))


def _brief(value: object) -> str:
    text = repr(value)
    return "nothing" if value is None else text if len(text) <= 60 else f"{text[:57]}..."
