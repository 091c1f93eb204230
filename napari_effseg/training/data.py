"""Training cases in memory, and the patches drawn from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..engine.device import resolve_device
from ..engine.preprocess import prepare
from ..errors import Cancelled, ConfigError, OutOfMemory
from ..io import load, load_labels
from ..io.dataset import CaseFiles
from ..types import CancelCheck, IntArray, Progress
from ..volume import LabelMap, Volume, resample, same_grid
from ..zoo.card import Card
from .augment import Augmenter
from .config import DataConfig
from .objects import classes_of

__all__ = ["PatchSampler", "TrainingCase", "load_case", "load_cases"]


@dataclass(frozen=True)
class TrainingCase:
    """One case as the network sees it.

    Attributes
    ----------
    name : str
    volume : Volume
        The image as it was loaded, for validation on the whole volume.
    labels : LabelMap
        The reference on the grid of `volume`.
    image : Tensor, shape (C, I, J, K), float32
        Preprocessed as the card says.
    target : Tensor, shape (1, I, J, K), uint8
        The reference on the grid of `image`, objects turned into the card's labels.
    foreground : Tensor, shape (M, 3), int32
        Indices of labelled voxels, at most a few thousand, drawn evenly.
    """

    name: str
    volume: Volume
    labels: LabelMap
    image: Tensor
    target: Tensor
    foreground: Tensor

    @property
    def bytes(self) -> int:
        """Memory that the case takes."""
        voxels = math.prod(self.volume.data.shape) * self.volume.data.dtype.itemsize
        return int(voxels + self.labels.data.nbytes + self.image.nbytes + self.target.nbytes)


def load_cases(
    files: Sequence[CaseFiles],
    card: Card,
    progress: Progress | None,
    cancel: CancelCheck | None,
    numbers: Mapping[int, int] | None = None,
) -> list[TrainingCase]:
    """Load and preprocess cases; see `load_case`.

    Raises
    ------
    OutOfMemory
        If they need more memory than is free.
    """
    cases: list[TrainingCase] = []
    free = resolve_device("cpu").host_free_bytes
    for done, entry in enumerate(files):
        if cancel is not None and cancel():
            raise Cancelled("stopped while the cases were being loaded")
        if progress is not None:
            progress(done / len(files), f"loading {entry.name}")
        cases.append(load_case(entry, card, numbers))
        _refuse_too_many(cases, len(files), free)
    return cases


def _refuse_too_many(cases: Sequence[TrainingCase], total: int, free: int) -> None:
    """Refuse what will not fit, once a quarter of the cases tells, or the next may be the one too many."""
    sizes = [case.bytes for case in cases]
    expected = sum(sizes) / len(sizes) * total
    tells = 4 * len(cases) >= total
    if (tells and expected > free) or (len(cases) < total and sum(sizes) + max(sizes) > free):
        raise OutOfMemory(
            f"{total} cases need about {expected / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free; "
            "crop the images around the structure, or take fewer"
        )


def load_case(entry: CaseFiles, card: Card, numbers: Mapping[int, int] | None = None) -> TrainingCase:
    """Load one case and bring image and labels to the grid the network sees.

    Parameters
    ----------
    entry : CaseFiles
    card : Card
    numbers : mapping of int to int, optional
        The case's label numbers -> the card's, where they differ. Of a card that numbers objects, every
        number is taken for an object.

    Raises
    ------
    ConfigError
        If the case has no label map, or one on another grid, or with a label that the card lacks.
    """
    if entry.label is None:
        raise ConfigError(f"the case {entry.name} has no label map; training needs one for every case")
    many = len(card.input.channels) > 1 and len(entry.images) == 1
    images = list(entry.images) if len(entry.images) > 1 else entry.images[0]
    volume = load(images, channel="all" if many else None)
    labels = load_labels(entry.label)
    if not same_grid(volume.grid, labels.grid, tolerance_mm=1e-2):
        raise ConfigError(f"image and label map of {entry.name} lie on different grids")
    if card.postprocess.instances is None:
        labels = _structures(labels, entry, card, numbers)
    prepared = prepare(volume, card)
    target = torch.from_numpy(_classes(resample(labels, prepared.grid).data, card))
    found = torch.nonzero(target)
    step = max(1, len(found) // 4096)
    return TrainingCase(entry.name, volume, labels, prepared.tensor, target[None], found[::step].int())


def _structures(
    labels: LabelMap, entry: CaseFiles, card: Card, numbers: Mapping[int, int] | None
) -> LabelMap:
    """Give labels the card's numbers, and refuse those that it does not name."""
    known = {label.id: label.id for label in card.labels} if numbers is None else numbers
    unknown = set(np.unique(labels.data).tolist()) - {0, *known}
    if unknown:
        raise ConfigError(
            f"the label map of {entry.name} holds {sorted(unknown)}, which the card does not name"
        )
    return labels if numbers is None else _renumbered(labels, numbers)


def _classes(labels: IntArray, card: Card) -> NDArray[np.uint8]:
    """Return what the network learns to tell apart, on its own grid."""
    rules = card.postprocess.instances
    if rules is None:
        return np.ascontiguousarray(labels.astype(np.uint8))
    return classes_of(labels, rules, flat_axis=0 if card.dimensions == 2 else None)


def _renumbered(labels: LabelMap, numbers: Mapping[int, int]) -> LabelMap:
    """Give labels the card's numbers."""
    data = np.zeros_like(labels.data)
    for theirs, ours in numbers.items():
        data[labels.data == theirs] = ours
    return LabelMap(data, labels.affine)


class PatchSampler:
    """Draw augmented patches of one size, reproducibly: the patch is a function of the seed alone.

    Parameters
    ----------
    cases : sequence of TrainingCase
    size : (int, int, int)
        Patch size in voxels along the axes of the cases' tensors; the first is 1 for slices.
    config : DataConfig
    augmenter : Augmenter or None
    seed : int
    """

    def __init__(
        self,
        cases: Sequence[TrainingCase],
        size: tuple[int, ...],
        config: DataConfig,
        augmenter: Augmenter | None,
        seed: int,
    ) -> None:
        self._cases, self._size, self._config = cases, size, config
        self._augmenter, self._seed = augmenter, seed

    def batch(self, step: int, batch_size: int) -> tuple[Tensor, Tensor]:
        """Patches of one step, each case once an epoch in an order of its own.

        Returns
        -------
        images : Tensor, shape (B, C, *size), float32
        targets : Tensor, shape (B, 1, *size), uint8
        """
        pairs = [self._patch(step * batch_size + offset) for offset in range(batch_size)]
        images, targets = zip(*pairs, strict=True)
        return torch.stack(images), torch.stack(targets)

    def _patch(self, draw: int) -> tuple[Tensor, Tensor]:
        epoch, place = divmod(draw, len(self._cases))
        order = np.random.default_rng((self._seed, 1, epoch)).permutation(len(self._cases))
        case = self._cases[order[place]]
        random = np.random.default_rng((self._seed, 2, draw))
        start = self._start(case, random)
        image, target = cut(case.image, start, self._size), cut(case.target, start, self._size)
        if self._augmenter is None:
            return image, target
        return self._augmenter(image, target, int(random.integers(2**32)))

    def _start(self, case: TrainingCase, random: np.random.Generator) -> list[int]:
        """First voxel of the patch; negative where the patch reaches out of the case."""
        shape = case.target.shape[1:]
        shift = self._config.shift_voxels
        near = len(case.foreground) > 0 and random.random() < self._config.foreground_fraction
        centre = case.foreground[random.integers(len(case.foreground))].tolist() if near else None
        start = []
        for axis, (full, part) in enumerate(zip(shape, self._size, strict=True)):
            slack = full - part
            if slack <= 0:
                middle, reach = slack // 2, shift if part > 1 else 0
            elif centre is not None:
                middle, reach = int(np.clip(centre[axis] - part // 2, 0, slack)), 0
            else:
                middle, reach = int(random.integers(slack + 1)), 0
            start.append(middle + int(random.integers(-reach, reach + 1)))
        return start


def cut(array: Tensor, start: Sequence[int], size: Sequence[int]) -> Tensor:
    """Cut a patch of `size` that begins at `start`; what lies outside the array is 0.

    Parameters
    ----------
    array : Tensor, shape (C, *S)
    start : sequence of int
        May be negative, and reach beyond the far side.

    Returns
    -------
    Tensor, shape (C, *size)
    """
    index, padding = [], []
    for first, part, full in zip(start, size, array.shape[1:], strict=True):
        low = min(max(first, 0), full)
        high = max(low, min(first + part, full))
        index.append(slice(low, high))
        before = min(max(low - first, 0), part)
        padding.append((before, part - before - (high - low)))
    flat = [side for pair in reversed(padding) for side in pair]
    return F.pad(array[(slice(None), *index)], flat)
