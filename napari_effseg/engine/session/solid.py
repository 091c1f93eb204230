"""An object carried through a volume at once, by a network that sees known slices in a block around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from ...types import BoolArray, IntArray
from .blocks import Block, KnownSlice, maps_of_slices, seen_by_network
from .scene import Scene

__all__ = ["AROUND", "BlockBody", "Filled", "SolidBody"]

AROUND = 1.6
"""Sides of a block, as multiples of the object's."""
_WIDER = 1.6
_CLOSER = 0.7
"""A block that an object needs less than this fraction of along an axis is cut anew."""
_LOOKS = 6
_LEAST_VOXELS = 12
"""Voxels of the image along a block's side, at least."""


@dataclass(frozen=True, eq=False)
class Filled:
    """What was found.

    Attributes
    ----------
    block : Block
    logits : Tensor, shape (S, S, S)
        In [-4, 4].
    """

    block: Block
    logits: Tensor


class SolidBody(Protocol):
    """A network that finds an object of a volume from some of its slices."""

    def fill(
        self, scene: Scene, known: Sequence[KnownSlice], taken: IntArray, tick: Callable[[], None]
    ) -> Filled | None:
        """Find the object.

        Parameters
        ----------
        scene : Scene
        known : sequence of KnownSlice
            At least one shows the object.
        taken : ndarray of int, shape (I, J, K)
            Labels of finished objects.
        tick : callable
            Called before each look; may raise `Cancelled`.

        Returns
        -------
        Filled or None
            None where the object does not fit into what the network sees: it has to be followed.
        """
        ...


class BlockBody:
    """Answers with a network of blocks.

    Parameters
    ----------
    network : Module
        (1, len(CHANNELS), S, S, S) -> logits (1, 1, S, S, S), in evaluation mode.
    size : int
        S.
    device : torch.device
    """

    def __init__(self, network: nn.Module, size: int, device: torch.device) -> None:
        self._network, self._size, self._device = network, size, device

    def fill(
        self, scene: Scene, known: Sequence[KnownSlice], taken: IntArray, tick: Callable[[], None]
    ) -> Filled | None:
        """See `SolidBody.fill`: a block around what is known, cut anew around what was found in it."""
        if not any(one.mask.any() for one in known):
            return None
        low, high = _guessed(*_extent(known), np.asarray(scene.spacing))
        block = self._around(scene, low, high)
        for look in range(_LOOKS):
            tick()
            found = self._look(scene, block, known, taken)
            cut = _cut_axes(block, found > 0)
            if not (found > 0).any():
                break
            wanted = self._around(scene, *_extent_in(block, found > 0))
            sides, needed = np.asarray(block.sides), np.asarray(wanted.sides)
            if cut.any():
                wider = np.where(cut, np.maximum(needed, _WIDER * sides), needed)
                block = Block.around(scene.grid, wanted.centre, wider, self._size)
            elif look or (needed > _CLOSER * sides).all():
                break
            else:
                block = wanted
        return None if cut.any() else Filled(block, found)

    def _around(self, scene: Scene, low: np.ndarray, high: np.ndarray) -> Block:
        spacing = np.asarray(scene.spacing)
        sides = np.maximum(AROUND * (high - low) * spacing, _LEAST_VOXELS * spacing.min())
        return Block.around(scene.grid, (low + high - 1) / 2, sides, self._size)

    @torch.inference_mode()
    def _look(self, scene: Scene, block: Block, known: Sequence[KnownSlice], taken: IntArray) -> Tensor:
        inside = block.inside()
        there, other = maps_of_slices(block, known, inside)
        locked = block.show(taken > 0) > 0.5 if taken.any() else torch.zeros_like(there)
        given = seen_by_network(scene.within(block), inside, there, other, locked)
        logits = self._network(given[None].to(self._device))[0, 0].float().cpu().clamp(-4, 4)
        return torch.where(
            (inside > 0) & ~locked & _joined(logits > 0, there), logits, logits.clamp_max(-1e-3)
        )


def _extent(known: Sequence[KnownSlice]) -> tuple[np.ndarray, np.ndarray]:
    """First voxel of what is known of the object, and the first beyond, of each axis."""
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for one in known:
        places = np.argwhere(one.mask)
        if len(places):
            low = np.minimum(low, np.insert(places.min(axis=0), one.axis, one.index))
            high = np.maximum(high, np.insert(places.max(axis=0), one.axis, one.index) + 1)
    return low, high


def _guessed(low: np.ndarray, high: np.ndarray, spacing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Let an object of which one slice is known be as long across it as it is wide."""
    sides = (high - low) * spacing
    least = np.sqrt(np.sort(sides)[1:].prod())
    more = np.maximum(least - sides, 0) / spacing / 2
    return low - more, high + more


def _extent_in(block: Block, mask: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return the same of what was found in a block."""
    low, high = np.zeros(3), np.zeros(3)
    for axis in range(3):
        across = block.axis_of(axis)
        others = tuple(a for a in range(3) if a != across)
        places = block.places(axis)[mask.any(dim=others[1]).any(dim=others[0]).numpy()]
        half = block.step(axis) / 2
        low[axis], high[axis] = places.min() - half + 0.5, places.max() + half + 0.5
    return low, high


def _joined(mask: Tensor, known: Tensor) -> Tensor:
    """Pieces of a mask that what is known of the object lies in."""
    pieces, _ = ndimage.label(mask.numpy(), structure=np.ones((3, 3, 3)))
    wanted = np.setdiff1d(np.unique(pieces[known.numpy()]), [0])
    found: BoolArray = np.isin(pieces, wanted)
    return torch.from_numpy(found)


def _cut_axes(block: Block, mask: Tensor) -> BoolArray:
    """Say along which array axes, (3,), an object reaches its block's border where the volume goes on."""
    seen = mask & (block.inside() > 0)
    return np.asarray(
        [any(bool(seen.select(block.axis_of(axis), end).any()) for end in (0, -1)) for axis in range(3)]
    )
