"""Where the network's grid lies in a stored array: axes turned, a box cut out, spacing changed, and back.

Nothing here touches voxels. "Turned" indices are those of the stored array with its axes as the card wants
them; a 2D card's slices come first, so that they can be worked through one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import VolumeError
from ..types import IndexBox, SpatialShape
from ..volume import Grid, Reorientation, box_shape, grid_with_spacing
from ..zoo.card import Card
from .locate.places import Place, bounding_box
from .manner import grid_of_manner

__all__ = ["Frame", "axes_of", "is_other_plane", "slice_axis", "sub_grid", "turning", "window_shape"]

SPACING_TOLERANCE = 0.01
"""A voxel size within 1 % of the card's is not resampled: the network has seen far larger differences of
scale, and interpolation would blur for nothing. The labels lie on the image's own grid either way."""
EXTENT_TOLERANCE = 1.1
"""An image may be 10 % larger than the card's field of view before a region is asked for."""

_ACROSS = {"axial": "SI", "coronal": "AP", "sagittal": "RL"}


@dataclass(frozen=True, eq=False)
class Frame:
    """One region of an image as a card's network sees it.

    Attributes
    ----------
    turn : Reorientation
        Stored array <-> turned array (views, nothing is copied).
    labelled : IndexBox
        Turned indices of the voxels that get labels.
    seen : IndexBox
        Turned indices of the voxels that the network sees: `labelled` and real image around it.
    network : Grid
        Grid of the network's image: the field of view of `seen` at the card's spacing.
    place : Place or None
        The place that registration has found, where `network` is that of the place: it may be turned against
        the image, and `labelled` and `seen` are a box around it.
    """

    turn: Reorientation
    labelled: IndexBox
    seen: IndexBox
    network: Grid
    place: Place | None = None

    @classmethod
    def of(
        cls, grid: Grid, card: Card, box: IndexBox | None = None, content: IndexBox | None = None
    ) -> Frame:
        """Place a card's network on an image.

        Parameters
        ----------
        grid : Grid
            Of the stored array.
        card : Card
            Orientation, plane, spacing, window and field of view are used.
        box : IndexBox or None
            Region to label, stored indices; None: all of it.
        content : IndexBox or None
            Stored indices of the part that is not empty, where the card's manner sees no other. Outside it
            nothing is labelled.

        Raises
        ------
        VolumeError
            If the card is three-dimensional and the image is one voxel thick.
        """
        turn = turning(grid, card)
        whole: IndexBox = ((0, 0, 0), turn.grid.shape)
        labelled = whole if box is None else turn.apply_box(box)
        seen = labelled if box is None else _with_context(labelled, turn.grid, card)
        if content is not None:
            filled = turn.apply_box(content)
            labelled, seen = _common(labelled, filled) or labelled, _common(seen, filled) or seen
        return cls(turn, labelled, seen, _network_grid(sub_grid(turn.grid, seen), card))

    @classmethod
    def at(cls, grid: Grid, card: Card, place: Place) -> Frame:
        """Place a card's network where a registration has found its structure."""
        turn = turning(grid, card)
        around = bounding_box(place.network, turn.grid)
        return cls(turn, around, around, place.network, place)

    @classmethod
    def exactly(cls, grid: Grid) -> Frame:
        """Give the network an image that has been brought to its grid already."""
        whole: IndexBox = ((0, 0, 0), grid.shape)
        as_it_is = Reorientation(grid, (0, 1, 2), (False, False, False))
        return cls(as_it_is, whole, whole, grid)

    @property
    def seen_grid(self) -> Grid:
        """Grid of the turned voxels that the network sees, at their own spacing."""
        return sub_grid(self.turn.grid, self.seen)

    @property
    def labelled_grid(self) -> Grid:
        """Grid of the turned voxels that get labels."""
        return sub_grid(self.turn.grid, self.labelled)

    @property
    def sees_all(self) -> bool:
        """Whether the network sees the whole image."""
        return self.seen == ((0, 0, 0), self.turn.grid.shape)

    @property
    def is_resampled(self) -> bool:
        """Whether the network's voxels differ from the image's."""
        return not np.array_equal(self.network.affine, self.seen_grid.affine)


def turning(grid: Grid, card: Card) -> Reorientation:
    """Return the permutation and flips between a stored array and the card's axes.

    A card of stored axes permutes them and flips none; the first is across the slices of a 2D card.
    Three dimensions: the card's orientation. Two, with a plane: the slices first, then the plane's axes in
    the order of the card's orientation. Two, without a plane: pictures are never flipped or turned; only
    the axis across them comes first.

    Raises
    ------
    VolumeError
        If the card is three-dimensional and the image is one voxel thick.
    """
    if card.dimensions == 3:
        if grid.is_flat:
            raise VolumeError(
                f"the image has {' x '.join(map(str, grid.shape))} voxels, one slice; "
                f"{card.name} needs a volume: give one, or choose a model for slices"
            )
        axcodes = "".join(_letters(grid, card))
        return Reorientation.between(grid.affine, grid.shape, axcodes)
    across = slice_axis(grid, card)
    stored = stored_order(card)
    if stored is not None:
        order = (across, *(axis for axis in stored if axis != across))
        axcodes = "".join(grid.axcodes[axis] for axis in order)
    elif card.input.plane is None or _is_other_slice(grid, across, card):
        order = (across, *(axis for axis in range(3) if axis != across))
        axcodes = "".join(grid.axcodes[axis] for axis in order)
    else:
        letter = grid.axcodes[across]
        pair = next(pair for pair in _ACROSS.values() if letter in pair)
        first = next(code for code in card.input.orientation if code in pair)
        axcodes = first + card.input.orientation.replace(first, "")
    return Reorientation.between(grid.affine, grid.shape, axcodes)


def slice_axis(grid: Grid, card: Card) -> int:
    """Axis of the stored array across the slices that a 2D card takes.

    A single slice is taken as it is. Otherwise the axis across the card's plane; without a plane, the last.
    """
    flat = [axis for axis, side in enumerate(grid.shape) if side == 1]
    wanted = _across_plane(grid, card)
    if flat and wanted not in flat:
        return flat[-1]
    return wanted


def is_other_plane(grid: Grid, card: Card) -> bool:
    """Whether the image is a single slice of another plane than the card's."""
    return card.dimensions == 2 and _is_other_slice(grid, slice_axis(grid, card), card)


def window_shape(card: Card, size: tuple[int, ...] | None = None) -> SpatialShape:
    """Voxels of a window along the three turned axes; (1, I, J) for a 2D card.

    Examples
    --------
    A 2D card with windows of 64 x 48 voxels has the window shape (1, 64, 48).
    """
    sides = card.window.size if size is None else size
    i, j, k = sides if len(sides) == 3 else (1, *sides)
    return i, j, k


def sub_grid(grid: Grid, box: IndexBox) -> Grid:
    """Grid of the voxels of a half-open box."""
    affine = np.array(grid.affine)
    affine[:3, 3] += affine[:3, :3] @ np.asarray(box[0], dtype=np.float64)
    return Grid(box_shape(box), affine)


def stored_order(card: Card) -> tuple[int, ...] | None:
    """Return the stored axes in the card's order, if it goes by these and not by the patient's."""
    letters = card.input.orientation
    return tuple("IJK".index(letter) for letter in letters) if sorted(letters) == ["I", "J", "K"] else None


def axes_of(grid: Grid, card: Card) -> tuple[int, int, int]:
    """Array axis of `grid` for each of the card's three axes."""
    stored = stored_order(card)
    if stored is not None:
        first, second, third = stored
        return first, second, third
    letters = [next(pair for pair in _ACROSS.values() if code in pair) for code in card.input.orientation]
    first, second, third = (
        next(axis for axis, letter in enumerate(grid.axcodes) if letter in pair) for pair in letters
    )
    return first, second, third


def _letters(grid: Grid, card: Card) -> Iterator[str]:
    """Where the axes of a 3D card's image grow to."""
    stored = stored_order(card)
    yield from card.input.orientation if stored is None else (grid.axcodes[axis] for axis in stored)


def _across_plane(grid: Grid, card: Card) -> int:
    stored = stored_order(card)
    if stored is not None:
        return stored[0]
    if card.input.plane is None:
        return 2
    pair = _ACROSS[card.input.plane]
    return next(axis for axis, letter in enumerate(grid.axcodes) if letter in pair)


def _is_other_slice(grid: Grid, across: int, card: Card) -> bool:
    return card.input.plane is not None and across != _across_plane(grid, card)


def _network_grid(seen: Grid, card: Card) -> Grid:
    if card.input.spacing is None:
        return seen
    own = seen.spacing
    wanted = list(card.input.spacing if card.dimensions == 3 else (own[0], *card.input.spacing))
    if card.input.manner != "own":
        return grid_of_manner(seen, wanted, card.input.manner)
    for axis, (have, want) in enumerate(zip(own, wanted, strict=True)):
        if abs(have / want - 1) <= SPACING_TOLERANCE:
            wanted[axis] = have
    if tuple(wanted) == own:
        return seen
    return grid_with_spacing(seen, wanted)


def _common(one: IndexBox, other: IndexBox) -> IndexBox | None:
    """Return what two boxes share, or None."""
    low = [max(a, b) for a, b in zip(one[0], other[0], strict=True)]
    high = [min(a, b) for a, b in zip(one[1], other[1], strict=True)]
    if any(stop <= start for start, stop in zip(low, high, strict=True)):
        return None
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def _with_context(box: IndexBox, grid: Grid, card: Card) -> IndexBox:
    """Widen a region by half a window, as far as the image and the card's largest field of view reach.

    Real image serves the network better than the zeros that pad a small region to a window.
    """
    low, high = list(box[0]), list(box[1])
    spacing = card.input.spacing or ()
    window = window_shape(card)
    for axis in range(3):
        have = grid.spacing[axis]
        want = spacing[axis - 3 + len(spacing)] if axis >= 3 - len(spacing) else have
        side = high[axis] - low[axis]
        margin = int(window[axis] / 2 * want / have)
        if card.field_of_view.locate != "anywhere":
            room = card.field_of_view.maximum_mm[_view_axis(grid, axis, card)] / have - side
            margin = min(margin, max(int(room / 2), 0))
        if card.dimensions == 2 and axis == 0:
            margin = 0
        low[axis] = max(low[axis] - margin, 0)
        high[axis] = min(high[axis] + margin, grid.shape[axis])
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def _view_axis(turned: Grid, axis: int, card: Card) -> int:
    """Entry of the card's field of view that belongs to a turned axis."""
    letter = turned.axcodes[axis]
    pair = next(pair for pair in _ACROSS.values() if letter in pair)
    return next(place for place, code in enumerate(card.input.orientation) if code in pair)
