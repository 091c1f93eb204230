"""How strongly seeds reach each pixel of an image, or voxel of a volume, along the path of least contrast.

References
----------
Strengths multiply along a path, as in the cellular automaton of Vezhnevets and Konouchine, GrowCut, Graphicon
2005. Distances of this kind as input of networks: Wang et al., DeepIGeoS, arXiv:1707.00652.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["FAR", "STEP", "Contrast", "SolidContrast", "shortest_paths", "shortest_paths_in_volume"]

_log = logging.getLogger(__name__)

STEP = 0.001
"""Length of a step without contrast."""
_SWEEPS = 8
"""Double sweeps at most; nearly all images need fewer."""
FAR = np.float32(1e6)
"""Longer than any path."""
_WAYS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Rows down and columns to the right, of the four neighbours of `Contrast`."""


_LATER = ((0, 0, 1), (0, 1, 0), (1, 0, 0))
"""Where the later neighbours of a voxel lie, the nearest in memory first."""


@dataclass(frozen=True, eq=False)
class Contrast:
    """Lengths of the steps between the pixels of an image.

    Attributes
    ----------
    right, below, below_right, below_left : ndarray, shape (I, J), float32
        From each pixel to that neighbour: ``-log(1 - difference / largest)``, and a little for the way.
    """

    right: NDArray[np.float32]
    below: NDArray[np.float32]
    below_right: NDArray[np.float32]
    below_left: NDArray[np.float32]

    @classmethod
    def of(cls, image: Tensor, step: float = STEP) -> Contrast:
        """Measure an image.

        Parameters
        ----------
        image : Tensor, shape (C, I, J)
            On the CPU.
        step : float
            Length of a step without contrast.
        """
        largest = np.sqrt(len(image)) * max(float(image.max() - image.min()), 1e-6) * (1 + 1e-6)
        return cls(*(_steps(image, down, right, largest, step) for down, right in _WAYS))

    def length(self, seeds: Tensor) -> Tensor:
        """Return the length of the shortest path from a seed to each pixel.

        Parameters
        ----------
        seeds : Tensor, shape (I, J), bool

        Returns
        -------
        Tensor, shape (I, J), float32
            0 at seeds; `FAR` everywhere if there are none.
        """
        length = np.where(seeds.numpy(), np.float32(0), FAR)
        if seeds.any():
            _sweep()(length, self.right, self.below, self.below_right, self.below_left, _SWEEPS)
        return torch.from_numpy(length)

    def strength(self, seeds: Tensor) -> Tensor:
        """Return the product of ``1 - difference / largest`` along the best path from a seed, as `length`.

        Returns
        -------
        Tensor, shape (I, J), float32
            1 at seeds; 0 everywhere if there are none.
        """
        return (-self.length(seeds)).exp()


@dataclass(frozen=True, eq=False)
class SolidContrast:
    """Lengths of the steps between the voxels of a volume.

    Attributes
    ----------
    shape : (int, int, int)
    steps : ndarray, shape (N, 3), float32
        From each voxel, margin included, to its later neighbour along each axis, as of `Contrast`.
    offsets : ndarray of int, shape (3,)
        How many voxels later these are.
    """

    shape: tuple[int, int, int]
    steps: NDArray[np.float32]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, image: Tensor, step: float = STEP) -> SolidContrast:
        """Measure a volume.

        Parameters
        ----------
        image : Tensor, shape (I, J, K)
            On the CPU.
        step : float
            Length of a step without contrast.
        """
        data: NDArray[np.float32] = image.numpy()
        largest = max(float(data.max() - data.min()), 1e-6) * (1 + 1e-6)
        padded = np.full([side + 2 for side in data.shape], np.nan, np.float32)
        padded[1:-1, 1:-1, 1:-1] = data
        flat = padded.ravel()
        offsets = np.asarray(
            [np.ravel_multi_index((1 + i, 1 + j, 1 + k), padded.shape) for i, j, k in _LATER]
        )
        offsets -= np.ravel_multi_index((1, 1, 1), padded.shape)
        steps = np.full((flat.size, len(_LATER)), FAR, np.float32)
        for way, offset in enumerate(offsets):
            difference = np.abs(flat[offset:] - flat[:-offset])
            length = step - np.log1p(-difference / largest)
            steps[:-offset, way] = np.where(np.isnan(length), FAR, length)
        sides = data.shape
        return cls((sides[0], sides[1], sides[2]), steps, offsets)

    def strength(self, seeds: Tensor) -> Tensor:
        """Return the product of ``1 - difference / largest`` along nearly the best path from a seed.

        A fixed number of sweeps looks for it: a path that winds more often than that is missed.

        Parameters
        ----------
        seeds : Tensor, shape (I, J, K), bool

        Returns
        -------
        Tensor, shape (I, J, K), float32
            1 at seeds; 0 everywhere if there are none.
        """
        length = np.full([side + 2 for side in self.shape], FAR, np.float32)
        inner = length[1:-1, 1:-1, 1:-1]
        inner[seeds.numpy()] = 0
        if seeds.any():
            _sweep_solid()(length.ravel(), self.steps, self.offsets, _SWEEPS)
        return torch.from_numpy(inner.copy()).neg().exp()


def shortest_paths_in_volume(
    length: NDArray[np.float32], steps: NDArray[np.float32], offsets: NDArray[np.int64], most: int = 0
) -> None:
    """Shorten paths through a volume, in place, by Dijkstra's algorithm; see `shortest_paths`."""
    from scipy import sparse
    from scipy.sparse import csgraph

    start, way = np.nonzero(steps < FAR)
    places = start, start + offsets[way]
    graph = sparse.csr_matrix((steps[start, way], places), (length.size, length.size))
    found = csgraph.dijkstra(graph, directed=False, indices=np.flatnonzero(length == 0), min_only=True)
    length[...] = np.minimum(found, FAR)


def shortest_paths(
    length: NDArray[np.float32],
    right: NDArray[np.float32],
    below: NDArray[np.float32],
    below_right: NDArray[np.float32],
    below_left: NDArray[np.float32],
    most: int = 0,
) -> None:
    """Shorten paths, in place, by Dijkstra's algorithm: what the compiled sweeps are compared with.

    Parameters
    ----------
    length : ndarray, shape (I, J), float32
        0 at seeds, `FAR` elsewhere.
    right, below, below_right, below_left : ndarray, shape (I, J), float32
        As of `Contrast`.
    most : int
        Not needed: one go finds all.
    """
    from scipy import sparse
    from scipy.sparse import csgraph

    numbers = np.arange(length.size).reshape(length.shape)
    starts, ends, steps = [], [], []
    for way, (down, along) in zip((right, below, below_right, below_left), _WAYS, strict=True):
        here, there = _pairs(length.shape, down, along)
        starts.append(numbers[here].ravel())
        ends.append(numbers[there].ravel())
        steps.append(way[here].ravel())
    places = np.concatenate(starts), np.concatenate(ends)
    graph = sparse.csr_matrix((np.concatenate(steps), places), (length.size, length.size))
    found = csgraph.dijkstra(graph, directed=False, indices=np.flatnonzero(length == 0), min_only=True)
    length[...] = found.reshape(length.shape)


@cache
def _sweep() -> Callable[..., None]:
    """Return the compiled sweeps; where numba cannot compile them, Dijkstra's algorithm, and say so once."""
    try:
        from ._geodesic_kernel import sweep

        flat = np.ones((2, 2), np.float32)
        sweep(np.eye(2, dtype=np.float32), flat, flat, flat, flat, 1)
    except Exception as err:  # noqa: BLE001  # numba lets through whatever goes wrong inside it
        _log.warning("Clicks are answered more slowly: %s: %s", type(err).__name__, err)
        return shortest_paths
    return sweep


@cache
def _sweep_solid() -> Callable[..., None]:
    """Return the same for volumes."""
    if _sweep() is shortest_paths:
        return shortest_paths_in_volume
    from ._geodesic_kernel import sweep_solid

    return sweep_solid


def _pairs(shape: tuple[int, ...], down: int, right: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Pixels that have a neighbour in a direction, and those neighbours."""
    rows, columns = shape
    here = (slice(0, rows - down), slice(max(-right, 0), columns - max(right, 0)))
    there = (slice(down, rows), slice(max(right, 0), columns - max(-right, 0)))
    return here, there


def _steps(image: Tensor, down: int, right: int, largest: float, step: float) -> NDArray[np.float32]:
    here, there = _pairs(tuple(image.shape[1:]), down, right)
    difference = (image[(slice(None), *here)] - image[(slice(None), *there)]).square().sum(dim=0).sqrt()
    steps = np.full(tuple(image.shape[1:]), FAR, np.float32)
    steps[here] = (step * np.hypot(down, right) - torch.log1p(-difference / largest)).numpy()
    return steps
