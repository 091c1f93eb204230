"""Connections to the server that is chosen; made, used and closed in the inference thread alone. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import EffsegError, ServerBusy, ServerError, ServerLost, WrongKey
from .engine_choice import EngineChoice
from .inference import Handlers, Inference
from .words import sentence, trouble

if TYPE_CHECKING:
    from ..protocols import Session
    from ..server import Client

__all__ = ["Engines", "Reach", "part", "trouble_in_run", "try_out", "without_server"]

Reach = Callable[[EngineChoice], "Client"]
"""Connects to the server of a choice."""
_LOST = "The connection broke and did not come back; nothing was changed. Run again when the server is back."
_WAYS_OUT = (
    (WrongKey, "Enter another one, or choose this computer, under “Networks run on”."),
    (ServerBusy, "Try again later, or choose this computer under “Networks run on”."),
    (ServerError, "To go on without it, choose this computer under “Networks run on”."),
)


def _reach(choice: EngineChoice) -> Client:
    from ..server import connect

    return connect(choice.url, choice.key, certificate=choice.certificate or None)


class Engines:
    """Keeps a dock's connection to a server open.

    Parameters
    ----------
    reach : callable
        Connects; others in tests.
    """

    def __init__(self, reach: Reach = _reach) -> None:
        self.reach = reach
        self._choice: EngineChoice | None = None
        self._client: Client | None = None
        self._session: Session | None = None
        self._was_asked = False

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, or may be one soon."""
        return self._was_asked

    def server(self, choice: EngineChoice) -> Client:
        """Return the server of a choice, connected to if need be; takes its time.

        Raises
        ------
        ServerError
            What is in the way.
        """
        if self._client is None or self._choice != choice:
            self.close()
            self._was_asked = True
            if choice.missing:
                raise ServerError(choice.missing)
            self._client = self.reach(choice)
            self._choice = choice
        return self._client

    def alone(self, open_session: Callable[[], Session]) -> Session:
        """Open a session; one that is still open, whose answer nobody waited for, is closed."""
        if self._session is not None:
            self._session.close()
        self._session = None
        self._session = open_session()
        return self._session

    def close(self) -> None:
        """Close the connection; the server frees what it held for it."""
        client, self._client, self._was_asked = self._client, None, False
        self._session = None
        if client is not None:
            with suppress(EffsegError):  # it may be gone already
                client.close()


def part(inference: Inference, engines: Engines, then: Callable[[], None] = lambda: None) -> None:
    """Close the connection in the inference thread, after all that it was asked to do; then call `then`."""
    if inference.is_closed or not engines.is_open:
        then()
        return

    def work(*_: object) -> None:
        try:
            engines.close()
        finally:
            then()

    inference.submit(f"part {id(engines)}", work, Handlers[None]())


def try_out(reach: Reach, choice: EngineChoice) -> str:
    """Connect to a server, and say what it has.

    Raises
    ------
    ServerError
        What is in the way.
    """
    if choice.missing:
        raise ServerError(choice.missing)
    with reach(choice) as client:
        count = len(client.models())
        return f"{choice.place} answers: {count} model{'s' * (count != 1)}, on {client.device}."


def without_server(words: str, error: Exception) -> str:
    """Add to the words of an error what to do where a server is to blame."""
    way_out = next((text for kind, text in _WAYS_OUT if isinstance(error, kind)), "")
    return f"{sentence(words)} {way_out}".strip()


def trouble_in_run(error: Exception) -> tuple[str, str]:
    """Say what went wrong in a run, and what to do; and what a report of a fault should hold."""
    if isinstance(error, ServerLost):
        return without_server(_LOST, error), ""
    words, details = trouble(error)
    return without_server(words, error), details
