"""The key of a server that was given none: made once, kept where only its user reads it."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import ConfigError
from .keys import SHORTEST_KEY, new_key

__all__ = ["KEY_VARIABLE", "own_key"]

KEY_VARIABLE = "EFFSEG_SERVER_KEY"
"""Environment variable with the key: for programs that start a server for themselves."""
_FOLDER_VARIABLE = "EFFSEG_CONFIG"


def own_key() -> tuple[str, bool]:
    """Return the server's key, and whether it was made just now.

    Raises
    ------
    ConfigError
        If the key is too short, or its file cannot be read or written.
    """
    given = os.environ.get(KEY_VARIABLE)
    if given is not None:
        return _checked(given.strip(), f"the variable {KEY_VARIABLE}"), False
    path = _folder() / "server.key"
    try:
        if path.exists():
            _check_private(path)
            return _checked(path.read_text(encoding="ascii").strip(), str(path)), False
        return _made(path), True
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path}: the server's key cannot be kept there ({err})") from err


def _made(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    key = new_key()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(key + "\n")
    return key


def _check_private(path: Path) -> None:
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise ConfigError(
            f"{path}: others can read the server's key; delete it for a new one, or chmod 600 it"
        )


def _folder() -> Path:
    if _FOLDER_VARIABLE in os.environ:
        return Path(os.environ[_FOLDER_VARIABLE])
    from platformdirs import user_config_path

    return user_config_path("effseg", appauthor=False)


def _checked(key: str, where: str) -> str:
    if len(key) < SHORTEST_KEY or not key.isascii() or not key.isprintable():
        raise ConfigError(f"{where}: a key has at least {SHORTEST_KEY} printable ASCII characters")
    return key
