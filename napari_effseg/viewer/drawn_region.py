"""The region as a user draws it in the viewer: a layer of shapes, and a range of slices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EffsegError
from .inference import Deliver
from .placement import (
    drawn_matrix,
    mm_factors,
    mm_per_world_unit,
    placement_of,
    world_matrix,
)
from .reading_view import slice_shown, spatial_axes_shown
from .region import OURS, Rectangle, Region, default_slices, rectangles_of, region_of
from .words import sentence

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Shapes

__all__ = ["DrawnRegion", "RegionState"]

_DONE = ("added", "changed", "removed")  # napari's words for what has happened to shapes


@dataclass(frozen=True, eq=False)
class RegionState:
    """Where the region is drawn, what it is, and why it is none."""

    layer: Shapes | None = None
    region: Region | None = None
    problem: str = ""
    shown_slice: int | None = None
    """Slice across the region that the slider shows; None where it shows none."""


class DrawnRegion:
    """Keeps a region and the shapes that it is drawn with in step.

    A rectangle lies on one slice. While the slider stays within the region's slices, ours moves with it, so
    that it is seen, and can be changed, on each of them.

    Parameters
    ----------
    viewer : napari viewer model
    later : callable
        Runs a function in the same thread after what happens now.
    changed : callable
        Told after every change of the region.
    moved : callable
        Told when another slice of it is shown.

    Attributes
    ----------
    now : RegionState
    """

    def __init__(
        self, viewer: ViewerModel, later: Deliver, changed: Callable[[], None], moved: Callable[[], None]
    ) -> None:
        self.now = RegionState()
        self._viewer = viewer
        self._later = later
        self._changed = changed
        self._moved = moved
        self._image: Image | None = None
        self._slices: tuple[int, int] | None = None  # chosen by hand
        self._middle: float | None = None  # of the slices, where they are not
        self._axis: int | None = None  # across them
        self._deepest_mm: tuple[float, float, float] | None = None
        self._is_moving = False

    def close(self) -> None:
        """Listen no longer."""
        self._listen(None)

    def set_image(self, image: Image | None) -> None:
        """Look at another image: the region is what is drawn on that one."""
        self._image = image
        self._slices = self._middle = None
        if self.now.layer is not None:
            self.follow_dims()
            self.refresh()

    def set_deepest(self, deepest_mm: tuple[float, float, float] | None) -> None:
        """Bound the slices that a region gets by itself, by axis (S, P, L): the model takes no more."""
        if deepest_mm != self._deepest_mm:
            self._deepest_mm = deepest_mm
            if self.now.layer is not None and self._slices is None:
                self.refresh()

    def draw(self, image: Image) -> None:
        """Let the user drag a rectangle over the image."""
        self._image = image
        if self._viewer.dims.ndisplay == 3:
            self._viewer.dims.ndisplay = 2
        layer = self.now.layer
        if layer is None or not layer.metadata.get(OURS):
            layer = self._empty_layer(image) or self._new_layer(image)
            self.use(layer)
        self._place(layer, image)
        layer.visible = True
        self._viewer.layers.selection.active = layer
        layer.mode = "add_rectangle"

    def use(self, layer: Shapes | None) -> None:
        """Take the shapes of a layer as the region; None: the whole image."""
        self._listen(layer)
        self._slices = self._middle = None
        self.now = RegionState(layer)
        self.refresh()

    def clear(self) -> None:
        """Back to the whole image; a layer of ours is emptied and hidden, one of the user's stays as it is.

        It is not removed: napari 0.9 leaves buffers of removed shapes to OpenGL, and some drivers end the
        program when it draws the next time.
        """
        layer = self.now.layer
        self.use(None)
        if layer is None or not layer.metadata.get(OURS) or layer not in self._viewer.layers:
            return
        layer.mode = "pan_zoom"
        layer.selected_data = set(range(len(layer.data)))
        layer.remove_selected()
        layer.visible = False
        self._viewer.layers.selection.active = self._image

    def forget_removed(self) -> None:
        """Notice that the user has deleted the layer."""
        if self.now.layer is not None and self.now.layer not in self._viewer.layers:
            self.use(None)

    def set_slices(self, first: int, last: int) -> None:
        """Reach over these slices, both included; in the wrong order they are exchanged."""
        self._slices = (min(first, last), max(first, last))
        self.refresh()

    def refresh(self) -> None:
        """Find the region anew."""
        layer, image = self.now.layer, self._image
        if layer is None or image is None:
            self.now = RegionState(layer)
        else:
            self.now = self._found(layer, image)
        self._changed()

    def follow_dims(self) -> None:
        """Keep our rectangles in sight: in the plane that is shown, on the slice, if it is the region's."""
        layer, region, image = self.now.layer, self.now.region, self._image
        if layer is None or image is None or not layer.metadata.get(OURS):
            return
        self._place(layer, image)
        if region is None:
            return
        shown = self._shown_slice(region.axis)
        if shown != self.now.shown_slice:
            self.now = replace(self.now, shown_slice=shown)
            self._moved()
        if shown is None or not region.first <= shown <= region.last or str(layer.mode).startswith("add"):
            return
        moved = [np.array(corners, dtype=float) for corners in layer.data]
        column = layer.ndim - 3 + region.axis
        if layer.ndim < 3 or all(
            np.array_equal(corners[:, column], [shown] * len(corners)) for corners in moved
        ):
            return
        for corners in moved:
            corners[:, column] = shown
        self._is_moving = True
        layer.data = moved
        self._is_moving = False

    # ---

    def _place(self, layer: Shapes, image: Image) -> None:
        """Put our layer where the image is drawn now."""
        try:
            matrix = self._as_drawn(image)
        except EffsegError:  # the image has no place; the panel says it
            return
        if layer.ndim == min(image.ndim, 3) and not np.allclose(layer.affine.affine_matrix, matrix):
            layer.affine = matrix

    def _empty_layer(self, image: Image) -> Shapes | None:
        """Layer of ours that was cleared, if it can be drawn on where this image lies."""
        ndim = min(image.ndim, 3)
        for layer in self._viewer.layers:
            is_ours = layer.metadata.get(OURS) and not len(layer.data)
            if is_ours and layer.ndim == ndim and layer.units == image.units[-ndim:]:
                layer.name = f"region of {image.name}"
                return layer
        return None

    def _new_layer(self, image: Image) -> Shapes:
        return self._viewer.add_shapes(
            ndim=min(image.ndim, 3),
            name=f"region of {image.name}",
            edge_color="#ffd60a",
            edge_width=0.5,
            face_color="#ffffff00",
            opacity=1.0,
            metadata={OURS: True},
            units=image.units[-min(image.ndim, 3) :],
            affine=self._as_drawn(image),
        )

    def _as_drawn(self, image: Image) -> NDArray[np.float64]:
        """Matrix from indices of the image's axes to where napari draws them, without any tilt.

        On a layer with a tilt napari cannot draw: it looks for the mouse on another slice. Nor can it where
        the slider stands between two slices, as it does on a tilted volume: then the slice that is shown
        counts as the one at the slider.
        """
        shown = spatial_axes_shown(self._viewer)
        matrix = drawn_matrix(world_matrix(placement_of(image)), shown).copy()
        for axis in range(3) if len(shown) == 2 else ():
            at = self._shown_slice(axis)
            if at is not None:
                matrix[axis, 3] = self._point_mm()[axis] - matrix[axis, axis] * at
        first = 3 - min(image.ndim, 3)
        for row, factor in enumerate(mm_factors(image), start=first):
            matrix[row] /= factor or 1.0  # in the units of the image, which the layer shares
        return matrix[first:, first:]

    def _point_mm(self) -> NDArray[np.float64]:
        """World position of the sliders along (S, P, L), mm."""
        return np.asarray(self._viewer.dims.point[-3:]) * mm_per_world_unit(self._viewer.layers)

    def _found(self, layer: Shapes, image: Image) -> RegionState:
        try:
            view = placement_of(image)
            rectangles = rectangles_of(layer, image, self._point_mm(), spatial_axes_shown(self._viewer))
            rectangles = [rectangle for rectangle in rectangles if _is_wide(rectangle)]
            if not rectangles:
                return RegionState(layer)
            newest = rectangles[-1]
            if newest.axis != self._axis:  # drawn in another plane
                self._slices = self._middle = None
            if self._middle is None:
                self._middle, self._axis = newest.low[newest.axis], newest.axis
            most = self._deepest_mm[newest.axis] if self._deepest_mm else None
            slices = default_slices(newest, view, self._middle, most)
            first, last = self._slices or slices
            region = region_of(rectangles, first, last)
            assert region is not None
            region.boxes(view.grid.shape)  # refuses one that lies outside
        except EffsegError as err:
            return RegionState(layer, None, sentence(str(err)))
        return RegionState(layer, region, shown_slice=self._shown_slice(region.axis))

    def _shown_slice(self, axis: int) -> int | None:
        """Slice of the image that the slider shows across an axis; None if the canvas shows that axis."""
        return None if self._image is None else slice_shown(self._viewer, self._image, axis)

    def _listen(self, layer: Shapes | None) -> None:
        if self.now.layer is not None:
            self.now.layer.events.data.disconnect(self._data_changed)
        if layer is not None:
            layer.events.data.connect(self._data_changed)

    def _data_changed(self, event: Any) -> None:
        action = str(getattr(event, "action", "changed"))
        if self._is_moving or not action.rpartition(".")[2].lower().endswith(_DONE):
            return
        self._later(self._drawn)

    def _drawn(self) -> None:
        layer = self.now.layer
        if layer is None:
            return
        if len(layer.data) == 0:
            self._slices = self._middle = None
        elif layer.metadata.get(OURS) and str(layer.mode) == "add_rectangle":
            layer.mode = "select"  # the next drag of the mouse moves it instead of drawing another
        self.refresh()


def _is_wide(rectangle: Rectangle) -> bool:
    """Whether it is more than a click: at least a voxel along both sides."""
    sides = [
        h - b
        for axis, (b, h) in enumerate(zip(rectangle.low, rectangle.high, strict=True))
        if axis != rectangle.axis
    ]
    return min(sides) >= 1
