"""Aliases and callables that every room shares."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Affine",
    "Axcodes",
    "BoolArray",
    "CancelCheck",
    "Colour",
    "FloatArray",
    "IndexBox",
    "IntArray",
    "PathLike",
    "Progress",
    "Spacing",
    "SpatialShape",
]

PathLike = str | os.PathLike[str]
SpatialShape = tuple[int, int, int]
"""Voxels along the three array axes (I, J, K)."""
Spacing = tuple[float, float, float]
"""Millimetres a voxel along the three array axes."""
Axcodes = tuple[str, str, str]
"""World direction towards which each array axis grows, such as ("R", "A", "S")."""
IndexBox = tuple[tuple[int, int, int], tuple[int, int, int]]
"""Half-open box of voxel indices ((i0, j0, k0), (i1, j1, k1))."""
Colour = tuple[int, int, int]
"""Red, green, blue, each 0-255."""
Affine = NDArray[np.float64]
"""(4, 4) float64, voxel index -> world, RAS, mm."""
BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.integer[Any]]

Progress = Callable[[float, str], None]
"""Called with a fraction in [0, 1] and what is being done."""
CancelCheck = Callable[[], bool]
"""Returns True when the work should stop."""
