"""Intensity windows of image layers: which is shown, showing another, looking at the values where needed.

Works on napari's layers alone, without Qt.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..volume import IntensityWindow
from .display_window import ImageFacts, WindowChoice, WindowKind, window_choices
from .inference import Handlers, Inference
from .intensity_range import IntensityRange, intensity_range, quick_extremes
from .placement import level_array
from .source import source_of

if TYPE_CHECKING:
    from napari.layers import Image, Labels

__all__ = ["ReadingWindows", "window_of"]

_TOLERANCE = 1e-4  # of a window's width; limits that come back from napari may be rounded


def window_of(image: Image | Labels) -> IntensityWindow | None:
    """Return the window in which a layer is shown; None for a colour picture and for labels."""
    if _kind_of(image) != "grey":
        return None
    low, high = (float(limit) for limit in image.contrast_limits)
    return IntensityWindow((low + high) / 2, high - low) if high > low else None


def _kind_of(image: Image | Labels) -> Literal["grey", "colour", "labels"]:
    if not hasattr(image, "contrast_limits"):
        return "labels"
    return "colour" if image.rgb else "grey"


class ReadingWindows:
    """Windows of the images of one viewer.

    Parameters
    ----------
    reader : Inference
        Thread that looks at the values of an image.
    say : callable
        Called with a sentence for the reader, or "", when something was shown or is on its way.
    """

    def __init__(self, reader: Inference, say: Callable[[str], None]) -> None:
        self._reader, self._say = reader, say
        self._extremes: weakref.WeakKeyDictionary[Image | Labels, tuple[float, float] | None]
        self._extremes = weakref.WeakKeyDictionary()
        self._computed: weakref.WeakKeyDictionary[Image | Labels, dict[WindowKind, IntensityWindow]]
        self._computed = weakref.WeakKeyDictionary()
        self._coming: tuple[Image | Labels, str] | None = None

    def choices(self, image: Image | Labels) -> tuple[WindowChoice, ...]:
        """All windows; those that make no sense for the image say why."""
        source, kind = source_of(image), _kind_of(image)
        if image not in self._extremes:
            self._extremes[image] = quick_extremes(level_array(image)) if kind == "grey" else None
        return window_choices(
            ImageFacts(
                kind=kind,
                modality=source.modality if source else None,
                header=source.window if source else None,
                extremes=self._extremes[image],
            )
        )

    def chosen(self, image: Image | Labels) -> str:
        """Name of the window that is shown or on its way; "" where it is none of the choices."""
        if self._coming is not None and self._coming[0] is image:
            return self._coming[1]
        shown, computed = window_of(image), self._computed.get(image, {})
        if shown is None:
            return ""
        windows = ((choice, choice.window or computed.get(choice.kind)) for choice in self.choices(image))
        fitting = (c.name for c, window in windows if not c.reason and window and _same(window, shown))
        return next(fitting, "")

    def choose(self, image: Image | Labels, name: str) -> None:
        """Show the window of this name; one that follows from the values comes when they have been seen."""
        choice = next((c for c in self.choices(image) if c.name == name and not c.reason), None)
        if choice is None:
            return
        if choice.window is not None:
            self.show(image, choice.window)
            return
        self._coming, kind = (image, name), choice.kind
        self._say("Looking at the values …")
        handlers = Handlers[IntensityRange](
            done=lambda found: self._show_range(image, kind, found),
            failed=lambda err: self._end(f"No window: {err}."),
        )
        # Of several levels of resolution the coarsest spans nearly the same values.
        array = level_array(image, -1 if image.multiscale else 0)
        self._reader.submit("range", lambda _, cancel: intensity_range(array, cancel), handlers)

    def show(self, image: Image | Labels, window: IntensityWindow) -> None:
        """Show these intensities; nothing happens where there is no window."""
        if _kind_of(image) != "grey":
            return
        self._reader.forget("range")  # a window that is still on its way would replace this one
        image.contrast_limits = (window.lower, window.upper)
        self._end("")

    def forget(self, image: Image | Labels) -> None:
        """Look at the values anew: they have changed."""
        self._extremes.pop(image, None)
        self._computed.pop(image, None)

    def _show_range(self, image: Image | Labels, kind: WindowKind, found: IntensityRange) -> None:
        """Show what was found, and tell where that was a part of the image only."""
        low, high = found.low, found.high
        if kind is WindowKind.AUTO and found.auto_high > found.auto_low:
            low, high = found.auto_low, found.auto_high
        if high <= low:
            self._end(f"Every value that was seen is {low:g}; there is no range to show.")
            return
        window = IntensityWindow((low + high) / 2, high - low)
        self._computed.setdefault(image, {})[kind] = window
        image.contrast_limits = (window.lower, window.upper)
        self._end("" if found.share == 1 else f"From {found.share:.1%} of the image, read in a few places.")

    def _end(self, note: str) -> None:
        self._coming = None
        self._say(note)


def _same(a: IntensityWindow, b: IntensityWindow) -> bool:
    return bool(np.allclose((a.lower, a.upper), (b.lower, b.upper), rtol=0, atol=_TOLERANCE * a.width))
