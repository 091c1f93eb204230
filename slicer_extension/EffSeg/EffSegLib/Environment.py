"""With what environment other programs are started from within Slicer: Slicer's own must not reach them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import slicer

__all__ = ["engine_environment", "is_slicers", "slicer_homes", "startup_environment"]

_PATHS = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH", "QT_PLUGIN_PATH")
_DROPPED = ("PYTHON", "SLICER_", "Slicer_", "__PYVENV")
_PIP = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_PYTHON", "PIP_REQUIRE_VIRTUALENV")


def startup_environment() -> dict[str, str]:
    """Return the environment that Slicer itself was started with, as far as it is known."""
    try:
        return dict(slicer.util.startupEnvironment())
    except AttributeError:  # not in the application
        return dict(os.environ)


def slicer_homes() -> tuple[Path, ...]:
    """Return the folders that belong to Slicer, extensions and their packages included."""
    import sys

    known = [os.environ.get("SLICER_HOME", ""), getattr(getattr(slicer, "app", None), "slicerHome", "")]
    homes = [Path(str(one)) for one in known if one]
    if homes:  # in the application, where the running Python is Slicer's
        homes += [Path(sys.prefix), Path(sys.executable).parent]
    return tuple(dict.fromkeys(home.resolve() for home in homes))


def is_slicers(path: Path, homes: tuple[Path, ...] | None = None) -> bool:
    """Whether a file or folder lies among what belongs to Slicer."""
    found = slicer_homes() if homes is None else homes
    ways = (path.absolute(), path.resolve())  # a link into Slicer is Slicer's, a link in Slicer too
    return any(way == home or home in way.parents for way in ways for home in found)


def engine_environment(
    startup: Mapping[str, str], homes: tuple[Path, ...] = (), is_private: bool = True
) -> dict[str, str]:
    """Return the environment for the engine's Python.

    Parameters
    ----------
    startup : mapping
        What Slicer was started with.
    homes : tuple of Path
        Folders of Slicer, which are taken out of all search paths.
    is_private : bool
        Keep the user's own packages out, too.

    Returns
    -------
    dict
        Without anything that leads Python, the linker, Qt or pip into Slicer.
    """
    kept = {
        name: value
        for name, value in startup.items()
        if not name.startswith(_DROPPED) and name not in _PIP and name not in _PATHS
    }
    for name in _PATHS:
        entries = [one for one in startup.get(name, "").split(os.pathsep) if one]
        outside = [one for one in entries if not is_slicers(Path(one), homes)]
        if outside:
            kept[name] = os.pathsep.join(outside)
    kept |= {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
    if is_private:
        kept["PYTHONNOUSERSITE"] = "1"
    return kept
