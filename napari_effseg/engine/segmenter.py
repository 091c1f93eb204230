"""Automatic segmentation: a Volume and a card in, a LabelMap on the Volume's own grid out."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import EffsegError, OutOfMemory
from ..types import CancelCheck, IndexBox, IntArray, PathLike, Progress
from ..volume import Code, Grid, LabelMap, Volume
from ..zoo.card import Card
from .canvas import Canvas
from .choose import Roi, choose_card, regions_of
from .device import DeviceInfo, peak_memory_bytes, resolve_device
from .doubt import check_channels, decide_labels, doubt_of
from .frame import sub_grid, turning
from .ladder import climb_down, is_memory_error
from .networks import cached_network
from .plan import Plan, PlanOptions, RegionPlan, Step, plan_step, resolve, steps_of
from .plausibility import (
    check_contrast,
    check_field_of_view,
    check_modality,
    check_pieces,
    check_sides,
    check_volumes,
)
from .postprocess import tidy
from .preprocess import NetworkImage, select_channels
from .report import Report, Result, versions
from .rows import bring_to
from .watch import Watch
from .windows import blend

__all__ = ["plan_segmentation", "segment", "segment_with"]

NetworkSource = Callable[[str], nn.Module]
"""``source(device)`` -> the network in evaluation mode, on that device."""


def segment(
    volume: Volume,
    model: str | PathLike | Card | None = None,
    device: str = "auto",
    roi: Roi | None = None,
    progress: Progress | None = None,
    cancel: CancelCheck | None = None,
) -> Result:
    """Segment a volume.

    Parameters
    ----------
    volume : Volume
        Any axes, spacing and real dtype; it is not changed. Its data may be a memory map.
    model : str, path, Card or None
        A card's name, the path of a card, or a card. None: the recommended card of those that fit.
    device : str
        "auto", "cpu", "cuda", "cuda:n" or "mps".
    roi : box, list of boxes, or None
        Regions to label, half-open, in stored indices ((i0, j0, k0), (i1, j1, k1)). The network also sees
        some of the image around them; outside them labels and doubt are 0. Where regions overlap, the label
        of lower doubt stays.
    progress : callable or None
        ``progress(fraction, message)``; the first message is the plan.
    cancel : callable or None
        ``cancel()`` -> True to stop; asked between windows and stages.

    Returns
    -------
    Result
        ``labels`` (LabelMap) and ``doubt`` (float32) on exactly the volume's grid, and ``report``.

    Raises
    ------
    VolumeError
        If the volume cannot be segmented with this card: one slice for a 3D card, channels that do not fit,
        no finite voxel, a region outside the image, or an image much larger than the card's field of view.
    UnknownModel, CardError, WeightsError
        If there is no such card, or it or its weights are broken.
    DeviceError
        If the device is unknown or not there.
    OutOfMemory
        If memory does not suffice even after smaller windows, half precision and the CPU.
    Cancelled
        If `cancel` said so.

    Examples
    --------
    >>> result = segment(volume, "hippocampus-lightm-unet")  # doctest: +SKIP
    >>> result.labels.volumes_ml()  # doctest: +SKIP
    {1: 1.7, 2: 1.5}
    """
    boxes = regions_of(roi, volume.shape)
    where = resolve_device(device)
    card = choose_card(model, volume, boxes)
    return _run(
        lambda name: cached_network.get(card, name), volume, card, where, boxes, Watch(progress, cancel)
    )


def segment_with(
    network: nn.Module,
    volume: Volume,
    card: Card,
    device: str = "auto",
    roi: Roi | None = None,
    progress: Progress | None = None,
    cancel: CancelCheck | None = None,
) -> Result:
    """Segment a volume with a network that is already in memory, such as one in training.

    `network` is copied to the device; its own mode, device and weights stay as they are. All else as
    `segment`; the report's checksum is the card's.
    """
    boxes = regions_of(roi, volume.shape)
    where = resolve_device(device)
    copies: dict[str, nn.Module] = {}

    def source(name: str) -> nn.Module:
        if name not in copies:
            copies[name] = copy.deepcopy(network).eval().to(name)
        return copies[name]

    return _run(source, volume, card, where, boxes, Watch(progress, cancel))


def plan_segmentation(
    volume: Volume, model: str | PathLike | Card | None = None, device: str = "auto", roi: Roi | None = None
) -> Plan:
    """Plan what `segment` would do with these arguments, without doing it.

    Raises
    ------
    VolumeError, UnknownModel, CardError, DeviceError
        As `segment`.
    """
    boxes = regions_of(roi, volume.shape)
    card = choose_card(model, volume, boxes)
    return resolve(PlanOptions(boxes), card, volume.grid, resolve_device(device))


@dataclass(frozen=True)
class _Job:
    """What stays the same over all attempts of a run."""

    source: NetworkSource
    volume: Volume
    card: Card
    channels: tuple[NDArray[np.generic], ...]
    watch: Watch


def _run(
    source: NetworkSource,
    volume: Volume,
    card: Card,
    device: DeviceInfo,
    boxes: tuple[IndexBox, ...],
    watch: Watch,
) -> Result:
    """Check, plan, compute down the ladder, and report."""
    began = time.perf_counter()
    watch.warn(*volume.warnings)
    _check_geometry(volume.grid, card, boxes, watch)
    try:
        channels = select_channels(volume, card)
        watch.warn(*channels.warnings)
        plan = resolve(PlanOptions(boxes), card, volume.grid, device)
        watch.warn(*plan.notes)
        watch.say(plan.describe(), 0.0)
        job = _Job(source, volume, card, channels.arrays, watch)
        final, canvas = _compute(job, plan)
        labels = _label_map(canvas.labels, volume, card)
        watch.say("checking the result", 0.98)
        watch.warn(*check_volumes(labels, card), *check_pieces(labels.data, card), *check_sides(labels, card))
    except (MemoryError, RuntimeError) as err:
        if isinstance(err, EffsegError) or not is_memory_error(err):
            raise
        raise OutOfMemory(
            f"memory ran out while the image was prepared or its labels were tidied: {err}"
        ) from err
    report = Report(
        model=card.name,
        weights_sha256=card.weights.sha256,
        device=final.step.device,
        precision=final.step.precision,
        seconds=time.perf_counter() - began,
        peak_memory_bytes=peak_memory_bytes(device),
        windows=final.windows,
        plan=plan.describe(),
        versions=versions(),
        warnings=tuple(watch.warnings),
    )
    watch.say("done", 1.0)
    return Result(labels, canvas.doubt, report)


def _check_geometry(grid: Grid, card: Card, boxes: tuple[IndexBox, ...], watch: Watch) -> None:
    """Refuse what the network must not be applied to, before anything is computed."""
    turning(grid, card)  # refuses one slice for a 3D card, which no region would help
    for box in boxes:
        watch.warn(*check_field_of_view(sub_grid(grid, box), card, "region"))
    if not boxes:
        watch.warn(*check_field_of_view(grid, card))


def _compute(job: _Job, plan: Plan) -> tuple[Plan, Canvas]:
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


def _fill_canvas(job: _Job, plan: Plan) -> Canvas:
    network = job.source(plan.step.device)
    job.watch.begin_windows(plan.windows)
    canvas = Canvas.blank(job.volume.shape, job.card, len(plan.regions))
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


def _warn_of_input(image: NetworkImage, job: _Job) -> None:
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
    job: _Job,
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


def _label_map(labels: IntArray, volume: Volume, card: Card) -> LabelMap:
    codes = {
        label.id: Code(label.code.scheme, label.code.value, label.code.meaning, label.laterality)
        for label in card.labels
    }
    return LabelMap(labels, volume.affine, card.label_names, card.label_colours, codes)
