"""A slice's answer brought to the canvas, and what nobody may overrule.

A voxel that a point lies on is as the point says, a voxel that was painted or wiped is as it was left, and
voxels of finished objects stay theirs.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...types import BoolArray, IndexBox, IntArray
from .canvas import Canvas, Patch, slices_of
from .in_planes import SliceKey
from .known import SURE, Answers, SliceState
from .scene import Scene

__all__ = ["locked_in", "logits_shown", "obey_hand", "paint"]


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


def paint(
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
    obey_hand(values, box, answers)
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


def obey_hand(values: BoolArray, box: IndexBox, answers: Answers) -> None:
    """Voxels that were painted or wiped stay so."""
    for there, inside, positive in answers.by_hand:
        low = np.maximum(box[0], there[0])
        high = np.minimum(box[1], there[1])
        if (low >= high).any():
            continue
        mine = tuple(slice(a - o, b - o) for a, b, o in zip(low, high, box[0], strict=True))
        theirs = tuple(slice(a - o, b - o) for a, b, o in zip(low, high, there[0], strict=True))
        values[mine][inside[theirs]] = positive
