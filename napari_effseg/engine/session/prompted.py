"""How a prompt changes the slices that it lies in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ...history import Add
from ...types import BoolArray, IntArray
from .body import Hypothesis, PlanePrompt, SliceBody
from .canvas import Canvas, Patch
from .in_planes import in_planes
from .known import SURE, Answers, SliceState
from .painting import locked_in, logits_shown, paint
from .scene import Scene

__all__ = ["prompted"]

_LITTLE = 0.5
"""Of what a click by itself finds; where less was carried to a slice, the first click on the object counts as
if nothing was."""
_CORE = 0.9
"""Of the greatest depth in what was carried to a slice: there a click off the object means all of it."""


def prompted(
    event: Add, answers: Answers, canvas: Canvas, scene: Scene, body: SliceBody, taken: IntArray
) -> tuple[Answers, list[Patch]]:
    """Answer a prompt in each of its slices, and paint them."""
    patches = []
    for key, prompt in in_planes(event.prompt, scene.planes, scene.shape, scene.spacing, event.shown):
        state = answers.slices.get(key, SliceState())
        prompts = (*state.prompts, prompt)
        before = logits_shown(key, state, canvas, scene)
        hypotheses = _without_piece(state, prompt, before)
        if hypotheses is None:
            asked = (*_implied(prompts, before), *prompts)
            image, locked = scene.slice(key), locked_in(key, scene, taken)
            found = body.answer(image, asked, before, locked)
            if before is not None and prompt.positive and not state.prompts:
                found = _larger(body.answer(image, asked, None, locked), found, before)
            hypotheses = _one_way(found, prompts, before)
        state = SliceState(prompts, hypotheses)
        answers = replace(answers, slices={**answers.slices, key: state})
        patches.append(paint(key, state, answers, canvas, scene, taken))
    return answers, patches


def _implied(prompts: Sequence[PlanePrompt], before: Tensor | None) -> tuple[PlanePrompt, ...]:
    """Return a point deep in an object that was carried or painted here, for whom only says what it is not.

    Networks learn from users who begin on the object: told where it is not alone, they find nothing at all.
    """
    if before is None or any(prompt.positive for prompt in prompts):
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


def _larger(
    anew: tuple[Hypothesis, ...], corrected: tuple[Hypothesis, ...], before: Tensor
) -> tuple[Hypothesis, ...]:
    """Take the answer of a first click where little of the object was carried here, else the correction."""
    return anew if (before > 0).sum() < _LITTLE * (anew[0].logits > 0).sum() else corrected


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
