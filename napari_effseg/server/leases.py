"""What clients hold on a server, and for how long: a client that is gone leaves nothing behind."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from .faults import Refusal
from .held import HeldVolume
from .settings import Settings
from .work import Task

if TYPE_CHECKING:
    from .hosting import HostedSession

__all__ = ["Lease", "Leases"]

_Held = TypeVar("_Held")


@dataclass(eq=False)
class Lease:
    """All that one client holds; it lasts as long as the client gives signs of life.

    Attributes
    ----------
    id : str
    user : str
    ends : float
        When it expires, in seconds of the server's clock.
    is_open : bool
    """

    id: str
    user: str
    ends: float
    is_open: bool = True
    volumes: dict[str, HeldVolume] = field(default_factory=dict)
    jobs: dict[str, Task] = field(default_factory=dict)
    sessions: dict[str, HostedSession] = field(default_factory=dict)
    opening: dict[str, Task] = field(default_factory=dict)

    def volume(self, name: object) -> HeldVolume:
        """Return an image.

        Raises
        ------
        Refusal
            If there is none of that name.
        """
        return _found(self.volumes, name, "NoVolume", "image; send it again")

    def job(self, name: str) -> Task:
        """Return a job, or refuse."""
        return _found(self.jobs, name, "NoJob", "job")

    def session(self, name: str) -> HostedSession:
        """Return a session, or refuse."""
        return _found(self.sessions, name, "NoSession", "session; open it again")

    def images(self) -> set[HeldVolume]:
        """Return all images that something of this lease keeps in memory."""
        tasks = (*self.jobs.values(), *self.opening.values())
        kept = [task.holds for task in tasks if isinstance(task.holds, HeldVolume)]
        kept += [session.held for session in self.sessions.values()]
        return {*self.volumes.values(), *kept}

    def close(self) -> None:
        """Free everything."""
        self.is_open = False
        for task in (*self.jobs.values(), *self.opening.values()):
            task.cancel()
        for session in self.sessions.values():
            session.close()
        for held in (self.volumes, self.jobs, self.sessions, self.opening):
            held.clear()


class Leases:
    """The leases of all users; each sees only their own.

    Parameters
    ----------
    settings : Settings
    clock : callable
        Seconds, rising.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._leases: dict[str, Lease] = {}
        self._arriving: dict[str, int] = {}

    def open(self, user: str) -> Lease:
        """Begin a lease.

        Raises
        ------
        Refusal
            If the user has too many.
        """
        self.sweep()
        if sum(lease.user == user for lease in self._leases.values()) >= self._settings.most_leases:
            raise Refusal(429, "ServerBusy", f"{self._settings.most_leases} clients of yours are connected")
        lease = Lease(secrets.token_hex(16), user, self._clock() + self._settings.lease_seconds)
        self._leases[lease.id] = lease
        return lease

    def get(self, user: str, name: str) -> Lease:
        """Return a user's lease, which lasts on; that of another user is as one that does not exist.

        Raises
        ------
        Refusal
            If there is none.
        """
        self.sweep()
        lease = self._leases.get(name)
        if lease is None or lease.user != user:
            raise Refusal(404, "NoLease", "the server does not know this client, or has given it up")
        lease.ends = self._clock() + self._settings.lease_seconds
        return lease

    def close(self, lease: Lease) -> None:
        """End a lease and free what it holds."""
        self._leases.pop(lease.id, None)
        lease.close()

    def sweep(self) -> None:
        """End the leases of clients that gave no sign of life."""
        now = self._clock()
        for lease in [lease for lease in self._leases.values() if lease.ends < now]:
            self.close(lease)

    def close_all(self) -> None:
        """End all leases."""
        for lease in list(self._leases.values()):
            self.close(lease)

    def make_room(self, user: str, size: int) -> None:
        """Refuse an image for which a user has no room left.

        Raises
        ------
        Refusal
            If all images of the user would take more than allowed.
        """
        held = sum(held.nbytes for lease in self._of(user) for held in lease.images())
        if held + self._arriving.get(user, 0) + size > self._settings.user_bytes:
            raise Refusal(
                413,
                "TooLarge",
                f"your images would take more than {self._settings.user_bytes} bytes together",
            )

    def arriving(self, user: str, size: int) -> None:
        """Count bytes that are on their way, or (below 0) have arrived."""
        self._arriving[user] = self._arriving.get(user, 0) + size

    def sessions(self) -> Iterator[HostedSession]:
        """All sessions that are open."""
        return (session for lease in self._leases.values() for session in lease.sessions.values())

    def counts(self) -> dict[str, int]:
        """How much there is of everything, for tests and the log."""
        leases = self._leases.values()
        return {
            "leases": len(leases),
            "volumes": sum(len(lease.volumes) for lease in leases),
            "jobs": sum(len(lease.jobs) for lease in leases),
            "sessions": sum(len(lease.sessions) for lease in leases),
        }

    def _of(self, user: str) -> Iterator[Lease]:
        return (lease for lease in self._leases.values() if lease.user == user)


def _found(held: Mapping[str, _Held], name: object, kind: str, what: str) -> _Held:
    if not isinstance(name, str) or name not in held:
        raise Refusal(404, kind, f"the server holds no such {what}")
    return held[name]
