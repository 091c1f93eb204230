"""The table of names beside a label image: ``<stem>.tsv`` with index, name, color and code.

The columns follow BIDS's discrete segmentation look-up tables (tab-separated, "n/a" for nothing, colours
as ``#RRGGBB``), with our code column.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import VolumeError
from ..types import Colour
from ..volume import Code, LabelMap
from ._formats import stem_of
from .terminology import code_from_cell, code_to_cell

__all__ = ["LabelTable", "is_label_table", "read_table", "table_path", "table_text"]

_COLUMNS = ("index", "name", "color", "code")
_NOTHING = "n/a"
_SIZE_LIMIT = 10_000_000  # bytes; some 100,000 labels


@dataclass(frozen=True)
class LabelTable:
    """Names, colours and codes by label, and what was odd about them."""

    names: dict[int, str] = field(default_factory=dict)
    colours: dict[int, Colour] = field(default_factory=dict)
    codes: dict[int, Code] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def table_path(path: Path) -> Path:
    """Where the table of an image lies: "a.nii.gz" -> "a.tsv", in the same folder."""
    return path.with_name(f"{stem_of(path)}.tsv")


def table_text(labels: LabelMap) -> str | None:
    """Return the table as text, or None when no label has a name, a colour or a code."""
    if not labels.described:
        return None
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t", quoting=csv.QUOTE_MINIMAL, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for label in labels.described:
        colour, code = labels.colours.get(label), labels.codes.get(label)
        writer.writerow(
            (
                label,
                labels.names.get(label, _NOTHING),
                "#{:02X}{:02X}{:02X}".format(*colour) if colour else _NOTHING,
                code_to_cell(code) if code else _NOTHING,
            )
        )
    return out.getvalue()


def is_label_table(path: Path) -> bool:
    """Whether a file's first line is that of a label table."""
    with path.open("rb") as file:
        first = file.readline(1000)
    columns = first.decode("utf-8-sig", errors="replace").rstrip("\r\n").lower().split("\t")
    return columns[:2] == ["index", "name"]


def read_table(image_path: Path) -> LabelTable:
    """Read the table beside an image; an empty one where there is none.

    A table that cannot be used, or a line of it, is left out with a warning: the labels are still right.
    """
    path = table_path(image_path)
    if not path.is_file():
        return LabelTable()
    if path.stat().st_size > _SIZE_LIMIT or not is_label_table(path):
        return LabelTable(
            warnings=(f"{path.name} beside the file is no label table (columns index, name): ignored",)
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        return LabelTable(warnings=(f"{path.name} beside the file is not UTF-8 text: ignored",))
    return _parse(text, path.name)


def _parse(text: str, name: str) -> LabelTable:
    table = LabelTable()
    wrong: list[str] = []
    rows = csv.DictReader(io.StringIO(text), delimiter="\t")
    rows.fieldnames = [column.strip().lower() for column in rows.fieldnames or ()]
    for row in rows:
        cells = {column: (row.get(column) or "").strip() for column in (*_COLUMNS, "colour")}
        try:
            _add_row(table, cells)
        except (ValueError, VolumeError):
            wrong.append(str(rows.line_num))
    if not wrong:
        return table
    warning = f"{name}: lines {', '.join(wrong)} are not an index from 0, a name and a colour: ignored"
    return LabelTable(table.names, table.colours, table.codes, (warning,))


def _add_row(table: LabelTable, cells: dict[str, str]) -> None:
    label = int(cells["index"])
    if label == 0:  # background may be listed; it has no name of its own
        return
    if label < 0:
        raise ValueError(label)
    name, colour, code = (
        "" if text.lower() == _NOTHING else text
        for text in (cells["name"], cells["color"] or cells["colour"], cells["code"])
    )
    rgb = _parse_colour(colour) if colour else None
    if name:
        table.names[label] = name
    if rgb:
        table.colours[label] = rgb
    parsed = code_from_cell(code)
    if parsed:
        table.codes[label] = parsed


def _parse_colour(text: str) -> Colour:
    digits = text.removeprefix("#")
    if len(digits) != 6:
        raise ValueError(text)
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
