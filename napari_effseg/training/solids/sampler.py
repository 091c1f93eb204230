"""Draws examples: an object of a volume in a block, with some of its slices known, not quite exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ...engine.session.blocks import Block, seen_by_network
from ...types import BoolArray, IntArray
from ...volume import Grid
from .appearance import change_volume, smooth_solid, synthetic_volume
from .config import SolidConfig
from .pseudo import pseudo_object

__all__ = ["SolidCase", "SolidExample", "SolidSampler", "example_of", "planes_of"]

_TRIES = 20
_ALIKE = 12
"""Volumes of a set in which pseudo-objects are looked for, at most."""
_LEAST_VOXELS = 60
_CLASS = 0.35
"""Chance that a whole class is meant, where it has several pieces; or two classes together."""
_AROUND = (1.15, 2.4)
"""Sides of the block, as multiples of the object's."""
_SHIFT = 0.2
"""Of the block's centre, as a fraction of the object's sides."""
_BEYOND = 0.15
"""Slices are known up to this fraction of an object's length beyond its ends."""
_ANOTHER_PLANE = 0.2
_THICK = 0.35
"""Chance that slices are thicker than their pixels."""
_TURNED = 0.5
"""Chance that the axes change places."""


@dataclass(frozen=True, eq=False)
class SolidCase:
    """A volume with its objects.

    Attributes
    ----------
    name : str
    grid : Grid
    image : ndarray of uint8, shape (I, J, K)
    labels : ndarray of int, shape (I, J, K)
    """

    name: str
    grid: Grid
    image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
    labels: IntArray


@dataclass(frozen=True, eq=False)
class SolidExample:
    """What a network sees, and what it is to find.

    Attributes
    ----------
    seen : Tensor, shape (len(CHANNELS), S, S, S)
    target : Tensor, shape (S, S, S), bool
    weight : float
        In the loss.
    """

    seen: Tensor
    target: Tensor
    weight: float


class SolidSampler:
    """Draw examples reproducibly: each is a function of the seed and of its number alone.

    Parameters
    ----------
    sets : sequence of sequence of SolidCase
        The cases of each data set; all sets are drawn equally often.
    config : SolidConfig
    seed : int
    unlabelled : sequence of SolidCase
        Whose labels are not looked at.
    """

    def __init__(
        self,
        sets: Sequence[Sequence[SolidCase]],
        config: SolidConfig,
        seed: int,
        unlabelled: Sequence[SolidCase] = (),
    ) -> None:
        self._sets = [list(cases) for cases in sets if cases]
        few = [case for cases in self._sets for case in cases[:_ALIKE]]
        self._every = [*few, *unlabelled]
        self._config, self._seed = config, seed

    def example(self, number: int) -> SolidExample:
        """Return the example of this number."""
        random = np.random.default_rng((self._seed, number))
        for _ in range(_TRIES):
            draw = random.random()
            if draw < self._config.synthetic:
                found = self._synthetic(random)
            elif draw < self._config.synthetic + self._config.pseudo:
                found = self._pseudo(random)
            else:
                found = self._real(random)
            if found is not None:
                return found
        return self.example(number + 1)

    def _synthetic(self, random: np.random.Generator) -> SolidExample | None:
        size = self._config.size
        image, labels = synthetic_volume(size, random)
        target = labels == int(labels[tuple(random.integers(size // 4, size - size // 4, 3))])
        pieces, _ = ndimage.label(target.numpy())
        centre = pieces[target.numpy()]
        target = torch.from_numpy(pieces == np.bincount(centre).argmax())
        share = float(target.float().mean())
        if share > 0.5 or target.sum() < _LEAST_VOXELS:
            return None
        inside = torch.ones(size, size, size)
        return self._asked(image, inside, target, None, random, self._config.pseudo_weight)

    def _pseudo(self, random: np.random.Generator) -> SolidExample | None:
        """Ask for what might be an object of a volume, wherever it is."""
        case = self._every[random.integers(len(self._every))]
        sides = np.asarray(case.grid.shape) * case.grid.spacing
        centre = random.uniform(0.2, 0.8, 3) * case.grid.shape
        size = random.uniform(0.3, 0.9) * np.median(sides) * random.uniform(0.5, 1, 3)
        block = Block.around(case.grid, centre, size, self._config.size)
        image, inside = block.show(case.image) / 255, block.inside()
        target = pseudo_object(image, inside, random)
        if target is None:
            return None
        return self._asked(image, inside, target, None, random, self._config.pseudo_weight, planes_of(block))

    def _real(self, random: np.random.Generator) -> SolidExample | None:
        cases = self._sets[random.integers(len(self._sets))]
        case = cases[random.integers(len(cases))]
        found = _object_of(case, random)
        if found is None:
            return None
        label, mask, corner = found
        spacing = np.asarray(case.grid.spacing)
        lengths = np.asarray(mask.shape)
        centre = corner + (lengths - 1) / 2 + random.uniform(-_SHIFT, _SHIFT, 3) * lengths
        sides = lengths * spacing * random.uniform(*_AROUND, 3)
        block = Block.around(case.grid, centre, sides, self._config.size)
        whole = np.zeros(case.grid.shape, np.uint8)
        whole[tuple(slice(c, c + n) for c, n in zip(corner, mask.shape, strict=True))] = mask
        target, inside = block.show(whole) > 0.5, block.inside()
        if target.sum() < _LEAST_VOXELS:
            return None
        locked = None
        if random.random() < self._config.locked:
            others = np.setdiff1d(np.unique(case.labels), [0, label])
            kept = others[random.random(len(others)) < random.uniform(0.3, 1.0)]
            locked = block.show(np.isin(case.labels, kept)) > 0.5
        return self._asked(
            block.show(case.image) / 255, inside, target, locked, random, 1.0, planes_of(block)
        )

    def _asked(
        self,
        image: Tensor,
        inside: Tensor,
        target: Tensor,
        locked: Tensor | None,
        random: np.random.Generator,
        weight: float,
        planes: tuple[int, int, int] = (1, 1, 1),
    ) -> SolidExample | None:
        if random.random() < _TURNED:
            order = random.permutation(3).tolist()
            flips = [axis for axis in range(3) if random.random() < 0.5]
            image, inside, target = (part.permute(order).flip(flips) for part in (image, inside, target))
            locked = None if locked is None else locked.permute(order).flip(flips)
            planes = (planes[order[0]], planes[order[1]], planes[order[2]])
        axis = int(random.integers(3))
        if random.random() < _THICK:
            thickness = max(int(random.integers(2, 7)), planes[axis])
            image = _thick(image, axis, thickness)
            planes = (*planes[:axis], thickness, *planes[axis + 1 :])  # type: ignore[assignment]  # three
        image = change_volume(image, random)
        count = int(random.choice(np.arange(1, self._config.most_slices + 1)))
        return example_of(image, inside, target, locked, axis, count, planes, random, weight)


def example_of(
    image: Tensor,
    inside: Tensor,
    target: Tensor,
    locked: Tensor | None,
    axis: int,
    count: int,
    planes: tuple[int, int, int],
    random: np.random.Generator,
    weight: float = 1.0,
) -> SolidExample | None:
    """Make some slices known, and put together what the network sees.

    Parameters
    ----------
    image, inside : Tensor, shape (S, S, S), float32
    target : Tensor, shape (S, S, S), bool
    locked : Tensor, shape (S, S, S), bool, or None
    axis : int
        Across the slices.
    count : int
        How many of them.
    planes : (int, int, int)
        How many planes of the block a slice across each axis takes up.
    random : numpy.random.Generator
    weight : float
    """
    known, other = torch.zeros_like(target), torch.zeros_like(target)
    locked = torch.zeros_like(target) if locked is None else locked & ~target
    for number in range(count):
        across = axis if number == 0 or random.random() >= _ANOTHER_PLANE else int(random.integers(3))
        areas = target.sum(dim=[a for a in range(3) if a != across]).numpy()
        index = _drawn_slice(areas, number == 0, random)
        mask = _as_drawn(target.select(across, index), random)
        if number == 0 and not mask.any():
            return None
        low = max(0, index - (planes[across] - 1) // 2)
        for plane in range(low, min(low + planes[across], len(areas))):
            known.select(across, plane).copy_(mask)
            other.select(across, plane).copy_(~mask)
    other &= (inside > 0) & ~known
    return SolidExample(seen_by_network(image, inside, known, other, locked & ~known), target, weight)


def planes_of(block: Block) -> tuple[int, int, int]:
    """Return how many planes of a block, along each of its axes, a slice of the volume takes up."""
    found = [0, 0, 0]
    for axis in range(3):
        found[block.axis_of(axis)] = max(1, round(1 / block.step(axis)))
    return found[0], found[1], found[2]


def _object_of(
    case: SolidCase, random: np.random.Generator
) -> tuple[int, BoolArray, np.ndarray[tuple[int], np.dtype[np.int_]]] | None:
    """Draw an object: its class, its mask within its box, and the box's first voxel."""
    boxes = dict(enumerate(ndimage.find_objects(case.labels), start=1))
    present = np.setdiff1d(np.unique(case.labels), [0]).tolist()
    if not present:
        return None
    label = int(random.choice(present))
    box = boxes[label]
    mask: BoolArray = case.labels[box] == label
    if random.random() >= _CLASS:
        pieces, _ = ndimage.label(mask, structure=np.ones((3, 3, 3)))
        sizes = np.sqrt(np.bincount(pieces.ravel()).astype(float))
        sizes[0] = 0
        mine = int(random.choice(len(sizes), p=sizes / sizes.sum()))
        part = ndimage.find_objects(pieces)[mine - 1]
        corner = np.asarray([b.start + p.start for b, p in zip(box, part, strict=True)])
        mask = pieces[part] == mine
    else:
        other = int(random.choice(present))
        if len(present) <= 4 and other != label:  # two parts of one structure
            mask = np.isin(case.labels, (label, other))
            (box,) = ndimage.find_objects(mask.astype(np.uint8))
            mask = mask[box]
        corner = np.asarray([b.start for b in box])
    return (label, mask, corner) if mask.sum() >= _LEAST_VOXELS else None


def _drawn_slice(areas: np.ndarray, is_first: bool, random: np.random.Generator) -> int:
    """Draw a slice: the first one near the fullest, the others anywhere, a little beyond the ends, too."""
    if is_first:
        full = np.flatnonzero(areas >= 0.7 * areas.max())
        return int(random.choice(full))
    shown = np.flatnonzero(areas)
    beyond = max(1, round(_BEYOND * (shown[-1] - shown[0] + 1)))
    return int(random.integers(max(0, shown[0] - beyond), min(len(areas), shown[-1] + beyond + 1)))


def _as_drawn(mask: Tensor, random: np.random.Generator) -> Tensor:
    """Outline a slice of an object as somebody, or a network, would have done."""
    if not mask.any() or random.random() < 0.25:
        return mask
    width = float(mask.sum()) ** 0.5
    soft = torch.from_numpy(ndimage.gaussian_filter(mask.numpy().astype(np.float32), 0.06 * width))
    wave = smooth_solid((1, *mask.shape), int(random.integers(3, 9)), random)[0]
    changed = soft + float(random.uniform(0, 0.35)) * wave + float(random.uniform(-0.12, 0.12)) > 0.5
    changed &= torch.from_numpy(ndimage.binary_dilation(mask.numpy(), iterations=1 + round(0.1 * width)))
    return changed if changed.any() else mask


def _thick(image: Tensor, axis: int, thickness: int) -> Tensor:
    """Make slices across an axis thicker, and resample them, as the images of many scanners are."""
    moved = image.movedim(axis, 2)
    size = moved.shape[2]
    coarse = torch.nn.functional.avg_pool1d(moved, thickness, ceil_mode=True, count_include_pad=False)
    fine = torch.nn.functional.interpolate(coarse, coarse.shape[2] * thickness, mode="linear")
    return fine[:, :, :size].movedim(2, axis).contiguous()
