"""What the panel *Automatic segmentation* does: which models fit, what a run costs, the run, its result.

Knows the viewer's model and the inference thread, and no Qt; tests drive it without a window.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..types import CancelCheck, Progress
from ..zoo.selecting import Wish
from .automatic import automatic_of
from .case import Case, guess_channels, needs_layers
from .drawn_region import DrawnRegion
from .engine_choice import EngineSetting
from .engines import Engines, part, without_server
from .fitting import Models, largest_mm, level_for_all, note_about
from .from_layer import frames_of
from .inference import Handlers, Inference
from .label_table import LabelTable
from .placement import placement_of
from .running import Run, Runner, warm_up
from .source import shows_doubt
from .state import PlanWords, SegmentationState, Store
from .words import device_options, trouble

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from ..engine import DeviceInfo

__all__ = ["AutomaticSegmentation"]

_GEOMETRY = ("data", "scale", "translate", "rotate", "shear", "affine", "units")


class AutomaticSegmentation:
    """The panel without its widgets.

    Parameters
    ----------
    viewer : napari viewer model
    inference : Inference
        Everything that takes time runs there.
    setting : EngineSetting
        Whether networks run on a server.
    engines : Engines
        The connection to it.

    Attributes
    ----------
    store : Store
        What the panel shows.
    table : LabelTable
        The table of labels below it.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        inference: Inference,
        setting: EngineSetting | None = None,
        engines: Engines | None = None,
    ) -> None:
        self.store = Store()
        self._setting, self._engines = setting or EngineSetting(), engines or Engines()
        self._choice = self._setting.now
        self._engine = automatic_of(self._choice, self._engines)
        self.store.set(is_here=self._choice.is_here)
        self.table = LabelTable(viewer, inference)
        self._viewer = viewer
        self._inference = inference
        self._wanted: tuple[str, ...] = ()  # models chosen by hand; they stay wanted while they do not fit
        self._wanted_image: Image | None = None
        self._runs_when_ready = False
        self._is_warm = False
        self._is_closed = False
        self._runner = Runner(viewer, inference, self.store, self.table, self._layers_changed)
        self._region = DrawnRegion(viewer, inference.deliver, self._region_changed, self._slice_shown)
        layers = viewer.layers.events
        for emitter in (layers.inserted, layers.removed, layers.reordered):
            emitter.connect(self._layers_changed)
        viewer.layers.selection.events.active.connect(self._layers_changed)
        for emitter in (viewer.dims.events.point, viewer.dims.events.order, viewer.dims.events.ndisplay):
            emitter.connect(self._dims_changed)
        self._setting.changed.connect(self._engine_changed)
        self._setting.reached.connect(self._engine_reached)
        handlers = Handlers["tuple[DeviceInfo, ...]"](
            done=lambda found: self.store.set(devices=device_options(found)), failed=self._fault
        )
        inference.submit("devices", _find_devices, handlers)
        self._layers_changed()

    def close(self, then: Callable[[], None] = lambda: None) -> None:
        """Listen no longer, and forget what is under way; more than once does no harm.

        Parameters
        ----------
        then : callable
            Called when nothing is left to do; perhaps in the inference thread.
        """
        if self._is_closed:
            return
        self._is_closed = True
        self._setting.changed.disconnect(self._engine_changed)
        self._setting.reached.disconnect(self._engine_reached)
        layers = self._viewer.layers.events
        for emitter in (layers.inserted, layers.removed, layers.reordered):
            emitter.disconnect(self._layers_changed)
        self._viewer.layers.selection.events.active.disconnect(self._layers_changed)
        dims = self._viewer.dims.events
        for emitter in (dims.point, dims.order, dims.ndisplay):
            emitter.disconnect(self._dims_changed)
        self._listen(None)
        self._region.close()
        self.table.close()
        self._runner.close()
        for lane in ("devices", "models", "plan", "warm up"):
            self._inference.forget(lane)
        part(self._inference, self._engines, then)

    # --- what the user chooses ---

    def choose_image(self, image: Image) -> None:
        """Segment this image layer from now on, whichever is selected."""
        self._wanted_image = image
        self._set_image(image)

    def choose_channel(self, role: str, image: Image) -> None:
        """Take this layer for a role of the model."""
        self.store.set(channels={**self.store.now.channels, role: image})
        self._plan()

    def choose_model(self, name: str) -> None:
        """Use this model alone."""
        self._choose((name,))

    def queue_model(self, name: str, wanted: bool) -> None:
        """Let this model run too, after those that are chosen already; or no longer."""
        others = tuple(other for other in self.store.now.chosen if other != name)
        self._choose((*others, name) if wanted else others)

    def let_later_win(self, later_wins: bool) -> None:
        """Say whether later models of a queue replace the labels of earlier ones."""
        self.store.set(later_wins=later_wins)

    def look_for(self, wish: Wish) -> None:
        """Narrow the list of models down; what is chosen stays chosen."""
        self.store.set(wish=wish)

    def look_again(self, *_: object) -> None:
        """Look which models there are and which fit; one may have been added."""
        if self._choice.is_here:
            self._check_models()

    def choose_device(self, name: str) -> None:
        """Compute there."""
        self.store.set(device=name)
        self._check_models()  # what each takes there

    def draw_region(self) -> None:
        """Let the user draw a rectangle on the image."""
        image = self.store.now.image
        if image is not None:
            self._region.draw(image)

    def choose_region_layer(self, shapes: Any) -> None:
        """Take the shapes of this layer as the region; None: the whole image."""
        self._region.use(shapes)

    def set_slices(self, first: int, last: int) -> None:
        """Let the region reach over these slices, both included."""
        self._region.set_slices(first, last)

    def clear_region(self) -> None:
        """Label the whole image again."""
        self._region.clear()

    # --- the run ---

    def run(self) -> None:
        """Segment; nothing happens while `why_not_run` says why."""
        now = self.store.now
        if not now.is_idle or now.why_not_run or now.image is None or now.card is None:
            return
        level = level_for_all(now.cards, now.image)
        run = Run(self._case(), now.cards, level, placement_of(now.image), now.later_wins)
        self._runner.start(run, self._engine, now.device)

    def run_when_ready(self) -> None:
        """Segment as soon as it is known that a model fits; if none does, the panel says why."""
        self._runs_when_ready = True
        if not self.store.now.is_checking:
            self._checked()

    def cancel(self) -> None:
        """Stop the run at the next place where it can stop."""
        self._runner.cancel()

    def _fault(self, error: Exception) -> None:
        problem, details = trouble(error)
        self.store.set(problem=problem, details=details, is_checking=False)

    def _cannot_look(self, error: Exception) -> None:
        """Say why it is not known which models there are."""
        if self._choice.is_here:
            self._fault(error)
        else:
            words, details = trouble(error)
            self.store.set(engine_problem=without_server(words, error), details=details, is_checking=False)

    # --- what follows from what was chosen ---

    def _engine_changed(self) -> None:
        """Ask the engine that is chosen now; a run that has begun ends where it is."""
        if self._setting.now == self._choice:
            return
        self._choice = self._setting.now
        self._begin_with_engine()
        if self._choice.is_here:
            part(self._inference, self._engines)

    def _engine_reached(self) -> None:
        """Ask a server again that answers now."""
        if not self._choice.is_here and not self.store.now.options:
            self._begin_with_engine()

    def _begin_with_engine(self) -> None:
        self._engine = automatic_of(self._choice, self._engines)
        self.store.set(
            is_here=self._choice.is_here, engine_problem="", options=(), problems=(), model="", also=()
        )
        self._check_models()

    def _layers_changed(self, event: Any = None) -> None:
        from napari.layers import Image, Shapes

        layers = list(self._viewer.layers)
        images = tuple(layer for layer in layers if isinstance(layer, Image) and not shows_doubt(layer))
        shapes = tuple(layer for layer in layers if isinstance(layer, Shapes))
        self._region.forget_removed()
        now = self.store.now
        known = len(images) == len(now.images) and all(
            a is b for a, b in zip(images, now.images, strict=True)
        )
        self.store.set(images=images, shapes=shapes)
        image = self._image_to_use(images)
        if image is not now.image:
            self._set_image(image)
        elif not known:
            self._check_models()  # a model of several channels may have got them

    def _image_to_use(self, images: tuple[Image, ...]) -> Image | None:
        """Return the image chosen by hand, else the selected one, else the one in use, else the topmost."""
        if not self.store.now.is_idle:
            return self.store.now.image if self.store.now.image in images else None
        if self._wanted_image not in images:
            self._wanted_image = None
        active = self._viewer.layers.selection.active
        wishes = (self._wanted_image, active, self.store.now.image, *reversed(images))
        return next((wish for wish in wishes if wish is not None and wish in images), None)

    def _set_image(self, image: Image | None) -> None:
        self._listen(image)
        self.store.set(image=image, channels={}, problem="", details="", summary="", warnings=(), note="")
        self._region.set_image(image)
        self._check_models()

    def _listen(self, image: Image | None) -> None:
        if self.store.now.image is not None:
            for emitter in _geometry_events(self.store.now.image):
                emitter.disconnect(self._image_changed)
        if image is not None:
            for emitter in _geometry_events(image):
                emitter.connect(self._image_changed)

    def _image_changed(self, event: Any = None) -> None:
        self._region.refresh()
        self._check_models()

    def _region_changed(self) -> None:
        """Take over what was drawn; called by `DrawnRegion`."""
        drawn = self._region.now
        self.store.set(
            region_layer=drawn.layer,
            region=drawn.region,
            region_problem=drawn.problem,
            shown_slice=drawn.shown_slice,
        )
        if self.store.now.image is not None:
            self._check_models()

    def _slice_shown(self) -> None:
        self.store.set(shown_slice=self._region.now.shown_slice)

    def _dims_changed(self, event: Any = None) -> None:
        self._region.follow_dims()

    def _case(self) -> Case:
        now = self.store.now
        assert now.image is not None
        return Case(now.image, now.channels, self._frame(now.image), now.region)

    def _frame(self, image: Image) -> int:
        """Step along the axis before the spatial ones that the slider shows."""
        frames = frames_of(image)
        if frames == 1:
            return 0
        index = image.world_to_data(self._viewer.dims.point)[image.ndim - 4]
        return min(max(round(float(index)), 0), frames - 1)

    def _check_models(self) -> None:
        """Look which models fit the image and the region, and plan the run."""
        now = self.store.now
        self._inference.forget("plan")  # it would be that of another image or region
        if now.image is None:
            self._inference.forget("models")
            self.store.set(options=(), model="", also=(), plan=None, plan_problem="", is_checking=False)
            return
        case, images, device = self._case(), len(now.images), now.device
        self.store.set(is_checking=True, plan=None, plan_problem="")
        handlers = Handlers[Models](done=self._models_known, failed=self._cannot_look)
        engine = self._engine
        self._inference.submit(
            "models", lambda progress, cancel: engine.models(case, images, device, cancel), handlers
        )

    def _models_known(self, found: Models) -> None:
        fitting = {option.card.name for option in found.options if not option.reason}
        self.store.set(options=found.options, problems=found.problems, engine_problem="")
        wanted = tuple(name for name in self._wanted if name in fitting)
        self._set_models(wanted or tuple(filter(None, (found.recommended,))))
        self._plan()

    def _choose(self, names: tuple[str, ...]) -> None:
        self._wanted = names
        self._set_models(names)
        self._plan()

    def _set_models(self, names: tuple[str, ...]) -> None:
        first, also = next(iter(names), ""), names[1:]
        now = replace(self.store.now, model=first, also=also)
        channels = _channels_for(now)
        self.store.set(model=first, also=also, channels=channels, note=note_about(now.cards, now.image))
        self._region.set_deepest(largest_mm(now.cards))

    def _plan(self) -> None:
        """Say what a run would cost."""
        now = self.store.now
        if now.card is None or now.image is None:
            self._checked(plan=None, plan_problem="")
            return
        case, cards, device, engine = self._case(), now.cards, now.device, self._engine
        self.store.set(is_checking=True, plan=None, plan_problem="")
        handlers = Handlers[PlanWords](
            done=lambda plan: self._checked(plan=plan),
            failed=lambda err: self._checked(plan_problem=trouble(err)[0]),
        )
        self._inference.submit("plan", lambda *_: engine.plan(case, cards, device), handlers)

    def _checked(self, **found: Any) -> None:
        """Take over what is known now, and begin the run if it only waited for that."""
        self.store.set(is_checking=False, **found)
        runs, self._runs_when_ready = self._runs_when_ready, False
        if runs:
            self.run()
        if not self._is_warm and self.store.now.plan is not None:
            self._is_warm = True
            self._inference.submit("warm up", warm_up, Handlers[None]())


def _channels_for(now: SegmentationState) -> dict[str, Image]:
    """Layer of each channel that a chosen model needs; what was set stays, if the roles are the same."""
    image = now.image
    guess: dict[str, Image] = {}
    for card in now.cards:
        if image is not None and needs_layers(card, image):
            guess = {**guess_channels(card, image, now.images), **guess}
    return dict(now.channels) if set(now.channels) == set(guess) else guess


def _geometry_events(image: Image) -> list[Any]:
    return [getattr(image.events, name) for name in _GEOMETRY if hasattr(image.events, name)]


def _find_devices(progress: Progress, cancel: CancelCheck) -> tuple[DeviceInfo, ...]:
    from ..engine import available_devices

    return available_devices()
