"""A promptable model, or a baseline, over the objects of data sets."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...errors import Cancelled, ConfigError
from ...io import load, load_labels
from ...io.dataset import SPLITS, CaseFiles, Dataset, read_dataset
from ...prompt_voxels import plane_of
from ...prompts import Point
from ...protocols import Session
from ...types import CancelCheck, Progress
from ...volume import LabelMap, Volume, same_grid
from .objects import Solid, solids_of, targets_of
from .protocol import ask_for_solid, ask_for_target
from .scores import ObjectClicks, SetClicks, SolidClicks

__all__ = ["ALL", "ClickEvaluation", "ClickOptions", "Subject", "evaluate_clicks"]

ALL = "all"
"""The split that is every list together."""
_SAME_PLACE_MM = 1e-2


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Attributes
    ----------
    name : str
    open : callable
        ``open(volume)`` -> a session without prompts.
    weights_sha256 : str
        "" for what has no weights.
    """

    name: str
    open: Callable[[Volume], Session]
    weights_sha256: str = ""


@dataclass(frozen=True)
class ClickOptions:
    """How to measure.

    Attributes
    ----------
    split : str
        "training", "validation", "test", or "all" of them.
    limit : int or None
        Only so many cases of each set, spread evenly over its list.
    objects : int
        So many of each image at most, drawn once and for all by the seed and the case's name.
    clicks : int
        So many on each object; also the cap of the number of clicks to Dice 0.90.
    solids : bool
        Whether objects of volumes are asked for as a whole, too.
    seed : int
    left_out : tuple of str
        Names of cases that are not measured.
    """

    split: str = "test"
    limit: int | None = None
    objects: int = 4
    clicks: int = 10
    solids: bool = False
    seed: int = 0
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClickEvaluation:
    """What came out, with all that is needed to measure it again."""

    subject: Subject
    options: ClickOptions
    sets: tuple[SetClicks, ...]


def evaluate_clicks(
    subject: Subject,
    datasets: Sequence[tuple[str, Path]],
    options: ClickOptions = ClickOptions(),
    progress: Progress | None = None,
    cancel: CancelCheck | None = None,
) -> ClickEvaluation:
    """Ask for objects of data sets by simulated prompts.

    Parameters
    ----------
    subject : Subject
    datasets : sequence of (str, Path)
        Each with the name of the group that it is put into, or "".
    options : ClickOptions
    progress, cancel : callable, optional
        As for `segment`.

    Raises
    ------
    ConfigError
        If a set has no object that can be asked for, a case no reference on its own grid, or no set a case
        that is to be left out.
    ImageReadError, PromptError, VolumeError, OutOfMemory, Cancelled
        As `load` and the session say.
    """
    read = [(group, read_dataset(folder)) for group, folder in datasets]
    files = [_files(dataset, options) for _, dataset in read]
    _check_left_out(options, [dataset for _, dataset in read])
    total, done = sum(map(len, files)), 0
    sets = []
    for (group, dataset), cases in zip(read, files, strict=True):
        found: list[_CaseClicks] = []
        for case in cases:
            if cancel is not None and cancel():
                raise Cancelled("stopped between two cases")
            if progress is not None:
                progress(done / total, f"{subject.name}, {dataset.name}: {case.name}")
            found.append(_ask(subject, dataset, case, options, cancel))
            done += 1
        sets.append(_set(group, dataset, found))
    return ClickEvaluation(subject, options, tuple(sets))


@dataclass(frozen=True)
class _CaseClicks:
    dimensions: int
    objects: tuple[ObjectClicks, ...]
    solids: tuple[SolidClicks, ...]


def _every_case(dataset: Dataset) -> tuple[CaseFiles, ...]:
    return sum((dataset.splits.get(split, ()) for split in SPLITS), ())


def _check_left_out(options: ClickOptions, datasets: Sequence[Dataset]) -> None:
    there = {case.name for dataset in datasets for case in _every_case(dataset)}
    for name in options.left_out:
        if name not in there:
            raise ConfigError(f"there is no case {name!r} to leave out; cases are named as in scores")


def _files(dataset: Dataset, options: ClickOptions) -> tuple[CaseFiles, ...]:
    every = _every_case(dataset) if options.split == ALL else dataset.split(options.split)
    every = tuple(case for case in every if case.name not in options.left_out)
    if options.limit is None or options.limit >= len(every):
        return every
    return tuple(every[len(every) * place // options.limit] for place in range(options.limit))


def _set(group: str, dataset: Dataset, found: Sequence[_CaseClicks]) -> SetClicks:
    objects = tuple(one for case in found for one in case.objects)
    if not objects:
        raise ConfigError(
            f"{dataset.folder} has no object in these cases that is large enough to be asked for"
        )
    solids = tuple(one for case in found for one in case.solids)
    dimensions = max(case.dimensions for case in found)
    name = dataset.folder.resolve().name
    return SetClicks(dataset.name, name, group, dimensions, len(found), objects, solids, dataset.warnings)


def _ask(
    subject: Subject, dataset: Dataset, case: CaseFiles, options: ClickOptions, cancel: CancelCheck | None
) -> _CaseClicks:
    """Ask for some objects of a case, one after the other in one session."""
    volume, labels = _load(dataset, case)
    random = np.random.default_rng((options.seed, zlib.crc32(case.name.encode("utf-8", "surrogateescape"))))
    solids = solids_of(labels.data, dataset.labels, dataset.has_objects, options.objects, random)
    is_volume = volume.shape[2] > 1
    objects: list[ObjectClicks] = []
    whole: list[SolidClicks] = []
    with subject.open(volume) as session:
        for solid in solids:
            if cancel is not None and cancel():
                raise Cancelled("stopped between two objects")
            objects += _ask_slices(session, case.name, solid, volume, options)
            if options.solids and is_volume:
                whole.append(_ask_whole(session, case.name, solid, volume))
    return _CaseClicks(3 if is_volume else 2, tuple(objects), tuple(whole))


def _ask_slices(
    session: Session, case: str, solid: Solid, volume: Volume, options: ClickOptions
) -> Iterator[ObjectClicks]:
    for target in targets_of(solid, volume.spacing):
        asked = ask_for_target(session, target, volume.spacing, options.clicks)
        pixels = int(target.truth.sum())
        yield ObjectClicks(case, target.task, target.label, target.axis, target.index, pixels, asked)


def _ask_whole(session: Session, case: str, solid: Solid, volume: Volume) -> SolidClicks:
    axis = plane_of(Point((0, 0, 0)), volume.shape, volume.spacing)
    dice = ask_for_solid(session, solid, axis, volume.spacing)
    return SolidClicks(case, solid.task, solid.label, axis, int(solid.voxels.sum()), dice)


def _load(dataset: Dataset, case: CaseFiles) -> tuple[Volume, LabelMap]:
    if case.label is None:
        raise ConfigError(f"the case {case.name} of {dataset.folder} has no reference; name another split")
    volume, labels = load(case.images[0]), load_labels(case.label)
    is_picture = volume.shape[2] == 1
    if labels.shape != volume.shape or not (
        is_picture or same_grid(volume.grid, labels.grid, tolerance_mm=_SAME_PLACE_MM)
    ):
        raise ConfigError(f"image and reference of the case {case.name} lie on different grids")
    return volume, replace(labels, affine=volume.affine)
