"""How one event of a history changes the mask: the answer of the network, and what nobody may overrule.

A voxel that a point lies on is as the point says, a voxel that was painted or wiped is as it was left, and
voxels of finished objects stay theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ...errors import Cancelled, PromptError
from ...history import Add, Bring, Choose, Event, Propagate, Stroke
from ...prompts import Mask
from ...types import BoolArray, CancelCheck, IndexBox, IntArray, Progress
from .blocks import KnownSlice
from .body import Hypothesis, PlanePrompt, SliceBody
from .canvas import Canvas, Patch, slices_of
from .in_planes import SliceKey, in_planes
from .propagate import Gap, Line, carry, gaps_between, ticker
from .scene import Scene
from .solid import SolidBody

__all__ = ["SURE", "Answers", "Bodies", "SliceState", "Watch", "apply_event", "locked_in", "logits_shown"]

_LOOKING = 0.3
"""Share of the progress that a network of volumes is given."""
_CORE = 0.9
"""Of the greatest depth in what was carried to a slice: there a click off the object means all of it."""
SURE = 4.0
"""Logit of what was made by hand, or carried here from elsewhere."""


@dataclass(frozen=True, eq=False)
class SliceState:
    """What is known of a slice.

    Attributes
    ----------
    prompts : tuple of PlanePrompt
    hypotheses : tuple of Hypothesis
        The masks that they may mean, the likeliest first.
    chosen : int
    """

    prompts: tuple[PlanePrompt, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()
    chosen: int = 0

    @property
    def logits(self) -> Tensor | None:
        """Logits of the mask that was chosen."""
        return self.hypotheses[self.chosen].logits if self.hypotheses else None


@dataclass(frozen=True, eq=False)
class Carried:
    """What was followed through a gap.

    Attributes
    ----------
    ends : tuple of SliceState or None
        The anchors' states then.
    logits : mapping of int to Tensor
        Of the slices in which the object was found.
    """

    ends: tuple[SliceState | None, ...]
    logits: Mapping[int, Tensor]


@dataclass(frozen=True)
class Answers:
    """All that the events so far have led to, but for the mask itself.

    Attributes
    ----------
    slices : mapping of SliceKey to SliceState
    by_hand : tuple of (IndexBox, ndarray of bool, bool)
        Boxes, the voxels in them that were painted (or given as a mask) or wiped, in order.
    carried : mapping of (int, Gap) to Carried
        What was followed, of each axis and gap.
    """

    slices: Mapping[SliceKey, SliceState] = field(default_factory=dict)
    by_hand: tuple[tuple[IndexBox, BoolArray, bool], ...] = ()
    carried: Mapping[tuple[int, Gap], Carried] = field(default_factory=dict)


@dataclass(frozen=True)
class Bodies:
    """The networks of a session: one for slices, and one that carries objects through volumes, or None."""

    slices: SliceBody
    solid: SolidBody | None = None


@dataclass(frozen=True)
class Watch:
    """Who is told how far a long event has come, and who may stop it."""

    progress: Progress | None = None
    cancel: CancelCheck | None = None


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
        If a prompt reaches out of the image, or there is nothing to carry on.
    Cancelled
        If the watch said so.
    """
    if isinstance(event, Stroke):
        return _by_hand(answers, canvas, taken, (event.box, event.inside, event.positive))
    if isinstance(event, Bring):
        values = event.inside.copy()
        _obey_hand(values, event.box, answers)
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
        return _prompted(event, answers, canvas, scene, bodies.slices, taken)
    return _propagated(event, answers, canvas, scene, bodies, taken, watch)


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
    return changed, [_paint(key, chosen, changed, canvas, scene, taken)]


def _prompted(
    event: Add, answers: Answers, canvas: Canvas, scene: Scene, body: SliceBody, taken: IntArray
) -> tuple[Answers, list[Patch]]:
    patches = []
    for key, prompt in in_planes(event.prompt, scene.planes, scene.shape, scene.spacing, event.shown):
        state = answers.slices.get(key, SliceState())
        prompts = (*state.prompts, prompt)
        before = logits_shown(key, state, canvas, scene)
        hypotheses = _without_piece(state, prompt, before)
        if hypotheses is None:
            asked = (*_implied(prompts, before), *prompts)
            found = body.answer(scene.slice(key), asked, before, locked_in(key, scene, taken))
            hypotheses = _one_way(found, prompts, before)
        state = SliceState(prompts, hypotheses)
        answers = replace(answers, slices={**answers.slices, key: state})
        patches.append(_paint(key, state, answers, canvas, scene, taken))
    return answers, patches


def _implied(prompts: Sequence[PlanePrompt], before: Tensor | None) -> tuple[PlanePrompt, ...]:
    """Return a point deep in an object that was carried or painted here, for whom only says what it is not.

    Networks learn from users who begin on the object: told where it is not alone, they find nothing at all.
    """
    if before is None or any(prompt.positive for prompt in prompts[:-1]):
        return ()
    mask: BoolArray = (before > 0).numpy().copy()
    for prompt in prompts:
        if prompt.places is not None and not prompt.positive:
            rows, columns = np.clip(np.rint(prompt.places).astype(int), 0, np.asarray(mask.shape) - 1).T
            mask[rows, columns] = False
        elif prompt.region is not None and not prompt.positive:
            mask &= (prompt.region < 0.5).numpy()
    if not mask.any():
        return ()
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    deepest = np.asarray([np.unravel_index(int(depth.argmax()), depth.shape)], float)
    return (PlanePrompt(positive=True, places=deepest),)


def _without_piece(
    state: SliceState, prompt: PlanePrompt, before: Tensor | None
) -> tuple[Hypothesis, ...] | None:
    """Take a piece that was carried here away, where the first click off it lies in its very middle.

    So a user says that the object does not reach this slice. None for all other prompts.
    """
    if before is None or state.prompts or prompt.positive or prompt.places is None or len(prompt.places) > 1:
        return None
    mask: BoolArray = (before > 0).numpy()
    row, column = np.clip(np.rint(prompt.places[0]).astype(int), 0, np.asarray(mask.shape) - 1)
    pieces, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    piece = (pieces == pieces[row, column]) & mask
    depth = ndimage.distance_transform_edt(np.pad(piece, 1))[1:-1, 1:-1]
    if depth[row, column] < max(_CORE * depth.max(), 1):
        return None
    return (Hypothesis(torch.where(torch.from_numpy(mask & ~piece), SURE, -SURE), 1.0),)


def _one_way(
    hypotheses: tuple[Hypothesis, ...], prompts: Sequence[PlanePrompt], before: Tensor | None
) -> tuple[Hypothesis, ...]:
    """Only add to an object that was carried or painted here, or only take away, while no more is asked for.

    That is as long as all prompts of the slice are on the object, or all off it; the first of them found an
    object there.
    """
    kinds = {prompt.positive for prompt in prompts}
    if before is None or len(kinds) > 1 or (kinds == {True} and len(prompts) > 1):
        return hypotheses
    limit = torch.maximum if kinds == {True} else torch.minimum
    return tuple(replace(one, logits=limit(one.logits, before)) for one in hypotheses)


def _propagated(
    event: Propagate,
    answers: Answers,
    canvas: Canvas,
    scene: Scene,
    bodies: Bodies,
    taken: IntArray,
    watch: Watch,
) -> tuple[Answers, list[Patch]]:
    """Carry the answers of an axis' slices on: followed one by one, and found by a network of volumes.

    What either finds is the object: each of them stops too early now and then, and rarely runs too far. Gaps
    whose anchors are as they were are not followed again.
    """
    axis = event.axis
    anchors = _anchors(axis, answers, canvas, scene)
    low, high = event.low or 0, scene.shape[axis] if event.high is None else event.high
    known, filled = _known(axis, anchors, answers, canvas), None
    if bodies.solid is not None:
        filled = _filled(axis, range(low, high), known, scene, bodies.solid, taken, watch)
    ends = {
        gap: tuple(None if end is None else answers.slices.get((axis, end)) for end in (gap.below, gap.above))
        for gap in gaps_between(tuple(sorted(anchors)), low, high)
    }
    kept = {gap: answers.carried[axis, gap] for gap in ends if (axis, gap) in answers.carried}
    carried = {gap: one for gap, one in kept.items() if one.ends == ends[gap]}
    changed = [gap for gap in ends if gap not in carried]
    tick = ticker(changed, _later(watch.progress, 0 if bodies.solid is None else _LOOKING), watch.cancel)
    line = Line(lambda at: scene.slice((axis, at)), lambda at: locked_in((axis, at), scene, taken))
    for gap in changed:
        carried[gap] = Carried(ends[gap], carry(gap, anchors, line, bodies.slices, tick))
    found: dict[int, Tensor] = {}
    largest = max(anchors, key=lambda at: float((anchors[at] > 0).sum()))
    for gap in changed if filled is None else ends:
        found |= dict.fromkeys(range(gap.low, gap.high), _nothing(scene, axis))
        if filled is None or largest in (gap.below, gap.above):
            found |= carried[gap].logits
    if filled is not None:
        found = {index: torch.maximum(logits, filled[index]) for index, logits in found.items()}
    found = {index: _kept(logits, axis, index, known, scene) for index, logits in found.items()}
    every = {**answers.carried, **{(axis, gap): one for gap, one in carried.items()}}
    return _with_slices(axis, found, replace(answers, carried=every), canvas, scene, taken)


def _later(progress: Progress | None, begun: float) -> Progress | None:
    """Tell of the rest of something of which a part is done."""
    if progress is None:
        return None
    told = progress
    return lambda fraction, text: told(begun + (1 - begun) * fraction, text)


def _with_slices(
    axis: int, found: Mapping[int, Tensor], answers: Answers, canvas: Canvas, scene: Scene, taken: IntArray
) -> tuple[Answers, list[Patch]]:
    """Paint slices that an object was carried to.

    What is left there for the next prompt to be answered by is sure of itself, as are the answers that the
    networks of slices learned to go on from.
    """
    sure = {index: torch.where(logits > 0, SURE, -SURE) for index, logits in found.items()}
    states = {(axis, index): SliceState((), (Hypothesis(logits, 1.0),)) for index, logits in sure.items()}
    answers = replace(answers, slices={**answers.slices, **states})
    return answers, [_paint(key, state, answers, canvas, scene, taken) for key, state in states.items()]


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
            watch.progress(_LOOKING * (1 - 0.5**looks), f"look {looks + 1}")
        looks += 1

    filled = body.fill(scene, known, taken, tick)
    if filled is None:
        return None
    fixed = {one.index for one in known if one.axis == axis}
    found = {index: _nothing(scene, axis) for index in wanted if index not in fixed}
    for index, logits in filled.block.slices(filled.logits, axis, -SURE):
        if index in found:
            found[index] = scene.planes[axis].mask(logits)
    return found


def _kept(logits: Tensor, axis: int, index: int, known: Sequence[KnownSlice], scene: Scene) -> Tensor:
    """Leave a slice as it is where known ones across other axes cross it."""
    crossing = [one for one in known if one.axis != axis]
    if not crossing:
        return logits
    fixed = np.zeros(np.delete(scene.shape, axis), np.float32)
    for one in crossing:
        line = np.take(one.mask, index, axis - (axis > one.axis))
        np.moveaxis(fixed, one.axis - (one.axis > axis), 0)[one.index] = np.where(line, SURE, -SURE)
    there = scene.planes[axis].mask(fixed)
    return torch.where(there.abs() > SURE / 2, there, logits)


def _anchors(axis: int, answers: Answers, canvas: Canvas, scene: Scene) -> dict[int, Tensor]:
    """Logits of the slices across an axis that have prompts; if none has, of those that show something.

    Where prompts left nothing, the object ends.

    Raises
    ------
    PromptError
        If there is nothing to carry on.
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
    if not any((logits > 0).any() for logits in found.values()):
        raise PromptError("there is nothing to propagate: no slice across this axis shows the object")
    return found


def _nothing(scene: Scene, axis: int) -> Tensor:
    return torch.full((1, 1), -SURE).expand(scene.planes[axis].pixels)


def logits_shown(key: SliceKey, state: SliceState, canvas: Canvas, scene: Scene) -> Tensor | None:
    """Logits of what is shown in a slice now: the network's own, where nothing was changed since."""
    axis, index = key
    shown: BoolArray = np.take(canvas.mask, index, axis)
    if state.logits is None and not shown.any():
        return None
    mask = scene.planes[axis].mask(shown) > 0.5
    sure = torch.where(mask, SURE, -SURE)
    if state.logits is None:
        return sure
    return torch.where((state.logits > 0) == mask, state.logits, sure)


def locked_in(key: SliceKey, scene: Scene, taken: IntArray) -> Tensor | None:
    """Finished objects in a slice, float32 (I, J) in pixels of its plane; None if there are none."""
    axis, index = key
    found: BoolArray = np.take(taken, index, axis) > 0
    return scene.planes[axis].mask(found) if found.any() else None


def _paint(
    key: SliceKey, state: SliceState, answers: Answers, canvas: Canvas, scene: Scene, taken: IntArray
) -> Patch:
    """Write a slice's answer, and then what overrules it."""
    axis, index = key
    assert state.logits is not None
    mask = scene.planes[axis].back(state.logits[None])[0].numpy() > 0
    low, high = [0, 0, 0], list(scene.shape)
    low[axis], high[axis] = index, index + 1
    box: IndexBox = ((low[0], low[1], low[2]), (high[0], high[1], high[2]))
    values = np.expand_dims(mask, axis).copy()
    _obey_points(values, key, state, scene)
    _obey_hand(values, box, answers)
    values &= taken[slices_of(box)] == 0
    return canvas.write(box, values)


def _obey_points(values: BoolArray, key: SliceKey, state: SliceState, scene: Scene) -> None:
    """Make voxels that points and scribbles lie on as these say."""
    plane = scene.planes[key[0]]
    for prompt in state.prompts:
        if prompt.places is not None:
            marks = plane.voxels_at(prompt.places)
            values.squeeze(key[0])[marks[:, 0], marks[:, 1]] = prompt.positive
        elif prompt.region is not None and not prompt.positive:
            values[np.expand_dims(plane.back(prompt.region[None])[0].numpy() > 0.5, key[0])] = False


def _obey_hand(values: BoolArray, box: IndexBox, answers: Answers) -> None:
    """Voxels that were painted or wiped stay so."""
    for there, inside, positive in answers.by_hand:
        low = np.maximum(box[0], there[0])
        high = np.minimum(box[1], there[1])
        if (low >= high).any():
            continue
        mine = tuple(slice(a - o, b - o) for a, b, o in zip(low, high, box[0], strict=True))
        theirs = tuple(slice(a - o, b - o) for a, b, o in zip(low, high, there[0], strict=True))
        values[mine][inside[theirs]] = positive
