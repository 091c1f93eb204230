"""Automatic segmentation: a Volume and a card in, a LabelMap on the Volume's own grid out."""

from __future__ import annotations

import copy
import time
from dataclasses import replace

from torch import nn

from ..errors import EffsegError, OutOfMemory
from ..nets.inference import inference_form
from ..types import CancelCheck, IndexBox, IntArray, PathLike, Progress
from ..volume import Algorithm, Code, Grid, LabelMap, Volume, crop
from ..zoo.card import Card
from .attempt import Job, NetworkSource, compute
from .choose import Roi, choose_card, regions_of
from .device import DeviceInfo, peak_memory_bytes, resolve_device
from .frame import sub_grid, turning
from .ladder import is_memory_error
from .locate import Located, locate
from .networks import cached_network
from .objects import ObjectSummary, object_map, summary_of
from .plan import Plan, PlanOptions, resolve
from .plausibility import (
    check_field_of_view,
    check_pieces,
    check_sides,
    check_volumes,
    needs_locating,
)
from .preprocess import select_channels
from .report import Report, Result, versions
from .watch import Watch
from .whole_image import content_box

__all__ = ["plan_segmentation", "segment", "segment_with"]


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
        Any axes, spacing and real dtype; it is not changed. Its data may be a memory map, or an array that is
        read when it is needed: then a few rows or chunks are held at a time, and with `roi` only the regions
        and what the network sees around them are read (and, for a card whose intensity rule wants the
        statistics of the whole image, each chunk once or a few times for these).
    model : str, path, Card or None
        A card's name, the path of a card, or a card. None: the recommended card of those that fit.
    device : str
        "auto", "cpu", "cuda", "cuda:n" or "mps".
    roi : box, list of boxes, or None
        Regions to label, half-open, in stored indices ((i0, j0, k0), (i1, j1, k1)). The network also sees
        some of the image around them; outside them labels and doubt are 0. Where regions overlap, the label
        of lower doubt stays. None: the whole image; or, where that is larger than the card's field of view,
        the places where the card's structure is found, with labels that name their sides.
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
        no finite voxel, a region outside the image, or an image much larger than the card's field of view
        in which the structure cannot be found.
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
            copies[name] = inference_form(copy.deepcopy(network).eval().to(name))
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
        content = content_box(channels.arrays, card)
        plan = resolve(PlanOptions(boxes, content=content), card, volume.grid, device)
        watch.warn(*plan.notes)
        watch.say(plan.describe(), 0.0)
        job = Job(source, volume, card, channels.arrays, watch)
        found = locate(channels.arrays[0], volume.grid, card, watch) if plan.locates else None
        final, canvas = compute(job, plan if found is None else _plan_at(found, job, device))
        labels = _label_map(canvas.labels, volume, _as_labelled(card, found))
        watch.say("checking the result", 0.98)
        watch.warn(*_check_result(labels, _as_labelled(card, found), found.boxes if found else boxes))
        labels, objects = _objects(labels, card, boxes, watch)
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
        located=found,
        objects=objects,
    )
    watch.say("done", 1.0)
    return Result(labels, canvas.doubt, report)


def _plan_at(found: Located, job: Job, device: DeviceInfo) -> Plan:
    """Plan again, now that it is known where the structure lies."""
    return resolve(PlanOptions(places=found.places), job.card, job.volume.grid, device)


def _as_labelled(card: Card, found: Located | None) -> Card:
    """Return the card with the labels that a result has: a structure that was found knows its side."""
    return card if found is None else replace(card, labels=card.located_labels)


def _check_geometry(grid: Grid, card: Card, boxes: tuple[IndexBox, ...], watch: Watch) -> None:
    """Refuse what the network must not be applied to, before anything is computed."""
    turning(grid, card)  # refuses one slice for a 3D card, which no region would help
    for box in boxes:
        watch.warn(*check_field_of_view(sub_grid(grid, box), card, "region"))
    if not boxes and not needs_locating(grid, card):
        watch.warn(*check_field_of_view(grid, card))


def _check_result(labels: LabelMap, card: Card, boxes: tuple[IndexBox, ...]) -> tuple[str, ...]:
    """Look at the labels, and not at what surrounds the regions, which may be far larger."""
    found = crop(labels, _around(boxes)) if boxes else labels
    return (
        *check_volumes(found, card),
        *check_pieces(found.data, card),
        *check_sides(found, card, labels.grid),
    )


def _objects(
    labels: LabelMap, card: Card, boxes: tuple[IndexBox, ...], watch: Watch
) -> tuple[LabelMap, ObjectSummary | None]:
    """Turn labels into numbered objects, if the card has some."""
    if card.postprocess.instances is None:
        return labels, None
    watch.say("numbering objects", 0.99)
    numbered = object_map(labels, card, _around(boxes or (((0, 0, 0), labels.shape),)))
    return numbered, summary_of(numbered, card)


def _around(boxes: tuple[IndexBox, ...]) -> IndexBox:
    """Smallest box that holds all of these."""
    i0, j0, k0 = (min(box[0][axis] for box in boxes) for axis in range(3))
    i1, j1, k1 = (max(box[1][axis] for box in boxes) for axis in range(3))
    return (i0, j0, k0), (i1, j1, k1)


def _label_map(labels: IntArray, volume: Volume, card: Card) -> LabelMap:
    codes = {
        label.id: Code(label.code.scheme, label.code.value, label.code.meaning, label.laterality)
        for label in card.labels
    }
    made_by = Algorithm(card.name, f"{versions()['napari-effseg']}, weights {card.weights.sha256[:12]}")
    return LabelMap(labels, volume.affine, card.label_names, card.label_colours, codes, made_by=made_by)
