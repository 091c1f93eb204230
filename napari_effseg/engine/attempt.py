"""Compute labels and doubt of an image as a plan says, with less memory each time it runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import VolumeError
from ..volume import LazyView, Volume
from ..zoo.card import Card
from .canvas import Canvas, Part
from .doubt import check_channels, decide_labels, doubt_of
from .frame import Frame
from .ladder import climb_down
from .locate.answer import ask_for_region, left_out, settle
from .locate.sampling import bring_back, sample
from .network import on_windows
from .plan import Plan, RegionPlan, Step, plan_step, steps_of
from .plausibility import check_contrast, check_modality
from .postprocess import tidy
from .preprocess import NetworkImage
from .rows import bring_to
from .watch import Watch
from .windows import Rows, blend

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
    missed = [_fill_region(canvas, network, region, plan.step, job) for region in plan.regions]
    job.watch.warn(*filter(None, missed))
    if all(missed):
        raise VolumeError(f"{'; '.join(filter(None, missed))}. {ask_for_region(job.card)}")
    return canvas


def _fill_region(canvas: Canvas, network: nn.Module, region: RegionPlan, step: Step, job: Job) -> str | None:
    """Label one region; say why its answer was left out, which happens to places alone."""
    job.watch.say("measuring intensities")
    place = region.frame.place
    image = _network_image(job, region.frame)
    _warn_of_input(image, job)
    if image.is_constant:
        job.watch.count_windows(region.tiling.count)
        return None if place is None else left_out(place, "the image has one value there")
    with canvas.part(region.frame) as part:
        _fill_part(part, image, network, region, step, job)
        job.watch.say("tidying labels")
        flat = 0 if job.card.dimensions == 2 else None
        voxel_mm3 = job.volume.grid.voxel_mm3
        tidy(part.labels, job.card.postprocess, voxel_mm3, flat)
        if place is None or part.inside is None:
            return None
        return settle(part.labels, part.doubt, part.inside, voxel_mm3, place, job.card)


def _network_image(job: Job, frame: Frame) -> NetworkImage:
    """Image that the network sees; at a place it is brought to the place's grid first, as it is small."""
    if frame.place is None:
        return NetworkImage(job.channels, frame, job.card, job.watch.check)
    channels = [sample(channel, job.volume.grid, frame.network) for channel in job.channels]
    return NetworkImage(channels, Frame.exactly(frame.network), job.card, job.watch.check)


def _warn_of_input(image: NetworkImage, job: Job) -> None:
    job.watch.warn(*image.warnings, *check_contrast(image.statistics, job.card))
    if not image.is_constant:
        job.watch.warn(*check_modality(job.volume.modality, image.statistics, job.card))


def _fill_part(
    part: Part,
    image: NetworkImage,
    network: nn.Module,
    region: RegionPlan,
    step: Step,
    job: Job,
) -> None:
    """Label one region, rows after rows."""
    output = job.card.output
    rows = blend(
        image.read,
        _predictor(network, step, job.card),
        region.tiling,
        batch=step.batch,
        after_windows=job.watch.count_windows,
    )
    no_number = 0
    for done in _on_image(rows, region.frame, part):
        where = slice(done.start, done.start + done.values.shape[1])
        part.labels[where] = decide_labels(done.values, output).numpy()
        found = doubt_of(done.values, output)
        no_number += int(torch.isnan(found).sum())
        part.doubt[where] = found.nan_to_num_(1.0).numpy()
    if part.inside is not None:
        part.labels[~part.inside] = 0
        part.doubt[~part.inside] = 0
    if no_number:
        job.watch.warn(
            f"the network gave no number at {no_number} voxels, in {step.precision}; their doubt is 1"
        )


def _on_image(rows: Iterator[Rows], frame: Frame, part: Part) -> Iterator[Rows]:
    """Class scores on the image's own voxels; at a place, notes which of these lie in it."""
    if part.inside is None:
        yield from bring_to(rows, frame.network, frame.labelled_grid)
        return
    for done, inside in bring_back(rows, frame.network, frame.labelled_grid):
        part.inside[done.start : done.start + len(inside)] = inside
        yield done


def _predictor(network: nn.Module, step: Step, card: Card) -> Callable[[Tensor], Tensor]:
    """Wrap a network: windows (B, C, I, J, K) in, logits (B, classes, I, J, K) out, without gradients."""
    device = torch.device(step.device)
    half = torch.autocast(device.type, torch.float16, enabled=step.precision == "float16")
    apply = on_windows(network, card)

    @torch.inference_mode()
    def predict(windows: Tensor) -> Tensor:
        with half:
            logits = apply(windows.to(device))
        check_channels(card, logits.shape[1])
        return logits

    return predict
