"""From the inference thread into the thread of the window, and one inference thread for each viewer."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal, Slot

from .inference import Inference

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from qtpy.QtWidgets import QWidget

__all__ = ["QtDeliver", "inference_of"]


@dataclass
class _Shared:
    inference: Inference
    users: int = 0

    def leave(self) -> None:
        self.users -= 1
        if self.users == 0:
            self.inference.close()


_SHARED: weakref.WeakKeyDictionary[object, _Shared] = weakref.WeakKeyDictionary()
"""What the widgets of a viewer share; napari has no place where they could leave it themselves."""


class QtDeliver(QObject):
    """Run functions in the thread that made this object; call it from any thread."""

    _posted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._posted.connect(self._run)

    def __call__(self, function: Callable[[], None]) -> None:
        """Have `function` run when the event loop comes to it."""
        self._posted.emit(function)

    @Slot(object)
    def _run(self, function: Callable[[], None]) -> None:
        function()


def inference_of(viewer: ViewerModel, user: QWidget) -> Inference:
    """Return the inference thread of a viewer; it ends when the last widget that uses it is destroyed.

    Parameters
    ----------
    viewer : napari viewer
        Or the proxy that napari gives to plugins.
    user : QWidget
        The widget that wants it.
    """
    viewer = getattr(viewer, "__wrapped__", viewer)
    shared = _SHARED.get(viewer)
    if shared is None or shared.inference.is_closed:
        shared = _SHARED[viewer] = _Shared(Inference(QtDeliver()))
    shared.users += 1
    user.destroyed.connect(shared.leave)
    return shared.inference
