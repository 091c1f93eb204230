"""What a command says: results on stdout; plan, progress, warnings and faults on stderr."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, ParamSpec, TypeVar

import click

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ["Console", "ProgressBar", "speaks", "table"]

_QUIET_SECONDS = 1.0  # a bar appears only for work that takes longer
_STEPS = 1000  # of a bar

P = ParamSpec("P")
R = TypeVar("R")


class Console:
    """Where a command's sentences go.

    Parameters
    ----------
    quiet : bool
        Say nothing but warnings, faults and what was asked for on stdout by an option.
    verbose : bool
        Show the package's log on stderr, too.
    """

    def __init__(self, quiet: bool, verbose: bool) -> None:
        self.quiet, self.verbose = quiet, verbose
        if verbose:
            logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stderr)
            logging.getLogger("napari_effseg").setLevel(logging.DEBUG)

    def result(self, text: str) -> None:
        """Print a result for people, on stdout."""
        if not self.quiet:
            click.echo(text)

    def data(self, text: str) -> None:
        """Print what was asked for, on stdout, quiet or not."""
        click.echo(text)

    def note(self, text: str) -> None:
        """Say what is going on, on stderr."""
        if not self.quiet:
            click.echo(text, err=True)

    def warn(self, text: str) -> None:
        """Say what the user must know, on stderr, quiet or not."""
        click.echo(f"warning: {text}", err=True)

    def progress(self) -> ProgressBar:
        """Return a bar on stderr that shows only on a terminal, and only after a second."""
        return ProgressBar(shown=not self.quiet and sys.stderr.isatty())


class ProgressBar:
    """A `progress(fraction, message)` callable and a context manager that clears it away."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._started = time.monotonic()
        self._bar: tqdm[NoReturn] | None = None

    def __enter__(self) -> ProgressBar:
        """Start the clock."""
        self._started = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clear the bar away."""
        if self._bar is not None:
            self._bar.close()

    def __call__(self, fraction: float, message: str) -> None:
        """Show how far the work is."""
        if not self._shown or time.monotonic() - self._started < _QUIET_SECONDS:
            return
        if self._bar is None:
            from tqdm import tqdm

            form = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
            self._bar = tqdm(
                total=_STEPS, file=sys.stderr, leave=False, bar_format=form, dynamic_ncols=True, delay=1e-3
            )
            self._bar.start_t -= time.monotonic() - self._started
        self._bar.n = round(fraction * _STEPS)
        self._bar.set_description_str(message, refresh=True)


def speaks(command: Callable[P, R]) -> Callable[P, R]:
    """Add ``--quiet`` and ``--verbose`` to a command, which gets a `console` instead."""

    @click.option("-q", "--quiet", is_flag=True, help="Say nothing but warnings and errors.")
    @click.option("-v", "--verbose", is_flag=True, help="Show the log, too.")
    @wraps(command)
    def with_console(*args: P.args, **kwargs: P.kwargs) -> R:
        quiet, verbose = bool(kwargs.pop("quiet")), bool(kwargs.pop("verbose"))
        kwargs["console"] = Console(quiet, verbose)
        return command(*args, **kwargs)

    return with_console


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Lay out rows in columns.

    Parameters
    ----------
    rows : sequence of sequence of str
        The first row is the head.
    right : sequence of int
        Columns that are aligned to the right (numbers).

    Examples
    --------
    >>> print(table([("structure", "mL"), ("tail", "1.52"), ("head", "11.7")], right=[1]))
    structure    mL
    tail       1.52
    head       11.7
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
