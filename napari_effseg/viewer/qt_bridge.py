"""From the inference thread into the thread of the window, and one inference thread for each viewer."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from psygnal import Signal as PsygnalSignal
from qtpy.QtCore import QObject, Signal, Slot

from .inference import Inference

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["Lease", "QtDeliver", "lease_inference"]


class Lease:
    """A share in the inference thread of a viewer; the thread ends with the last share.

    Attributes
    ----------
    inference : Inference
    models_changed : Signal
        Emitted when one who shares has told that there is another model.
    """

    models_changed = PsygnalSignal()

    def __init__(self, inference: Inference, sharers: set[Lease]) -> None:
        self.inference = inference
        self._sharers = sharers
        sharers.add(self)

    def tell_of_models(self, *_: object) -> None:
        """Tell all who share that there is another model."""
        for lease in tuple(self._sharers):
            lease.models_changed.emit()

    def leave(self, *_: object) -> None:
        """Give the share back; more than once does no harm."""
        self._sharers.discard(self)
        if not self._sharers:
            self.inference.close()


_SHARED: weakref.WeakKeyDictionary[object, tuple[Inference, set[Lease]]] = weakref.WeakKeyDictionary()
"""The thread of each viewer; napari has no place where its widgets could leave what they share."""


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


def lease_inference(viewer: ViewerModel) -> Lease:
    """Take a share in the inference thread of a viewer (or of the proxy that napari gives to plugins)."""
    viewer = getattr(viewer, "__wrapped__", viewer)
    inference, sharers = _SHARED.get(viewer, (None, set[Lease]()))
    if inference is None or inference.is_closed:
        inference, sharers = Inference(QtDeliver()), set[Lease]()
        _SHARED[viewer] = (inference, sharers)
    return Lease(inference, sharers)
