"""What a server is told when it starts: limits, keys, times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .wire import Limits

__all__ = ["Settings"]

_GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a server behaves.

    Attributes
    ----------
    keys : mapping of user name to key
    device : str
        "auto", "cpu", "cuda[:n]" or "mps".
    lease_seconds : float
        So long a client is waited for before all that it holds is freed.
    volume_bytes, user_bytes : int
        Voxels of one image; of all images of a user.
    action_bytes : int
        Arrays of one action, or of a session that is restored.
    most_leases, most_volumes, most_jobs, most_sessions : int
        Of one user at once.
    requests_per_second, request_burst : float
        Of one user.
    failures_per_minute, failure_burst : float
        Wrong keys from one address.
    header_seconds, body_seconds : float
        So long the head of a request may take; so long a body may stay silent.
    audit_file : Path or None
        Where a line is written for every request; None: only the log of Python.
    """

    keys: Mapping[str, str]
    device: str = "auto"
    lease_seconds: float = 60.0
    volume_bytes: int = 4 * _GIB
    user_bytes: int = 8 * _GIB
    action_bytes: int = _GIB
    most_leases: int = 16
    most_volumes: int = 16
    most_jobs: int = 8
    most_sessions: int = 64
    requests_per_second: float = 100.0
    request_burst: float = 400.0
    failures_per_minute: float = 10.0
    failure_burst: float = 10.0
    header_seconds: float = 20.0
    body_seconds: float = 60.0
    audit_file: Path | None = None
    _side: int = field(default=2**17, repr=False)

    @property
    def volume_limits(self) -> Limits:
        """What an image may hold."""
        return Limits(header=2**18, arrays=1, bytes=self.volume_bytes, side=self._side)

    @property
    def action_limits(self) -> Limits:
        """What an action, or a session to be restored, may hold."""
        return Limits(header=2**18, arrays=4, bytes=self.action_bytes, side=self.action_bytes)
