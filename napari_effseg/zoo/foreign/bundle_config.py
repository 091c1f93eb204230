"""The configuration of a MONAI bundle, read as a plain table: references followed, nothing run.

A text that begins with ``$`` is Python that MONAI would run. Here it is read: constants, lists and their
lengths, references, sums and a choice (``a if b else c``) have a value; everything else is refused where it
is needed, and does not matter where it is not.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ..._extras import require
from ...errors import CardError

__all__ = ["Config", "read_config"]

_LARGEST = 4 << 20  # bytes
_DEEPEST = 32
_MOST_READ = 100_000  # values; a configuration has some hundreds
_LONGEST_QUOTE = 120
_LONGEST_TEXT = 4096  # that is joined of others: a path
_REFERENCE = re.compile(r"@([\w.]+(?:(?:#|::)[\w.]+)*)")
_NAME = "reference_"


@dataclass(frozen=True)
class Config:
    """A configuration file.

    Attributes
    ----------
    values : mapping
        As it stands in the file.
    source : str
        The file, for messages.
    """

    values: Mapping[str, object]
    source: str
    _read: Iterator[int] = field(default_factory=itertools.count, repr=False, compare=False)

    def has(self, key: str) -> bool:
        """Whether there is a part of this name."""
        return key in self.values

    def part(self, key: str) -> object:
        """Return a part of the file with its own references followed; parts inside it stay as they are.

        Raises
        ------
        CardError
            If it is missing, or an expression that cannot be read.
        """
        if key not in self.values:
            raise self.error(key, "missing")
        return self.read(self.values[key], key)

    def read(self, value: object, place: str, depth: int = 0) -> object:
        """Follow a reference or read an expression; anything else is returned as it is."""
        if depth > _DEEPEST or next(self._read) > _MOST_READ:
            raise self.error(place, "references run in a circle, or unfold into too many values")
        if not isinstance(value, str):
            return value
        if value.startswith("$"):
            return self._expression(value[1:], place, depth)
        if value.startswith("%"):
            raise self.error(place, f"{value!r} is in another file, which is not supported")
        if _REFERENCE.fullmatch(value):
            return self._referred(value[1:], place, depth)
        return value

    def read_all(self, value: object, place: str, depth: int = 0) -> object:
        """Read a value and everything inside it."""
        found, depth = self.read(value, place, depth), depth + 1
        if isinstance(found, Mapping):
            return {str(key): self.read_all(entry, f"{place}.{key}", depth) for key, entry in found.items()}
        if isinstance(found, list | tuple):
            return [self.read_all(entry, f"{place}[{index}]", depth) for index, entry in enumerate(found)]
        return found

    def error(self, place: str, message: str) -> CardError:
        """Return the error to raise about a place in the file."""
        return CardError(f"{self.source}: {place}: {message}")

    def _referred(self, path: str, place: str, depth: int) -> object:
        found: object = self.values
        for key in re.split("#|::", path):
            found = self.read(found, place, depth + 1) if found is not self.values else found
            if isinstance(found, Mapping) and key in found:
                found = found[key]
            elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
                found = found[int(key)]
            else:
                raise self.error(place, f"@{path}: there is no {key!r}")
        return self.read(found, place, depth + 1)

    def _expression(self, text: str, place: str, depth: int) -> object:
        """Read the few expressions that stand for a plain value."""
        names: list[str] = []

        def name_of(match: re.Match[str]) -> str:
            names.append(match[1])
            return f"{_NAME}{len(names) - 1}"

        refused = self.error(place, f"the expression ${_quoted(text)} is not run; expected a plain value")
        try:
            tree = ast.parse(_REFERENCE.sub(name_of, text).strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError) as err:
            raise refused from err

        def value_of(node: ast.expr) -> Any:
            if isinstance(node, ast.Constant):
                return node.value
            if isinstance(node, ast.List | ast.Tuple):
                return [value_of(entry) for entry in node.elts]
            if isinstance(node, ast.Name) and node.id.startswith(_NAME):
                return self._referred(names[int(node.id.removeprefix(_NAME))], place, depth)
            if isinstance(node, ast.IfExp):
                return value_of(node.body if value_of(node.test) else node.orelse)
            if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
                return -_number(value_of(node.operand), refused)
            if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
                return not value_of(node.operand)
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
                return _sum(value_of(node.left), value_of(node.right), refused)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "len" and len(node.args) == 1:
                return _length(value_of(node.args[0]), refused)
            raise refused

        try:
            return value_of(tree)
        except RecursionError as err:
            raise refused from err


def _quoted(text: str) -> str:
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."


def read_config(path: Path) -> Config:
    """Read a configuration in JSON or YAML.

    Raises
    ------
    CardError
        If it cannot be read, is too large, or holds no table.
    MissingExtra
        If it is YAML and PyYAML is not installed.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise CardError(f"{path}: {path.stat().st_size} bytes; expected at most {_LARGEST}")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise CardError(f"{path}: cannot be read: {err}") from err
    found = _parse_yaml(text, path) if path.suffix in (".yaml", ".yml") else _parse_json(text, path)
    if not isinstance(found, dict):
        raise CardError(f"{path}: expected a table of parts")
    return Config(cast("dict[str, object]", found), str(path))


def _parse_json(text: str, path: Path) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as err:
        raise CardError(f"{path}: not valid JSON: {err}") from err


def _parse_yaml(text: str, path: Path) -> object:
    yaml = require("yaml", "monai", f"the configuration {path.name}")
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as err:
        raise CardError(f"{path}: not valid YAML: {err}") from err


def _number(value: object, refused: CardError) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refused
    return value


def _length(value: object, refused: CardError) -> int:
    if not isinstance(value, list | Mapping):
        raise refused
    return len(value)


def _sum(left: object, right: object, refused: CardError) -> object:
    if isinstance(left, str) and isinstance(right, str) and len(left) + len(right) <= _LONGEST_TEXT:
        return left + right
    return _number(left, refused) + _number(right, refused)
