"""The image of the panel *Click segmentation*, its session, its layers; opened and closed. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import EffsegError, ServerError
from ..prompts import Prompt
from ..types import CancelCheck, Progress
from ..volume import Grid
from .click_bench import Answer, Bench
from .click_gestures import rows_of
from .click_layer import Brushed, ResultLayer, warm_up
from .click_marks import Marks
from .click_opening import Opened, Opener, open_bench, source_in
from .click_places import frame_shown
from .click_saver import Saver
from .click_state import ClickStage, ClickStore, ModelChoice
from .engines import without_server
from .inference import Handlers, Inference
from .source import shows_doubt
from .words import sentence, trouble

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels

__all__ = ["ClickRoom"]

_GEOMETRY = ("scale", "translate", "rotate", "shear", "affine")
_EMPTY_GRID = Grid((1, 1, 1), np.eye(4))


class ClickRoom:
    """Chooses the image, and keeps its session and its layers.

    Parameters
    ----------
    viewer : napari viewer model
    inference : Inference
    store : ClickStore
    opener : Opener
        How sessions are opened; `use` takes another.
    painted : callable
        As for `ResultLayer`.
    brush_changed : callable
        As for `ResultLayer`.
    opened : callable
        Told when a session is open.

    Attributes
    ----------
    saver : Saver
    layer : ResultLayer or None
    marks : Marks or None
    prompts : mapping of int to Prompt
    """

    def __init__(
        self,
        viewer: ViewerModel,
        inference: Inference,
        store: ClickStore,
        opener: Opener,
        painted: Callable[[tuple[Brushed, ...], bool], None],
        brush_changed: Callable[[], None],
        opened: Callable[[], None],
    ) -> None:
        self.saver = Saver(inference, store)
        self.layer: ResultLayer | None = None
        self.marks: Marks | None = None
        self.prompts: Mapping[int, Prompt] = {}
        self._viewer, self._inference, self._store, self._opener = viewer, inference, store, opener
        self._painted, self._brush_changed, self._told = painted, brush_changed, opened
        self._opened: Opened | None = None
        self._wanted: Image | None = None
        self._again: Path | None = None  # session to go on with, once the image can be opened again
        self._continued: Labels | None = None  # its layer, until another one shows what it holds
        self._is_closed = False
        self._is_adding = self._is_warm = False
        layers = viewer.layers.events
        for emitter in (layers.inserted, layers.removed):
            emitter.connect(self._layers_changed)
        viewer.layers.selection.events.active.connect(self._layers_changed)
        self._layers_changed()

    def close(self, then: Callable[[], None]) -> None:
        """Listen no longer; save what was not saved, then call `then`, perhaps in the inference thread."""
        if self._is_closed:
            return
        self._is_closed = True
        layers = self._viewer.layers.events
        for emitter in (layers.inserted, layers.removed):
            emitter.disconnect(self._layers_changed)
        self._viewer.layers.selection.events.active.disconnect(self._layers_changed)
        if self.image is not None:
            self._listen(self.image, "disconnect")
        for lane in ("click models", "click open", "click warm up"):
            self._inference.forget(lane)
        self._leave_session(then)

    # --- what there is ---

    @property
    def image(self) -> Image | None:
        """The layer that is clicked on."""
        return self._store.now.image

    @property
    def bench(self) -> Bench | None:
        """The open session; None where there is none."""
        return self._opened.bench if self._opened is not None else None

    @property
    def grid(self) -> Grid:
        """Grid of the session's image."""
        return self._opened.volume.grid if self._opened is not None else _EMPTY_GRID

    @property
    def only_frame(self) -> int | None:
        """Time point of the session, where the image has several and it is of one alone."""
        return self._opened.source.frame if self._opened is not None else None

    @property
    def frame(self) -> int:
        """Time point that is shown, where the session is of all of them; else 0."""
        if self._opened is None or len(self._opened.source.volumes) == 1:
            return 0
        return frame_shown(self._viewer, self._opened.source.image)

    @property
    def is_closed(self) -> bool:
        """Whether the panel is gone."""
        return self._is_closed

    # --- models and images ---

    def look_for_models(self, *_: object) -> None:
        """Look which models answer clicks; one may have been added."""
        self._store.set(is_looking=True)
        handlers = Handlers[tuple[ModelChoice, ...]](done=self._found_models, failed=self._cannot_look)
        find = self._opener.models
        self._inference.submit("click models", lambda *_: find(), handlers)

    def use(self, opener: Opener) -> None:
        """Open sessions in another way from now on; what was done goes on there."""
        self._opener = opener
        self._inference.forget("click open")
        self._keep_for_later()
        self._leave_session()
        self._store.set(models=(), model="", stage=ClickStage.CLOSED, message="", notice="", is_lost=False)
        self._store.set(problem="", details="")
        self.look_for_models()

    def _keep_for_later(self) -> None:
        """Note the file in which what was done will be, to go on with it."""
        now = self._store.now
        if self._opened is not None and (now.undo or now.redo):
            self._again = self.saver.keep_for_later()
            self._continued = self.layer.layer if self.layer is not None else None

    def choose_model(self, name: str) -> None:
        """Use this model from now on; what was done goes on with it where a session is open."""
        if name == self._store.now.model:
            return
        self._store.set(model=name)
        self._keep_for_later()
        self.open(self._again)

    def choose_image(self, image: Image) -> None:
        """Click on this image from now on, whichever layer is selected; chosen again, it is opened anew."""
        self._wanted = image
        self._set_image(image)

    def open(self, path: Path | None = None) -> None:
        """Open a session on the image, or go on with that of a file."""
        now = self._store.now
        if path is None:
            self._continued = None  # its labels stay: nothing goes on with them
        self._leave_session()
        if now.image is None or not now.models:
            return
        try:
            frame = frame_shown(self._viewer, now.image)
            source = source_in(now.image, frame, self._opener.most_frames)
        except EffsegError as err:
            self._cannot_open(err)
            return
        self._store.set(
            stage=ClickStage.OPENING, fraction=0.0, message="Opening", notice="", problem="", details=""
        )
        model = now.model or "auto"

        def work(progress: Progress, cancel: CancelCheck) -> Opened:
            return open_bench(self._opener, source, model, frame, path, progress, cancel)

        handlers = Handlers[Opened](
            done=self._take_over,
            failed=self._cannot_open if path is None else partial(self._cannot_resume, path),
            progress=lambda fraction, message: self._store.set(fraction=fraction, message=message),
        )
        self._inference.submit("click open", work, handlers)

    def stop_opening(self) -> None:
        """Wait no longer for the image to be opened."""
        self._inference.forget("click open")
        self._store.set(stage=ClickStage.CLOSED, notice="Stopped. Choose the image again to go on.")

    # --- answers ---

    def take(self, answer: Answer) -> None:
        """Show what an action has made of the session."""
        now = self._store.now
        changes: dict[str, Any] = {"undo": answer.undo, "redo": answer.redo, "has_mask": answer.has_mask}
        if answer.frame == self.frame:  # else the user has gone on, and what is there was asked for
            self.prompts = answer.prompts
            changes |= {
                "frame": answer.frame,
                "prompts": rows_of(answer.prompts),
                "selected": now.selected if now.selected in answer.prompts else None,
                "volume_ml": answer.volume_ml,
                "hypotheses": answer.hypotheses,
                "chosen": answer.chosen,
            }
        finished = answer.finished
        if finished is not None:
            changes |= {"objects": finished.objects, "label": finished.label}
            if finished.label != now.label:
                again = finished.reopened
                changes |= {"colour": again.colour if again else finished.colour}
                changes |= {"name": again.name if again else now.name}
        self._store.set(**changes)
        self.dress()
        if self.layer is not None:
            self._is_adding = True
            self.layer.show(answer.patches)
            self._is_adding = False
        self._inference.deliver(self.show_marks)  # in a turn of its own: napari takes its time to add a layer

    def dress(self) -> None:
        """Show names and colours."""
        now = self._store.now
        if self.layer is not None:
            self.layer.look_like(now.objects, (now.label, now.name, now.colour))

    def show_marks(self) -> None:
        """Show the prompts on the image."""
        if self.marks is not None:
            self._is_adding = True
            self.marks.show(self.prompts, self._store.now.selected)
            self._is_adding = False

    # --- earlier sessions ---

    def decline(self) -> None:
        """Begin anew, although there is an earlier session."""
        self._store.set(offer=None)

    def resume(self) -> None:
        """Go on with the session that is offered."""
        offer = self._store.now.offer
        if offer is not None:
            self.open(offer.path)

    # --- what happens around ---

    def _found_models(self, models: tuple[ModelChoice, ...]) -> None:
        model = self._store.now.model
        known = {choice.name for choice in models}
        had = bool(self._store.now.models)
        self._store.set(models=models, is_looking=False, model=model if model in known else "", problem="")
        if models and (not had or self._opened is None):
            self.open(self._again)

    def _cannot_look(self, error: Exception) -> None:
        """Say why it is not known which models there are; a session that is open stays."""
        if self._opened is None:
            self._cannot_open(error)
        else:
            self._store.set(is_looking=False)

    def _layers_changed(self, event: Any = None) -> None:
        from napari.layers import Image

        if self._is_adding:
            return
        images = tuple(
            layer for layer in self._viewer.layers if isinstance(layer, Image) and not shows_doubt(layer)
        )
        now = self._store.now
        if images != now.images:
            self._store.set(images=images)
        if self._wanted not in images:
            self._wanted = None
        # a stray click on another layer must not end a session in which something was done
        in_use = now.image if now.undo or now.redo else None
        first = (self._viewer.layers.selection.active, now.image, *reversed(images))
        seen = [layer for layer in first if layer is not None and layer.visible]
        wishes = (self._wanted, in_use, *seen, now.image, *reversed(images))
        image = next((wish for wish in wishes if wish is not None and wish in images), None)
        if image is not now.image:
            self._set_image(image)

    def _set_image(self, image: Image | None) -> None:
        self._leave_session()
        self._again = self._continued = None
        if self.image is not None:
            self._listen(self.image, "disconnect")
        if image is not None:
            self._listen(image, "connect")
        self._store.set(image=image, stage=ClickStage.CLOSED, problem="", details="", notice="", offer=None)
        self.open()

    def _listen(self, image: Image, verb: str) -> None:
        getattr(image.events.data, verb)(self._data_changed)
        for name in _GEOMETRY:
            getattr(getattr(image.events, name), verb)(self._moved)

    def _data_changed(self, event: Any = None) -> None:
        self.open()

    def _moved(self, event: Any = None) -> None:
        """Let labels and marks lie where the image lies now."""
        if self.layer is None or self.marks is None or self.image is None:
            return
        self.layer.follow_image()
        self.marks.close()
        self.marks = Marks(self._viewer, self.image, self.grid)
        self.show_marks()

    def _take_over(self, opened: Opened) -> None:
        """Make the layers of a session that was opened, and show what it holds."""
        source = opened.source
        self._opened = opened
        self._again = None
        self._drop_continued()
        self.saver.begin(opened)
        self.layer = ResultLayer(
            self._viewer,
            source.image,
            opened.volume,
            source.level,
            source.frame,
            len(source.volumes),
            self._painted,
            self._brush_changed,
            self._inference.deliver,
        )
        self.marks = Marks(self._viewer, source.image, opened.volume.grid)
        self._store.set(
            stage=ClickStage.READY,
            message="",
            offer=opened.offer,
            notice=sentence(opened.note),
            saved="",
            name="",
            objects=(),
            label=0,
            frames=len(source.volumes),
            frame=opened.answer.frame,
        )
        self.take(opened.answer)
        self._is_adding = True
        self.layer.replace_alike()
        self._is_adding = False
        self._told()
        if not self._is_warm:
            self._is_warm = True
            self._inference.submit("click warm up", warm_up, Handlers[None]())

    def _drop_continued(self) -> None:
        """Take the layer of a session that goes on away: a new one is about to show the same."""
        if self._continued is not None and self._continued in self._viewer.layers:
            self._is_adding = True
            self._viewer.layers.remove(self._continued)
            self._is_adding = False
        self._continued = None

    def _cannot_open(self, error: Exception) -> None:
        words, details = trouble(error)
        words = without_server(words, error)
        self._store.set(stage=ClickStage.CLOSED, problem=words, details=details, is_looking=False, message="")

    def _cannot_resume(self, path: Path, error: Exception) -> None:
        """Say why, and open the image without it; the file stays as it is."""
        if isinstance(error, ServerError):
            self._again = path  # it may be there soon
            self._cannot_open(error)
            return
        self._again = self._continued = None
        words, details = trouble(error)
        self.open()
        self._store.set(notice=f"{words} The file was left as it is.", details=details, offer=None)

    def _leave_session(self, then: Callable[[], None] | None = None) -> None:
        """Put the session away: its labels stay in the viewer, and what was not saved is saved."""
        if self.layer is not None:
            self.layer.close()
        if self.marks is not None:
            self._is_adding = True
            self.marks.close()
            self._is_adding = False
        self.layer = self.marks = self._opened = None
        self.prompts = {}
        if not self._is_closed:
            self._store.set(
                prompts=(),
                objects=(),
                undo="",
                redo="",
                volume_ml=0.0,
                has_mask=False,
                selected=None,
                hypotheses=0,
                frames=1,
                frame=0,
            )
        self.saver.end(then)
