"""Put finished files in their places: all of them, or none.

Files are written under temporary names in the same folder, flushed to the disk, and renamed. Several files
that belong together are renamed one after the other; if a rename fails, those before it are taken back. The
last rename is the one that counts: an image comes after its table of names.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import ExportError
from ._formats import ending_of, stem_of

__all__ = ["Replacement", "place_files", "staging_path"]


@dataclass(frozen=True)
class Replacement:
    """One step of `place_files`.

    Parameters
    ----------
    target : Path
        Where the file goes.
    staged : Path or None
        The finished file under its temporary name, in the same folder; None takes the target away.
    """

    target: Path
    staged: Path | None


@contextmanager
def staging_path(target: Path) -> Iterator[Path]:
    """Give a temporary name beside `target`, with its ending; whatever lies there at the end is removed.

    Also removed: a table of names of the temporary file.

    Raises
    ------
    ExportError
        If the folder does not exist or cannot be written.
    """
    if not target.parent.is_dir():
        raise ExportError(f"{target}: there is no folder {target.parent}; create it or choose another")
    if target.is_dir():
        raise ExportError(f"{target}: is a folder; expected the name of a file to write")
    stem = f".{stem_of(target)[:100]}.{secrets.token_hex(4)}"
    ending = target.name[len(stem_of(target)) :]
    if not ending_of(target):
        ending = target.suffix
    staged = target.with_name(stem + ending)
    try:
        yield staged
    except PermissionError as err:
        raise ExportError(f"{target}: cannot be written: {err.strerror or err}") from err
    finally:
        for leftover in (staged, target.with_name(f"{stem}.tsv")):
            leftover.unlink(missing_ok=True)


def place_files(replacements: Sequence[Replacement]) -> None:
    """Carry out all replacements in order; when one fails, undo those before it.

    Raises
    ------
    ExportError
        If a file cannot be put in its place; then every target is as it was.
    """
    backups: dict[Path, Path | None] = {}
    done: list[Path] = []
    try:
        for step in replacements:
            if step.staged is not None:
                _flush(step.staged)
        for step in replacements[:-1]:  # the last needs none
            backups[step.target] = _backup(step.target)
        for step in replacements:
            _replace(step)
            done.append(step.target)
    except OSError as err:
        raise ExportError(f"{step.target}: cannot be written: {err.strerror or err}") from err
    finally:
        if len(done) < len(replacements):
            for target in reversed(done):
                _restore(target, backups[target])
        for backup in backups.values():
            if backup is not None:
                backup.unlink(missing_ok=True)
    _flush_folder(replacements[-1].target.parent)


def _replace(step: Replacement) -> None:
    if step.staged is None:
        step.target.unlink(missing_ok=True)
    else:
        os.replace(step.staged, step.target)


def _backup(target: Path) -> Path | None:
    """Keep the file's present content under another name; a hard link where the file system has them."""
    if not target.exists():
        return None
    backup = target.with_name(f".{target.name}.{secrets.token_hex(4)}.old")
    try:
        os.link(target, backup)
    except OSError:
        shutil.copy2(target, backup)
    return backup


def _restore(target: Path, backup: Path | None) -> None:
    if backup is None:
        target.unlink(missing_ok=True)
    else:
        os.replace(backup, target)


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make the renames themselves durable, where the system can (not on Windows)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems refuse; the files themselves are flushed
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
