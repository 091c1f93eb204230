"""Where the engine runs, as the user chose, and the way to it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .EngineProcess import Address, EngineProcess
from .Environment import engine_environment, is_slicers, slicer_homes, startup_environment
from .Parameter import PRIVATE, PYTHON, SERVER
from .rooms import CancelCheck, EffsegError, Segmenter, ServerError, connect

__all__ = ["EngineChoice", "Engines", "Process"]


@dataclass(frozen=True)
class EngineChoice:
    """Which engine.

    Attributes
    ----------
    kind : "private", "python" or "server"
    python : str
        The user's own, for "python".
    url, key, certificate : str
        For "server".
    """

    kind: str = PRIVATE
    python: str = ""
    url: str = ""
    key: str = ""
    certificate: str = ""

    def __repr__(self) -> str:
        """Leave the key out."""
        return f"EngineChoice({self.kind!r}, {self.python or self.url!r})"


class Process(Protocol):
    """An engine on this machine; `EngineProcess`, or that of a test."""

    @property
    def is_running(self) -> bool:
        """Whether it runs."""
        ...

    def start(self, say: Callable[[str], None] | None = None, cancel: CancelCheck | None = None) -> Address:
        """Start it."""
        ...

    def stop(self) -> None:
        """End it."""
        ...


def _process(python: Path, is_private: bool) -> Process:
    environment = engine_environment(startup_environment(), slicer_homes(), is_private)
    return EngineProcess(python, environment)


def _connected(address: Address) -> Segmenter:
    return connect(address.url, address.key, certificate=address.certificate or None)


class Engines:
    """Opens the engine that is chosen, keeps it open, and closes it with Slicer.

    Parameters
    ----------
    private : callable
        Returns the Python of the private environment; None while there is none.
    process, reach : callable
        What starts an engine here, and what connects to an address; others in tests.
    """

    def __init__(
        self,
        private: Callable[[], Path | None],
        process: Callable[[Path, bool], Process] = _process,
        reach: Callable[[Address], Segmenter] = _connected,
    ) -> None:
        self._private, self._new_process, self._reach = private, process, reach
        self._choice: EngineChoice | None = None
        self._process: Process | None = None
        self._segmenter: Segmenter | None = None

    def missing(self, choice: EngineChoice) -> str:
        """Say what has to be done before an engine can be used; empty if nothing."""
        if choice.kind == PRIVATE:
            return "" if self._private() else "Install the engine first: Engine, Install."
        if choice.kind == PYTHON:
            return _why_not_python(choice.python)
        if not choice.url:
            return "Give the server's address, such as https://gpu.hospital:8765."
        return "" if choice.key else "Give the key of the server. It is kept until Slicer is closed."

    def open(
        self,
        choice: EngineChoice,
        say: Callable[[str], None] | None = None,
        cancel: CancelCheck | None = None,
    ) -> Segmenter:
        """Return the engine, started if need be; may take a while: not in the window's thread.

        Raises
        ------
        ServerError
            If something is missing, or the engine cannot be started or reached; the message says which.
        """
        if self._segmenter is not None and self._choice == choice and self._is_alive():
            return self._segmenter
        self.close()
        missing = self.missing(choice)
        if missing:
            raise ServerError(missing)
        self._segmenter = self._reach(self._address(choice, say, cancel))
        self._choice = choice
        return self._segmenter

    def close(self) -> None:
        """Close the connection, and end an engine that was started here."""
        segmenter, self._segmenter = self._segmenter, None
        process, self._process = self._process, None
        if segmenter is not None:
            with contextlib.suppress(EffsegError):  # it may be gone already
                segmenter.close()
        if process is not None:
            process.stop()

    def _is_alive(self) -> bool:
        return self._process is None or self._process.is_running

    def _address(
        self, choice: EngineChoice, say: Callable[[str], None] | None, cancel: CancelCheck | None
    ) -> Address:
        if choice.kind == SERVER:
            return Address(choice.url, choice.key, choice.certificate)
        python = self._private() if choice.kind == PRIVATE else Path(choice.python)
        assert python is not None  # `missing` has looked
        self._process = self._new_process(python, choice.kind == PRIVATE)
        return self._process.start(say, cancel)


def _why_not_python(python: str) -> str:
    if not python:
        return "Choose the Python that napari-effseg is installed in."
    if not Path(python).is_file():
        return f"There is no file {python}."
    if is_slicers(Path(python)):
        return (
            "That is Slicer's own Python, which is left as it is. Choose another one, or install the engine."
        )
    return ""
