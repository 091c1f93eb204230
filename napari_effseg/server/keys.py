"""Who may use a server: keys, compared in constant time, and how often one may try and ask."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

from ..errors import ConfigError
from ..types import PathLike

__all__ = ["Bucket", "Keyring", "Throttle", "new_key", "read_keys"]

SHORTEST_KEY = 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HASHED = "sha256:"


def new_key() -> str:
    """Make a key that nobody guesses: 256 random bits."""
    return secrets.token_urlsafe(32)


def read_keys(path: PathLike) -> dict[str, str]:
    """Read a keys file: a line for each user, ``name key`` or ``name sha256:hex``; ``#`` begins a remark.

    Raises
    ------
    ConfigError
        If it cannot be read, or a line is none of these; no key is repeated in the message.
    """
    source = Path(path)
    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"{source}: the keys file cannot be read ({err})") from err
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        parts = line.partition("#")[0].split()
        if not parts:
            continue
        if len(parts) != 2 or not _NAME.fullmatch(parts[0]):
            raise ConfigError(f"{source}, line {number}: expected a name and a key, such as: anna {'x' * 16}")
        name, key = parts
        if name in found:
            raise ConfigError(f"{source}, line {number}: {name} has a key already")
        _check_key(key, f"{source}, line {number}")
        found[name] = key
    if not found:
        raise ConfigError(f"{source}: holds no key; expected lines of a name and a key")
    return found


class Keyring:
    """The keys of all users, as hashes.

    Parameters
    ----------
    keys : mapping of user name to key
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._hashes = {name: _hash_of(key) for name, key in keys.items()}

    def user_of(self, key: str) -> str | None:
        """Return who has a key; the time that it takes says nothing about any key."""
        given = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        found = None
        for name, digest in self._hashes.items():
            if hmac.compare_digest(given, digest):
                found = name
        return found


class Bucket:
    """So many requests at once, and so many a second in the long run.

    Parameters
    ----------
    rate : float
        A second.
    burst : float
    clock : callable
        Seconds, rising.
    """

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._left, self._seen = burst, clock()

    def take(self) -> float:
        """Take one; return 0, or the seconds after which there will be one."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._seen) * self._rate)
        self._seen = now
        if self._left < 1:
            return (1 - self._left) / self._rate
        self._left -= 1
        return 0.0

    def peek(self) -> float:
        """Return what `take` would, and take nothing."""
        left = min(self._burst, self._left + (self._clock() - self._seen) * self._rate)
        return 0.0 if left >= 1 else (1 - left) / self._rate


class Throttle:
    """A bucket for each of many names; those that were not seen for longest are forgotten.

    Parameters
    ----------
    rate, burst : float
        As `Bucket`.
    most : int
        Names.
    """

    def __init__(self, rate: float, burst: float, most: int = 4096) -> None:
        self._rate, self._burst, self._most = rate, burst, most
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def of(self, name: str) -> Bucket:
        """Return the bucket of a name."""
        bucket = self._buckets.pop(name, None) or Bucket(self._rate, self._burst)
        self._buckets[name] = bucket
        while len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return bucket


def _check_key(key: str, where: str) -> None:
    if key.startswith(_HASHED):
        if not re.fullmatch(r"[0-9a-f]{64}", key[len(_HASHED) :]):
            raise ConfigError(f"{where}: sha256: is followed by 64 hexadecimal digits in small letters")
    elif len(key) < SHORTEST_KEY or not key.isascii() or not key.isprintable():
        raise ConfigError(f"{where}: a key has at least {SHORTEST_KEY} printable ASCII characters")


def _hash_of(key: str) -> bytes:
    if key.startswith(_HASHED):
        return bytes.fromhex(key[len(_HASHED) :])
    return hashlib.sha256(key.encode()).digest()
