"""The module's window: its sections, the timer that listens to the engine, and what happens to the scene."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer

from .AutomaticPanel import AutomaticPanel
from .ClickPanel import ClickPanel, place_points
from .Desk import Desk
from .EnginePanel import EnginePanel
from .Parameter import Binding
from .rooms import EffsegError
from .SegmentationLogic import words_of

__all__ = ["Widget"]

_POLLING_MS = 50
_RESTING_TICKS = 40


class Widget:
    """Everything in the window.

    Parameters
    ----------
    ui : object
        Widgets by name.
    desk : Desk
    confirm : callable
        Asks the user a question.
    place : callable
        See `ClickPanel`.
    """

    def __init__(
        self,
        ui: Any,
        desk: Desk,
        confirm: Callable[[str], bool] = slicer.util.confirmOkCancelDisplay,
        place: Callable[[Any], None] = place_points,
    ) -> None:
        self._ui, self.desk = ui, desk
        self.engine = EnginePanel(ui, desk, confirm)
        self._binding = Binding(ui, desk.change)
        self._binding.show(desk.parameters)
        self.automatic = AutomaticPanel(ui, desk)
        self.clicks = ClickPanel(ui, desk, place)
        desk.listen(lambda: self._binding.show(desk.parameters))
        self._idle = 0
        self._timer = qt.QTimer()
        self._timer.setInterval(_POLLING_MS)
        self._timer.connect("timeout()", self.tick)
        self._timer.start()
        self._observers = [desk.scene.AddObserver(event, slot) for event, slot in self._events().items()]

    def _events(self) -> dict[int, Callable[..., None]]:
        scene = slicer.vtkMRMLScene
        return {
            scene.StartSaveEvent: lambda *_: self.store(),
            scene.StartCloseEvent: lambda *_: self.clicks.logic.close(),
            scene.EndCloseEvent: lambda *_: self.read(),
            scene.EndImportEvent: lambda *_: self.read(),
            scene.NodeRemovedEvent: lambda *_: self._forget_nodes(),
        }

    def enter(self) -> None:
        """Look what the engine has, if it can be started without a question."""
        self.read()
        if not self._ui.basePythonBox.count:
            self.engine.look_for_pythons()
        if not self.desk.missing and not self.desk.knows_models:
            self.engine.test()

    def tick(self) -> None:
        """Listen to the engine; a session that rests is put into the scene, however that is saved later."""
        logic = self.clicks.logic
        if self.desk.worker.is_busy or logic.is_stored:
            self._idle = 0
        self.desk.worker.poll()
        self._idle += 1
        if self._idle > _RESTING_TICKS and not logic.is_stored:
            logic.store_soon()

    def store(self) -> None:
        """Put the session into the scene before it is saved."""
        try:
            self.clicks.logic.store()
        except EffsegError as error:
            slicer.util.warningDisplay(f"The click session is not in the saved scene: {words_of(error)}")

    def read(self) -> None:
        """Take what a scene holds that was loaded, or closed."""
        self.desk.read()
        self.desk.tell()

    def _forget_nodes(self) -> None:
        """Show no node that is gone; when many go at once, at the end."""
        if not self.desk.scene.IsBatchProcessing():
            self.read()

    def close(self) -> None:
        """Stop listening, and everything that was started."""
        self._timer.stop()
        for observer in self._observers:
            self.desk.scene.RemoveObserver(observer)
        self._observers = []
        self.clicks.logic.close()
        self.desk.close()
