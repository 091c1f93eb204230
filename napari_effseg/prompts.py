"""Prompts: what a user says about an object by pointing at it. Frozen, signed, in voxel indices; no torch.

Indices are those of the array as loaded, voxel centres at integers; boxes are half-open. On a 2D picture,
which is a volume of one slice, two numbers may be given: the third index is then 0.

A prompt that lies in a plane knows it: ``axis`` (0, 1 or 2 of the array) is the one that it does not extend
along. A point has none of its own and takes the plane that is shown, or that of the finest voxels
(`prompt_voxels.plane_of`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import PromptError
from .given import axis_given

__all__ = ["Box", "Lasso", "Mask", "Point", "Prompt", "Scribble"]

_Index = tuple[int, int, int]
_FAR = 2.0**53
"""Beyond it not every whole number is a float."""


@dataclass(frozen=True)
class Point:
    """A click.

    Parameters
    ----------
    index : (i, j, k) or (i, j)
        Voxel, whole numbers; fractions are rounded to the nearest.
    positive : bool
        On the object, or outside of it.
    axis : int or None
        Axis across the plane in which it was made; None: see `plane_of`.

    Raises
    ------
    PromptError
        If there are not two or three finite numbers, or the axis is not 0, 1 or 2.
    """

    index: _Index
    positive: bool = True
    axis: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", _whole(self.index, "a point"))
        axis = None if self.axis is None else axis_given(self.axis, "for a point")
        object.__setattr__(self, "axis", axis)


@dataclass(frozen=True)
class Box:
    """A box around the object; flat (one voxel thick) for a box drawn in a plane.

    Parameters
    ----------
    low, high : (i, j, k) or (i, j)
        First voxel, and the first beyond: half-open.
    positive : bool
        Around the object, or around what is not.

    Raises
    ------
    PromptError
        If a corner is not made of two or three whole numbers, or `high` is not above `low` along every axis.
    """

    low: _Index
    high: _Index
    positive: bool = True

    def __post_init__(self) -> None:
        flat = len(tuple(self.high)) == 2
        object.__setattr__(self, "low", _whole(self.low, "a box"))
        high = _whole(self.high, "a box")
        object.__setattr__(self, "high", (*high[:2], 1) if flat else high)
        for axis, (start, stop) in enumerate(zip(self.low, self.high, strict=True)):
            if stop <= start:
                raise PromptError(
                    f"the box from {self.low} to {self.high} is empty along axis {'IJK'[axis]}; expected a "
                    "second corner beyond the first (half-open: a flat box ends one after it begins)"
                )

    @property
    def axis(self) -> int | None:
        """Axis along which it is one voxel thick, the last of several; None for a solid box."""
        flat = [axis for axis in range(3) if self.high[axis] - self.low[axis] == 1]
        return flat[-1] if flat else None


@dataclass(frozen=True, eq=False)
class Scribble:
    """A line drawn through voxels.

    Parameters
    ----------
    points : array-like, shape (N, 3) or (N, 2)
        Voxel indices along the line, in order.
    radius : float
        Half the width of the line, in voxels; 0: the voxels of the line itself.
    positive : bool

    Raises
    ------
    PromptError
        If it is empty, not finite, of another shape, or the radius is negative.
    """

    points: NDArray[np.float64]
    radius: float = 0.0
    positive: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", _path(self.points, 1, "a scribble"))
        if not 0 <= self.radius < np.inf:
            raise PromptError(f"a scribble of radius {self.radius} was given; expected 0 or more voxels")

    @property
    def axis(self) -> int | None:
        """Axis along which it does not move, the last of several; None if it moves along all."""
        return _flat_axis(self.points)


@dataclass(frozen=True, eq=False)
class Lasso:
    """A closed outline in one plane; what it encloses is meant.

    Parameters
    ----------
    vertices : array-like, shape (N, 3) or (N, 2)
        Voxel indices, at least three, all with the same index along one axis.
    positive : bool

    Raises
    ------
    PromptError
        If there are fewer than three, they are not finite, of another shape, or do not lie in one plane.
    """

    vertices: NDArray[np.float64]
    positive: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "vertices", _path(self.vertices, 3, "a lasso"))
        if _flat_axis(self.vertices) is None:
            raise PromptError(
                "a lasso was given whose corners do not lie in one plane; expected one index to be the same"
            )

    @property
    def axis(self) -> int:
        """Axis across its plane."""
        axis = _flat_axis(self.vertices)
        return 2 if axis is None else axis


@dataclass(frozen=True, eq=False)
class Mask:
    """Voxels that are meant, such as an earlier result to begin with.

    Parameters
    ----------
    array : array-like of bool, shape (I, J, K) of the image, or (I, J) of a picture
    positive : bool

    Raises
    ------
    PromptError
        If it is no boolean array of two or three axes, or nothing is set.
    """

    array: NDArray[np.bool_]
    positive: bool = True

    def __post_init__(self) -> None:
        array = np.asarray(self.array)
        if array.dtype != np.bool_ or array.ndim not in (2, 3):
            raise PromptError(
                f"a mask of type {array.dtype} and shape {array.shape} was given; expected booleans (I, J, K)"
            )
        if not array.any():
            raise PromptError("a mask was given in which no voxel is set; expected at least one")
        array = array[:, :, None] if array.ndim == 2 else array
        kept = array.copy()
        kept.setflags(write=False)
        object.__setattr__(self, "array", kept)

    @property
    def axis(self) -> int | None:
        """Axis along which it is one voxel thick, the last of several; None for a solid mask."""
        others = [tuple({0, 1, 2} - {axis}) for axis in range(3)]
        flat = [axis for axis in range(3) if self.array.any(others[axis]).sum() == 1]
        return flat[-1] if flat else None


Prompt: TypeAlias = Point | Box | Scribble | Lasso | Mask
"""Any prompt."""


def _whole(index: ArrayLike, name: str) -> _Index:
    try:
        numbers = np.asarray(index, float)
    except (TypeError, ValueError) as err:
        raise PromptError(f"{index!r} was given for {name}; expected (i, j, k)") from err
    if numbers.shape not in ((2,), (3,)) or not (np.abs(numbers) < _FAR).all():  # nor NaN
        raise PromptError(f"{index!r} was given for {name}; expected (i, j, k), or (i, j) on a picture")
    whole = np.floor(numbers + 0.5).astype(int)
    return int(whole[0]), int(whole[1]), int(whole[2]) if len(whole) == 3 else 0


def _path(places: ArrayLike, fewest: int, name: str) -> NDArray[np.float64]:
    try:
        path = np.array(places, float)
    except (TypeError, ValueError) as err:
        raise PromptError(f"{name} was given that is no list of voxel indices") from err
    if path.size == 0:
        raise PromptError(f"{name} without any voxel was given")
    if path.ndim != 2 or path.shape[1] not in (2, 3) or not np.isfinite(path).all():
        raise PromptError(f"{name} of shape {path.shape} was given; expected finite voxel indices (N, 3)")
    if len(path) < fewest:
        raise PromptError(f"{name} of {len(path)} corners was given; expected at least {fewest}")
    if path.shape[1] == 2:
        path = np.column_stack([path, np.zeros(len(path))])
    path.setflags(write=False)
    return path


def _flat_axis(path: NDArray[np.float64]) -> int | None:
    voxels = np.round(path)
    flat = [axis for axis in range(3) if (voxels[:, axis] == voxels[0, axis]).all()]
    return flat[-1] if flat else None
