"""What a run did, for people, logs and audits."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..volume import LabelMap
from .locate import Located
from .objects import ObjectSummary

__all__ = ["Report", "Result", "versions"]


@dataclass(frozen=True)
class Report:
    """How a label map came about; `to_json` gives it as plain values with these names as keys.

    Attributes
    ----------
    model : str
        Name of the card.
    weights_sha256 : str
        Checksum of the weights that were used.
    device : str
        Where the network ran in the end: "cpu", "cuda:0", "mps".
    precision : str
        "float32" or "float16", in the end.
    seconds : float
        Wall time from call to result.
    peak_memory_bytes : int
        On CUDA the most that torch held on the device during the run; else the most that the process has
        held since it began.
    windows : int
        Windows that the network saw.
    plan : str
        The plan in one line, as it was said before the run.
    versions : dict of str to str
        Of napari-effseg, Python, torch, numpy, and the platform.
    warnings : tuple of str
        Everything that the user should know before trusting the result, in sentences.
    located : Located or None
        Where the structure was found in a larger image, if it was looked for.
    objects : ObjectSummary or None
        How many objects the model numbered, if it does that.
    """

    model: str
    weights_sha256: str
    device: str
    precision: str
    seconds: float
    peak_memory_bytes: int
    windows: int
    plan: str
    versions: dict[str, str]
    warnings: tuple[str, ...]
    located: Located | None = None
    objects: ObjectSummary | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values that the json module takes."""
        return {
            "model": self.model,
            "weights_sha256": self.weights_sha256,
            "device": self.device,
            "precision": self.precision,
            "seconds": round(self.seconds, 3),
            "peak_memory_bytes": self.peak_memory_bytes,
            "windows": self.windows,
            "plan": self.plan,
            "versions": dict(self.versions),
            "warnings": list(self.warnings),
            "located": self.located.to_json() if self.located is not None else None,
            "objects": asdict(self.objects) if self.objects is not None else None,
        }


@dataclass(frozen=True)
class Result:
    """What `segment` gives back.

    Attributes
    ----------
    labels : LabelMap
        On exactly the grid of the input, with names, colours and codes of the card; of a model that numbers
        objects, with a number for each.
    doubt : (I, J, K), float32
        In [0, 1]; 0 where the network is sure, and outside the regions of interest.
    report : Report
        How it came about.
    """

    labels: LabelMap
    doubt: NDArray[np.float32]
    report: Report


def versions() -> dict[str, str]:
    """Versions that a result depends on."""
    return {
        "napari-effseg": metadata.version("napari-effseg"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
    }
