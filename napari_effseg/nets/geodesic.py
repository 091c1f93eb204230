"""How strongly seeds reach each pixel of an image along the path of least contrast.

References
----------
Strengths multiply along a path, as in the cellular automaton of Vezhnevets and Konouchine, GrowCut, Graphicon
2005. Distances of this kind as input of networks: Wang et al., DeepIGeoS, arXiv:1707.00652.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Contrast"]

_STEP = 0.001
"""Length of a step without contrast."""
_SWEEPS = 8
"""Double sweeps at most; nearly all images need fewer."""
_FAR = np.float32(1e6)


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
    def of(cls, image: Tensor) -> Contrast:
        """Measure an image, shape (C, I, J), on the CPU."""
        largest = np.sqrt(len(image)) * max(float(image.max() - image.min()), 1e-6) * (1 + 1e-6)
        return cls(
            *(_steps(image, down, right, largest) for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)))
        )

    def strength(self, seeds: Tensor) -> Tensor:
        """Return the product of ``1 - difference / largest`` along the best path from a seed.

        Parameters
        ----------
        seeds : Tensor, shape (I, J), bool

        Returns
        -------
        Tensor, shape (I, J), float32
            1 at seeds; 0 everywhere if there are none.
        """
        if not seeds.any():
            return torch.zeros(seeds.shape)
        from ._geodesic_kernel import sweep  # compiles

        length = np.where(seeds.numpy(), np.float32(0), _FAR)
        sweep(length, self.right, self.below, self.below_right, self.below_left, _SWEEPS)
        return torch.from_numpy(np.exp(-length))


def _steps(image: Tensor, down: int, right: int, largest: float) -> NDArray[np.float32]:
    rows, columns = image.shape[1:]
    here: Sequence[slice] = (slice(0, rows - down), slice(max(-right, 0), columns - max(right, 0)))
    there: Sequence[slice] = (slice(down, rows), slice(max(right, 0), columns - max(-right, 0)))
    difference = (image[(slice(None), *here)] - image[(slice(None), *there)]).square().sum(dim=0).sqrt()
    steps = np.full((rows, columns), _FAR, np.float32)
    steps[tuple(here)] = (_STEP * np.hypot(down, right) - torch.log1p(-difference / largest)).numpy()
    return steps
