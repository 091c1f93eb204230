"""What a machine has and what is out of order: the facts behind `effseg doctor`."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from .engine.device import DeviceInfo, resolve_device
from .errors import EffsegError
from .nets.selective_scan import scan_report
from .zoo import Card
from .zoo.registry import read_registry
from .zoo.weights import verify, weights_path

__all__ = ["Diagnosis", "WeightsState", "diagnose"]

_PACKAGES = (
    *("torch", "numpy", "scipy", "numba", "nibabel", "SimpleITK", "pynrrd", "tifffile", "safetensors"),
    *("monai", "napari", "qtpy", "PySide6", "PyQt6", "PyQt5", "mamba-ssm", "pydicom", "highdicom"),
)
_QT_SECONDS = 30
_QT_PROBE = """
import json, sys
from qtpy import API_NAME, QT_VERSION
from qtpy.QtGui import QGuiApplication, QOffscreenSurface, QOpenGLContext
app = QGuiApplication(sys.argv)
surface, context = QOffscreenSurface(), QOpenGLContext()
surface.create()
made = context.create() and context.makeCurrent(surface)
form = context.format()
version = f"{form.majorVersion()}.{form.minorVersion()}" if made else None
print(json.dumps({"binding": API_NAME, "qt": QT_VERSION, "platform": app.platformName(), "opengl": version}))
"""


@dataclass(frozen=True)
class WeightsState:
    """The weights of one card: where they lie, and what is wrong with them ("" if nothing is)."""

    card: str
    path: Path | None
    problem: str


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Attributes
    ----------
    versions : dict of str to str
        Of Python, the platform and each package that is installed.
    gui : dict of str to str
        Binding, versions and platform of Qt and OpenGL, or "problem"; empty where no Qt is installed.
    devices : tuple of DeviceInfo
        The CPU and every accelerator.
    scan : dict of str to str
        Which kernel of the selective scan runs on each device.
    free_memory_bytes, free_disk_bytes : int
        Of the machine, and of the disk of the working directory.
    weights : tuple of WeightsState
    problems : tuple of str
        What is out of order, in sentences; empty when all is well.
    """

    versions: dict[str, str]
    gui: dict[str, str]
    devices: tuple[DeviceInfo, ...]
    scan: dict[str, str]
    free_memory_bytes: int
    free_disk_bytes: int
    weights: tuple[WeightsState, ...]
    problems: tuple[str, ...]


def diagnose() -> Diagnosis:
    """Look at versions, Qt, devices, kernels, memory, disk, and the checksums of all weights."""
    registry = read_registry()
    weights = tuple(_weights_state(card) for card in registry.cards.values())
    broken = [f"weights of {state.card}: {state.problem}" for state in weights if state.problem]
    versions = _versions()
    return Diagnosis(
        versions=versions,
        gui=_gui() if "qtpy" in versions else {},
        devices=_devices(),
        scan=dict(scan_report()),
        free_memory_bytes=psutil.virtual_memory().available,
        free_disk_bytes=shutil.disk_usage(Path.cwd()).free,
        weights=weights,
        problems=(*broken, *registry.problems),
    )


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in ("napari-effseg", *_PACKAGES):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _gui() -> dict[str, str]:
    """Open Qt in a process of its own, as it may end the process where there is no display."""
    try:
        run = subprocess.run(
            [sys.executable, "-c", _QT_PROBE],
            capture_output=True,
            text=True,
            timeout=_QT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as err:
        return {"problem": f"Qt could not be tried: {err}"}
    lines = run.stdout.strip().splitlines()
    if run.returncode != 0 or not lines:
        said = run.stderr.strip().splitlines()
        return {
            "problem": f"Qt does not open a window here: {said[0] if said else f'exit code {run.returncode}'}"
        }
    facts: dict[str, Any] = json.loads(lines[-1])
    return {key: str(value or "none") for key, value in facts.items()}


def _devices() -> tuple[DeviceInfo, ...]:
    import torch

    names = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    names += ["mps"] if torch.backends.mps.is_available() else []
    return tuple(resolve_device(name) for name in names)


def _weights_state(card: Card) -> WeightsState:
    path = None
    try:
        path = weights_path(card)
        verify(path, card.weights.sha256, card.weights.size_bytes)
    except EffsegError as err:
        return WeightsState(card.name, path, str(err))
    return WeightsState(card.name, path, "")
