"""Pure checks of input and result; each gives sentences that warn, and none changes a voxel.

A warning says what was seen and what it may mean. What cannot be known from the image is not claimed:
a side, for instance, is only judged where both sides or the midline are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ..errors import VolumeError
from ..types import IntArray
from ..volume import Grid, LabelMap, transform_points
from ..volume.windowing import looks_like_hounsfield
from ..zoo.card import Card, LabelSpec
from .frame import EXTENT_TOLERANCE, axes_of, is_other_plane
from .intensity import Statistics
from .postprocess import count_pieces

__all__ = [
    "check_contrast",
    "check_field_of_view",
    "check_modality",
    "check_pieces",
    "check_sides",
    "check_volumes",
    "check_voxels",
    "extent_mm",
    "needs_locating",
]

PIECES_WORTH_A_WARNING = 4
"""A structure with a known volume in more pieces than this is likely found in places where it is not."""
MIDLINE_WIDTH_MM = 100.0
"""An image this wide shows both sides of a head or trunk, so that its middle is about the midline."""
_HU_OF_FAT = -50.0
_HU_OF_ORGANS = 50.0  # the densest ones without contrast


def check_voxels(statistics: Sequence[Statistics], grid: Grid, card: Card) -> tuple[str, ...]:
    """Look for voxels that are no numbers, and for a single slice of another plane than the card's.

    Parameters
    ----------
    statistics : sequence of Statistics
        Of each channel.
    grid : Grid
        Of the stored image.
    card : Card
    """
    warnings = []
    lost = sum(found.not_finite for found in statistics)
    if lost:
        lowest = min(found.minimum for found in statistics)
        warnings.append(
            f"{lost} voxels are NaN or infinite; they were taken as the lowest finite value, {lowest:g}"
        )
    if is_other_plane(grid, card):
        warnings.append(
            f"the image is a single slice that is not {card.input.plane}, for which {card.name} was made"
        )
    return tuple(warnings)


def check_field_of_view(grid: Grid, card: Card, what: str = "image") -> tuple[str, ...]:
    """Compare an image or region with the sizes that the card's network was made for.

    Parameters
    ----------
    grid : Grid
        Of the image, or of the region that was drawn in it.
    card : Card
        With its field of view.
    what : str
        What messages call it: "image" or "region".

    Returns
    -------
    tuple of str
        A warning if it is smaller than the network has seen.

    Raises
    ------
    VolumeError
        If it is much larger and the network may not slide over anatomy that it has not seen.
    """
    if card.dimensions == 2 and card.input.plane is None:
        return ()  # pictures: their pixel size is often a guess
    have = extent_mm(grid, card)
    view = card.field_of_view
    axes = range(3) if card.dimensions == 3 else _in_plane_axes(card)
    if view.locate != "anywhere" and _is_too_large(have, card, axes):
        raise VolumeError(
            f"the {what} measures {_mm(have)}, but {card.name} was made for at most {_mm(view.maximum_mm)} "
            f"around its structure and would label wrong places; give a {'smaller ' * (what == 'region')}"
            "region that holds the structure (--roi I0,J0,K0:I1,J1,K1)"
        )
    if any(have[axis] * EXTENT_TOLERANCE < view.minimum_mm[axis] for axis in axes):
        return (
            f"the {what} measures {_mm(have)}; {card.name} was trained on at least {_mm(view.minimum_mm)}, "
            "so the structure may be cut off",
        )
    return ()


def needs_locating(grid: Grid, card: Card) -> bool:
    """Whether the card's structure has to be found in an image, and the card says how."""
    return card.locate is not None and _is_too_large(extent_mm(grid, card), card, range(3))


def extent_mm(grid: Grid, card: Card) -> tuple[float, float, float]:
    """Sizes of an image in mm along the axes of the card's orientation."""
    sizes = [side * spacing for side, spacing in zip(grid.shape, grid.spacing, strict=True)]
    i, j, k = (sizes[axis] for axis in axes_of(grid, card))
    return i, j, k


def check_modality(modality: str | None, statistics: Sequence[Statistics], card: Card) -> tuple[str, ...]:
    """Compare the image's modality, or what its values tell of it, with the card's."""
    wanted = " or ".join(card.input.modality)
    if modality is not None and modality.upper() not in card.input.modality:
        return (
            f"the image is {modality}; {card.name} was made for {wanted}, so its labels mean little here",
        )
    low = min(found.minimum for found in statistics)
    high = max(found.maximum for found in statistics)
    if card.input.modality == ("CT",) and (low >= _HU_OF_FAT or high <= _HU_OF_ORGANS):
        return (
            f"the values run from {low:g} to {high:g}, which does not look like Hounsfield units "
            f"(air -1000, fat -100, water 0); {card.name} needs CT in HU",
        )
    if modality is None and card.input.modality == ("MR",) and looks_like_hounsfield(low, high):
        return (
            f"the values run from {low:g} to {high:g}, which looks like CT in Hounsfield units; "
            f"{card.name} was made for MR",
        )
    return ()


def check_contrast(statistics: Sequence[Statistics], card: Card) -> tuple[str, ...]:
    """Name channels that have one value everywhere."""
    flat = [
        channel.role
        for channel, found in zip(card.input.channels, statistics, strict=True)
        if found.is_constant
    ]
    if len(flat) == len(statistics):
        return (
            f"the image has the value {statistics[0].minimum:g} everywhere: there is nothing to segment, "
            "so all of it is background",
        )
    return tuple(f"the channel {role} has one value everywhere" for role in flat)


def check_volumes(labels: LabelMap, card: Card) -> tuple[str, ...]:
    """Compare the volume of each label with its card's range; name an empty result."""
    found = labels.volumes_ml()
    if not any(found.values()):
        return ("nothing was found: the whole result is background",)
    warnings = []
    for label in card.labels:
        volume = found.get(label.id, 0.0)
        if label.volume_ml is None:
            continue
        low, high = label.volume_ml
        if volume == 0 and low > 0:
            warnings.append(f"{label.name} was not found")
        elif not low <= volume <= high:
            warnings.append(f"{label.name} measures {volume:.2g} mL; {low:g} to {high:g} mL is plausible")
    return tuple(warnings)


def check_pieces(labels: IntArray, card: Card) -> tuple[str, ...]:
    """Name single structures that came out in many pieces. A label without a plausible volume may be many."""
    warnings = []
    for label in card.labels:
        if label.volume_ml is None or label.id in card.postprocess.keep_largest:
            continue
        pieces = count_pieces(labels, label.id)
        if pieces > PIECES_WORTH_A_WARNING:
            warnings.append(f"{label.name} was found in {pieces} separate pieces; some are likely wrong")
    return tuple(warnings)


def check_sides(labels: LabelMap, card: Card, image: Grid | None = None) -> tuple[str, ...]:
    """Compare the sides of left and right structures with where they lie in the world.

    `image` is the grid of the image that `labels` were cut out of; None: they are whole.

    With both of a pair present, the left one must lie left of the right one. With one of them, the image's
    middle stands for the midline if the image is wide enough to show both sides; the structure must then
    not lie wholly on the other side. Otherwise nothing can be said, and nothing is.
    """
    sided = [label for label in card.labels if label.laterality is not None]
    places = {label.id: _reach_x(labels, label.id) for label in sided}
    warnings = []
    for label in sided:
        here, partner = places[label.id], _partner(label, sided)
        there = places[partner.id] if partner is not None else None
        if here is None:
            continue
        if partner is not None and there is not None:
            if label.laterality == "left" and sum(here) > sum(there):
                warnings.append(
                    f"{label.name} lies to the right of {partner.name}: the image may be mirrored, "
                    "or its orientation wrong"
                )
        elif _is_across_middle(here, label, image or labels.grid):
            warnings.append(
                f"{label.name} lies wholly in the {_other(label)} half of the image: the image may be "
                "mirrored, its orientation wrong, or the structure mistaken"
            )
    return tuple(warnings)


def _is_too_large(have: Sequence[float], card: Card, axes: Iterable[int]) -> bool:
    return any(have[axis] > EXTENT_TOLERANCE * card.field_of_view.maximum_mm[axis] for axis in axes)


def _is_across_middle(reach: tuple[float, float], label: LabelSpec, grid: Grid) -> bool:
    """Whether a structure lies wholly on the wrong side of a wide image's middle."""
    corners = grid.corners_ras[:, 0]
    width = float(np.ptp(corners))
    middle = float(corners.mean())
    if width < MIDLINE_WIDTH_MM:
        return False
    # Left is negative in RAS.
    return reach[0] > middle if label.laterality == "left" else reach[1] < middle


def _reach_x(labels: LabelMap, label: int) -> tuple[float, float] | None:
    """Smallest and largest world x (RAS mm) of a label's bounding box in voxels, or None if it is absent."""
    from scipy import ndimage

    boxes = ndimage.find_objects(labels.data, label)
    box = boxes[label - 1] if len(boxes) >= label else None
    if box is None:
        return None
    inside = np.argwhere(labels.data[box] == label) + [side.start for side in box]
    x = transform_points(labels.affine, inside)[:, 0]
    return float(x.min()), float(x.max())


def _partner(label: LabelSpec, sided: Iterable[LabelSpec]) -> LabelSpec | None:
    """Find the same structure on the other side: same code, or a name that differs by the side alone."""
    for other in sided:
        if other.laterality == label.laterality:
            continue
        if (other.code.scheme, other.code.value) == (label.code.scheme, label.code.value):
            return other
        if _sideless(other.name) == _sideless(label.name):
            return other
    return None


def _sideless(name: str) -> str:
    return " ".join(word for word in name.lower().replace("_", " ").split() if word not in ("left", "right"))


def _other(label: LabelSpec) -> str:
    return "right" if label.laterality == "left" else "left"


def _in_plane_axes(card: Card) -> list[int]:
    across = {"axial": "SI", "coronal": "AP", "sagittal": "RL"}[card.input.plane or "axial"]
    return [axis for axis, code in enumerate(card.input.orientation) if code not in across]


def _mm(sizes: Sequence[float]) -> str:
    return " x ".join(f"{size:.0f}" for size in sizes) + " mm"
