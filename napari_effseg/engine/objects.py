"""A label map of structures as one of numbered objects, each with a name, a colour and a code."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace

import numpy as np

from ..types import Colour, IndexBox, IntArray
from ..volume import LabelMap
from ..zoo.card import Card
from .frame import slice_axis
from .instances import ObjectGrid, number_objects
from .zeros import zeros

__all__ = ["ObjectSummary", "object_colour", "object_map", "summary_of"]

_GOLDEN_RATIO = 0.618033988749895
_SATURATION, _BRIGHTNESS = (0.85, 0.6), (1.0, 0.85, 0.7)


@dataclass(frozen=True)
class ObjectSummary:
    """How many objects there are, and how large.

    Attributes
    ----------
    name : str
        What they are.
    count : int
    mean_voxels : float
        Mean size, 0.0 of none.
    """

    name: str
    count: int
    mean_voxels: float


def object_map(labels: LabelMap, card: Card, box: IndexBox) -> LabelMap:
    """Give numbers to the objects of a label map as the card's section on instances says.

    Parameters
    ----------
    labels : LabelMap
        With the card's labels.
    card : Card
        One that numbers objects.
    box : IndexBox
        All labels lie in it; nothing else is looked at.

    Returns
    -------
    LabelMap
        Labels 1 to N, called "nucleus 1" to "nucleus N" after the card's label, of whose code all are. Their
        colours are hues that differ from one number to the next.
    """
    here = tuple(slice(low, high) for low, high in zip(*box, strict=True))
    flat_axis = slice_axis(labels.grid, card) if card.dimensions == 2 else None
    found = number_objects(labels.data[here], card.postprocess, ObjectGrid(labels.grid.spacing, flat_axis))
    numbers = range(1, int(found.max(initial=0)) + 1)
    kind = _label_of(card)
    code = labels.codes[kind]
    return replace(
        labels,
        data=_placed(found, labels, here),
        names={number: f"{labels.names[kind]} {number}" for number in numbers},
        colours={number: object_colour(number) for number in numbers},
        codes=dict.fromkeys(numbers, code),
    )


def summary_of(objects: LabelMap, card: Card) -> ObjectSummary:
    """Count the objects of a map that `object_map` made, and measure their mean size."""
    sizes = list(objects.counts().values())
    return ObjectSummary(
        card.label_names[_label_of(card)], len(sizes), float(np.mean(sizes)) if sizes else 0.0
    )


def object_colour(number: int) -> Colour:
    """Return a strong colour for an object; those of near numbers are far from each other."""
    saturation = _SATURATION[number % len(_SATURATION)]
    brightness = _BRIGHTNESS[number % len(_BRIGHTNESS)]
    red, green, blue = colorsys.hsv_to_rgb((number * _GOLDEN_RATIO) % 1.0, saturation, brightness)
    return round(red * 255), round(green * 255), round(blue * 255)


def _label_of(card: Card) -> int:
    assert card.postprocess.instances is not None
    return card.postprocess.instances.label


def _placed(found: IntArray, labels: LabelMap, here: tuple[slice, ...]) -> IntArray:
    """Put the numbers of a box where they belong in the whole grid."""
    if found.shape == labels.shape:
        return found
    whole: IntArray = zeros(labels.shape, found.dtype, found.size)
    whole[here] = found
    return whole
