"""Plain tables (of TOML or JSON) <-> frozen dataclasses, driven by the dataclasses' own annotations.

Unknown keys, missing keys and wrong types raise `CardError` with the file and the dotted field.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from ..errors import CardError, nearest_names

T = TypeVar("T")

_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


@dataclass(frozen=True)
class Where:
    """A place in a file, for messages."""

    source: str
    field: str = ""

    def at(self, key: str | int) -> Where:
        """Return the place of an entry below this one."""
        if isinstance(key, int):
            return Where(self.source, f"{self.field}[{key}]")
        return Where(self.source, f"{self.field}.{key}" if self.field else key)

    def error(self, message: str) -> CardError:
        """Return the error to raise, with file and field in front of the message."""
        return CardError(f"{self.source}: {self.field + ': ' if self.field else ''}{message}")


def build(cls: type[T], table: object, where: Where) -> T:
    """Build the dataclass `cls` from a table whose keys are its fields.

    Raises
    ------
    CardError
        If a key is unknown (the nearest are suggested) or missing, or a value has the wrong type.
    """
    if not isinstance(table, Mapping):
        raise where.error(f"expected a table, got {_describe(table)}")
    fields = {item.name: item for item in dataclasses.fields(cast("Any", cls)) if item.compare}
    for key in table:
        if key not in fields:
            raise where.at(str(key)).error(f"unknown field.{nearest_names(str(key), fields)}")
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    for name, item in fields.items():
        if name in table:
            values[name] = _read(hints[name], table[name], where.at(name))
        elif item.default is dataclasses.MISSING:
            raise where.at(name).error("missing")
    return cls(**values)


def to_table(instance: object) -> dict[str, object]:
    """Return the table of a dataclass: fields in order, without those that hold their default."""
    table: dict[str, object] = {}
    for item in dataclasses.fields(cast("Any", instance)):
        value = getattr(instance, item.name)
        if item.compare and value != item.default:
            table[item.name] = _plain(value)
    return table


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value):
        return to_table(value)
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    return value


def _read(kind: Any, value: object, where: Where) -> Any:
    """Check `value` against the annotation `kind` and turn it into that type."""
    origin = get_origin(kind)
    if dataclasses.is_dataclass(kind):
        return build(cast("type[object]", kind), value, where)
    if origin in (Union, types.UnionType):
        return _read_optional(kind, value, where)
    if origin is Literal:
        return _read_choice(get_args(kind), value, where)
    if origin is tuple:
        return _read_tuple(get_args(kind), value, where)
    if origin is dict:
        return read_arguments(value, where)
    return _read_scalar(kind, value, where)


def _read_optional(kind: Any, value: object, where: Where) -> Any:
    (inner,) = (option for option in get_args(kind) if option is not type(None))
    return _read(inner, value, where)


def _read_choice(choices: tuple[object, ...], value: object, where: Where) -> object:
    if any(type(value) is type(choice) and value == choice for choice in choices):
        return value
    listed = ", ".join(str(choice) for choice in choices)
    near = nearest_names(value, map(str, choices)) if isinstance(value, str) else ""
    raise where.error(f"expected one of {listed}, got {_describe(value)}.{near}")


def _read_tuple(kinds: tuple[Any, ...], value: object, where: Where) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise where.error(f"expected a list, got {_describe(value)}")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(value) != len(kinds):
        raise where.error(f"expected {len(kinds)} entries, got {len(value)}")
    return tuple(
        _read(kind, entry, where.at(index))
        for index, (kind, entry) in enumerate(zip(kinds, value, strict=True))
    )


def read_arguments(value: object, where: Where) -> dict[str, Any]:
    """Read a table of constructor arguments: scalars, lists as tuples, tables, as deep as it takes."""
    if not isinstance(value, Mapping):
        raise where.error(f"expected a table, got {_describe(value)}")
    return {str(key): _read_any(entry, where.at(str(key))) for key, entry in value.items()}


def _read_any(value: object, where: Where) -> object:
    if isinstance(value, list | tuple):
        return tuple(_read_any(item, where.at(index)) for index, item in enumerate(value))
    if isinstance(value, Mapping):
        return read_arguments(value, where)
    if type(value) in _WORDS:
        return _read_scalar(type(value), value, where)
    raise where.error(f"expected text, a number, true or false, or a list of those, got {_describe(value)}")


def _read_scalar(kind: type, value: object, where: Where) -> object:
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise where.error(f"expected {_WORDS[kind]}, got {_describe(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise where.error(f"expected a finite number, got {value}")
    return value


def _describe(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
