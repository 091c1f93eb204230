"""Options that several commands share, and how a command is declared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

__all__ = ["FILE", "as_json", "device_option", "split_role"]

FILE = click.Path(path_type=Path)
"""A path; whether it exists and what it holds is checked where it is used, in the user's words."""

device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|cuda[:n]|mps",
    help="Where to compute.",
)


def split_role(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, Path]:
    """Read ``ROLE=FILE`` options."""
    found: dict[str, Path] = {}
    for value in values:
        role, equals, file = value.partition("=")
        if not (role and equals and file):
            raise click.BadParameter(
                f"{value!r}; expected ROLE=FILE, such as t1=scan.nii.gz", context, option
            )
        if role.lower() in found:
            raise click.BadParameter(f"the role {role} was given twice", context, option)
        found[role.lower()] = Path(file)
    return found


def as_json(document: Any) -> str:
    """Lay out JSON in plain ASCII, which every pipe and console can carry, whatever a path holds."""
    return json.dumps(document, indent=2, allow_nan=False) + "\n"
