"""Images that MONAI Label's clients have sent, by name; for a while, for their user alone."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from .faults import Refusal
from .held import HeldVolume
from .settings import Settings

__all__ = ["Shelf", "Shelves"]

_SECONDS = 3600.0
_MOST = 64


@dataclass(eq=False)
class _Kept:
    held: HeldVolume
    ends: float
    since: float


class Shelf:
    """The images of one user, sessions among them.

    Parameters
    ----------
    most_bytes : int
    clock : callable
        Seconds, rising.
    """

    def __init__(self, most_bytes: int, clock: Callable[[], float]) -> None:
        self._most, self._clock = most_bytes, clock
        self.images: dict[str, _Kept] = {}

    def put(self, name: str | None, held: HeldVolume) -> str:
        """Keep an image, in place of one of that name; return its name.

        Raises
        ------
        Refusal
            If there is no room for it.
        """
        self.sweep()
        key = secrets.token_hex(16) if name is None else name
        others = [kept.held.nbytes for other, kept in self.images.items() if other != key]
        if sum(others) + held.nbytes > self._most or len(others) >= _MOST:
            raise Refusal(413, "TooLarge", "your images take all the room that you have; remove a session")
        now = self._clock()
        self.images[key] = _Kept(held, now + _SECONDS, now)
        return key

    def get(self, name: str) -> HeldVolume:
        """Return an image, which is then kept for longer.

        Raises
        ------
        Refusal
            If there is none of that name.
        """
        self.sweep()
        kept = self.images.get(name)
        if kept is None:
            raise Refusal(404, "NoVolume", "there is no such image or session; send the image again")
        kept.ends = self._clock() + _SECONDS
        return kept.held

    def sweep(self) -> None:
        """Forget what was not used for an hour."""
        now = self._clock()
        self.images = {name: kept for name, kept in self.images.items() if kept.ends >= now}


class Shelves:
    """A shelf for each user.

    Parameters
    ----------
    settings : Settings
    clock : callable
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._shelves: dict[str, Shelf] = {}

    def of(self, user: str) -> Shelf:
        """Return a user's shelf."""
        return self._shelves.setdefault(user, Shelf(self._settings.user_bytes, self._clock))

    def sweep(self) -> None:
        """Forget what was not used for long, of all users."""
        for shelf in self._shelves.values():
            shelf.sweep()

    def clear(self) -> None:
        """Forget everything."""
        self._shelves.clear()
