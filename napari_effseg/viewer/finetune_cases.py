"""The cases of the panel *Fine-tune a model*: which layers belong together, what their labels are. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..volume import Code, LabelMap
from ..zoo.card import Card
from .finetune_state import FinetuneStore
from .inference import Handlers, Inference
from .labelled_cases import LabelledCase, Structure, pair_layers, structures_in, why_no_case
from .placement import placement_of
from .source import shows_doubt
from .to_layer import LayerTriple, labels_layer
from .words import sentence, trouble

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels

__all__ = ["CasePicker"]

_CHANGED = ("paint", "data", "features")


class CasePicker:
    """Follows the viewer's layers, keeps the list of cases, and looks which labels they hold.

    Parameters
    ----------
    viewer : napari viewer model
    inference : Inference
        Looks at the labels.
    store : FinetuneStore
        Is told of layers, cases and structures.
    changed : callable
        Called when something else would be learned than before.
    """

    def __init__(
        self, viewer: ViewerModel, inference: Inference, store: FinetuneStore, changed: Callable[[], None]
    ) -> None:
        self.store = store
        self._viewer, self._inference, self._told = viewer, inference, changed
        self._given: dict[int, str] = {}  # names of labels, by hand
        layers = viewer.layers.events
        for emitter in (layers.inserted, layers.removed, layers.reordered):
            emitter.connect(self._layers_changed)
        viewer.layers.selection.events.active.connect(self._selected)
        self._layers_changed()
        self._selected()

    def close(self) -> None:
        """Listen no longer."""
        layers = self._viewer.layers.events
        for emitter in (layers.inserted, layers.removed, layers.reordered):
            emitter.disconnect(self._layers_changed)
        self._viewer.layers.selection.events.active.disconnect(self._selected)
        self._listen(self.store.now.cases, ())
        self._inference.forget("structures")

    def choose_image(self, image: Image) -> None:
        """Take this image for the next case, with the labels that belong to it."""
        now = self.store.now
        pairs = pair_layers(now.images, now.labels)
        mine = next((layer for other, layer in pairs if other is image), None)
        self.store.set(image=image, layer=mine or now.layer)

    def choose_layer(self, layer: Labels) -> None:
        """Take these labels for the next case."""
        self.store.set(layer=layer)

    def add_case(self) -> None:
        """Add image and labels to the cases, or say why they do not belong together."""
        now = self.store.now
        if now.why_not_add or now.image is None or now.layer is None:
            return
        problem = why_no_case(now.image, now.layer)
        if problem:
            self.store.set(problem=problem)
            return
        self._set_cases((*now.cases, LabelledCase(now.image, now.layer)))

    def add_all(self) -> None:
        """Add every image that has labels of its own."""
        now = self.store.now
        taken = [case.image for case in now.cases]
        pairs = pair_layers(now.images, now.labels)
        found = tuple(LabelledCase(image, layer) for image, layer in pairs if image not in taken)
        if found:
            self._set_cases((*now.cases, *found))
        else:
            self.store.set(problem="No other image has labels of its own on its voxels; add it by hand.")

    def remove_case(self, at: int) -> None:
        """Take a case out of the list; its layers stay."""
        cases = list(self.store.now.cases)
        if 0 <= at < len(cases):
            del cases[at]
            self._set_cases(tuple(cases))

    def hold_back(self, at: int, hold_back: bool) -> None:
        """Only measure on a case; without any such case a rule chooses."""
        cases = list(self.store.now.cases)
        if 0 <= at < len(cases):
            cases[at] = replace(cases[at], hold_back=hold_back)
            self._set_cases(tuple(cases))

    def new_labels(self) -> None:
        """Add an empty layer of labels to paint on, with the structures of the model."""
        now = self.store.now
        if now.image is None:
            return
        from napari.layers import Layer

        try:
            layer = Layer.create(*_empty_labels(now.image, now.base.card if now.base else None))
        except ValueError as err:  # a layer without a place
            self.store.set(problem=sentence(str(err)))
            return
        self._viewer.add_layer(layer)
        self.store.set(layer=layer)

    def name_structure(self, number: int, name: str) -> None:
        """Say what a label is."""
        self._given[number] = name
        self._told()
        self.look()

    # --- what follows ---

    def _set_cases(self, cases: tuple[LabelledCase, ...]) -> None:
        before = self.store.now.cases
        self._listen(before, cases)
        self.store.set(cases=cases, problem="")
        self._told()
        if [case.labels for case in before] != [case.labels for case in cases]:
            self.look()

    def look(self, event: Any = None) -> None:
        """Look which labels the cases hold."""
        now = self.store.now
        if now.is_busy:
            return
        if not now.cases:
            self._inference.forget("structures")
            self.store.set(structures=(), structures_problem="", is_looking=False)
            return
        self._told()
        cases, given, card = now.cases, dict(self._given), now.base.card if now.base else None
        self.store.set(is_looking=True)
        handlers = Handlers[tuple[Structure, ...]](
            done=lambda found: self.store.set(structures=found, structures_problem="", is_looking=False),
            failed=lambda err: self.store.set(structures_problem=trouble(err)[0], is_looking=False),
        )
        self._inference.submit(
            "structures", lambda progress, cancel: structures_in(cases, given, card, cancel), handlers
        )

    def _listen(self, before: tuple[LabelledCase, ...], after: tuple[LabelledCase, ...]) -> None:
        for cases, connect in ((before, False), (after, True)):
            for case in cases:
                for name in _CHANGED:
                    emitter = getattr(case.labels.events, name)
                    if connect:
                        emitter.connect(self.look)
                    else:
                        emitter.disconnect(self.look)

    def _layers_changed(self, event: Any = None) -> None:
        from napari.layers import Image, Labels

        layers = list(self._viewer.layers)
        images = tuple(layer for layer in layers if isinstance(layer, Image) and not shows_doubt(layer))
        labels = tuple(layer for layer in layers if isinstance(layer, Labels))
        now = self.store.now
        self.store.set(
            images=images,
            labels=labels,
            image=now.image if now.image in images else next(reversed(images), None),
            layer=now.layer if now.layer in labels else next(reversed(labels), None),
        )
        left = tuple(case for case in now.cases if case.image in images and case.labels in labels)
        if len(left) != len(now.cases):
            self._set_cases(left)

    def _selected(self, event: Any = None) -> None:
        """Take the selected layer for the next case, with the one that belongs to it."""
        now, active = self.store.now, self._viewer.layers.selection.active
        if active in now.images:
            self.choose_image(active)
        elif active in now.labels:
            pairs = pair_layers(now.images, now.labels)
            mine = next((image for image, layer in pairs if layer is active), None)
            below = (image for image in now.images if not why_no_case(image, active))
            self.store.set(layer=active, image=mine or next(below, now.image))


def _empty_labels(image: Image, card: Card | None) -> LayerTriple:
    grid = placement_of(image).source
    empty = np.zeros(grid.shape, np.uint8)
    labels = LabelMap(empty, grid.affine)
    if card is not None:
        codes = {
            label.id: Code(label.code.scheme, label.code.value, label.code.meaning, label.laterality)
            for label in card.labels
        }
        labels = LabelMap(empty, grid.affine, card.label_names, card.label_colours, codes)
    return labels_layer(labels, image, name=f"{image.name} labels")
