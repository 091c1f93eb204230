"""How strongly seeds reach each pixel of an image along the path of least contrast.

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

__all__ = ["FAR", "STEP", "Contrast", "shortest_paths"]

_log = logging.getLogger(__name__)

STEP = 0.001
"""Length of a step without contrast."""
_SWEEPS = 8
"""Double sweeps at most; nearly all images need fewer."""
FAR = np.float32(1e6)
"""Longer than any path."""
_WAYS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Rows down and columns to the right, of the four neighbours of `Contrast`."""


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
