"""Cases of a table: a line a case, with its image or a file a channel, and what is special about it."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from ..errors import ConfigError, nearest_names
from ..io import stem_of
from ..types import IndexBox
from ..zoo import Card
from .cases import Case, Found, Wanted, check_name, require_card, roles_of, some

__all__ = ["cases_of_table"]

_PLAIN = ("case", "image", "roi", "frame", "series", "level", "model")
_LARGEST_FILE = 64 * 2**20  # bytes; a million cases
_DELIMITERS = ",;\t"


def cases_of_table(path: Path, wanted: Wanted) -> Found:
    """Read the cases of a ``.csv`` or ``.tsv`` file; separators are commas, semicolons or tabs.

    The first line names the columns: ``case`` (optional, else the file's name), ``image`` or one column for
    each channel's role, and if need be ``roi`` (I0,J0,K0:I1,J1,K1), ``frame``, ``series``, ``level`` and
    ``model``. Paths are relative to the table. What is wrong in one line makes that case a bad one.

    Raises
    ------
    ConfigError
        If it is no such table, or a case's name cannot be used.
    UnknownModel, CardError
        As `require_card` says.
    """
    if wanted.pattern is not None or wanted.bids_suffix is not None:
        raise ConfigError(f"{path} names its cases itself; --pattern and --bids-suffix choose from a folder")
    rows = list(_rows(path))
    if not rows:
        raise ConfigError(f"{path} has no case; expected a line of column names and a line a case")
    models = {row.get("model") or wanted.model for _, row in rows}
    if None in models:
        raise ConfigError(f"{path} names no model for every case; add a column model, or name one with -m")
    cards = {model: require_card(_beside(path, model)) for model in models if model is not None}
    unknown = _unused(rows[0][1], list(cards.values()))
    cases = [_case(path, line, row, cards[row.get("model") or wanted.model or ""]) for line, row in rows]
    return Found(tuple(cases), unknown)


def _beside(path: Path, model: str | Path) -> str | Path:
    """Return a card's file relative to the table, where the table means a file that is there."""
    near = path.parent / model
    return near if str(model).endswith(".toml") and near.is_file() else model


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each line that is not empty, with its number."""
    if path.stat().st_size > _LARGEST_FILE:
        raise ConfigError(f"{path} is {path.stat().st_size} bytes, too large for a table of cases")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as err:
        raise ConfigError(f"{path} is no UTF-8 text; save it as CSV UTF-8") from err
    head = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=head.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restkey="")
    reader.fieldnames = _columns(path, reader.fieldnames or [])
    try:
        for row in reader:
            if "" in row:
                raise ConfigError(
                    f"{path}, line {reader.line_num}: more cells than columns; quote a {delimiter!r}"
                )
            cells = {column: (value or "").strip() for column, value in row.items()}
            if any(cells.values()):
                yield reader.line_num, cells
    except csv.Error as err:
        raise ConfigError(f"{path}, line {reader.line_num}: {err}") from err


def _columns(path: Path, given: Iterable[str]) -> list[str]:
    columns = [name.strip().lower() for name in given]
    twice = {name for name in columns if name and columns.count(name) > 1}
    if twice:
        raise ConfigError(f"{path} has the column {some(sorted(twice))} twice")
    return columns


def _unused(row: Mapping[str, str], cards: Collection[Card]) -> tuple[str, ...]:
    """Say which columns mean nothing here, so that a misspelt one shows."""
    known = {*_PLAIN, *(role for card in cards for role in roles_of(card))}
    unknown = [column for column in row if column and column not in known]
    hints = "".join(nearest_names(column, known, 1) for column in unknown)
    return (f"columns that are not used: {', '.join(unknown)}.{hints}",) if unknown else ()


def _case(path: Path, line: int, row: Mapping[str, str], card: Card) -> Case:
    roles = [role for role in roles_of(card) if row.get(role)]
    images = [row["image"]] if row.get("image") else []
    named = images or [row[role] for role in roles]
    files = tuple((path.parent / name).absolute() for name in named)
    name = row.get("case") or (stem_of(files[0]) if files else "")
    if not name:
        raise ConfigError(
            f"{path}, line {line}: neither a case nor an image; expected the columns case and image"
        )
    try:
        check_name(name)
    except ConfigError as err:
        raise ConfigError(f"{path}, line {line}: {err}") from err
    problem = _files_problem(row, card, roles)
    try:
        roi, frame, level = _region(row.get("roi", "")), _whole(row, "frame"), _whole(row, "level")
    except ConfigError as err:
        return Case(name, files, card, problem=f"line {line}: {err}")
    given = () if images or len(roles) < 2 else tuple(roles)
    return Case(name, files, card, given, roi, frame, row.get("series") or None, level, problem=problem)


def _files_problem(row: Mapping[str, str], card: Card, roles: list[str]) -> str:
    if row.get("image"):
        return f"both an image and {some(roles)} are given; give one of them" if roles else ""
    missing = [role for role in roles_of(card) if role not in roles]
    if not missing:
        return ""
    columns = "image" if len(roles_of(card)) == 1 else f"image, or {', '.join(roles_of(card))}"
    return f"no file for {some(missing)}; {card.name} takes the columns {columns}"


def _whole(row: Mapping[str, str], column: str) -> int | None:
    text = row.get(column, "")
    if text and not text.isdecimal():
        raise ConfigError(f"{column} is {text!r}; expected a whole number from 0")
    return int(text) if text else None


def _region(text: str) -> tuple[IndexBox, ...]:
    """Read regions, with a blank between several; a picture's may leave out the third index."""
    return tuple(_box(part) for part in text.split())


def _box(text: str) -> IndexBox:
    try:
        low, high = ([int(index) for index in corner.split(",")] for corner in text.split(":"))
    except ValueError:
        low, high = [], []
    if len(low) == len(high) == 2:
        low, high = [*low, 0], [*high, 1]
    if len(low) != 3 or len(high) != 3:
        raise ConfigError(f"roi is {text!r}; expected I0,J0,K0:I1,J1,K1 in whole voxels")
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])
