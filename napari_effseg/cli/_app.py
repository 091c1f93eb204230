"""The group of commands, each imported when it is asked for, and the way from an error to an exit code."""

from __future__ import annotations

import importlib
import io
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from ..errors import nearest_names
from . import _faults
from ._interrupt import Interrupt

__all__ = ["app", "main"]

_COMMANDS = {
    "sample": "List the sample cases, or write one to a file.",
    "models": "List the models: structures, licence, measured accuracy, time and memory.",
    "segment": "Segment an image.",
    "batch": "Segment a folder or a table of cases, here or on a cluster; goes on where it stopped.",
    "prompt": "Outline one object by clicks, boxes and scribbles.",
    "train": "Train a model on a folder of labelled cases.",
    "finetune": "Make a model better on a few labelled cases of your own.",
    "distill": "Let a model that answers clicks learn from another one.",
    "evaluate": "Score a model against the references of a data set.",
    "bench": "Measure parameters, operations, time and memory of the models.",
    "serve": "Serve the engine to napari, 3D Slicer and other programs.",
    "convert": "Turn an official .pth or .pt checkpoint into safetensors.",
    "doctor": "Show versions, devices and what is out of order, on one screen.",
}
"""Name and one line on each command; the module of the same name defines it."""


class _Commands(click.Group):
    """Imports a command only when it is asked for, and suggests the nearest for a name that is none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        found = getattr(importlib.import_module(f".{name}", __package__), name)
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS:
            raise click.UsageError(f"no command {args[0]!r}.{nearest_names(args[0], _COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.command(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: effseg sample hippocampus scan.nii.gz && effseg segment scan.nii.gz",
)
@click.version_option(package_name="napari-effseg", prog_name="effseg")
@click.pass_context
def app(ctx: click.Context) -> None:
    """Efficient segmentation of medical images on the laptop you have."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default is the command line's.

    Returns
    -------
    int
        The exit code.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path that the console cannot show is no fault
    with Interrupt() as interrupt, _libraries_silent():
        try:
            answer = _run(sys.argv[1:] if arguments is None else list(arguments), interrupt)
        except BrokenPipeError:
            # Nobody reads on (``effseg models | head``); the interpreter must not try again at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return _faults.DONE
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  the edge: every error becomes a line
            return _faults.report(error, interrupt.requested)
    return answer if isinstance(answer, int) else _faults.DONE


def _run(arguments: list[str], interrupt: Interrupt) -> object:
    """Do what click's own `main` does, but for its words on Ctrl-C and its exit on a closed pipe."""
    try:
        with app.make_context("effseg", arguments, obj=interrupt) as context:
            return app.invoke(context)
    except click.exceptions.Exit as done:  # after --help and --version
        return done.exit_code


@contextmanager
def _libraries_silent() -> Iterator[None]:
    """Keep libraries' own warnings off the screen: they are for developers, users read our reports."""
    chatty = logging.getLogger("nibabel.global")  # prints to stderr by itself
    level = chatty.level
    chatty.setLevel(logging.CRITICAL + 1)
    logging.getLogger("py.warnings").addHandler(logging.NullHandler())
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        chatty.setLevel(level)
