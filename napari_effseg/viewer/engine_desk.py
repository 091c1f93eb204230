"""What a dock's rows about the engine show and do: choose where networks run, and try it out. No Qt."""

from __future__ import annotations

from typing import Any

from psygnal import Signal

from .engine_choice import EngineChoice, EngineSetting
from .engines import Engines, try_out
from .inference import Handlers, Inference
from .words import trouble

__all__ = ["EngineDesk"]


class EngineDesk:
    """Chooses the engine for all docks of a viewer.

    Parameters
    ----------
    setting : EngineSetting
        What they share.
    inference : Inference
    engines : Engines
        The dock's connection.

    Attributes
    ----------
    changed : Signal
        Emitted when there is something else to show.
    is_trying : bool
        Whether a server is just being tried.
    said, is_problem : str, bool
        How that went.
    """

    changed = Signal()

    def __init__(self, setting: EngineSetting, inference: Inference, engines: Engines) -> None:
        self.setting = setting
        self.is_trying, self.said, self.is_problem = False, "", False
        self._inference, self._engines = inference, engines
        self._lane = f"try engine {id(self)}"
        setting.changed.connect(self._setting_changed)

    @property
    def wanted(self) -> EngineChoice:
        """What was entered."""
        return self.setting.wanted

    @property
    def now(self) -> EngineChoice:
        """What is used."""
        return self.setting.now

    @property
    def why_not_try(self) -> str:
        """Why the connection cannot be tried, "" if it can."""
        return "Wait for the answer." if self.is_trying else self.wanted.missing

    @property
    def note(self) -> str:
        """What the user should know now."""
        if self.is_trying:
            return f"Connecting to {self.wanted.place} …"
        if self.wanted.missing:
            return f"{self.wanted.missing} Until then, networks run on {self.now.place}."
        if self.is_problem or self.now.is_here:
            return self.said
        sent = f"Images that are segmented are sent to {self.now.place}."
        return " ".join(filter(None, (self.said, sent, self.now.warning)))

    def choose(self, **fields: Any) -> None:
        """Replace fields of the choice."""
        self.setting.choose(**fields)

    def try_out(self) -> None:
        """Connect, and say what is in the way; docks that wait for the server go on if nothing is."""
        if self.why_not_try:
            return
        choice, reach = self.wanted, self._engines.reach
        self._say(is_trying=True)
        handlers = Handlers[str](done=self._reached, failed=self._failed)
        self._inference.submit(self._lane, lambda *_: try_out(reach, choice), handlers)

    def close(self) -> None:
        """Listen no longer; more than once does no harm."""
        self.setting.changed.disconnect(self._setting_changed, missing_ok=True)
        self._inference.forget(self._lane)

    def _setting_changed(self) -> None:
        """Forget what was said of another server."""
        self._inference.forget(self._lane)
        self._say()

    def _reached(self, words: str) -> None:
        self._say(words)
        self.setting.reached.emit()

    def _failed(self, error: Exception) -> None:
        self._say(trouble(error)[0], is_problem=True)

    def _say(self, words: str = "", *, is_problem: bool = False, is_trying: bool = False) -> None:
        self.said, self.is_problem, self.is_trying = words, is_problem, is_trying
        self.changed.emit()
