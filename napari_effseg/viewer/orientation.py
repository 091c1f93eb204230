"""Which side of the patient is where on the screen: letters, planes, upright pictures.

Pure geometry: vectors in, letters and the camera's axis directions out. Knows neither napari nor Qt.

World axes of our layers are (S, P, L), reversed LPS: world axis 0 grows towards the patient's head, axis 1
towards the back, axis 2 towards the left. A viewer may have further axes (time) in front of these three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .placement import ras_of_world

__all__ = [
    "SECOND_LETTER_DEGREES",
    "WORLD_AXES_RAS",
    "CameraAxes",
    "EdgeLetters",
    "Plane",
    "Sides",
    "camera_axes",
    "direction_letters",
    "plane_of_order",
    "plane_order",
    "right_direction",
]

WORLD_AXES_RAS = ras_of_world(np.eye(3))
"""(3, 3): direction of the world axes S, P and L in RAS, one a row."""
WORLD_AXES_RAS.flags.writeable = False

SECOND_LETTER_DEGREES = 10.0
"""A direction further than this from its main axis gets a second letter."""

_POSITIVE, _NEGATIVE = "RAS", "LPI"
_S, _P, _L = 0, 1, 2


class Plane(Enum):
    """An anatomical plane; its value names it on buttons."""

    AXIAL = "Axial"
    CORONAL = "Coronal"
    SAGITTAL = "Sagittal"


class Sides(Enum):
    """How left and right lie on the screen in axial and coronal pictures.

    Radiological: as if facing the patient or looking from the feet, the patient's left at the right.
    Neurological: as if looking from behind or from the head, the patient's left at the left.
    """

    RADIOLOGICAL = "Radiological"
    NEUROLOGICAL = "Neurological"


_PLANE_AXES = {Plane.AXIAL: (_S, _P, _L), Plane.CORONAL: (_P, _S, _L), Plane.SAGITTAL: (_L, _S, _P)}
"""World axis across the slices, down or up the screen, and across the screen."""


@dataclass(frozen=True)
class EdgeLetters:
    """What to write at the four edges of a picture; empty where nothing is known."""

    left: str = ""
    right: str = ""
    top: str = ""
    bottom: str = ""

    @classmethod
    def of_directions(cls, right_ras: ArrayLike | None, down_ras: ArrayLike | None) -> EdgeLetters:
        """Letters for the directions in which the patient extends to the right and down the screen.

        Parameters
        ----------
        right_ras, down_ras : array-like, shape (3,), or None
            In RAS, of any length; None for an axis that is none of the patient's, such as time.
        """
        right, down = _vector(right_ras), _vector(down_ras)
        return cls(
            left=direction_letters(-right),
            right=direction_letters(right),
            top=direction_letters(-down),
            bottom=direction_letters(down),
        )

    def __bool__(self) -> bool:
        """Whether anything is written at all."""
        return any((self.left, self.right, self.top, self.bottom))


def _vector(direction: ArrayLike | None) -> NDArray[np.float64]:
    return np.zeros(3) if direction is None else np.asarray(direction, dtype=np.float64)


def direction_letters(direction_ras: ArrayLike) -> str:
    """Name a direction by the patient's side that it points to.

    The main letter comes first, as in DICOM's Patient Orientation; a second one follows if the direction
    is more than `SECOND_LETTER_DEGREES` off the main axis. Opposite directions get opposite letters.

    Parameters
    ----------
    direction_ras : array-like, shape (3,)
        In RAS, of any length.

    Returns
    -------
    str
        One or two of L, R, A, P, S, I; empty for a vector of no length.

    Examples
    --------
    >>> direction_letters((-1.0, 0.0, 0.0))
    'L'
    >>> direction_letters((-0.8, 0.6, 0.0))
    'LA'
    """
    direction = _vector(direction_ras)
    length = float(np.linalg.norm(direction))
    if not np.isfinite(length) or length == 0:
        return ""
    # Rounded, so that two equal components do not change places between a direction and its opposite.
    shares = np.round(np.abs(direction) / length, 9)
    main, second, _ = np.argsort(-shares, kind="stable")
    letters = _letter(direction, main)
    if shares[main] < np.cos(np.deg2rad(SECOND_LETTER_DEGREES)):
        letters += _letter(direction, second)
    return letters


def _letter(direction: NDArray[np.float64], axis: int) -> str:
    return _POSITIVE[axis] if direction[axis] > 0 else _NEGATIVE[axis]


def plane_order(plane: Plane, ndim: int) -> tuple[int, ...]:
    """Order of a viewer's axes that shows a plane: further axes first, then across, vertical, horizontal.

    Examples
    --------
    >>> plane_order(Plane.SAGITTAL, 4)
    (0, 3, 1, 2)
    """
    first = ndim - 3
    return (*range(first), *(first + axis for axis in _PLANE_AXES[plane]))


def plane_of_order(order: Sequence[int]) -> Plane | None:
    """Return the plane that the last two axes of a viewer's order span, or None if one is not spatial."""
    shown = {axis - (len(order) - 3) for axis in order[-2:]}
    return next((plane for plane, axes in _PLANE_AXES.items() if set(axes[1:]) == shown), None)


@dataclass(frozen=True)
class CameraAxes:
    """Where the three displayed axes grow to on the screen, in napari's words."""

    depth: str = "towards"
    """"towards" or "away"."""
    vertical: str = "down"
    """"down" or "up"."""
    horizontal: str = "right"
    """"right" or "left"."""

    @property
    def signs(self) -> tuple[int, int, int]:
        """+1 or -1 for each axis: towards the onlooker, up and right are +1."""
        return (
            1 if self.depth == "towards" else -1,
            1 if self.vertical == "up" else -1,
            1 if self.horizontal == "right" else -1,
        )

    @property
    def words(self) -> tuple[str, str, str]:
        """Depth, vertical, horizontal, as napari's camera takes them."""
        return self.depth, self.vertical, self.horizontal


def camera_axes(order: Sequence[int], sides: Sides) -> CameraAxes:
    """Directions of the displayed axes that show the patient upright and never mirrored.

    Head up and front up; in sagittal pictures the front at the left, whatever `sides` says, since a
    sagittal picture has no left and right. Depth matters in 3D alone: it is chosen so that the three axes
    together are the patient and not a mirror image.

    Parameters
    ----------
    order : sequence of int
        A viewer's order of axes, the last two are drawn down and across the screen.
    sides : Sides
        Where the patient's left is in axial and coronal pictures.
    """
    depth, vertical, horizontal = (axis - (len(order) - 3) for axis in _last_three(order))
    flipped = horizontal == _L and sides is Sides.NEUROLOGICAL
    axes = CameraAxes(vertical="up" if vertical == _S else "down", horizontal="left" if flipped else "right")
    if min(depth, vertical, horizontal) < 0:
        return axes
    _, up, right = axes.signs
    screen = [right * WORLD_AXES_RAS[horizontal], up * WORLD_AXES_RAS[vertical], WORLD_AXES_RAS[depth]]
    is_mirrored = np.linalg.det(np.array(screen)) < 0
    return CameraAxes("away" if is_mirrored else "towards", axes.vertical, axes.horizontal)


def _last_three(order: Sequence[int]) -> tuple[int, int, int]:
    if len(order) < 3:
        raise ValueError(f"{len(order)} axes were given; expected at least 3")
    depth, vertical, horizontal = order[-3:]
    return depth, vertical, horizontal


def right_direction(view: ArrayLike, up: ArrayLike, axes: CameraAxes) -> NDArray[np.float64]:
    """Direction of the screen's right edge in a 3D scene, in the order of its three displayed axes.

    Parameters
    ----------
    view, up : array-like, shape (3,)
        Directions into the screen and up, as napari's camera gives them.
    axes : CameraAxes
        Where the displayed axes grow to before any rotation; decides the handedness.
    """
    depth, vertical, horizontal = axes.signs
    # At home the view is -depth and up is vertical on axes (depth, vertical, horizontal), whose cross
    # product points along +/- the last one; rotations keep that sign.
    return -depth * vertical * horizontal * np.cross(np.asarray(view), np.asarray(up))
