"""A model over the cases of a data set: scores a structure and case, means and spreads over the cases."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..engine import segment
from ..errors import ConfigError
from ..io import load, load_labels
from ..io.dataset import CaseFiles, Dataset, plain_name, read_dataset
from ..metrics import LabelScore, ObjectScore, label_scores, object_score
from ..types import CancelCheck, PathLike, Progress
from ..volume import LabelMap, Volume, same_grid
from ..zoo import Card, find_card
from .corruptions import corrupt, corruption_names
from .transforms import make_guise

__all__ = [
    "CaseResult",
    "Evaluation",
    "EvaluationOptions",
    "Spread",
    "evaluate",
    "evaluate_corrupted",
    "pair_labels",
]

_SAME_PLACE_MM = 1e-2  # image and reference of a data set may differ by rounding in their headers


@dataclass(frozen=True)
class EvaluationOptions:
    """How to evaluate.

    Attributes
    ----------
    split : str
        "training", "validation" or "test".
    device : str
        As for `segment`.
    transform : str
        One of `transforms.transform_names()`: the guise in which the model gets each case.
    tolerance_mm : float
        Tolerance of the surface Dice in mm.
    seed : int
        Of the transforms that draw numbers.
    limit : int or None
        Only so many of the first cases.
    held_back : float or None
        Take this fraction of the training cases for the validation split, as `hold_back` chooses them.
    names : mapping of int to str
        Names of the data set's labels, where its ``dataset.json`` has none or others.
    corruption : str
        One of `corruptions.corruption_names()`: what is done to each image first.
    """

    split: str = "test"
    device: str = "auto"
    transform: str = "none"
    tolerance_mm: float = 1.0
    seed: int = 0
    limit: int | None = None
    held_back: float | None = None
    names: Mapping[int, str] = field(default_factory=dict)
    corruption: str = "none"


@dataclass(frozen=True)
class CaseResult:
    """One case.

    Attributes
    ----------
    case : str
    seconds : float
        That the model took.
    scores : tuple of LabelScore
    warnings : tuple of str
        Of the model.
    objects : ObjectScore or None
        Where both the model and the reference number objects.
    """

    case: str
    seconds: float
    scores: tuple[LabelScore, ...]
    warnings: tuple[str, ...]
    objects: ObjectScore | None = None


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (of the sample, 0 for one case) over cases."""

    mean: float
    std: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Summarise at least one value."""
        return cls(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0)


@dataclass(frozen=True)
class Evaluation:
    """What came out, with all that is needed to measure it again."""

    model: str
    weights_sha256: str
    dataset: str
    options: EvaluationOptions
    cases: tuple[CaseResult, ...]
    warnings: tuple[str, ...] = ()

    def over_cases(self, metric: str, label: int | None = None) -> Spread:
        """Summarise a metric over the cases.

        Parameters
        ----------
        metric : {"dice", "hausdorff95_mm", "surface_dice"}
        label : int, optional
            One structure; default is each case's mean over its structures.
        """
        return Spread.of(
            [
                statistics.fmean(
                    getattr(score, metric) for score in case.scores if label is None or score.label == label
                )
                for case in self.cases
            ]
        )

    @property
    def ap50(self) -> Spread | None:
        """Mean share of objects that were found, over the cases; None where no objects are numbered."""
        found = [case.objects.ap50 for case in self.cases if case.objects is not None]
        return Spread.of(found) if found else None

    @property
    def labels(self) -> dict[int, str]:
        """Number and name of each structure that was scored."""
        return {score.label: score.name for case in self.cases for score in case.scores}

    def missed(self, label: int) -> int:
        """In how many cases the reference has this structure and the result none of it."""
        return sum(score.missed for case in self.cases for score in case.scores if score.label == label)

    @property
    def median_seconds(self) -> float:
        """Median seconds a case."""
        return statistics.median(case.seconds for case in self.cases)


def evaluate(
    model: str | Path | Card,
    dataset: PathLike,
    options: EvaluationOptions = EvaluationOptions(),
    progress: Progress | None = None,
    cancel: CancelCheck | None = None,
) -> Evaluation:
    """Segment the whole images of a split and score them against their references.

    Parameters
    ----------
    model : str, Path or Card
        As for `segment`.
    dataset : path
        A folder that `read_dataset` reads.
    options : EvaluationOptions
    progress, cancel : callable, optional
        As for `segment`.

    Raises
    ------
    ConfigError
        If a case has no reference or one of another grid, or the model knows none of the structures.
    ImageReadError, UnknownModel, VolumeError, WeightsError, OutOfMemory, Cancelled
        As `load`, `find_card` and `segment` say.
    """
    card = find_card(model)
    described, by_number = _named(read_dataset(dataset, options.held_back), options, card)
    files = described.split(options.split)[: options.limit]
    names = _names_of(card)
    numbers, warnings = pair_labels(described.labels, names)
    numbers = _on_both_sides(numbers, card)
    warnings = (*described.warnings, *by_number, *warnings)
    cases = []
    for done, entry in enumerate(files):
        share = _ShareOf(progress, done, len(files), entry.name)
        cases.append(_evaluate_case(card, entry, described, numbers, options, share, cancel))
    return Evaluation(card.name, card.weights.sha256, described.name, options, tuple(cases), warnings)


def evaluate_corrupted(
    model: str | Path | Card,
    dataset: PathLike,
    options: EvaluationOptions = EvaluationOptions(),
    progress: Progress | None = None,
    cancel: CancelCheck | None = None,
) -> tuple[Evaluation, ...]:
    """Evaluate a model on the images as they are, and on each corruption of them.

    Parameters
    ----------
    model, dataset, progress, cancel
        As for `evaluate`.
    options : EvaluationOptions
        Its `corruption` is not used.

    Returns
    -------
    tuple of Evaluation
        In the order of `corruption_names()`; the first is of the images as they are.
    """
    names = corruption_names()
    found = []
    for done, name in enumerate(names):
        share = _ShareOf(progress, done, len(names), name)
        found.append(evaluate(model, dataset, replace(options, corruption=name), share, cancel))
    return tuple(found)


def _named(dataset: Dataset, options: EvaluationOptions, card: Card) -> tuple[Dataset, tuple[str, ...]]:
    """Name the data set's labels: as the options say, as it says itself, else by the card's numbers."""
    names = {**dataset.labels, **options.names}
    if dataset.has_objects and not names:
        return replace(dataset, labels={1: next(iter(_names_of(card).values()))}), ()
    if names:
        return replace(dataset, labels=names), ()
    known = card.label_names if card.postprocess.instances is None else _names_of(card)
    listed = ", ".join(f"{number} {name}" for number, name in known.items())
    warning = f"nothing names the labels of {dataset.folder}; they were taken for the model's: {listed}"
    return replace(dataset, labels=known), (warning,)


def _names_of(card: Card) -> dict[int, str]:
    """Names of what a result of the card can hold; objects are one structure."""
    rules = card.postprocess.instances
    if rules is not None:
        return {1: card.label_names[rules.label]}
    return {**card.label_names, **{label.id: label.name for label in card.located_labels}}


def pair_labels(
    reference: Mapping[int, str], model: Mapping[int, str]
) -> tuple[dict[int, int], tuple[str, ...]]:
    """Find the model's number of each structure of a data set: by name, else by number with a warning.

    Returns
    -------
    numbers : dict of int to int
        The model's number -> the data set's.
    warnings : tuple of str

    Raises
    ------
    ConfigError
        If a structure can be found neither by name nor by number.
    """
    by_name = {plain_name(name): number for number, name in model.items()}
    named = {number: by_name.get(plain_name(name)) for number, name in reference.items()}
    if all(found is not None for found in named.values()):
        return {found: number for number, found in named.items() if found is not None}, ()
    if not set(reference) <= set(model):
        raise ConfigError(
            f"the data set's structures ({', '.join(reference.values())}) are not those of the model "
            f"({', '.join(model.values())}); give a model of these structures"
        )
    pairs = ", ".join(f"{number}: {reference[number]} / {model[number]}" for number in sorted(reference))
    return {number: number for number in reference}, (
        f"structures were paired by number, as their names differ (data set / model): {pairs}",
    )


def _on_both_sides(numbers: Mapping[int, int], card: Card) -> dict[int, int]:
    """Count a structure that got a side, as it was found in a larger image, where none is asked for."""
    boxes = card.locate.boxes if card.locate is not None else ()
    sided = {label: at + 1 for box in boxes for at, label in enumerate(box.ids)}
    found = {label: numbers[own] for label, own in sided.items() if own in numbers}
    return {**found, **numbers}


@dataclass(frozen=True)
class _ShareOf:
    """Report the progress of one case as a part of the whole."""

    progress: Progress | None
    done: int
    total: int
    name: str

    def __call__(self, fraction: float, message: str) -> None:
        if self.progress is not None:
            self.progress((self.done + fraction) / self.total, f"{self.name}: {message}")


def _evaluate_case(
    card: Card,
    entry: CaseFiles,
    dataset: Dataset,
    numbers: Mapping[int, int],
    options: EvaluationOptions,
    progress: Progress,
    cancel: CancelCheck | None,
) -> CaseResult:
    volume, truth = _load_case(card, entry, dataset)
    guise = make_guise(options.transform, volume.grid, entry.name, options.seed)
    given = guise.put_on(corrupt(volume, options.corruption, entry.name, options.seed))
    started = time.perf_counter()
    result = segment(given, model=card, device=options.device, progress=progress, cancel=cancel)
    seconds = time.perf_counter() - started
    pair = _Pair(truth, guise.take_off(result.labels))
    scores = pair.label_scores(card, dataset, numbers, options.tolerance_mm)
    warnings = tuple(result.report.warnings)
    return CaseResult(entry.name, seconds, scores, warnings, pair.object_score(card, dataset))


@dataclass(frozen=True)
class _Pair:
    """Reference and result of one case, on one grid."""

    truth: LabelMap
    result: LabelMap

    def label_scores(
        self, card: Card, dataset: Dataset, numbers: Mapping[int, int], tolerance_mm: float
    ) -> tuple[LabelScore, ...]:
        """Score structures; objects are one."""
        truth = _as_structure(self.truth) if dataset.has_objects else self.truth
        result = _as_structure(self.result) if card.postprocess.instances is not None else self.result
        found = _renumbered(result, numbers, dataset.labels)
        return label_scores(truth, found, tolerance_mm, labels=dataset.labels)

    def object_score(self, card: Card, dataset: Dataset) -> ObjectScore | None:
        """Score objects, where both sides number them."""
        if card.postprocess.instances is None or not dataset.has_objects:
            return None
        return object_score(self.truth.data, self.result.data)


def _load_case(card: Card, entry: CaseFiles, dataset: Dataset) -> tuple[Volume, LabelMap]:
    if entry.label is None:
        raise ConfigError(
            f"the case {entry.name} of {dataset.folder} has no reference; give a split that has them"
        )
    images = list(entry.images) if len(entry.images) > 1 else entry.images[0]
    many = len(card.input.channels) > 1 and len(entry.images) == 1
    volume = load(images, channel="all") if many else load(images)
    truth = load_labels(entry.label)
    if not same_grid(volume.grid, truth.grid, tolerance_mm=_SAME_PLACE_MM):
        raise ConfigError(f"image and reference of the case {entry.name} lie on different grids")
    return volume, LabelMap(truth.data, volume.affine, names=dict(dataset.labels))


def _as_structure(objects: LabelMap) -> LabelMap:
    """Take all objects together for label 1."""
    return LabelMap(objects.data != 0, objects.affine, names=objects.names)


def _renumbered(labels: LabelMap, numbers: Mapping[int, int], names: Mapping[int, str]) -> LabelMap:
    """Give the model's structures the data set's numbers; what the data set does not name is background."""
    table = np.zeros(int(labels.data.max(initial=0)) + 1, np.int32)
    for ours, theirs in numbers.items():
        if ours < len(table):
            table[ours] = theirs
    return LabelMap(table[labels.data], labels.affine, names=dict(names))
