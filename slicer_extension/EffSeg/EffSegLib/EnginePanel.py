"""The section *Engine*: where it runs, installing it, and whether it can be reached."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .Desk import Desk
from .Environment import engine_environment, slicer_homes, startup_environment
from .InstallLogic import InstallPlan, PythonFound, Wanted, find_pythons
from .Parameter import PRIVATE, PYTHON, SERVER
from .Rows import enable, fill, show_progress
from .SegmentationLogic import words_of
from .Work import Job

__all__ = ["PLACES", "EnginePanel"]

PLACES = (
    ("On this computer, in an environment of its own", PRIVATE, ""),
    ("On this computer, in a Python of mine", PYTHON, ""),
    ("On a server", SERVER, ""),
)
_NO_PYTHON = ("No Python 3.10 to 3.13 was found; install one from python.org", "", "")


class EnginePanel:
    """Wires the section.

    Parameters
    ----------
    ui : object
        Widgets by name.
    desk : Desk
    confirm : callable
        Asks the user a question, and returns whether the answer was yes.
    """

    def __init__(self, ui: Any, desk: Desk, confirm: Callable[[str], bool]) -> None:
        self._ui, self._desk, self._confirm = ui, desk, confirm
        self._job: Job | None = None
        fill(ui.engineBox, PLACES, desk.parameters.engine)
        self._connect()
        desk.listen(self.show)
        self.show()

    def _connect(self) -> None:
        ui = self._ui
        ui.keyEdit.connect("textChanged(QString)", self._take_key)
        ui.testButton.connect("clicked(bool)", lambda _: self.test())
        ui.installButton.connect("clicked(bool)", lambda _: self.plan())
        ui.removeButton.connect("clicked(bool)", lambda _: self.remove())
        ui.engineCancelButton.connect("clicked(bool)", lambda _: self.cancel())

    def _take_key(self, text: str) -> None:
        self._desk.key = text.strip()
        self._desk.tell()

    # --- showing ---

    def show(self) -> None:
        """Show what is chosen, and what can be done."""
        ui, chosen, busy = self._ui, self._desk.parameters, self._job is not None
        ui.privateGroup.setVisible(chosen.engine == PRIVATE)
        ui.pythonGroup.setVisible(chosen.engine == PYTHON)
        ui.serverGroup.setVisible(chosen.engine == SERVER)
        wait = "Wait until it is done." if busy else ""
        version = self._desk.install.version()
        ui.installButton.setText(f"Install again … ({version} is installed)" if version else "Install …")
        enable(ui.installButton, wait)
        enable(ui.removeButton, wait or ("" if version else "Nothing is installed."))
        enable(ui.testButton, wait or self._desk.missing, "Start the engine, or connect to it")
        enable(ui.engineCancelButton, "" if busy else "Nothing is going on.")

    def look_for_pythons(self, then: Callable[[], None] = lambda: None) -> None:
        """List the Pythons that can make the environment, and go on; each is asked for its version."""

        def work(job: Job) -> tuple[PythonFound, ...]:
            homes = slicer_homes()
            return find_pythons(engine_environment(startup_environment(), homes), homes)

        def done(found: tuple[PythonFound, ...]) -> None:
            items = [
                (f"Python {'.'.join(map(str, one.version))}: {one.path}", str(one.path), "") for one in found
            ]
            fill(self._ui.basePythonBox, items or [_NO_PYTHON], items[0][1] if items else "")
            then()

        self._desk.worker.do(Job(work, done, self._failed))

    # --- doing ---

    def test(self) -> None:
        """Reach the engine, and say what is in the way."""
        self._say("")
        self._job = self._desk.ask_models(self._reached, self._failed, self._progress)
        self.show()

    def _reached(self) -> None:
        self._end(f"The engine answers: {len(self._desk.models)} models.")

    def plan(self) -> None:
        """Find out what would be installed, then ask whether to."""
        ui = self._ui
        python = ui.basePythonBox.currentData
        if not python and not ui.basePythonBox.count:
            self.look_for_pythons(self.plan)
            return
        if not python:
            self._say("No Python 3.10 to 3.13 was found. Install one from python.org, or use a server.")
            return
        wheels = Path(ui.wheelsEdit.currentPath) if ui.wheelsEdit.currentPath else None
        wanted = Wanted(Path(python), wheels, needs_cuda=ui.cudaBox.checked)
        install = self._desk.install
        self._desk.engines.close()  # an engine that runs would hold its files
        self._do(lambda job: install.plan(wanted, job.say, job.is_cancelled), self._planned)

    def _planned(self, plan: InstallPlan) -> None:
        self._end(plan.words())
        if not self._confirm(f"{plan.words()}\n\nInstall them?"):
            self._desk.install.remove()
            self._end("Nothing was installed.")
            return
        install = self._desk.install
        self._do(lambda job: install.install(plan, job.say, job.is_cancelled), self._installed)

    def _installed(self, _: None) -> None:
        self._end(
            f"napari-effseg {self._desk.install.version()} is installed in {self._desk.install.folder}."
        )
        self._desk.tell()

    def remove(self) -> None:
        """Remove the private environment, after asking."""
        install = self._desk.install
        if self._confirm(f"Remove the engine in {install.folder}?"):
            self._desk.engines.close()
            install.remove()
            self._say("The engine was removed.")
            self._desk.tell()

    def cancel(self) -> None:
        """Stop what is going on."""
        if self._job is not None:
            self._job.cancel()

    def _do(self, work: Callable[[Job], Any], done: Callable[[Any], None]) -> None:
        self._job = self._desk.worker.do(Job(work, done, self._failed, self._progress))
        self.show()

    def _progress(self, fraction: float, message: str) -> None:
        show_progress(self._ui.engineProgress, self._ui.engineMessage, fraction, message)

    def _failed(self, error: Exception) -> None:
        self._end(words_of(error))

    def _end(self, words: str) -> None:
        self._job = None
        self._ui.engineProgress.setVisible(False)
        self._say(words)
        self.show()

    def _say(self, words: str) -> None:
        self._ui.engineMessage.setText(words)
