"""What a server's engine gave, as this computer's engine would have given it. No Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..engine import Report, Result
from ..protocols import Segmented

__all__ = ["ServerReport", "result_of"]


@dataclass(frozen=True)
class ServerReport(Report):
    """A report as a server gave it.

    Attributes
    ----------
    told : mapping
        All of it, as plain values.
    """

    told: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return what the server told, unchanged."""
        return dict(self.told)


def result_of(found: Segmented, place: str) -> Result:
    """Return the result of a server that is at a place; where it gives no doubt, that is 0."""
    told = found.report
    report = ServerReport(
        model=str(told.get("model", "")),
        weights_sha256=str(told.get("weights_sha256", "")),
        device=f"{told.get('device', 'a device')} of {place}",
        precision=str(told.get("precision", "")),
        seconds=float(told.get("seconds", 0.0)),
        peak_memory_bytes=int(told.get("peak_memory_bytes", 0)),
        windows=int(told.get("windows", 0)),
        plan=str(told.get("plan", "")),
        versions=dict(told.get("versions", {})),
        warnings=tuple(told.get("warnings", ())),
        told=told,
    )
    doubt = np.zeros(found.labels.data.shape, np.float32) if found.doubt is None else found.doubt
    return Result(found.labels, doubt, report)
