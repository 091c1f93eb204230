"""What a reader does with a viewer, and what follows from it; no Qt.

The desk listens to a napari viewer, keeps pictures upright when somebody rolls the axes, and tells whoever
shows it that something changed. It never draws anything itself.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import EffsegError
from ..volume import IntensityWindow
from .inference import Inference
from .orientation import EdgeLetters, Plane, Sides
from .placement import is_oblique
from .reading_cursor import parse_point
from .reading_probe import PlaceWords, ReadingProbe
from .reading_state import DeskState
from .reading_view import (
    camera_of,
    can_turn_pictures,
    current_layer,
    go_to,
    letters_of,
    plane_shown,
    put_sliders,
    show_plane,
    turn_upright,
    why_no_anatomy,
)
from .reading_windows import ReadingWindows, window_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels

__all__ = ["ReadingDesk"]

_HEARD = ("contrast_limits", "name", "visible", "scale", "translate", "rotate", "shear", "affine")
_CLICK_PIXELS = 3  # a hand moves the mouse this far while it clicks
_TILTED = "Tilted volume: napari draws its slices without the tilt. Letters, voxel and mm are the drawn ones."
_OLD_NAPARI = (
    "This napari cannot turn pictures: coronal and sagittal slices stand on their heads, left is at the "
    "right, and the patient may be mirrored in 3D. Trust the letters; napari 0.6 or newer does better."
)


def _do_nothing(*_: object) -> None:
    pass


class ReadingDesk:
    """What a reader does with a viewer.

    Parameters
    ----------
    viewer : ViewerModel
    reader : Inference
        Thread for what has to be read or counted; its own, so that a running segmentation does not hold up
        the value under the cursor.

    Attributes
    ----------
    changed : callable
        Called when `state` may be another.
    moved : callable
        Called when the cursor has moved, so that it is time to `look`.
    read : callable
        Called when `words` have become others by themselves.
    picked : callable
        Called with a place in words that was clicked.
    sides : Sides
    show_letters : bool
    """

    def __init__(self, viewer: ViewerModel, reader: Inference) -> None:
        self.changed: Callable[[], None] = _do_nothing
        self.moved: Callable[[], None] = _do_nothing
        self.read: Callable[[], None] = _do_nothing
        self.picked: Callable[[str], None] = _do_nothing
        self.sides, self.show_letters = Sides.RADIOLOGICAL, True
        self.viewer = viewer
        self._probe = ReadingProbe(viewer, reader, lambda: self.read())
        self._assumed: weakref.WeakSet[Image | Labels] = weakref.WeakSet()
        self._windows = ReadingWindows(reader, self._say)
        self._home = self._camera_words()
        self._clicked: tuple[float, float, float] | None = None
        self._heard: Image | Labels | None = None
        self._is_known = False
        self._note = ""
        self._listen()
        self._on_layers()

    # --- what there is ---

    @property
    def image(self) -> Image | Labels | None:
        """Current layer: an image, or labels where there is no image."""
        return current_layer(self.viewer)

    @property
    def words(self) -> PlaceWords:
        """What is under the cursor."""
        return self._probe.words

    def why_no_anatomy(self) -> str:
        """Say why the sides of the patient are not known in the current image; "" where they are."""
        image = self.image
        return why_no_anatomy(self.viewer, image, image in self._assumed if image is not None else False)

    def state(self) -> DeskState:
        """Look at everything anew."""
        image, unknown = self.image, self.why_no_anatomy()
        if image is None:
            return DeskState(why_no_anatomy=unknown, why_not_turnable=unknown, notes=(unknown,))
        notes = [unknown, _TILTED if not unknown and is_oblique(image) else "", self._note]
        turnable = "" if can_turn_pictures(self.viewer) else _OLD_NAPARI
        return DeskState(
            image=image.name,
            why_no_anatomy=unknown,
            can_assume=image in self._assumed or bool(unknown and image.ndim > 2),
            is_assumed=image in self._assumed,
            why_not_turnable=unknown or turnable,
            plane=None if unknown else plane_shown(self.viewer),
            letters=EdgeLetters() if unknown or not self.show_letters else letters_of(self.viewer, image),
            choices=self._windows.choices(image),
            window=window_of(image),
            chosen=self._windows.chosen(image),
            notes=tuple(note for note in (*notes, "" if unknown else turnable) if note),
        )

    # --- what a reader does ---

    def show_plane(self, plane: Plane) -> None:
        """Show slices of a plane, upright, through the place that was clicked last."""
        show_plane(self.viewer, plane, self.sides)
        self.changed()

    def exchange_sides(self, sides: Sides) -> None:
        """Show the patient's left at the right (radiological) or at the left."""
        self.sides = sides
        self._turn()
        self.changed()

    def letters_on(self, on: bool) -> None:
        """Show the letters or hide them."""
        self.show_letters = on
        self.changed()

    def assume_axes(self, on: bool) -> None:
        """Take the axes of the current image, whose orientation nobody knows, as (S, P, L), or do not."""
        if (image := self.image) is not None:
            (self._assumed.add if on else self._assumed.discard)(image)
            self._turn()
            self.changed()

    def choose_window(self, name: str) -> None:
        """Show the window of this name; one that follows from the values comes when they have been seen."""
        if (image := self.image) is not None:
            self._windows.choose(image, name)

    def set_window(self, window: IntensityWindow) -> None:
        """Show these intensities."""
        if (image := self.image) is not None:
            self._windows.show(image, window)

    def go_to(self, text: str) -> None:
        """Move to a place in RAS mm; the notes say why, if it cannot be done."""
        image = self.image
        if image is None or self.why_no_anatomy():
            return
        note = ""
        try:
            go_to(self.viewer, image, parse_point(text))
        except EffsegError as err:
            note = f"{str(err)[0].upper()}{str(err)[1:]}."
        self._clicked = None
        self._say(note)

    def pick(self, position: Sequence[float]) -> bool:
        """Take the place at a position of the canvas: slices of the next plane go through it.

        Returns
        -------
        bool
            Whether there is a place of the patient.
        """
        place = self._look(position).point_ras
        if place is not None:
            self._clicked = place
            self.picked(", ".join(f"{number:.1f}" for number in place))
        return place is not None

    def look(self) -> PlaceWords:
        """Look under the cursor anew."""
        return self._look(self.viewer.cursor.position)

    def _look(self, position: Sequence[float]) -> PlaceWords:
        return self._probe.look(self.image, position, not self.why_no_anatomy())

    def close(self) -> None:
        """Stop listening; more than once does no harm."""
        if self._on_press in self.viewer.mouse_drag_callbacks:
            self.viewer.mouse_drag_callbacks.remove(self._on_press)
        for emitter, callback in self._connections():
            emitter.disconnect(callback)
        self._hear(None)

    # --- what happens in the viewer ---

    def _connections(self) -> list[tuple[Any, Callable[..., None]]]:
        viewer, camera = self.viewer, camera_of(self.viewer)
        layers, dims = viewer.layers.events, viewer.dims.events
        pairs: list[tuple[Any, Callable[..., None]]] = [
            (layers.inserted, self._on_layers),
            (layers.removed, self._on_layers),
            (layers.reordered, self._on_layers),
            (viewer.layers.selection.events.active, self._on_layers),
            (dims.ndim, self._on_order),
            (dims.order, self._on_order),
            (dims.ndisplay, self._on_order),
            (camera.events.angles, self._on_change),
            (viewer.cursor.events.position, self._on_cursor),
        ]
        if can_turn_pictures(viewer):
            pairs.append((camera.events.orientation, self._on_change))
        return pairs

    def _listen(self) -> None:
        for emitter, callback in self._connections():
            emitter.connect(callback)
        self.viewer.mouse_drag_callbacks.append(self._on_press)

    def _hear(self, image: Image | Labels | None) -> None:
        """Listen to the current image, and to no other."""
        for layer, act in ((self._heard, "disconnect"), (image, "connect")):
            if layer is None:
                continue
            for name in _HEARD:
                if name in layer.events:  # labels have no contrast limits
                    getattr(layer.events[name], act)(self._on_change)
            getattr(layer.events.data, act)(self._on_data)
        self._heard = image

    def _on_layers(self, event: Any = None) -> None:
        image, known = self.image, not self.why_no_anatomy()
        if image is not self._heard or known is not self._is_known:
            self._hear(image)
            self._note, self._is_known = "", known
            self._turn()
        self.changed()

    def _on_order(self, event: Any = None) -> None:
        self._turn()
        image, place = self.image, self._clicked
        if image is not None and place is not None and not self.why_no_anatomy():
            self._clicked = None  # before the sliders move: they call back
            put_sliders(self.viewer, image, place)
        self.changed()
        self.moved()  # another voxel lies under the cursor, or in 3D none

    def _on_change(self, event: Any = None) -> None:
        self.changed()

    def _on_data(self, event: Any = None) -> None:
        if self._heard is not None:
            self._windows.forget(self._heard)
        self.changed()

    def _on_cursor(self, event: Any = None) -> None:
        self.moved()

    def _on_press(self, viewer: Any, event: Any) -> Iterator[None]:
        """Pick the place of a click; a drag moves the picture, and in other modes the click is a tool's."""
        layer = self.viewer.layers.selection.active
        if event.button != 1 or getattr(layer, "mode", "pan_zoom") != "pan_zoom":
            return
        start, position = np.asarray(event.pos), event.position
        yield
        while event.type == "mouse_move":
            yield
        if np.abs(np.asarray(event.pos) - start).max() <= _CLICK_PIXELS:
            self.pick(position)

    def _turn(self) -> None:
        """Turn a patient upright; leave any other picture as napari was set up."""
        if not self.why_no_anatomy():
            turn_upright(self.viewer, self.sides)
        elif self._home and self.image is not None:
            camera_of(self.viewer).orientation = self._home

    def _camera_words(self) -> tuple[str, ...]:
        if not can_turn_pictures(self.viewer):
            return ()
        return tuple(str(word) for word in camera_of(self.viewer).orientation)

    def _say(self, note: str) -> None:
        self._note = note
        self.changed()
