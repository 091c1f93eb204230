"""Options that several commands share, and how a command is declared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

__all__ = ["FILE", "as_json", "device_option", "held_back_option", "label_option", "split_role"]

FILE = click.Path(path_type=Path)
"""A path; whether it exists and what it holds is checked where it is used, in the user's words."""

device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|cuda[:n]|mps",
    help="Where to compute.",
)


def name_labels(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[int, str]:
    """Read ``N=NAME`` options."""
    found: dict[int, str] = {}
    for value in values:
        number, _, name = (part.strip() for part in value.partition("="))
        if not (number.isdecimal() and int(number) and name):
            raise click.BadParameter(f"{value!r}; expected N=NAME, such as 1=liver", context, option)
        if int(number) in found:
            raise click.BadParameter(f"the label {number} was named twice", context, option)
        found[int(number)] = name
    return found


label_option = click.option(
    "--label",
    "labels",
    multiple=True,
    callback=name_labels,
    metavar="N=NAME",
    help="Name of a label of the data set, where dataset.json has none or another; may be repeated.",
)

held_back_option = click.option(
    "--held-back",
    type=float,
    metavar="FRACTION",
    help="Share of the training cases to hold back as split validation, where the data set has no such list.",
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
