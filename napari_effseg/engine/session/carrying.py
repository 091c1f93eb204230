"""How an object is carried from the slices that show it to all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ...errors import Cancelled, PromptError
from ...history import Propagate
from ...types import IntArray, Progress
from .blocks import KnownSlice
from .body import Hypothesis
from .canvas import Canvas, Patch
from .known import SURE, Answers, Bodies, Carried, SliceState, Watch
from .likeness import Likeness
from .painting import locked_in, logits_shown, paint
from .pieces import joined
from .propagate import Gap, Line, carry, gaps_between, ticker
from .scene import Scene
from .shapes import shaped
from .solid import SolidBody

__all__ = ["check_shown", "propagated"]

_LOOKING = 0.3
"""Share of the progress that a network of volumes is given."""


def propagated(
    event: Propagate,
    answers: Answers,
    canvas: Canvas,
    scene: Scene,
    bodies: Bodies,
    taken: IntArray,
    watch: Watch,
) -> tuple[Answers, list[Patch]]:
    """Carry the answers of an axis' slices on: followed one by one, and found by a network of volumes.

    What either finds is the object, as each of them stops too early now and then, as far as its shape and its
    brightness in the slices that are known do not say otherwise. Gaps whose anchors are as they were are not
    followed again.
    """
    axis = event.axis
    anchors = _anchors(axis, answers, canvas, scene)
    if not anchors:
        return answers, []  # the prompts that it was carried from have been removed since
    low, high = event.low or 0, scene.shape[axis] if event.high is None else event.high
    gaps = gaps_between(tuple(sorted(anchors)), low, high)
    known, filled = _known(axis, anchors, answers, canvas), None
    if bodies.solid is not None:
        filled = _filled(axis, range(low, high), known, scene, bodies.solid, taken, watch)
        watch = replace(watch, progress=_later(watch.progress, _LOOKING))
    wanted = gaps if filled is None else _beside_largest(gaps, anchors)
    carried, changed = _followed(axis, wanted, anchors, answers, scene, bodies, taken, watch)
    found: dict[int, Tensor] = {}
    again = changed if filled is None else gaps
    for gap in again:
        found |= dict.fromkeys(range(gap.low, gap.high), _nothing(scene, axis))
        found |= carried[gap].logits if gap in carried else {}
    for index, logits in (filled or {}).items():
        found[index] = torch.maximum(found[index], logits)
    for gap in again:
        for index, logits in shaped(gap, anchors):
            found[index] = found[index] + logits
    masks = _whole(axis, found, anchors, known, scene)
    every = {**answers.carried, **{(axis, gap): one for gap, one in carried.items()}}
    return _with_slices(axis, masks, replace(answers, carried=every), canvas, scene, taken)


def _whole(
    axis: int,
    found: Mapping[int, Tensor],
    anchors: Mapping[int, Tensor],
    known: Sequence[KnownSlice],
    scene: Scene,
) -> dict[int, Tensor]:
    """Make masks of what was found: it looks like what is known, and hangs together with it."""
    likeness = Likeness.of(known, scene)
    masks, seeds = {}, {index: logits > 0 for index, logits in anchors.items()}
    for index, logits in found.items():
        doubted = logits + likeness.doubts(scene, axis, index) if (logits > 0).any() else logits
        masks[index] = doubted > 0
        fixed = _crossing(axis, index, known, scene)
        if fixed is not None:
            masks[index] = torch.where(fixed.abs() > SURE / 2, fixed > 0, masks[index])
            seeds[index] = fixed > SURE / 2
    return joined(masks, seeds)


def _followed(
    axis: int,
    gaps: Sequence[Gap],
    anchors: Mapping[int, Tensor],
    answers: Answers,
    scene: Scene,
    bodies: Bodies,
    taken: IntArray,
    watch: Watch,
) -> tuple[dict[Gap, Carried], list[Gap]]:
    """Follow an object through gaps: what was found in each, and those that had to be followed again."""
    ends = {
        gap: tuple(None if end is None else answers.slices.get((axis, end)) for end in (gap.below, gap.above))
        for gap in gaps
    }
    kept = {gap: answers.carried[axis, gap] for gap in ends if (axis, gap) in answers.carried}
    carried = {gap: one for gap, one in kept.items() if one.ends == ends[gap]}
    changed = [gap for gap in ends if gap not in carried]
    tick = ticker(changed, watch.progress, watch.cancel)
    line = Line(lambda at: scene.slice((axis, at)), lambda at: locked_in((axis, at), scene, taken))
    for gap in changed:
        carried[gap] = Carried(ends[gap], carry(gap, anchors, line, bodies.slices, tick))
    return carried, changed


def _beside_largest(gaps: Sequence[Gap], anchors: Mapping[int, Tensor]) -> list[Gap]:
    """Gaps at the anchor that shows most of the object: from there it is followed best."""
    largest = max(anchors, key=lambda at: float((anchors[at] > 0).sum()))
    return [gap for gap in gaps if largest in (gap.below, gap.above)]


def _later(progress: Progress | None, begun: float) -> Progress | None:
    """Tell of the rest of something of which a part is done."""
    if progress is None:
        return None
    told = progress
    return lambda fraction, text: told(begun + (1 - begun) * fraction, text)


def _with_slices(
    axis: int,
    masks: Mapping[int, Tensor],
    answers: Answers,
    canvas: Canvas,
    scene: Scene,
    taken: IntArray,
) -> tuple[Answers, list[Patch]]:
    """Paint slices that an object was carried to.

    What is left there for the next prompt to be answered by is sure of itself, as are the answers that the
    networks of slices learned to go on from.
    """
    nothing = _nothing(scene, axis)  # one for all slices that show none of the object: there are many
    states = {}
    for index, mask in masks.items():
        sure = torch.where(mask, SURE, -SURE) if mask.any() else nothing
        states[axis, index] = SliceState((), (Hypothesis(sure, 1.0),))
    answers = replace(answers, slices={**answers.slices, **states})
    return answers, [paint(key, state, answers, canvas, scene, taken) for key, state in states.items()]


def _known(
    axis: int, anchors: Mapping[int, Tensor], answers: Answers, canvas: Canvas
) -> tuple[KnownSlice, ...]:
    """Slices in which the object is known: those with prompts, of all planes, and the anchors."""
    prompted = [key for key, state in answers.slices.items() if state.prompts]
    keys = dict.fromkeys([*((axis, index) for index in anchors), *prompted])
    return tuple(KnownSlice(across, index, np.take(canvas.mask, index, across)) for across, index in keys)


def _filled(
    axis: int,
    wanted: range,
    known: Sequence[KnownSlice],
    scene: Scene,
    body: SolidBody,
    taken: IntArray,
    watch: Watch,
) -> dict[int, Tensor] | None:
    """Answer slices by a network of volumes; None where the object does not fit into what that sees."""
    looks = 0

    def tick() -> None:
        nonlocal looks
        if watch.cancel is not None and watch.cancel():
            raise Cancelled("stopped while the object was carried on")
        if watch.progress is not None:
            watch.progress(_LOOKING * (1 - 0.5**looks), f"the whole object, look {looks + 1}")
        looks += 1

    filled = body.fill(scene, known, taken, tick)
    if filled is None:
        return None
    fixed = {one.index for one in known if one.axis == axis}
    return {
        index: scene.planes[axis].mask(logits)
        for index, logits in filled.block.slices(filled.logits, axis, -SURE)
        if index in wanted and index not in fixed
    }


def _crossing(axis: int, index: int, known: Sequence[KnownSlice], scene: Scene) -> Tensor | None:
    """Return what known slices across other axes say of a slice: sure logits on their lines, 0 elsewhere."""
    crossing = [one for one in known if one.axis != axis]
    if not crossing:
        return None
    fixed = np.zeros(np.delete(scene.shape, axis), np.float32)
    for one in crossing:
        line = np.take(one.mask, index, axis - (axis > one.axis))
        np.moveaxis(fixed, one.axis - (one.axis > axis), 0)[one.index] = np.where(line, SURE, -SURE)
    return scene.planes[axis].mask(fixed)


def check_shown(axis: int, answers: Answers, canvas: Canvas, scene: Scene) -> None:
    """Refuse to carry nothing on.

    Raises
    ------
    PromptError
        If no slice across the axis shows the object.
    """
    if not _anchors(axis, answers, canvas, scene):
        raise PromptError("there is nothing to propagate: no slice across this axis shows the object")


def _anchors(axis: int, answers: Answers, canvas: Canvas, scene: Scene) -> dict[int, Tensor]:
    """Logits of the slices across an axis that have prompts; if none has, of those that show something.

    Where prompts left nothing, the object ends; none are returned where nothing at all is shown.
    """
    prompted = [
        index for (across, index), state in answers.slices.items() if across == axis and state.prompts
    ]
    others = tuple(other for other in range(3) if other != axis)
    shown = np.flatnonzero(canvas.mask.any(axis=others)).tolist()
    found = {}
    for index in prompted or shown:
        logits = logits_shown((axis, index), answers.slices.get((axis, index), SliceState()), canvas, scene)
        if logits is not None:
            found[index] = logits
    return found if any((logits > 0).any() for logits in found.values()) else {}


def _nothing(scene: Scene, axis: int) -> Tensor:
    return torch.full((1, 1), -SURE).expand(scene.planes[axis].pixels)
