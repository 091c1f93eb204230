"""Automatic segmentation: nodes in, segmentation node out; the engine is whatever `Segmenter` is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .Nodes import boxes_of, channels_of, volume_of
from .rooms import Cancelled, EffsegError, IndexBox, ModelInfo, Segmented, Segmenter, Volume
from .Segments import check_target, new_segmentation, put_labels, remember_report
from .Sequences import put_sequence, times_of
from .Statistics import new_table, new_table_over_time
from .Work import Job

__all__ = [
    "Choice",
    "Order",
    "SegmentationLogic",
    "choices_for",
    "further_roles",
    "plan_line",
    "report_of",
    "warnings_of",
    "words_of",
]

_AUTOMATIC = "automatic"
_COLOUR_ROLES = ("red", "green", "blue")


@dataclass(frozen=True)
class Choice:
    """A model in the chooser, and why it cannot be chosen; empty if it can."""

    info: ModelInfo
    reason: str


def choices_for(models: Sequence[ModelInfo], volume: Volume | None, others: int) -> tuple[Choice, ...]:
    """Return the automatic models, those that take an image first, and why the others do not.

    Parameters
    ----------
    models : sequence of ModelInfo
    volume : Volume or None
        That is chosen.
    others : int
        Further volumes in the scene that could be channels.
    """
    found = [Choice(info, _reason(info, volume, others)) for info in models if info.task == _AUTOMATIC]
    return tuple(sorted(found, key=lambda one: (bool(one.reason), not one.info.recommended)))


def further_roles(info: ModelInfo, volume: Volume | None) -> tuple[tuple[str, str], ...]:
    """Return the channels, beyond the first, that want a volume of their own: role and description.

    None for a model of colours, which takes a grey volume three times, or if the volume has them all.
    """
    roles = tuple(role for role, _ in info.channels)
    if roles == _COLOUR_ROLES or (volume is not None and volume.channels == len(roles)):
        return ()
    return info.channels[1:]


def _reason(info: ModelInfo, volume: Volume | None, others: int) -> str:
    if volume is None:
        return "Choose a volume first."
    further = further_roles(info, volume)
    if further and volume.channels == 1:  # each from a volume of its own
        if others < len(further):
            roles = ", ".join(role for role, _ in info.channels)
            return f"It takes {len(info.channels)} volumes: {roles}."
        channels = np.broadcast_to(np.asarray(volume.data), (len(info.channels), *volume.shape))
        volume = Volume(channels, volume.affine, modality=volume.modality)
    misfit = info.misfit(volume)
    return f"{misfit[0].upper()}{misfit[1:]}." if misfit else ""


def plan_line(info: ModelInfo, volume: Volume, boxes: Sequence[IndexBox], frames: int = 1) -> str:
    """Say before a run what it is about to do."""
    sides = " x ".join(str(side) for side in volume.shape)
    voxels = int(np.prod(volume.shape))
    if boxes:
        inside = sum(int(np.prod(np.subtract(high, low))) for low, high in boxes)
        sides = f"a region of {inside / voxels:.0%} of {sides}"
    spacing = " x ".join(f"{step:.3g}" for step in volume.spacing)
    structures = ", ".join(label.name for label in info.labels[:4])
    more = f" and {len(info.labels) - 4} more" if len(info.labels) > 4 else ""
    times = f", {frames} time points" if frames > 1 else ""
    parts = [
        f"{info.title}: {structures}{more}, in {sides} voxels of {spacing} mm{times}.",
        f"Measured: {info.accuracy}." if info.accuracy else "",
        f"Licence of the weights: {info.licence}.",
    ]
    return " ".join(filter(None, parts))


@dataclass(frozen=True)
class Order:
    """What is to be segmented, taken from the scene before the work begins.

    Attributes
    ----------
    model : ModelInfo
    volumes : tuple of Volume
        One for each time point.
    boxes : tuple of IndexBox
    notes : tuple of str
        What the user should know of how the images were taken.
    """

    model: ModelInfo
    volumes: tuple[Volume, ...]
    boxes: tuple[IndexBox, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class SegmentationLogic:
    """Takes an order from the scene, runs it, and puts the result into the scene.

    Parameters
    ----------
    segmenter : callable
        Returns the engine; called in the other thread, since it may have to be started.
    """

    segmenter: Callable[[], Segmenter]
    notes: list[str] = field(default_factory=list)

    def order(
        self,
        model: ModelInfo,
        volume_node: Any,
        others: Sequence[Any] = (),
        regions: Sequence[Any] = (),
        frames: Sequence[Any] = (),
        target: Any = None,
    ) -> Order:
        """Take what is needed from the scene; in the window's thread.

        Parameters
        ----------
        model : ModelInfo
        volume_node : vtkMRMLVolumeNode
        others : sequence of vtkMRMLVolumeNode
            The further channels, in the model's order.
        regions : sequence of vtkMRMLMarkupsROINode
        frames : sequence of vtkMRMLVolumeNode
            The time points; none: the volume node alone.
        target : vtkMRMLSegmentationNode or None
            What the result will be added to; None for a new one, which time points get in any case.

        Raises
        ------
        VolumeError
            As `channels_of`, `boxes_of` and `check_target`.
        """
        if target is not None and not frames:
            check_target(target)
        first, notes = channels_of([volume_node, *others])
        volumes = tuple(volume_of(frame) for frame in frames) or (first,)
        volumes = tuple(_unshared(volume) for volume in volumes)
        return Order(model, volumes, boxes_of(regions, first.grid), notes)

    def job(
        self,
        order: Order,
        done: Callable[[tuple[Segmented, ...]], None],
        failed: Callable[[Exception], None],
        progress: Callable[[float, str], None] | None = None,
    ) -> Job:
        """Return the work on an order, for a `Worker`."""

        def work(job: Job) -> tuple[Segmented, ...]:
            engine = self.segmenter()
            return tuple(_segment(engine, order, at, job) for at in range(len(order.volumes)))

        def finished(results: tuple[Segmented, ...]) -> None:
            if job.is_cancelled():  # too late for the engine, but nothing is in the scene yet
                failed(Cancelled("cancelled"))
            else:
                done(results)

        job = Job(work, finished, failed, progress)
        return job

    def deliver(
        self, result: Segmented, order: Order, volume_node: Any, target: Any = None, with_table: bool = True
    ) -> tuple[Any, Any]:
        """Put a result into the scene; in the window's thread.

        Parameters
        ----------
        result : Segmented
        order : Order
        volume_node : vtkMRMLVolumeNode
        target : vtkMRMLSegmentationNode or None
            A segmentation to add to; None for a new one.
        with_table : bool
            Make a table of volumes and intensities.

        Returns
        -------
        segmentation, table : nodes
            The table is None without one.
        """
        name = f"{volume_node.GetName()} {order.model.name}"
        node = new_segmentation(volume_node, name) if target is None else target
        put_labels(result.labels, volume_node, node, order.model.name)
        remember_report(node, report_of(result, order))
        table = new_table(result.labels, order.volumes[0], f"{name} statistics", node) if with_table else None
        return node, table

    def deliver_over_time(
        self, results: Sequence[Segmented], order: Order, volume_node: Any, with_table: bool = True
    ) -> tuple[Any, Any]:
        """Put the results of all time points into the scene; in the window's thread.

        Parameters
        ----------
        results : sequence of Segmented
        order : Order
        volume_node : vtkMRMLVolumeNode
            The time point that is shown.
        with_table : bool
            Make one table of volumes and intensities at all time points.

        Returns
        -------
        segmentation, table : nodes
            The time point that is shown; the table is None without one.
        """
        name = f"{volume_node.GetName()} {order.model.name}"
        labels, reports = zip(*((one.labels, report_of(one, order)) for one in results), strict=True)
        node = put_sequence(labels, volume_node, name, order.model.name, reports)
        if not with_table:
            return node, None
        times = times_of(volume_node)
        return node, new_table_over_time(labels, order.volumes, times, f"{name} statistics", node)


def report_of(result: Segmented, order: Order) -> Mapping[str, Any]:
    """Return the engine's report with what happened on the way to it."""
    warnings = [*order.notes, *result.report.get("warnings", ())]
    return {**result.report, "warnings": warnings, "licence": order.model.licence}


def warnings_of(results: Sequence[Segmented], order: Order) -> tuple[str, ...]:
    """Return the sentences that the user has to see, each once."""
    found = [str(text) for result in results for text in result.report.get("warnings", ())]
    return tuple(dict.fromkeys((*order.notes, *found)))


def words_of(error: Exception) -> str:
    """Say what went wrong; errors of ours are in the user's words already."""
    text = str(error).strip() or type(error).__name__
    return text if isinstance(error, EffsegError) else f"{type(error).__name__}: {text}"


def _unshared(volume: Volume) -> Volume:
    """Return a volume whose voxels nobody changes while they are being read in another thread."""
    return Volume(np.array(volume.data), volume.affine, modality=volume.modality)


def _segment(engine: Segmenter, order: Order, at: int, job: Job) -> Segmented:
    count = len(order.volumes)
    prefix = f"Time point {at + 1} of {count}: " if count > 1 else ""

    def progress(fraction: float, message: str) -> None:
        job.say((at + fraction) / count, prefix + message)

    return engine.segment(
        order.volumes[at],
        order.model.name,
        roi=order.boxes or None,
        progress=progress,
        cancel=job.is_cancelled,
    )
