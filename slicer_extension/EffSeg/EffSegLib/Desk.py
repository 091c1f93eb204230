"""What the sections of the window share: the scene, the worker, the engines, what was chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .Engines import EngineChoice, Engines
from .Environment import engine_environment, slicer_homes, startup_environment
from .InstallLogic import InstallLogic
from .Parameter import Parameters, read_parameters, write_parameters
from .rooms import ModelInfo, Segmenter
from .Work import Job, Worker

__all__ = ["Desk", "private_install"]


class Desk:
    """One for each window.

    Parameters
    ----------
    scene : vtkMRMLScene
    parameter_node : callable
        Returns the node in which choices are kept.
    install : InstallLogic
    engines : Engines, optional
        Others in tests.
    """

    def __init__(
        self,
        scene: Any,
        parameter_node: Callable[[], Any],
        install: InstallLogic,
        engines: Engines | None = None,
    ) -> None:
        self.scene, self._parameter_node, self.install = scene, parameter_node, install
        self.engines = Engines(install.python) if engines is None else engines
        self.worker = Worker()
        self.key = ""
        self.models: tuple[ModelInfo, ...] = ()
        self._models_of: EngineChoice | None = None
        self._listeners: list[Callable[[], None]] = []
        self.parameters = Parameters()
        self.read()

    # --- what was chosen ---

    def read(self) -> None:
        """Take what the scene holds."""
        self.parameters = read_parameters(self._parameter_node())

    def change(self, **changes: Any) -> None:
        """Change choices, keep them in the scene, and tell the sections."""
        if "volume" in changes or "model" in changes:
            changes.setdefault("channels", ())  # those were of another one
        changed = replace(self.parameters, **changes)
        if changed != self.parameters:
            self.parameters = changed
            write_parameters(self._parameter_node(), changed)
            self.tell()

    def listen(self, listener: Callable[[], None]) -> None:
        """Have a section told whenever something changed."""
        self._listeners.append(listener)

    def tell(self) -> None:
        """Tell all sections that something changed."""
        for listener in self._listeners:
            listener()

    def node(self, node_id: str) -> Any:
        """Return a node of the scene; None if it is not there."""
        return self.scene.GetNodeByID(node_id) if node_id else None

    @property
    def volume(self) -> Any:
        """The volume that was chosen; None without one."""
        return self.node(self.parameters.volume)

    # --- the engine ---

    @property
    def engine(self) -> EngineChoice:
        """The engine that was chosen."""
        chosen = self.parameters
        return EngineChoice(chosen.engine, chosen.python, chosen.url, self.key, chosen.certificate)

    @property
    def missing(self) -> str:
        """What has to be done before the engine can be used; empty if nothing."""
        return self.engines.missing(self.engine)

    @property
    def knows_models(self) -> bool:
        """Whether the models are those of the engine that is chosen."""
        return self._models_of == self.engine

    def segmenter(self) -> Callable[[], Segmenter]:
        """Return what opens the engine that is chosen now; for the other thread."""
        choice = self.engine
        return lambda: self.engines.open(choice)

    def ask_models(
        self,
        done: Callable[[], None],
        failed: Callable[[Exception], None],
        progress: Callable[[float, str], None] | None = None,
    ) -> Job:
        """Start the engine, or connect to it, and ask which models it has."""
        choice = self.engine

        def work(job: Job) -> tuple[ModelInfo, ...]:
            return self.engines.open(choice, lambda text: job.say(0.5, text), job.is_cancelled).models()

        def take(models: tuple[ModelInfo, ...]) -> None:
            self.models, self._models_of = models, choice
            done()
            self.tell()

        return self.worker.do(Job(work, take, failed, progress))

    def close(self) -> None:
        """Stop everything; the engine too."""
        self._listeners.clear()
        self.worker.close()
        self.engines.close()


def private_install(folder: Any) -> InstallLogic:
    """Return the private environment in a folder."""
    homes = slicer_homes()
    return InstallLogic(folder, engine_environment(startup_environment(), homes), homes)
