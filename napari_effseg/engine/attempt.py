"""Compute labels and doubt of an image as a plan says, with less memory each time it runs out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..types import IntArray
from ..volume import LazyView, Volume
from ..zoo.card import Card
from .canvas import Canvas
from .doubt import check_channels, decide_labels, doubt_of
from .ladder import climb_down
from .plan import Plan, RegionPlan, Step, plan_step, steps_of
from .plausibility import check_contrast, check_modality
from .postprocess import tidy
from .preprocess import NetworkImage
from .rows import bring_to
from .watch import Watch
from .windows import blend

__all__ = ["Job", "NetworkSource", "compute"]

NetworkSource = Callable[[str], nn.Module]
"""``source(device)`` -> the network in evaluation mode, on that device."""


@dataclass(frozen=True)
class Job:
    """What stays the same over all attempts of a run.

    Attributes
    ----------
    source : NetworkSource
    volume : Volume
    card : Card
    channels : tuple of arrays (I, J, K)
        Of the volume, as the card orders them.
    watch : Watch
    """

    source: NetworkSource
    volume: Volume
    card: Card
    channels: tuple[NDArray[Any] | LazyView, ...]
    watch: Watch


def compute(job: Job, plan: Plan) -> tuple[Plan, Canvas]:
    """Fill a canvas, with less memory each time it runs out; the plan that succeeded comes with it."""
    steps = steps_of(job.card, plan.device)
    frames = [region.frame for region in plan.regions]

    def attempt(step: Step) -> tuple[Plan, Canvas]:
        here = plan_step(job.card, job.volume.grid, plan.device, frames, step)
        return here, _fill_canvas(job, here)

    def say(sentence: str) -> None:
        job.watch.warn(sentence)
        job.watch.say(sentence)

    return climb_down(steps[steps.index(plan.step) :], attempt, say)


def _fill_canvas(job: Job, plan: Plan) -> Canvas:
    network = job.source(plan.step.device)
    job.watch.begin_windows(plan.windows)
    canvas = Canvas.blank(job.volume.shape, job.card, [region.frame for region in plan.regions])
    for region in plan.regions:
        job.watch.say("measuring intensities")
        image = NetworkImage(job.channels, region.frame, job.card, job.watch.check)
        _warn_of_input(image, job)
        if image.is_constant:
            job.watch.count_windows(region.tiling.count)
            continue
        with canvas.part(region.frame) as part:
            _fill_part(part.labels, part.doubt, image, network, region, plan.step, job)
            job.watch.say("tidying labels")
            flat = 0 if job.card.dimensions == 2 else None
            tidy(part.labels, job.card.postprocess, job.volume.grid.voxel_mm3, flat)
    return canvas


def _warn_of_input(image: NetworkImage, job: Job) -> None:
    job.watch.warn(*image.warnings, *check_contrast(image.statistics, job.card))
    if not image.is_constant:
        job.watch.warn(*check_modality(job.volume.modality, image.statistics, job.card))


def _fill_part(
    labels: IntArray,
    doubt: NDArray[np.float32],
    image: NetworkImage,
    network: nn.Module,
    region: RegionPlan,
    step: Step,
    job: Job,
) -> None:
    """Label one region, rows after rows; both arrays are those of the region, axes turned."""
    output = job.card.output
    rows = blend(
        image.read,
        _predictor(network, step, job.card),
        region.tiling,
        batch=step.batch,
        after_windows=job.watch.count_windows,
    )
    no_number = 0
    for part in bring_to(rows, region.frame.network, region.frame.labelled_grid):
        where = slice(part.start, part.start + part.values.shape[1])
        labels[where] = decide_labels(part.values, output).numpy()
        found = doubt_of(part.values, output)
        no_number += int(torch.isnan(found).sum())
        doubt[where] = found.nan_to_num_(1.0).numpy()
    if no_number:
        job.watch.warn(
            f"the network gave no number at {no_number} voxels, in {step.precision}; their doubt is 1"
        )


def _predictor(network: nn.Module, step: Step, card: Card) -> Callable[[Tensor], Tensor]:
    """Wrap a network: windows (B, C, I, J, K) in, logits (B, classes, I, J, K) out, without gradients."""
    device = torch.device(step.device)
    half = torch.autocast(device.type, torch.float16, enabled=step.precision == "float16")

    @torch.inference_mode()
    def predict(windows: Tensor) -> Tensor:
        given = windows.squeeze(2) if card.dimensions == 2 else windows
        with half:
            logits: Tensor = network(given.to(device))
        check_channels(card, logits.shape[1])
        return logits.unsqueeze(2) if card.dimensions == 2 else logits

    return predict
