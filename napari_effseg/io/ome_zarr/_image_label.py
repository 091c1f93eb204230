"""Names and colours of the labels of an OME-Zarr label image."""

from __future__ import annotations

from typing import Any

from ...types import Colour
from ..label_table import LabelTable

__all__ = ["label_table"]

_NAME_KEYS = ("name", "label-name", "label_name", "label", "class", "title")
"""Properties are free in OME-NGFF; these are looked for, in this order, whatever their case."""


def label_table(metadata: Any) -> LabelTable:
    """Read ``image-label``: colours, and the names among the properties; what is not usable is left out."""
    if not isinstance(metadata, dict):
        return LabelTable()
    table, wrong = LabelTable(), 0
    for entry in _entries(metadata, "colors"):
        label, colour = _label(entry), _colour(entry.get("rgba"))
        if label is None or colour is None:
            wrong += 1
        elif label > 0:
            table.colours[label] = colour
    for entry in _entries(metadata, "properties"):
        label, name = _label(entry), _name(entry)
        if label and name:
            table.names[label] = name
    if not wrong:
        return table
    return LabelTable(table.names, table.colours, warnings=(f"{wrong} colours of labels are wrong: ignored",))


def _entries(metadata: dict[str, Any], key: str) -> list[dict[str, Any]]:
    entries = metadata.get(key)
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _label(entry: dict[str, Any]) -> int | None:
    value = entry.get("label-value")
    return value if type(value) is int and value >= 0 else None


def _colour(rgba: Any) -> Colour | None:
    if not isinstance(rgba, list) or len(rgba) not in (3, 4):
        return None
    if not all(type(part) is int and 0 <= part <= 255 for part in rgba):
        return None
    return rgba[0], rgba[1], rgba[2]


def _name(entry: dict[str, Any]) -> str | None:
    texts = {key.lower(): value for key, value in entry.items() if isinstance(value, str)}
    names = (texts[key].strip() for key in _NAME_KEYS if key in texts)
    return next((name for name in names if name and name.isprintable()), None)
