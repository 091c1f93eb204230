"""An object carried through a volume at once, by a network that sees its known slices in a cube around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from ...types import BoolArray, IntArray
from .cubes import Cube, KnownSlice, maps_of_slices, seen_by_network
from .scene import Scene

__all__ = ["CubeBody", "Filled", "SolidBody"]

_AROUND = 1.7
"""Side of the first cube, as a multiple of the known object's longest side."""
_WIDER = 1.5
_CLOSER = 0.65
"""A cube that an object needs less than this fraction of is cut anew."""
_LOOKS = 4
_LEAST_VOXELS = 12
"""Voxels of the image along a cube's side, at least."""


@dataclass(frozen=True, eq=False)
class Filled:
    """What was found.

    Attributes
    ----------
    cube : Cube
    logits : Tensor, shape (S, S, S)
        In [-4, 4].
    """

    cube: Cube
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


class CubeBody:
    """Answers with a network of cubes.

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
        """See `SolidBody.fill`: a cube around what is known, wider while the object touches the border."""
        low, high = _extent(known)
        cube = self._around(scene, low, high)
        for look in range(_LOOKS):
            tick()
            found = self._look(scene, cube, known, taken)
            mask = found > 0
            is_cut = _is_cut(mask, cube.inside())
            if look == _LOOKS - 1 or not mask.any():
                break
            one, other = _extent_in(cube, mask)
            if is_cut:
                wider = self._around(scene, np.minimum(low, one), np.maximum(high, other))
                cube = replace(wider, side=max(wider.side, _WIDER * cube.side))
                continue
            closer = self._around(scene, np.minimum(low, one), np.maximum(high, other))
            if look or closer.side > _CLOSER * cube.side:
                break
            cube = closer
        return None if is_cut else Filled(cube, found)

    def _around(self, scene: Scene, low: np.ndarray, high: np.ndarray) -> Cube:
        spacing = np.asarray(scene.spacing)
        side = max(_AROUND * float(((high - low) * spacing).max()), _LEAST_VOXELS * float(spacing.min()))
        centre = (low + high - 1) / 2
        return Cube(scene.grid, (float(centre[0]), float(centre[1]), float(centre[2])), side, self._size)

    @torch.inference_mode()
    def _look(self, scene: Scene, cube: Cube, known: Sequence[KnownSlice], taken: IntArray) -> Tensor:
        inside = cube.inside()
        there, other = maps_of_slices(cube, known, inside)
        locked = cube.show(taken > 0) > 0.5 if taken.any() else torch.zeros_like(there)
        given = seen_by_network(scene.within(cube), inside, there, other, locked)
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


def _extent_in(cube: Cube, mask: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return the same of what was found in a cube."""
    low, high = np.zeros(3), np.zeros(3)
    for axis in range(3):
        across = cube.axis_of(axis)
        others = tuple(a for a in range(3) if a != across)
        places = cube.places(axis)[mask.any(dim=others[1]).any(dim=others[0]).numpy()]
        half = cube.step / cube.grid.spacing[axis] / 2
        low[axis], high[axis] = places.min() - half + 0.5, places.max() + half + 0.5
    return low, high


def _joined(mask: Tensor, known: Tensor) -> Tensor:
    """Pieces of a mask that what is known of the object lies in."""
    pieces, _ = ndimage.label(mask.numpy(), structure=np.ones((3, 3, 3)))
    wanted = np.setdiff1d(np.unique(pieces[known.numpy()]), [0])
    found: BoolArray = np.isin(pieces, wanted)
    return torch.from_numpy(found)


def _is_cut(mask: Tensor, inside: Tensor) -> bool:
    """Whether an object reaches the border of its cube where the volume goes on."""
    seen = mask & (inside > 0)
    return any(bool(seen.select(axis, end).any()) for axis in range(3) for end in (0, -1))
