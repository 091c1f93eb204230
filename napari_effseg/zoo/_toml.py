"""Write a table as TOML, for people to read: short lists on one line, sections after their scalars.

Python reads TOML but does not write it; the types of a card are few, so that an exact writer is short.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

_LINE = 110
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def dump_toml(table: Mapping[str, object]) -> str:
    """Return `table` (text, numbers, booleans, lists and tables of those) as TOML, ending in a newline.

    Raises
    ------
    TypeError
        If a value is of another type.
    ValueError
        If a number is not finite.
    """
    return "\n".join(_section(table, "")).strip("\n") + "\n"


def _section(table: Mapping[str, object], prefix: str) -> list[str]:
    """Return the lines of a table: its plain values, then its sub-tables with their headings."""
    plain = [f"{_key(key)} = {_value(value)}" for key, value in table.items() if not _is_nested(value)]
    lines = list(plain)
    for key, value in table.items():
        name = f"{prefix}{_key(key)}"
        if isinstance(value, Mapping):
            lines += ["", f"[{name}]", *_section(value, f"{name}.")]
        elif _is_nested(value):
            assert isinstance(value, Sequence)
            for entry in value:
                lines += ["", f"[[{name}]]", *_entry(entry)]
    return lines


def _entry(table: Mapping[str, object]) -> list[str]:
    """Return the lines of an entry of an array of tables; tables inside it are written inline."""
    return [f"{_key(key)} = {_value(value)}" for key, value in table.items()]


def _is_nested(value: object) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(entry, Mapping) for entry in value)
    return isinstance(value, Mapping)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(entry)}" for key, entry in value.items()) + " }"
    if isinstance(value, list | tuple):
        return _list([_value(entry) for entry in value])
    raise TypeError(f"TOML has no form for {type(value).__name__}")


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number, got {value}")
    return repr(value)


def _list(entries: list[str]) -> str:
    line = f"[{', '.join(entries)}]"
    if len(line) <= _LINE:
        return line
    return "[\n" + "".join(f"  {entry},\n" for entry in entries) + "]"


def _key(key: str) -> str:
    bare = key and all(letter.isascii() and (letter.isalnum() or letter in "-_") for letter in key)
    return key if bare else _text(key)


def _text(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(letter) or _letter(letter) for letter in text) + '"'


def _letter(letter: str) -> str:
    control = ord(letter) < 0x20 or ord(letter) == 0x7F
    return f"\\u{ord(letter):04x}" if control else letter
