"""Times that runs took on this very machine: a small file a checkpoint in the user's cache.

Estimates before a run then rest on what this machine did, not on what the card was measured on.
"""

from __future__ import annotations

import json
import logging
import math
import os
import platform
import re
from dataclasses import asdict, replace
from typing import Any

from ..errors import ExportError
from ._atomic import write_atomically
from ._places import times_file
from .card import Card, Performance

__all__ = ["measured_here", "remember", "with_measured_here"]

_KEPT = 8
"""Runs that are kept for each checkpoint, the newest sizes of image and devices."""
_LARGEST_FILE = 2**16  # bytes; the runs that are kept take far less
_NUMBER = re.compile(r"\d+")

_log = logging.getLogger(__name__)


def measured_here(card: Card) -> tuple[Performance, ...]:
    """Return the runs of a card's checkpoint that this machine remembers, those of the largest images first.

    Little of a long run is spent on what comes once, so that it tells most about others. A file that is
    missing or broken is as if there were no runs.
    """
    runs = [run for machine, run in _read(card) if machine == platform.node()]
    return tuple(sorted(runs, key=_voxels, reverse=True))


def with_measured_here(card: Card) -> Card:
    """Return the card with this machine's runs before those that were measured elsewhere."""
    return replace(card, performance=(*measured_here(card), *card.performance))


def remember(card: Card, run: Performance) -> None:
    """Keep a run of a card's checkpoint, the fastest of its size; where nothing can be written, nothing is.

    A slower run of the same size had weights to load or kernels to compile, or shared the machine.
    """
    known = _read(card)
    like = [other for machine, other in known if _is_like((machine, other), run)]
    fastest = min([run, *like], key=lambda one: one.seconds)
    kept = [(platform.node(), fastest), *(entry for entry in known if not _is_like(entry, run))][:_KEPT]
    document = json.dumps([{"machine": machine, **asdict(one)} for machine, one in kept], indent=1)
    path = times_file(card)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda file: file.write(document.encode("utf-8")))
    except (OSError, ExportError) as err:
        _log.info("the time of a run was not kept: %s", err)


def _is_like(entry: tuple[str, Performance], run: Performance) -> bool:
    machine, other = entry
    return (machine, other.device, other.case) == (platform.node(), run.device, run.case)


def _voxels(run: Performance) -> int:
    return math.prod(int(number) for number in _NUMBER.findall(run.case)[:3])


def _read(card: Card) -> list[tuple[str, Performance]]:
    path = times_file(card)
    try:
        if os.path.getsize(path) > _LARGEST_FILE:
            return []
        return [_entry(entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _entry(entry: dict[str, Any]) -> tuple[str, Performance]:
    run = Performance(
        device=str(entry["device"]),
        case=str(entry["case"]),
        seconds=float(entry["seconds"]),
        peak_memory_mb=float(entry["peak_memory_mb"]),
    )
    if not (0 < run.seconds < math.inf):
        raise ValueError(f"{run.seconds} seconds")
    return str(entry["machine"]), run
