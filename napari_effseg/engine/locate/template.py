"""The templates that images are registered to; they travel in the package."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from ...types import BoolArray
from ...volume import Grid, transform_points

__all__ = ["Template", "load_template"]

_RIM_MM = 8.0
"""How far around the brain images are compared: the dark cerebrospinal fluid and skull draw its outline."""


@dataclass(frozen=True, eq=False)
class Template:
    """An image whose structures lie at known places.

    Attributes
    ----------
    image : (I, J, K), float32
        In [0, 1]; 0 outside the brain.
    brain : (I, J, K), bool
    rim : (I, J, K), bool
        The brain and what is compared around it.
    grid : Grid
    """

    image: NDArray[np.float32]
    brain: BoolArray
    rim: BoolArray
    grid: Grid

    @property
    def centre(self) -> NDArray[np.float64]:
        """Centre of the brain, (3,), template RAS mm: what turns and sizes are about."""
        centre: NDArray[np.float64] = transform_points(self.grid.affine, np.argwhere(self.brain)).mean(axis=0)
        return centre


def load_template(name: str) -> Template:
    """Load a template of the package by the name that cards use."""
    from scipy import ndimage

    with resources.files(__package__).joinpath("templates", f"{name}.npz").open("rb") as file:
        stored = np.load(file, allow_pickle=False)
        image, brain, affine = stored["image"], stored["brain"], stored["affine"]
    grid = Grid(brain.shape, affine)
    steps = round(_RIM_MM / min(grid.spacing))
    rim = ndimage.binary_dilation(brain, iterations=steps)
    return Template(image.astype(np.float32) / 255, brain, rim, grid)
