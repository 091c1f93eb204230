"""`effseg doctor`: one screen of facts."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from . import _faults
from ._console import Console, speaks, table
from ._options import as_json

if TYPE_CHECKING:
    from ..diagnosis import Diagnosis

__all__ = ["diagnosis_as_json", "doctor"]

_GIGABYTE = 1e9


@click.command(epilog="Example: effseg doctor")
@click.option("--json", "as_document", is_flag=True, help="The same as JSON (docs/json.md).")
@speaks
def doctor(as_document: bool, console: Console) -> int:
    """Show versions, Qt and OpenGL, devices, the scan kernel, free memory, and the weights' checksums.

    Ends with code 1 if something is out of order.
    """
    from ..diagnosis import diagnose

    found = diagnose()
    console.data(as_json(diagnosis_as_json(found)).rstrip() if as_document else _as_screen(found))
    for problem in found.problems:
        console.warn(problem)
    return _faults.OUR_FAULT if found.problems else _faults.DONE


def diagnosis_as_json(found: Diagnosis) -> dict[str, Any]:
    """Return the facts under the names that docs/json.md lists."""
    document = asdict(found)
    document["devices"] = [asdict(device) for device in found.devices]
    document["weights"] = [
        {
            "card": state.card,
            "path": None if state.path is None else str(state.path),
            "problem": state.problem or None,
        }
        for state in found.weights
    ]
    document["ok"] = not found.problems
    return document


def _as_screen(found: Diagnosis) -> str:
    versions = dict(found.versions)
    rows = [
        ("effseg", versions.pop("napari-effseg", "not installed as a package")),
        ("python", f"{versions.pop('python')}, {versions.pop('platform')}"),
        ("packages", ", ".join(f"{name} {version}" for name, version in versions.items())),
        ("window", ", ".join(f"{key} {value}" for key, value in found.gui.items()) or "no Qt installed"),
    ]
    rows += [
        (device.name, f"{device.description}, {device.free_bytes / _GIGABYTE:.1f} GB free")
        for device in found.devices
    ]
    rows += [(f"scan, {device}", kernel) for device, kernel in found.scan.items()]
    rows += [
        ("memory", f"{found.free_memory_bytes / _GIGABYTE:.1f} GB free"),
        ("disk", f"{found.free_disk_bytes / _GIGABYTE:.1f} GB free here"),
    ]
    rows += [
        (f"weights of {state.card}", state.problem or f"as they should be: {state.path}")
        for state in found.weights
    ]
    rows += [("all in all", "out of order, see below" if found.problems else "all is well")]
    return table(rows)
