"""How one event of a history changes the mask."""

from __future__ import annotations

from dataclasses import replace

from ...errors import PromptError
from ...history import Add, Bring, Choose, Event, Stroke
from ...prompts import Mask
from ...types import BoolArray, IndexBox, IntArray
from .canvas import Canvas, Patch, slices_of
from .carrying import propagated
from .known import Answers, Bodies, SliceState, Watch
from .painting import obey_hand, paint
from .prompted import prompted
from .scene import Scene

__all__ = ["apply_event"]


def apply_event(
    event: Event,
    answers: Answers,
    canvas: Canvas,
    scene: Scene,
    bodies: Bodies,
    taken: IntArray,
    watch: Watch,
) -> tuple[Answers, list[Patch]]:
    """Apply an event to the canvas.

    Parameters
    ----------
    event : Event
    answers : Answers
        Of the events before.
    canvas : Canvas
        Changed in place.
    scene : Scene
        The image.
    bodies : Bodies
    taken : ndarray of int, shape (I, J, K)
        Labels of finished objects.
    watch : Watch

    Returns
    -------
    answers : Answers
    patches : list of Patch
        In the order in which they were made.

    Raises
    ------
    PromptError
        If a prompt reaches out of the image.
    Cancelled
        If the watch said so.
    """
    if isinstance(event, Stroke):
        return _by_hand(answers, canvas, taken, (event.box, event.inside, event.positive))
    if isinstance(event, Bring):
        values = event.inside.copy()
        obey_hand(values, event.box, answers)
        values &= taken[slices_of(event.box)] == 0
        return answers, [canvas.write(event.box, values)]
    if isinstance(event, Choose):
        return _choose(event, answers, canvas, scene, taken)
    if isinstance(event, Add) and isinstance(event.prompt, Mask):
        array = event.prompt.array
        if array.shape != scene.shape:
            raise PromptError(f"Mask of shape {array.shape} was given; the image has {scene.shape}")
        whole: IndexBox = ((0, 0, 0), scene.shape)
        return _by_hand(answers, canvas, taken, (whole, array, event.prompt.positive))
    if isinstance(event, Add):
        return prompted(event, answers, canvas, scene, bodies.slices, taken)
    return propagated(event, answers, canvas, scene, bodies, taken, watch)


def _by_hand(
    answers: Answers, canvas: Canvas, taken: IntArray, mark: tuple[IndexBox, BoolArray, bool]
) -> tuple[Answers, list[Patch]]:
    box, inside, positive = mark
    part = canvas.mask[slices_of(box)]
    changed = part | inside if positive else part & ~inside
    changed &= taken[slices_of(box)] == 0
    return replace(answers, by_hand=(*answers.by_hand, mark)), [canvas.write(box, changed)]


def _choose(
    event: Choose, answers: Answers, canvas: Canvas, scene: Scene, taken: IntArray
) -> tuple[Answers, list[Patch]]:
    key = (event.axis, event.index)
    state = answers.slices.get(key, SliceState())
    if event.hypothesis >= len(state.hypotheses):
        return answers, []  # the prompts that it was a choice of have been removed since
    chosen = replace(state, chosen=event.hypothesis)
    changed = replace(answers, slices={**answers.slices, key: chosen})
    return changed, [paint(key, chosen, changed, canvas, scene, taken)]
