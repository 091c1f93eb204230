"""Images with their objects, small and in memory: what clicks are simulated on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...io import load, load_labels
from ...io.dataset import CaseFiles, Dataset
from ...types import IntArray
from ...volume import LabelMap, Volume
from ..bytes import as_bytes

__all__ = ["ObjectCase", "objects_of", "picture_case", "slice_cases", "squared"]

_LEAST_VOXELS = 12
"""Objects smaller than this in a slice are not asked for."""


@dataclass(frozen=True)
class ObjectCase:
    """A picture, or a slice of a volume, and the objects in it.

    Attributes
    ----------
    name : str
    image : Tensor, shape (C, I, J), uint8
        One or three channels, the brightest 0.5 % at 255.
    labels : Tensor, shape (I, J), int32
        Number of the class or of the object of each pixel, 0 for none.
    instances : bool
        Whether each number is one object; else it is a class, whose pieces are objects.
    before : ObjectCase or None
        The slice beside this one, where there is one.
    """

    name: str
    image: Tensor
    labels: Tensor
    instances: bool
    before: ObjectCase | None = None


def objects_of(
    dataset: Dataset, files: CaseFiles, side: int, slices: int, seed: int, ends: bool = False
) -> list[ObjectCase]:
    """Load a case: a picture as it is, of a volume some slices of each plane in which something is labelled.

    Parameters
    ----------
    dataset : Dataset
        That the case belongs to.
    files : CaseFiles
    side : int
        Larger images are made smaller to this many pixels on their longer side.
    slices : int
        Of each plane of a volume.
    seed : int
        The same seed chooses the same slices.
    ends : bool
        Of a volume, a slice beyond an end of what is labelled in each plane as well.
    """
    if files.label is None:
        return []
    volume, labels = load(files.images[0]), load_labels(files.label)
    if volume.shape[2] == 1:
        return [picture_case(files.name, volume, labels, dataset.has_objects, side)]
    random = np.random.default_rng((seed, len(files.name), volume.shape[0]))
    return list(slice_cases(files.name, volume, labels, side, slices, random, ends))


def picture_case(name: str, volume: Volume, labels: LabelMap, instances: bool, side: int) -> ObjectCase:
    """Take a picture and its label image."""
    data = np.asarray(volume.data)
    channels = data[..., 0] if data.ndim == 4 else data[None, ..., 0]
    return _case(name, channels[:3], np.asarray(labels.data)[..., 0], instances, side, (1.0, 1.0))


def slice_cases(
    name: str,
    volume: Volume,
    labels: LabelMap,
    side: int,
    slices: int,
    random: np.random.Generator,
    ends: bool = False,
) -> Iterator[ObjectCase]:
    """Take slices of all three planes, drawn among those with labels; pixels become square.

    With `ends` also one without labels, beside the first or last one that has some.
    """
    data, marks = np.asarray(volume.data), np.asarray(labels.data)
    data = data if data.ndim == 3 else data[0]
    scaled = as_bytes(data)
    for axis in range(3):
        spacing = [volume.spacing[other] for other in range(3) if other != axis]
        if max(spacing) > 3 * min(spacing):
            continue  # long voxels: nobody draws in this plane
        others = tuple(other for other in range(3) if other != axis)
        found = np.flatnonzero((marks > 0).sum(axis=others) >= _LEAST_VOXELS)
        sides = np.random.default_rng((axis, len(found)))  # of its own: the slices stay as they are
        drawn = [
            (int(index), int(index + sides.choice([-1, 1]))) for index in random.permutation(found)[:slices]
        ]
        if ends and len(found):
            beyond = [(int(found[0]) - 1, int(found[0])), (int(found[-1]) + 1, int(found[-1]))]
            drawn.append(beyond[sides.integers(2)])
        for index, beside in drawn:
            if not 0 <= index < marks.shape[axis]:
                continue
            here, there = (
                _case(
                    f"{name}, {'IJK'[axis]} {at}",
                    np.take(scaled, at, axis)[None],
                    np.take(marks, at, axis),
                    False,
                    side,
                    spacing,
                )
                if 0 <= at < marks.shape[axis]
                else None
                for at in (index, beside)
            )
            assert here is not None
            yield replace(here, before=there)


def squared(case: ObjectCase) -> ObjectCase:
    """Stretch an image to a square, with the slice beside it; its area stays about as it is."""
    rows, columns = case.labels.shape
    if rows == columns:
        return case
    side = max(8, round(math.sqrt(rows * columns)))
    return replace(
        case,
        image=_resized(case.image, (side, side)),
        labels=_nearest(case.labels, (side, side)),
        before=None if case.before is None else squared(case.before),
    )


def _case(
    name: str,
    channels: NDArray[np.generic],
    labels: IntArray,
    instances: bool,
    side: int,
    spacing: Sequence[float],
) -> ObjectCase:
    image = torch.from_numpy(np.ascontiguousarray(as_bytes(channels)))
    marks = torch.from_numpy(np.ascontiguousarray(labels.astype(np.int32)))
    finest = min(spacing)
    true = [size * mm / finest for size, mm in zip(marks.shape, spacing, strict=True)]
    zoom = min(1.0, side / max(true))
    size = [max(8, math.floor(length * zoom)) for length in true]
    return ObjectCase(name, _resized(image, size), _nearest(marks, size), instances)


def _resized(image: Tensor, size: Sequence[int]) -> Tensor:
    if list(image.shape[1:]) == list(size):
        return image
    smaller = size[0] * size[1] < image.shape[1] * image.shape[2]
    changed = F.interpolate(
        image[None].float(), tuple(size), mode="bilinear", antialias=smaller, align_corners=False
    )
    return changed[0].round().clamp(0, 255).to(torch.uint8)


def _nearest(labels: Tensor, size: Sequence[int]) -> Tensor:
    if list(labels.shape) == list(size):
        return labels
    rows = ((torch.arange(size[0]) + 0.5) * labels.shape[0] / size[0]).long()
    columns = ((torch.arange(size[1]) + 0.5) * labels.shape[1] / size[1]).long()
    return labels[rows][:, columns].contiguous()
