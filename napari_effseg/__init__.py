"""Efficient segmentation of medical images on the laptop you have.

Importing this package loads neither torch nor Qt; each public name is fetched when it is first used.

Examples
--------
>>> import napari_effseg as eff
>>> volume = eff.load("scan.nii.gz")  # doctest: +SKIP
>>> result = eff.segment(volume, model="hippocampus-lightm-unet")  # doctest: +SKIP
>>> eff.save(result.labels, "scan_seg.nii.gz", reference="scan.nii.gz")  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME_OF = {
    "AffineError": "errors",
    "Algorithm": "volume",
    "Box": "prompts",
    "Cancelled": "errors",
    "CardError": "errors",
    "Code": "volume",
    "ConfigError": "errors",
    "DeviceError": "errors",
    "EffsegError": "errors",
    "ExportError": "errors",
    "ExportWarning": "errors",
    "ImageReadError": "errors",
    "LabelMap": "volume",
    "Lasso": "prompts",
    "Mask": "prompts",
    "MissingExtra": "errors",
    "OutOfMemory": "errors",
    "Point": "prompts",
    "PromptError": "errors",
    "Scribble": "prompts",
    "ServerBusy": "errors",
    "ServerError": "errors",
    "ServerLost": "errors",
    "ServerRefused": "errors",
    "UnknownModel": "errors",
    "UntrustedServer": "errors",
    "VersionMismatch": "errors",
    "Volume": "volume",
    "VolumeError": "errors",
    "WeightsError": "errors",
    "WrongAddress": "errors",
    "WrongKey": "errors",
    "connect": "server",
    "load": "io",
    "load_labels": "io",
    "open_session": "sessions",
    "resume": "sessions",
    "save": "io",
    "segment": "engine",
}
_ROOMS = ("engine", "errors", "evaluation", "io", "metrics", "nets", "training", "volume", "zoo")

__all__ = [
    "AffineError",
    "Algorithm",
    "Box",
    "Cancelled",
    "CardError",
    "Code",
    "ConfigError",
    "DeviceError",
    "EffsegError",
    "ExportError",
    "ExportWarning",
    "ImageReadError",
    "LabelMap",
    "Lasso",
    "Mask",
    "MissingExtra",
    "OutOfMemory",
    "Point",
    "PromptError",
    "Scribble",
    "ServerBusy",
    "ServerError",
    "ServerLost",
    "ServerRefused",
    "UnknownModel",
    "UntrustedServer",
    "VersionMismatch",
    "Volume",
    "VolumeError",
    "WeightsError",
    "WrongAddress",
    "WrongKey",
    "__version__",
    "connect",
    "load",
    "load_labels",
    "nets",
    "open_session",
    "resume",
    "save",
    "segment",
]

if TYPE_CHECKING:
    from . import nets
    from .engine import segment
    from .errors import (
        AffineError,
        Cancelled,
        CardError,
        ConfigError,
        DeviceError,
        EffsegError,
        ExportError,
        ExportWarning,
        ImageReadError,
        MissingExtra,
        OutOfMemory,
        PromptError,
        ServerBusy,
        ServerError,
        ServerLost,
        ServerRefused,
        UnknownModel,
        UntrustedServer,
        VersionMismatch,
        VolumeError,
        WeightsError,
        WrongAddress,
        WrongKey,
    )
    from .io import load, load_labels, save
    from .prompts import Box, Lasso, Mask, Point, Scribble
    from .server import connect
    from .sessions import open_session, resume
    from .volume import Algorithm, Code, LabelMap, Volume


def __getattr__(name: str) -> Any:
    """Fetch a public name from its room on first use (PEP 562)."""
    if name in _HOME_OF:
        value = getattr(importlib.import_module(f".{_HOME_OF[name]}", __name__), name)
    elif name in _ROOMS:
        value = importlib.import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, fetched or not."""
    return sorted(__all__)
