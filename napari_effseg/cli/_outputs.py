"""Output files that appear together, whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import click

from ._interrupt import Interrupt

__all__ = ["StagedFiles", "check_output"]

_PREFIX = ".effseg-"


def check_output(output: Path, inputs: Iterable[Path] = (), may_replace: bool = True) -> None:
    """Refuse, before any computing, a place where a result cannot or must not be written.

    Raises
    ------
    click.UsageError
        If the folder is missing, the path is a folder or an input, or an older file may not be replaced.
    """
    folder = output.parent
    if not folder.is_dir():
        raise click.UsageError(
            f"the folder of the output {output} does not exist; create it or give another path"
        )
    if output.is_dir():
        raise click.UsageError(f"the output {output} is a folder; give a file name in it")
    for given in inputs:
        if _same_file(output, given):
            raise click.UsageError(f"the output {output} is the input itself; give another name with -o")
    if not may_replace and output.exists():
        raise click.UsageError(
            f"{output} exists already; give its name with -o to replace it, or another name"
        )


class StagedFiles:
    """Write to a hidden folder beside each output, then rename everything into place.

    Entering creates the folders, so that a place where nothing can be written is found before the computing.
    Leaving removes them; without `commit` nothing has appeared, and older files are as they were.

    Parameters
    ----------
    outputs : iterable of Path
        Final paths; their folders exist, no two are the same.
    interrupt : Interrupt
        Held during the renaming.

    Raises
    ------
    click.UsageError
        On entering, if two outputs are one file or a folder refuses to be written in.
    """

    def __init__(self, outputs: Iterable[Path], interrupt: Interrupt) -> None:
        self._outputs = tuple(outputs)
        self._interrupt = interrupt
        self._folders: dict[Path, Path] = {}

    def __enter__(self) -> StagedFiles:
        """Create the hidden folders."""
        seen: set[str] = set()
        for output in self._outputs:
            key = os.path.normcase(os.path.abspath(output))
            if key in seen:
                raise click.UsageError(f"{output} was given for two outputs; give each its own name")
            seen.add(key)
        try:
            for folder in {output.parent for output in self._outputs}:
                self._folders[folder] = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
        except OSError as err:
            self._remove()
            raise click.UsageError(
                f"nothing can be written in {folder}: {err.strerror}; give another path"
            ) from err
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the hidden folders."""
        self._remove()

    def place_for(self, output: Path) -> Path:
        """Where to write what will become `output`; files beside it with other endings come along."""
        return self._folders[output.parent] / output.name

    def commit(self) -> tuple[Path, ...]:
        """Rename everything into place; returns the final paths.

        Raises
        ------
        OSError
            If a file cannot be put in place; those already in place are taken back.
        """
        self._interrupt.hold()
        moves = [
            (staged, folder / staged.name)
            for folder, hidden in self._folders.items()
            for staged in sorted(hidden.iterdir())
        ]
        done: list[tuple[Path, Path | None]] = []
        try:
            for number, (staged, final) in enumerate(moves):
                done.append((final, _keep(final, staged.parent, number)))
                os.replace(staged, final)
        except OSError:
            for final, kept in reversed(done):
                _take_back(final, kept)
            raise
        return tuple(final for _, final in moves)

    def _remove(self) -> None:
        for hidden in self._folders.values():
            shutil.rmtree(hidden, ignore_errors=True)


def _keep(final: Path, hidden: Path, number: int) -> Path | None:
    """Keep a second name (or, where the disk has no links, a copy) of an older file until all is in place."""
    if not final.exists():
        return None
    folder = hidden / ".older"
    folder.mkdir(exist_ok=True)
    kept = folder / f"{number}-{final.name}"
    try:
        os.link(final, kept)
    except OSError:
        shutil.copy2(final, kept)
    return kept


def _take_back(final: Path, kept: Path | None) -> None:
    with contextlib.suppress(OSError):  # the first error is the one to tell
        if kept is None:
            final.unlink(missing_ok=True)
        else:
            os.replace(kept, final)


def _same_file(first: Path, second: Path) -> bool:
    try:
        return os.path.samefile(first, second)
    except OSError:
        return os.path.normcase(os.path.abspath(first)) == os.path.normcase(os.path.abspath(second))
