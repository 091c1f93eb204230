"""``batch.jsonl``: a line for each case that ended, appended at once, so that a batch can go on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import ExportError
from .cases import Case
from .results import CaseResult

__all__ = ["LEDGER", "Ledger", "key_of"]

LEDGER = "batch.jsonl"
_KEY = "key"


def key_of(case: Case, options: dict[str, Any]) -> str:
    """Say in one checksum what a result depends on: the files, the weights, and how they are used.

    Of a file its name, size and time of change count; of a folder those of all its files.

    Parameters
    ----------
    case : Case
    options : dict
        Plain values.
    """
    document = {
        "files": [_fingerprint(path) for path in case.files],
        "model": case.card.name,
        "weights": case.card.weights.sha256,
        "case": [case.name, case.roles, case.roi, case.frame, case.series, case.level],
        "options": options,
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


class Ledger:
    """The cases of a folder of results that ended, the last line of each being the one that counts.

    A line that a crash cut off is as if it had not been written.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / LEDGER
        self._last = dict(_read(self._path))

    def finished(self, case: str, key: str) -> CaseResult | None:
        """Return the result of a case that is done and whose files are there, if nothing has changed."""
        found, result = self._last.get(case, ("", None))
        if result is None or found != key or not result.is_done:
            return None
        return result if all((self._folder / name).is_file() for name in result.outputs) else None

    def append(self, key: str, result: CaseResult) -> None:
        """Write a line, and wait until the disk has it.

        Raises
        ------
        ExportError
            If the disk refuses.
        """
        line = json.dumps({_KEY: key, **result.to_json()}) + "\n"
        try:
            descriptor = os.open(
                self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644
            )
            try:
                os.write(
                    descriptor, (_missing_end(descriptor) + line).encode()
                )  # one call: whole or cut, never mixed
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as err:
            raise ExportError(f"{self._path}: cannot be written: {err.strerror or err}") from err
        self._last[result.case] = (key, result)


def _missing_end(descriptor: int) -> str:
    """Return the end of a line that a crash cut off, so that the next one stands alone."""
    if os.lseek(descriptor, 0, os.SEEK_END) == 0:
        return ""
    os.lseek(descriptor, -1, os.SEEK_END)
    return "" if os.read(descriptor, 1) == b"\n" else "\n"


def _read(path: Path) -> Iterator[tuple[str, tuple[str, CaseResult]]]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                document = json.loads(line)
                result = CaseResult.from_json(document)
                yield result.case, (str(document[_KEY]), result)
            except (ValueError, KeyError, TypeError):
                continue  # cut off, or of another version: the case is done again


def _fingerprint(path: Path) -> list[Any]:
    if not path.is_dir():
        return [str(path), *_stat(path)]
    found = hashlib.sha256()
    for parent, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            inside = Path(parent, name)
            found.update(
                repr((str(inside.relative_to(path)), _stat(inside))).encode("utf-8", "surrogateescape")
            )
    return [str(path), found.hexdigest()]


def _stat(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError:
        return []  # missing: the case is a bad one, and tried again when it is there
    return [status.st_size, status.st_mtime_ns]
