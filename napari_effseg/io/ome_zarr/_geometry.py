"""Where a level lies in the world: units to mm, and anatomical directions to RAS.

OME-NGFF has no anatomical directions before RFC-4. Where none are given, the axes are taken as ITK takes
them: x to the patient's left, y to posterior, z to superior.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...errors import AffineError
from ...types import Affine, SpatialShape
from ...volume import Grid
from ._multiscales import Axis, Dataset, Multiscales

__all__ = ["grid_of", "placement_warnings"]

_MM = {
    "angstrom": 1e-7,
    "picometer": 1e-9,
    "nanometer": 1e-6,
    "micrometer": 1e-3,
    "millimeter": 1.0,
    "centimeter": 10.0,
    "decimeter": 100.0,
    "meter": 1e3,
    "kilometer": 1e6,
    "inch": 25.4,
    "foot": 304.8,
    "yard": 914.4,
}
"""Units of length that OME-NGFF names and an image of tissue may have, in mm."""
_ALSO = {"å": "angstrom", "pm": "picometer", "nm": "nanometer", "um": "micrometer", "micron": "micrometer",
         "mm": "millimeter", "cm": "centimeter", "m": "meter"}  # fmt: skip
_MICRO = ("µ", "μ")  # the sign, and the Greek letter

_TOWARDS = {
    "left-to-right": (1, 0, 0),
    "right-to-left": (-1, 0, 0),
    "posterior-to-anterior": (0, 1, 0),
    "anterior-to-posterior": (0, -1, 0),
    "inferior-to-superior": (0, 0, 1),
    "superior-to-inferior": (0, 0, -1),
}
"""Directions in RAS. Those of other vocabularies (dorsal, rostral) depend on the animal and its posture."""
_AS_ITK = {"i": (-1, 0, 0), "j": (0, -1, 0), "k": (0, 0, 1)}


def grid_of(image: Multiscales, dataset: Dataset, shape: tuple[int, ...], where: str) -> Grid:
    """Grid (I, J, K) = (x, y, z) of one level.

    Parameters
    ----------
    image : Multiscales
    dataset : Dataset
    shape : tuple of int
        Of the stored array.
    where : str
        For messages.

    Raises
    ------
    AffineError
        If a voxel has no size.
    """
    affine: Affine = np.zeros((4, 4))
    affine[3, 3] = 1
    sides = dict.fromkeys("ijk", 1)
    directions = _directions(image.axes)
    for column, role in enumerate("ijk"):
        affine[:3, column] = directions[role]  # 1 mm, where the image has no such axis
    for place, axis in enumerate(image.axes):
        if axis.role not in sides or not axis.role:
            continue
        sides[axis.role] = shape[place]
        column, length = "ijk".index(axis.role), _mm(axis)
        affine[:3, 3] += directions[axis.role] * dataset.translation[place] * length
        affine[:3, column] *= dataset.scale[place] * length
    grid_shape: SpatialShape = (sides["i"], sides["j"], sides["k"])
    try:
        return Grid(grid_shape, affine)
    except AffineError as err:
        raise AffineError(f"{where}: its scale {list(dataset.scale)} cannot be used ({err})") from err


def placement_warnings(image: Multiscales) -> tuple[str, ...]:
    """Say what was taken for granted about where the image lies."""
    space = [axis for axis in image.axes if axis.role and axis.role in "ijk"]
    said = []
    if not image.has_scale:
        said.append("no voxel size is stored: 1 mm is taken")
    elif missing := [axis.name for axis in space if axis.unit is None]:
        said.append(f"the voxel size along {', '.join(missing)} has no unit: mm is taken")
    if unknown := sorted({str(axis.unit) for axis in space if axis.unit and _factor(axis.unit) is None}):
        said.append(f"the unit of length {', '.join(unknown)} is unknown: mm is taken")
    if _stored_directions(image.axes) is None and len(space) == 3:
        given = [f"{axis.name} {axis.orientation}" for axis in space if axis.orientation]
        why = (
            f"the orientation ({', '.join(given)}) is not understood" if given else "no orientation is stored"
        )
        said.append(f"{why}: x to the left, y to posterior, z to superior is taken, as ITK does")
    return tuple(said)


def _directions(axes: tuple[Axis, ...]) -> dict[str, NDArray[np.float64]]:
    """Direction of each spatial axis in RAS."""
    found = _stored_directions(axes) or _AS_ITK
    return {role: np.array(towards, dtype=np.float64) for role, towards in found.items()}


def _stored_directions(axes: tuple[Axis, ...]) -> dict[str, tuple[int, int, int]] | None:
    """Directions that the axes say, or None unless they say three that fit together.

    Of a picture, whose two axes say theirs, the third one completes them to a right-handed frame.
    """
    space = [axis for axis in axes if axis.role and axis.role in "ijk"]
    if any(axis.orientation not in _TOWARDS for axis in space):
        return None
    found = {axis.role: _TOWARDS[axis.orientation or ""] for axis in space}
    if "k" not in found and {"i", "j"} <= found.keys():
        x, y, z = np.cross(found["i"], found["j"]).tolist()
        found["k"] = (x, y, z)
    if len(found) < 3 or abs(np.linalg.det([found[role] for role in "ijk"])) != 1:
        return None
    return found


def _mm(axis: Axis) -> float:
    factor = _factor(axis.unit) if axis.unit else None
    return 1.0 if factor is None else factor


def _factor(unit: str) -> float | None:
    """Millimetres of a unit; its name, in either spelling, or its symbol."""
    name = unit.strip().lower()
    for sign in _MICRO:
        name = name.replace(sign, "u")
    name = _ALSO.get(name, name).removesuffix("s")
    return _MM.get(name.replace("metre", "meter"))
