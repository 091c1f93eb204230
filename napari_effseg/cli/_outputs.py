"""Output files that appear together, whole, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import click

from ..errors import EffsegError
from ..io.atomic import Replacement, place_files
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
        """Remove the hidden folders; an error speaks of the final paths."""
        self._interrupt.shield()
        self._remove()
        if isinstance(error, EffsegError) and error.args:
            text = str(error)
            for folder, hidden in self._folders.items():
                text = text.replace(str(hidden), str(folder))
            error.args = (text,)

    def place_for(self, output: Path) -> Path:
        """Where to write what will become `output`; files beside it with other endings come along."""
        return self._folders[output.parent] / output.name

    def commit(self) -> tuple[Path, ...]:
        """Rename everything into place, the first output last; returns the final paths.

        Raises
        ------
        ExportError
            If a file cannot be put in place; then everything is as it was.
        """
        self._interrupt.hold()
        moves = [
            Replacement(folder / staged.name, staged)
            for folder, hidden in self._folders.items()
            for staged in sorted(hidden.iterdir())
        ]
        moves.sort(key=lambda move: move.target == self._outputs[0])
        if moves:
            place_files(moves)
        return tuple(move.target for move in reversed(moves))

    def _remove(self) -> None:
        for hidden in self._folders.values():
            shutil.rmtree(hidden, ignore_errors=True)


def _same_file(first: Path, second: Path) -> bool:
    try:
        return os.path.samefile(first, second)
    except OSError:
        return os.path.normcase(os.path.abspath(first)) == os.path.normcase(os.path.abspath(second))
