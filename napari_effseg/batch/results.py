"""What became of a case: small, picklable, and the same from every kind of worker."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

__all__ = ["CaseResult", "LabelVolume", "Status"]


class Status(str, enum.Enum):
    """How a case ended; the values are what files and tables say."""

    DONE = "done"
    BAD_INPUT = "bad input"
    NO_MEMORY = "no memory"
    LOST = "lost"
    """The process that worked on it ended."""
    FAULT = "fault"
    """A fault of ours."""
    CANCELLED = "cancelled"

    @property
    def may_pass(self) -> bool:
        """Whether the same case may well succeed the next time."""
        return self in (Status.NO_MEMORY, Status.LOST)


@dataclass(frozen=True)
class LabelVolume:
    """How large a structure is.

    Attributes
    ----------
    label : int
    name : str
    volume_ml : float
    """

    label: int
    name: str
    volume_ml: float


@dataclass(frozen=True)
class CaseResult:
    """What became of a case.

    Attributes
    ----------
    case : str
        Its name.
    status : Status
    words : str
        One sentence on what went wrong, "" of a case that is done.
    model : str
        Name of the card.
    seconds : float
        Wall time, reading and writing included.
    volumes : tuple of LabelVolume
        Empty for a model that numbers objects.
    objects : int or None
        How many objects such a model numbered.
    warnings : tuple of str
    outputs : tuple of str
        Files that were written, the label map first, relative to the output folder, with "/".
    worker : str
        Machine and process.
    attempt : int
        From 1.
    details : str
        The traceback of a fault of ours.
    """

    case: str
    status: Status
    words: str = ""
    model: str = ""
    seconds: float = 0.0
    volumes: tuple[LabelVolume, ...] = ()
    objects: int | None = None
    warnings: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    worker: str = ""
    attempt: int = 1
    details: str = ""

    @property
    def is_done(self) -> bool:
        """Whether the label map is there."""
        return self.status is Status.DONE

    def at_attempt(self, attempt: int) -> CaseResult:
        """Return the same result of another attempt."""
        return replace(self, attempt=attempt)

    def to_json(self) -> dict[str, Any]:
        """Plain values that the json module takes."""
        return {**asdict(self), "status": self.status.value}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> CaseResult:
        """Read what `to_json` gives.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is something else.
        """
        volumes = tuple(LabelVolume(**volume) for volume in document["volumes"])
        texts = {key: tuple(map(str, document[key])) for key in ("warnings", "outputs")}
        known = {key: document[key] for key in cls.__dataclass_fields__}
        return cls(**{**known, **texts, "volumes": volumes, "status": Status(document["status"])})
