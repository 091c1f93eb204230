"""Prompts of the image, as they lie in each of the slices that they mean."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...prompt_voxels import plane_of, voxels_of
from ...prompts import Box, Lasso, Point, Prompt, Scribble
from ...types import IndexBox, Spacing, SpatialShape
from .body import PlanePrompt
from .planes import Plane

__all__ = ["SliceKey", "in_planes"]

SliceKey = tuple[int, int]
"""Array axis across a slice, and its index."""


def in_planes(
    prompt: Prompt,
    planes: tuple[Plane, Plane, Plane],
    shape: SpatialShape,
    spacing: Spacing,
    shown: int | None,
) -> Iterator[tuple[SliceKey, PlanePrompt]]:
    """Lay a prompt into its slices; a mask, which is no hint but an answer, lies in none.

    Parameters
    ----------
    prompt : Prompt
    planes : (Plane, Plane, Plane)
        Across each array axis.
    shape, spacing
        Of the image.
    shown : int or None
        Axis across the plane that was shown.

    Raises
    ------
    PromptError
        If the prompt reaches out of the image.
    """
    axis = plane_of(prompt, shape, spacing, shown)
    box, inside = voxels_of(prompt, shape)
    for index in range(box[0][axis], box[1][axis]):
        part: NDArray[np.bool_] = np.take(inside, index - box[0][axis], axis)
        if not part.any():
            continue
        key = (axis, index)
        if isinstance(prompt, Point | Scribble):
            yield key, PlanePrompt(prompt.positive, places=_places(planes[axis], box, part, key))
        elif isinstance(prompt, Box | Lasso):
            region = _region(planes[axis], box, part, key, shape)
            corners = _corners(planes[axis], box, key) if isinstance(prompt, Box) else None
            yield key, PlanePrompt(prompt.positive, region=region, box=corners)


def _places(plane: Plane, box: IndexBox, part: NDArray[np.bool_], key: SliceKey) -> NDArray[np.float64]:
    """Pixels of the voxels that are set in a part of a slice."""
    return plane.places(np.insert(np.argwhere(part) + np.delete(box[0], key[0]), key[0], key[1], axis=1))


def _region(
    plane: Plane, box: IndexBox, part: NDArray[np.bool_], key: SliceKey, shape: SpatialShape
) -> Tensor:
    whole = np.zeros(np.delete(shape, key[0]), bool)
    (a0, b0), (a1, b1) = (np.delete(corner, key[0]) for corner in box)
    whole[a0:a1, b0:b1] = part
    return plane.mask(whole)


def _corners(plane: Plane, box: IndexBox, key: SliceKey) -> tuple[float, float, float, float]:
    """Top, left, bottom and right of a box, in pixels, half-open."""
    low, last = np.asarray(box[0]), np.asarray(box[1]) - 1
    ends = plane.places([np.where(np.arange(3) == key[0], key[1], corner) for corner in (low, last)])
    (top, left), (bottom, right) = ends.min(axis=0), ends.max(axis=0) + 1
    return float(top), float(left), float(bottom), float(right)
