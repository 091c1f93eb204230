"""Where networks run, as the user chose it: on this computer, or on a server. No Qt."""

from __future__ import annotations

import json
import os
import weakref
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from psygnal import Signal

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["EngineChoice", "EngineSetting", "Where", "remember", "remembered", "shared_setting"]

_FOLDER_VARIABLE = "EFFSEG_CONFIG"
_FILE = "napari-server.json"
_LOOPBACK = ("localhost", "::1")


class Where(Enum):
    """Where networks run."""

    HERE = "here"
    SERVER = "server"


@dataclass(frozen=True)
class EngineChoice:
    """Which engine.

    Attributes
    ----------
    where : Where
    url, key, certificate : str
        Of a server; the key is in no file and in no text that is shown.
    """

    where: Where = Where.HERE
    url: str = ""
    key: str = field(default="", repr=False)
    certificate: str = ""

    @property
    def is_here(self) -> bool:
        """Whether networks run on this computer."""
        return self.where is Where.HERE

    @property
    def missing(self) -> str:
        """What has to be given before a server can be used; "" if nothing."""
        if self.is_here:
            return ""
        if not self.url:
            return "Give the server's address, such as https://gpu.hospital:8765."
        return "" if self.key else "Give the key of the server. It is kept until napari is closed."

    @property
    def place(self) -> str:
        """Where that is, for people.

        Examples
        --------
        >>> EngineChoice().place
        'this computer'
        >>> EngineChoice(Where.SERVER, "https://gpu.hospital:8765").place
        'gpu.hospital:8765'
        """
        if self.is_here:
            return "this computer"
        with suppress(ValueError):
            return _parts(self.url).netloc.rpartition("@")[2] or "a server"
        return "a server"

    @property
    def warning(self) -> str:
        """What to know about the way of images to the server; "" if nothing."""
        with suppress(ValueError):
            parts = _parts(self.url)
            name = parts.hostname or ""
            is_near = name in _LOOPBACK or name.startswith("127.")
            if not self.is_here and parts.scheme != "https" and not is_near:
                return "Nothing is encrypted on the way there; an address with https:// is safe."
        return ""


class EngineSetting:
    """The choice that all docks of a viewer share.

    Attributes
    ----------
    wanted : EngineChoice
        As it was entered, perhaps not complete yet.
    now : EngineChoice
        What is used: `wanted`, as soon as nothing is missing.
    changed : Signal
        Emitted when either of them has changed.
    reached : Signal
        Emitted when the server that is used was found to answer.
    """

    changed = Signal()
    reached = Signal()

    def __init__(self) -> None:
        self.wanted, self.now = remembered(), EngineChoice()

    def choose(self, **fields: Any) -> None:
        """Replace fields of the choice; a server that can be used is remembered, without its key.

        The key of one machine is forgotten, rather than shown to another, or in the clear.
        """
        wanted = replace(self.wanted, **fields)
        if "key" not in fields and self.wanted.url and _machine(wanted.url) != _machine(self.wanted.url):
            wanted = replace(wanted, key="")
        if wanted == self.wanted:
            return
        self.wanted = wanted
        if not wanted.missing:
            self.now = EngineChoice() if wanted.is_here else wanted
        if not self.now.is_here:
            with suppress(OSError):  # it only has to be typed again
                remember(self.now)
        self.changed.emit()


def remembered() -> EngineChoice:
    """Return the server that was used last, not chosen; images go there only if that is asked for anew."""
    try:
        about = json.loads((_folder() / _FILE).read_text(encoding="utf-8"))
        return EngineChoice(url=str(about["url"]), certificate=str(about["certificate"]))
    except (OSError, ValueError, KeyError, TypeError):
        return EngineChoice()


def remember(choice: EngineChoice) -> None:
    """Write down address and certificate of a server.

    Raises
    ------
    OSError
        If that cannot be written.
    """
    from ..io.atomic import Replacement, place_files, staging_path

    path = _folder() / _FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with staging_path(path) as staged:
        about = {"url": choice.url, "certificate": choice.certificate}
        staged.write_text(json.dumps(about), encoding="utf-8")
        place_files([Replacement(path, staged)])


_SHARED: weakref.WeakKeyDictionary[object, EngineSetting] = weakref.WeakKeyDictionary()
"""The choice of each viewer; napari has no place where its widgets could leave what they share."""


def shared_setting(viewer: ViewerModel) -> EngineSetting:
    """Return the choice that the docks of a viewer share."""
    return _SHARED.setdefault(getattr(viewer, "__wrapped__", viewer), EngineSetting())


def _machine(url: str) -> tuple[str, str | None]:
    with suppress(ValueError):
        parts = _parts(url)
        return parts.scheme, parts.hostname
    return "", None


def _parts(url: str) -> Any:
    text = url.strip()
    return urlsplit(text if "://" in text else f"http://{text}")


def _folder() -> Path:
    """Return ``EFFSEG_CONFIG``, else a folder of the user's settings."""
    named = os.environ.get(_FOLDER_VARIABLE, "").strip()
    if named:
        return Path(named).expanduser()
    import platformdirs

    return platformdirs.user_config_path("effseg", appauthor=False)
