"""Where a card's boxes lie in an image: grids that the network is given, turned with the patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...types import Affine, Axcodes, IndexBox
from ...volume import Grid, as_axcodes, transform_points
from ...zoo.card import Card
from ...zoo.location import LocatedBox
from .pose import nearest_rotation

__all__ = ["Place", "bounding_box", "expected_places", "place_boxes"]

_UNIT = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}


@dataclass(frozen=True, eq=False)
class Place:
    """One structure's box in an image.

    Attributes
    ----------
    network : Grid
        What the network is given: the card's spacing and orientation, turned with the head.
    side : "left", "right" or None
        Of the patient.
    ids : tuple of int
        What the labels 1, 2, ... become here; empty: they stay.
    """

    network: Grid
    side: Literal["left", "right"] | None
    ids: tuple[int, ...]

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"the {self.side} side" if self.side else "the structure"

    def inside(self, grid: Grid) -> float:
        """Share of the box that lies in an image, in [0, 1]."""
        indices = np.indices(self.network.shape).reshape(3, -1).T
        to_image = np.linalg.inv(grid.affine) @ self.network.affine
        place = transform_points(to_image, indices)
        within = (place >= -0.5) & (place <= np.asarray(grid.shape) - 0.5)
        return float(within.all(axis=1).mean())


def place_boxes(card: Card, to_image: Affine) -> tuple[Place, ...]:
    """Place the boxes of a card in an image.

    The registration gives each box its centre; the part of it that turns, and not that which sizes or
    shears, gives its axes: the network sees millimetres and right angles, as in training.

    Parameters
    ----------
    card : Card
        With a section ``[locate]``.
    to_image : (4, 4)
        Template RAS mm -> image RAS mm.
    """
    turn = nearest_rotation(to_image[:3, :3])
    boxes = card.locate.boxes if card.locate is not None else ()
    return tuple(Place(_box_grid(box, card, to_image, turn), box.side, box.ids) for box in boxes)


def expected_places(card: Card, grid: Grid) -> tuple[Place, ...]:
    """Where the boxes would lie if the template's origin lay in the image's middle: for the plan."""
    to_image = np.eye(4)
    to_image[:3, 3] = grid.corners_ras.mean(axis=0)
    return place_boxes(card, to_image)


def bounding_box(place: Grid, image: Grid, margin: int = 0) -> IndexBox:
    """Smallest box of the image's voxels that holds all voxels of a place, and some around it.

    Clipped to the image; at least one voxel where the place lies outside.
    """
    sides = np.asarray(place.shape)
    corners = np.indices((2, 2, 2)).reshape(3, -1).T * sides - 0.5  # the outer edges of the corner voxels
    reach = transform_points(np.linalg.inv(image.affine) @ place.affine, corners)
    last = np.asarray(image.shape) - 1
    low = np.clip(np.floor(reach.min(0)).astype(int) - margin, 0, last)
    high = np.clip(np.ceil(reach.max(0)).astype(int) + margin, 0, last) + 1
    (i0, j0, k0), (i1, j1, k1) = low.tolist(), high.tolist()
    return (i0, j0, k0), (i1, j1, k1)


def _box_grid(box: LocatedBox, card: Card, to_image: Affine, turn: NDArray[np.float64]) -> Grid:
    spacing = np.asarray(card.input.spacing)
    shape = np.maximum(np.rint(np.asarray(box.size_mm) / spacing), 1).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = turn @ _axes(as_axcodes(card.input.orientation)) * spacing
    centre = transform_points(to_image, box.centre_mm)
    affine[:3, 3] = centre - affine[:3, :3] @ ((shape - 1) / 2)
    i, j, k = shape.tolist()
    return Grid((i, j, k), affine)


def _axes(axcodes: Axcodes) -> NDArray[np.float64]:
    """Return unit vectors (3, 3) of array axes with these codes, one a column, in RAS."""
    return np.array([_UNIT[letter] for letter in axcodes], dtype=np.float64).T
