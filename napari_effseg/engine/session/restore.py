"""Steps of a session that was open before, without asking the network again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from ...history import Add, Event, Stroke
from ...prompts import Mask
from ...types import BoolArray, IndexBox
from .body import Hypothesis
from .canvas import Patch
from .in_planes import in_planes
from .known import SURE, Answers, SliceState
from .scene import Scene
from .timeline import Step

__all__ = ["step_of"]


def step_of(events: Sequence[Event], mask: BoolArray, scene: Scene) -> Step:
    """Make one step of events whose mask is known.

    Parameters
    ----------
    events : sequence of Event
    mask : ndarray of bool, shape (I, J, K)
        What they led to.
    scene : Scene

    Returns
    -------
    Step
        Taken back, it leaves an empty canvas.

    Raises
    ------
    PromptError
        If a prompt reaches out of the image.
    """
    answers = Answers()
    whole: IndexBox = ((0, 0, 0), scene.shape)
    for event in events:
        if isinstance(event, Stroke):
            mark = (event.box, event.inside, event.positive)
            answers = replace(answers, by_hand=(*answers.by_hand, mark))
        elif isinstance(event, Add) and isinstance(event.prompt, Mask):
            mark = (whole, event.prompt.array, event.prompt.positive)
            answers = replace(answers, by_hand=(*answers.by_hand, mark))
        elif isinstance(event, Add):
            answers = _with_prompts(event, answers, mask, scene)
    empty = Patch.between(whole, torch.zeros(scene.shape, dtype=torch.bool).numpy(), mask)
    return Step(tuple(events), answers, (empty,), is_stored=True)


def _with_prompts(event: Add, answers: Answers, mask: BoolArray, scene: Scene) -> Answers:
    """Note an event's prompts in their slices, which show what the mask has there."""
    slices = dict(answers.slices)
    for key, prompt in in_planes(event.prompt, scene.planes, scene.shape, scene.spacing, event.shown):
        axis, index = key
        state = slices.get(key, SliceState())
        shown = scene.planes[axis].mask(mask.take(index, axis)) > 0.5  # type: ignore[arg-type]  # a mask
        logits = torch.where(shown, SURE, -SURE)
        slices[key] = SliceState((*state.prompts, prompt), (Hypothesis(logits, 1.0),))
    return replace(answers, slices=slices)
