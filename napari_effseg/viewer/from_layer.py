"""Layers -> Volume and LabelMap, on the grid of the stored array; views, nothing is copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import VolumeError
from ..types import IntArray
from ..volume import LabelMap, Volume, view_of
from .label_looks import names_in, own_colours, rgb_of
from .placement import level_array, placement_of
from .source import source_of

if TYPE_CHECKING:
    from napari.layers import Image, Labels, Layer

__all__ = ["array_of_labels", "frames_of", "labels_of_layer", "layer_to_volume"]


def frames_of(layer: Layer) -> int:
    """Count the steps along the axis before the three spatial ones; 1 where there is none."""
    return 1 if layer.ndim < 4 else int(level_array(layer).shape[layer.ndim - 4])


def layer_to_volume(layer: Image, *, frame: int = 0, channels: bool = False, level: int = 0) -> Volume:
    """Volume that a layer shows, in the order of its stored array; nothing is copied or computed.

    Parameters
    ----------
    layer : Image layer
        Made by us or anybody else.
    frame : int
        Step along the axis before the spatial ones (a time point), where there is one.
    channels : bool
        Take that axis as channels instead.
    level : int
        Of a multiscale layer, 0 the finest.

    Raises
    ------
    VolumeError
        If the layer has more than four dimensions, or its transform has no right answer.

    Notes
    -----
    An array that is read when it is needed (dask, zarr) stays one.
    """
    view = placement_of(layer, level)
    array = _spatial_last(layer, level)
    if array.ndim == 4 and not layer.rgb and not channels:
        array = array[frame]
    source = source_of(layer)
    names = ("red", "green", "blue") if layer.rgb else ()
    return Volume(
        view.invert(array),
        view.source.affine,
        modality=source.modality if source else None,
        channel_names=names,
    )


def labels_of_layer(layer: Labels, frame: int = 0) -> LabelMap:
    """Label map of a layer on the stored grid of its source, with its names, colours and codes.

    Names are those of the column "name" of the layer's features (or of "label_name", "label"), by the column
    "index". Codes are those that it was opened or made with.

    Raises
    ------
    VolumeError
        As `layer_to_volume`, or if a label is negative.
    """
    view = placement_of(layer)
    array = np.asarray(_spatial_last(layer, 0))
    data = view.invert(array[frame] if array.ndim == 4 else array)
    if data.dtype.kind == "i" and int(data.min()) < 0:
        raise VolumeError(f"the layer {layer.name!r} has negative labels; expected 0 and above")
    names = names_in(layer)
    source = source_of(layer)
    bare = LabelMap(data, view.source.affine)
    present = {*names, *bare.counts(), *own_colours(layer)}
    colours = {label: rgb_of(layer, label) for label in sorted(present)}
    return LabelMap(data, view.source.affine, names, colours, dict(source.codes) if source else {})


def array_of_labels(layer: Labels) -> IntArray:
    """Array of a layer of labels in the order of its axes, which is that of the image that it lies on."""
    return np.asarray(_spatial_last(layer, 0))


def _spatial_last(layer: Layer, level: int) -> Any:
    """Array of a layer as (S, P, L) or, with channels or time, (C, S, P, L); colours come first."""
    rgb = getattr(layer, "rgb", False)
    if layer.ndim > (3 if rgb else 4):
        raise VolumeError(
            f"the layer {layer.name!r} has {layer.ndim} axes{' and colours' if rgb else ''}; expected at "
            "most 4: time, channels or colours, and space"
        )
    array = view_of(level_array(layer, level))
    if rgb:
        array = array.transpose(array.ndim - 1, *range(array.ndim - 1))[:3]
    return array[..., None, :, :] if layer.ndim == 2 else array
