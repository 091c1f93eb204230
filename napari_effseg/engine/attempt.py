"""Compute labels and doubt of an image as a plan says, with less memory each time it runs out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import VolumeError
from ..volume import LazyView, Volume
from ..zoo.card import Card
from ..zoo.foreign.ensemble import members_of
from .canvas import Canvas, Part
from .doubt import check_channels
from .frame import Frame
from .ladder import climb_down
from .locate.answer import ask_for_region, left_out, settle
from .locate.sampling import bring_back, sample
from .manner import taps_back
from .network import on_windows
from .plan import Plan, RegionPlan, Step, plan_step, steps_of
from .plausibility import check_contrast, check_modality
from .postprocess import tidy
from .preprocess import NetworkImage, image_for
from .results import ScoreReader, mean_of
from .rows import AxisLine, AxisTaps, bring_to
from .watch import Watch
from .whole_image import WholeImage
from .windows import Blending, Rows, blend

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
    job.watch.begin_windows(plan.windows * len(members_of(network)))
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
        job.watch.count_windows(region.tiling.count * len(members_of(network)))
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


def _network_image(job: Job, frame: Frame) -> NetworkImage | WholeImage:
    """Image that the network sees; at a place it is brought to the place's grid first, as it is small."""
    if frame.place is None:
        return image_for(job.channels, frame, job.card, job.watch.check)
    channels = [sample(channel, job.volume.grid, frame.network) for channel in job.channels]
    return NetworkImage(channels, Frame.exactly(frame.network), job.card, job.watch.check)


def _warn_of_input(image: NetworkImage | WholeImage, job: Job) -> None:
    job.watch.warn(*image.warnings, *check_contrast(image.statistics, job.card))
    if not image.is_constant:
        job.watch.warn(*check_modality(job.volume.modality, image.statistics, job.card))


def _fill_part(
    part: Part,
    image: NetworkImage | WholeImage,
    network: nn.Module,
    region: RegionPlan,
    step: Step,
    job: Job,
) -> None:
    """Label one region, rows after rows."""
    rows = mean_of([_blended(image, member, region, step, job) for member in members_of(network)])
    no_number = 0
    reader = ScoreReader(job.card)
    for done in _on_image(reader.before(rows), region.frame, part, job.card):
        where = slice(done.start, done.start + done.values.shape[1])
        labels, found = reader.after(done.values)
        part.labels[where] = labels.numpy()
        no_number += int(torch.isnan(found).sum())
        part.doubt[where] = found.nan_to_num_(1.0).numpy()
    if part.inside is not None:
        part.labels[~part.inside] = 0
        part.doubt[~part.inside] = 0
    if no_number:
        job.watch.warn(
            f"the network gave no number at {no_number} voxels, in {step.precision}; their doubt is 1"
        )


def _blended(
    image: NetworkImage | WholeImage, network: nn.Module, region: RegionPlan, step: Step, job: Job
) -> Iterator[Rows]:
    """Logits of one network on its own grid."""
    window = job.card.window
    return blend(
        image.read,
        _predictor(network, step, job.card),
        region.tiling,
        batch=step.batch,
        after_windows=job.watch.count_windows,
        blending=Blending(window.weights, window.padding),
    )


def _on_image(rows: Iterator[Rows], frame: Frame, part: Part, card: Card) -> Iterator[Rows]:
    """Class scores on the image's own voxels; at a place, notes which of these lie in it."""
    if part.inside is None:
        yield from bring_to(rows, frame.network, frame.labelled_grid, _way_back(frame, card))
        return
    for done, inside in bring_back(rows, frame.network, frame.labelled_grid):
        part.inside[done.start : done.start + len(inside)] = inside
        yield done


def _way_back(frame: Frame, card: Card) -> Sequence[Callable[[AxisLine], AxisTaps]]:
    """How each axis of the scores is interpolated."""
    manner, what = card.input.manner, card.output.bring_back
    if manner == "own":
        return (AxisTaps.linear,) * 3 if what != "labels" else (AxisTaps.nearest,) * 3
    image = frame.labelled_grid
    spacing = card.input.spacing or ()
    wanted = (*image.spacing[: 3 - len(spacing)], *spacing)
    return taps_back(manner, wanted, image, "labels" if what == "labels" else "scores")


def _predictor(network: nn.Module, step: Step, card: Card) -> Callable[[Tensor], Tensor]:
    """Wrap a network: windows (B, C, I, J, K) in, logits (B, classes, I, J, K) out, without gradients."""
    device = torch.device(step.device)
    half = torch.autocast(device.type, torch.float16, enabled=step.precision == "float16")
    apply = on_windows(network, card)
    axes = [axis + 5 - card.dimensions for axis in card.window.mirror]

    @torch.inference_mode()
    def predict(windows: Tensor) -> Tensor:
        with half:
            logits = _mirrored(apply, windows.to(device), axes)
        check_channels(card, logits.shape[1])
        return logits

    return predict


def _mirrored(apply: Callable[[Tensor], Tensor], windows: Tensor, axes: Sequence[int]) -> Tensor:
    """Logits of windows, averaged over their mirror images along every choice of `axes`."""
    logits = apply(windows)
    if not axes:
        return logits
    total = logits.float()
    choices = [chosen for count in range(1, len(axes) + 1) for chosen in itertools.combinations(axes, count)]
    for chosen in choices:
        total = total + apply(windows.flip(chosen)).float().flip(chosen)
    return total / (len(choices) + 1)
