"""Heads whose place is known: the package's own template, put into a volume anywhere, with marks in it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_effseg import zoo
from napari_effseg.engine.locate.pose import rotation
from napari_effseg.engine.locate.template import load_template
from napari_effseg.volume import Grid, Volume, resample_array, transform_points
from tests.engine.builders import card_for

TEMPLATE = load_template("mni152")
LEFT, RIGHT = np.array([-28.0, -21.0, -14.0]), np.array([28.0, -21.0, -14.0])
"""Centres of the card's boxes, template RAS mm."""
IDS = {"left": (11, 12), "right": (21, 22)}
MARK_MM = 7.0
"""Radius of the balls that `marked_head` has at these centres."""
MARKS = {"left": 3000.0, "right": -2000.0}
"""How bright they are in a head of 0 to 1000: an asymmetry that tells one side from the other."""


def pose(
    turn_degrees: tuple[float, float, float] = (0.0, 0.0, 0.0),
    size: tuple[float, float, float] = (0.9, 0.9, 0.9),
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> NDArray[np.float64]:
    """Affine from the template into an image, all in RAS mm; turned and sized about the brain's centre."""
    affine = np.eye(4)
    affine[:3, :3] = rotation(*np.deg2rad(turn_degrees)) * size
    affine[:3, 3] = TEMPLATE.centre + shift - affine[:3, :3] @ TEMPLATE.centre
    return affine


TILTED = pose((18.0, -7.0, 9.0), (0.95, 0.9, 0.86), (130.0, -40.0, 25.0))
"""A head that is held obliquely, and so far to the right that all of it has positive x."""


def grid_around(
    to_image: NDArray[np.float64],
    low: tuple[float, float, float] = (-95.0, -125.0, -85.0),
    high: tuple[float, float, float] = (95.0, 95.0, 105.0),
    spacing: tuple[float, float, float] = (4.0, 3.5, 3.0),
    turn_degrees: tuple[float, float, float] = (4.0, -6.0, 3.0),
) -> Grid:
    """Oblique grid about where a head lies; `low` and `high` are about the template's centre, in mm."""
    affine = np.eye(4)
    affine[:3, :3] = rotation(*np.deg2rad(turn_degrees)) * spacing
    extent = (np.asarray(high) - low) / spacing
    middle = transform_points(to_image, TEMPLATE.centre) + (np.asarray(high) + low) / 2
    shape = np.rint(extent).astype(int)
    affine[:3, 3] = middle - affine[:3, :3] @ ((shape - 1) / 2)
    i, j, k = shape.tolist()
    return Grid((i, j, k), affine)


def head(to_image: NDArray[np.float64] = TILTED, grid: Grid | None = None) -> Volume:
    """The template, 0 to 1000, where `to_image` puts it."""
    grid = grid if grid is not None else grid_around(to_image)
    lies = Grid(TEMPLATE.grid.shape, to_image @ TEMPLATE.grid.affine)
    return Volume(1000 * resample_array(TEMPLATE.image, lies, grid), grid.affine)


def marked_head(to_image: NDArray[np.float64] = TILTED, grid: Grid | None = None) -> Volume:
    """A head with a ball on each side, of another brightness on the left than on the right."""
    volume = head(to_image, grid)
    world = transform_points(volume.affine, np.moveaxis(np.indices(volume.shape), 0, -1))
    values = volume.data.copy()
    for side, centre in (("left", LEFT), ("right", RIGHT)):
        far = np.linalg.norm(world - transform_points(to_image, centre), axis=-1)
        values[far < MARK_MM] = MARKS[side]
    return Volume(values, volume.affine)


def located_card(**changes: Any) -> zoo.Card:
    """A card of 2 mm whose boxes hold the marks, each side with ids of its own."""
    boxes = tuple(
        zoo.LocatedBox(tuple(centre.tolist()), (40.0, 48.0, 36.0), side, IDS[side])
        for side, centre in (("left", LEFT), ("right", RIGHT))
    )
    view = zoo.FieldOfView((10.0, 10.0, 10.0), (60.0, 70.0, 60.0), "template")
    code = zoo.CodeSpec("SCT", "5366008", "Hippocampus")
    names = ("anterior mark", "posterior mark")
    labels = tuple(zoo.LabelSpec(at + 1, name, (at, 20, 30), code) for at, name in enumerate(names))
    card = card_for(
        spacing=(2.0, 2.0, 2.0),
        modality=("MR",),
        field_of_view=view,
        locate=zoo.LocateSpec("mni152", boxes),
        labels=labels,
    )
    return dataclasses.replace(card, **changes)


class MarkFinder(nn.Module):
    """Look at each voxel alone: class 1 as bright as the left mark, class 2 as dark as the right one."""

    def forward(self, x: Tensor) -> Tensor:
        levels = torch.tensor([500.0, MARKS["left"], MARKS["right"]]).reshape(-1, 1, 1, 1)
        return -((x - levels) ** 2) / 500.0**2
