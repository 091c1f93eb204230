"""Saves the open click session, by itself and by hand, and says when that was; no Qt."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from .click_opening import Opened, put_away
from .click_saving import Cadence
from .click_state import ClickStore
from .inference import Handlers, Inference
from .words import trouble

__all__ = ["Saver"]


class Saver:
    """Saves the session of the panel *Click segmentation* in the inference thread.

    Parameters
    ----------
    inference : Inference
    store : ClickStore
    """

    def __init__(self, inference: Inference, store: ClickStore) -> None:
        self._inference, self._store = inference, store
        self._opened: Opened | None = None
        self._cadence = Cadence()

    def begin(self, opened: Opened) -> None:
        """Save this session from now on."""
        self._opened, self._cadence = opened, Cadence()

    def end(self, then: Callable[[], None] | None = None) -> None:
        """Put the session away, what was not saved is saved; then call `then`."""
        opened, is_dirty = self._opened, self._cadence.is_dirty
        self._opened, self._cadence = None, Cadence()
        if opened is not None and not self._inference.is_closed:
            work = partial(put_away, opened, is_dirty, then)
            self._inference.submit(f"click leave {id(opened)}", work, Handlers[None](failed=self._cannot))
        elif then is not None:
            then()

    def proposal(self) -> Path | None:
        """File that is proposed to who saves by hand."""
        return self._opened.keeper.keeping.by_hand if self._opened is not None else None

    def keep_for_later(self) -> Path | None:
        """Have all of it saved when the session ends; returns the file that it will be in."""
        if self._opened is None:
            return None
        self._cadence.did()
        return self._opened.keeper.keeping.autosaved

    def did(self, much: bool) -> None:
        """Note that something was done; every few times the session is saved by itself."""
        self._cadence.did(much)
        if self._store.now.offer is not None:
            self._store.set(offer=None)

    def rest(self, is_due: bool = False) -> None:
        """Save if anything was done since the last time; `is_due`: only if it is time to."""
        opened = self._opened
        if opened is None or not (self._cadence.is_due if is_due else self._cadence.is_dirty):
            return
        self._cadence.saved()
        keeper, session = opened.keeper, opened.bench.session
        self._submit("click autosave", lambda: keeper.autosave(session), keeper.keeping.autosaved)

    def save(self, path: Path) -> None:
        """Save by hand."""
        opened = self._opened
        if opened is not None:
            self._submit("click save", lambda: opened.keeper.save(opened.bench.session, path), path)

    def _submit(self, lane: str, save: Callable[[], datetime], path: Path) -> None:
        def done(when: datetime) -> None:
            how = "by itself" if lane == "click autosave" else f"in {path.name}"
            self._store.set(saved=f"Saved {how} at {when:%H:%M}", saved_in=str(path))

        self._inference.submit(lane, lambda *_: save(), Handlers[datetime](done=done, failed=self._cannot))

    def _cannot(self, error: Exception) -> None:
        self._cadence.did()
        words, details = trouble(error)
        self._store.set(
            notice=f"It could not be saved. {words} Choose another place with Save.", details=details
        )
