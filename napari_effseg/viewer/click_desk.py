"""What the panel *Click segmentation* does: clicks become prompts, answers become labels; no Qt.

Knows the viewer's model and the inference thread; tests drive it without a window. The session itself is
touched in that thread alone (`Bench`), one action after the other, none of them left out. Previews may be
left out: the newest wins, and none is shown once something was done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EffsegError, PromptError
from ..prompts import Point, Prompt
from ..protocols import Session
from ..time_session import TIME, TimeSession
from ..types import CancelCheck, Colour, Progress
from .click_gestures import found_at, middle_of, prompt_of
from .click_hover import Hover
from .click_layer import Brushed
from .click_opening import Opener, on_server
from .click_places import Place, axis_shown, mm_per_pixel
from .click_queue import Act, ClickQueue, How
from .click_room import ClickRoom
from .click_state import ClickStage, ClickStore, Tool
from .engine_choice import EngineChoice, EngineSetting
from .engines import Engines, part
from .inference import Inference
from .words import sentence, trouble

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["ClickDesk"]

_REACH_PIXELS = 8
"""A prompt this near to the mouse is meant."""
_LOCKED = (
    "Finished objects are locked, so they stayed as they were. To change the last one, undo until it is at "
    "hand again."
)
_IN_LOCKED = (
    "This belongs to \N{LEFT DOUBLE QUOTATION MARK}{}\N{RIGHT DOUBLE QUOTATION MARK}, which is finished and "
    "locked. Click beside it, or undo until it is at hand again."
)


class ClickDesk:
    """The panel without its widgets.

    Parameters
    ----------
    viewer : napari viewer model
    inference : Inference
        Everything that takes time runs there.
    opener : Opener
        How sessions are opened on this computer.
    setting : EngineSetting
        Whether that is to be on a server.
    engines : Engines
        The connection to it.

    Attributes
    ----------
    store : ClickStore
        What the panel shows.
    room : ClickRoom
        The image, its session and its layers.
    queue, hover : ClickQueue, Hover
        What was done and is not answered yet; what is shown before a click.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        inference: Inference,
        opener: Opener | None = None,
        setting: EngineSetting | None = None,
        engines: Engines | None = None,
    ) -> None:
        self.store = ClickStore()
        self._viewer, self._inference = viewer, inference
        self._here = opener or Opener()
        self._setting, self._engines = setting or EngineSetting(), engines or Engines()
        self._choice = self._setting.now
        self.room = ClickRoom(
            viewer,
            inference,
            self.store,
            self._opener(self._choice),
            self.painted,
            self._brush_changed,
            self._dims_changed,
        )
        self.queue = ClickQueue(viewer, inference, self.store, self.room)
        self.hover = Hover(viewer, inference, self.store, self.room, self.queue)
        for emitter in self._dims_events():
            emitter.connect(self._dims_changed)
        self._setting.changed.connect(self._engine_changed)
        self._setting.reached.connect(self._engine_reached)
        self.room.look_for_models()
        self._dims_changed()

    def close(self, then: Callable[[], None] = lambda: None) -> None:
        """Listen no longer, take the marks away, and save what was not saved yet.

        Parameters
        ----------
        then : callable
            Called when nothing is left to do; perhaps in the inference thread.
        """
        for emitter in self._dims_events():
            emitter.disconnect(self._dims_changed)
        self._setting.changed.disconnect(self._engine_changed)
        self._setting.reached.disconnect(self._engine_reached)
        self.queue.cancel()
        self.hover.stop()
        self.room.close(lambda: part(self._inference, self._engines, then))

    # --- what the user chooses ---

    def choose_tool(self, tool: Tool) -> None:
        """Take this tool."""
        layer = self.room.layer
        self.hover.stop()
        if tool is Tool.BRUSH:
            if layer is None or self._refuse(self.store.now.why_not):
                return
            layer.brush(self.store.now.positive)
        elif layer is not None:
            layer.put_away()
        self.store.set(tool=tool, notice="")

    def set_positive(self, positive: bool) -> None:
        """Let prompts say "the object", or "not the object"."""
        self.store.set(positive=positive)
        if self.store.now.tool is Tool.BRUSH and self.room.layer is not None:
            self.room.layer.brush(positive)

    def set_name(self, name: str) -> None:
        """Name the object at hand."""
        self.store.set(name=name.strip())
        self.room.dress()

    def set_colour(self, colour: Colour) -> None:
        """Show the object at hand in this colour."""
        self.store.set(colour=colour)
        self.room.dress()

    def select(self, prompt: int | None) -> None:
        """Select a prompt, and go to its slice."""
        chosen = None if prompt is None else self.room.prompts.get(prompt)
        self.store.set(selected=None if chosen is None else prompt, notice="")
        self.room.show_marks()
        if chosen is not None:
            self.queue.go_to(middle_of(chosen))

    # --- prompts ---

    def gesture(self, tool: Tool, positions: Sequence[Sequence[float]], positive: bool) -> None:
        """Do what a hand has drawn on the canvas.

        Parameters
        ----------
        tool : Tool
        positions : sequence of world positions
            Where the mouse went.
        positive : bool
        """
        if self.store.now.why_not and tool is Tool.MOVE:
            return
        if self._refuse(self.store.now.why_not):
            return
        try:
            path = self.queue.path_of(positions)
            if tool in (Tool.ERASE, Tool.MOVE) or (
                tool is Tool.POINT and positive and self._hits_point(path)
            ):
                self._pick(path[-1], tool)
                return
            self.add(prompt_of(tool, path, self.room.grid.shape, positive), path[0].axis)
        except EffsegError as err:
            if tool is not Tool.MOVE:
                self._say(err)

    def add(self, prompt: Prompt, axis: int | None = None) -> None:
        """Give a prompt in the plane across an axis."""
        if isinstance(prompt, Point) and prompt.positive and self.room.layer is not None:
            locked = self.room.layer.finished_at(self.room.frame, prompt.index)
            if locked is not None:
                self.store.set(notice=_IN_LOCKED.format(locked))
                return
        self._act(lambda session, *_: session.add(prompt, shown=axis))

    def point_at(self, position: Sequence[float]) -> None:
        """Put a point where the mouse is, without a click."""
        self.gesture(Tool.POINT, [position], self.store.now.positive)

    def add_voxel(self, text: str) -> None:
        """Put a point at a voxel that was typed: "i, j, k", or "i, j" on a picture."""
        if self._refuse(self.store.now.why_not):
            return
        try:
            index = [int(part) for part in text.replace(",", " ").split()]
            axis = None if self.room.image is None else axis_shown(self._viewer, self.room.image)
            point = Point(tuple(index), positive=self.store.now.positive, axis=axis)  # type: ignore[arg-type]
        except ValueError as err:  # PromptError is one
            words = (
                str(err)
                if isinstance(err, PromptError)
                else "Type a voxel as whole numbers, such as 40, 52, 12."
            )
            self.store.set(notice=sentence(words))
            return
        self.add(point, axis)

    def delete_selected(self) -> None:
        """Take the selected prompt away; the mask follows."""
        number = self.store.now.selected
        if number is not None and not self._refuse(self.store.now.why_not_delete):
            self.store.set(selected=None)
            self._act(lambda session, *_: session.remove(number))

    def painted(self, strokes: tuple[Brushed, ...], touched: bool) -> None:
        """Take over what the user painted on the layer of labels."""
        if touched:
            self.store.set(notice=_LOCKED)
        for stroke in strokes:
            self.hover.stop()
            self.queue.act(_painting(stroke), How(keeps_notice=touched, frame=stroke.frame))

    # --- the object ---

    def undo(self) -> None:
        """Take back the last action, on whatever slice it was."""
        if not self._refuse_at_rest(self.store.now.why_not_undo):
            self._act(lambda session, *_: session.undo(), shows_change=True)

    def redo(self) -> None:
        """Bring back what was undone."""
        if not self._refuse_at_rest(self.store.now.why_not_redo):
            self._act(lambda session, *_: session.redo(), shows_change=True)

    def next_mask(self) -> None:
        """Show the next of the masks that the prompts of the slice may mean."""
        where = self.queue.where()
        if where is not None and not self._refuse_at_rest(self.store.now.why_not_other):
            self._act(lambda session, *_: _choose_next(session, *where))

    def finish(self) -> None:
        """Finish the object at hand; the next click begins another."""
        now = self.store.now
        if not self._refuse_at_rest(now.why_not_finish):
            # while another finish is not answered, the colour that is shown is not that of this object
            name, colour = now.name, now.colour if self.queue.is_empty else None
            self.store.set(name="", selected=None)
            self._act(lambda session, *_: session.commit(None, name, colour), is_much=True)

    def carry(self) -> None:
        """Carry the object on through the slices of the plane that is shown."""
        if self._refuse_at_rest(self.store.now.why_not_carry) or self.room.image is None:
            return
        try:
            axis = axis_shown(self._viewer, self.room.image)
        except EffsegError as err:
            self._say(err)
            return
        self._carry(axis, "Through the slices")

    def carry_through_time(self) -> None:
        """Carry the object on to the other time points."""
        if not self._refuse_at_rest(self.store.now.why_not_through_time):
            self._carry(TIME, "Through time")

    def _carry(self, axis: int | str, message: str) -> None:
        self.store.set(stage=ClickStage.CARRYING, fraction=0.0, message=message)

        def work(session: Session, progress: Progress, cancel: CancelCheck) -> None:
            if isinstance(session, TimeSession):
                session.propagate(axis, progress=progress, cancel=cancel)
            else:
                session.propagate(int(axis), progress=progress, cancel=cancel)

        self._act(work, is_much=True)

    def cancel(self) -> None:
        """Stop what goes on; else put the tool away."""
        stage = self.store.now.stage
        if stage is ClickStage.CARRYING:
            self.queue.cancel()
            self.store.set(stage=ClickStage.STOPPING, message="Stopping after this slice")
        elif stage is ClickStage.OPENING:
            self.room.stop_opening()
        elif self.store.now.selected is not None:
            self.select(None)
        else:
            self.choose_tool(Tool.MOVE)

    def save_to(self, path: Path) -> None:
        """Save the session by hand."""
        if not self._refuse(self.store.now.why_not_save):
            self.room.saver.save(
                path if path.suffix.lower() == ".effseg" else path.with_name(f"{path.name}.effseg")
            )

    def open_from(self, path: Path) -> None:
        """Go on with a session from a file."""
        if self.store.now.image is None:
            self._refuse(self.store.now.why_not)
        else:
            self.room.open(path)

    # --- what follows ---

    def _act(self, action: Act, **how: bool) -> None:
        self.hover.stop()
        self.queue.act(action, How(**how))

    def _refuse(self, reason: str) -> bool:
        """Say why something cannot be done; whether it cannot."""
        if reason:
            self.store.set(notice=reason)
        return bool(reason)

    def _refuse_at_rest(self, reason: str) -> bool:
        """As `_refuse`; but while answers are awaited, which may change it, the session decides."""
        return self._refuse(reason if self.queue.is_empty else self.store.now.why_not)

    def _say(self, error: Exception) -> None:
        words, details = trouble(error)
        self.store.set(notice=words, details=details)

    def _opener(self, choice: EngineChoice) -> Opener:
        return self._here if choice.is_here else on_server(self._engines, choice)

    def _engine_changed(self) -> None:
        """Go on with the engine that is chosen now."""
        if self._setting.now != self._choice:
            self._choice = self._setting.now
            self.queue.cancel()
            self.hover.stop()
            self.room.use(self._opener(self._choice))
            if self._choice.is_here:
                part(self._inference, self._engines)

    def _engine_reached(self) -> None:
        """Go on where the server did not answer before."""
        self.store.set(is_lost=False)
        if not self._choice.is_here and self.room.bench is None:
            self.room.look_for_models()

    def _brush_changed(self) -> None:
        """Follow the user, who has taken a brush of napari's or put it away."""
        layer, tool = self.room.layer, self.store.now.tool
        if layer is not None and layer.is_brushing and tool is not Tool.BRUSH:
            self.hover.stop()
            self.store.set(tool=Tool.BRUSH)
        elif layer is not None and not layer.is_brushing and tool is Tool.BRUSH:
            self.store.set(tool=Tool.POINT)

    def _pick(self, place: Place, tool: Tool) -> None:
        """Select the prompt at a place, or take it away."""
        reach = _REACH_PIXELS * mm_per_pixel(self._viewer)
        number = found_at(self.room.prompts, place, self.room.grid.spacing, reach)
        if tool is not Tool.ERASE:
            self.store.set(selected=number)
            self.room.show_marks()
        elif number is None:
            self.store.set(notice="There is no prompt here; click on a mark, or press Undo.")
        else:
            self._act(lambda session, *_: session.remove(number))

    def _hits_point(self, path: Sequence[Place]) -> bool:
        reach = _REACH_PIXELS / 2 * mm_per_pixel(self._viewer)
        return found_at(self.room.prompts, path[-1], self.room.grid.spacing, reach, True) is not None

    def _dims_changed(self, event: Any = None) -> None:
        """Another slice, plane or time point is shown."""
        self.hover.stop()
        where = self.queue.where()
        has_depth = where is not None and self.room.grid.shape[where[0]] > 1
        shows_slice = self._viewer.dims.ndisplay == 2
        now = self.store.now
        if (shows_slice, has_depth) != (now.shows_slice, now.has_depth):
            self.store.set(shows_slice=shows_slice, has_depth=has_depth)
        self.queue.look_at_slice(where)

    def _dims_events(self) -> tuple[Any, ...]:
        dims = self._viewer.dims.events
        return dims.point, dims.order, dims.ndisplay


def _choose_next(session: Session, axis: int, index: int) -> None:
    known = len(session.hypotheses(axis, index))
    if known < 2:
        raise PromptError("the prompts of this slice have one meaning only")
    session.choose(axis, index, (session.chosen(axis, index) + 1) % known)


def _painting(stroke: Brushed) -> Act:
    return lambda session, *_: session.paint(stroke.box, stroke.inside, positive=stroke.positive)
