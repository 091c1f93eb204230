"""Volume and LabelMap -> napari's layer triples: exact geometry, views instead of copies."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..types import Affine, IntArray
from ..volume import IntensityWindow, LabelMap, Reorientation, Volume
from .label_looks import colormap_of, features_of
from .placement import is_oblique, mm_factors, placement_of, view_of_grid, world_matrix
from .source import DOUBT, METADATA_KEY, LayerSource, Lead, Origin, source_of

if TYPE_CHECKING:
    from napari.layers import Layer

__all__ = ["LayerTriple", "doubt_layer", "image_layers", "labels_layer", "labels_over_time", "transform_like"]

LayerTriple = tuple[Any, dict[str, Any], str]
"""Data, keyword arguments and type of a layer, as napari's readers give them."""

_CONTRAST_SAMPLE = 200_000  # voxels; enough for percentiles that are stable to the eye
_CONTRAST_PERCENTILES = (0.5, 99.5)
_PRIMARIES = ("red", "green", "blue")


def image_layers(
    volume: Volume,
    name: str,
    *,
    origin: Origin | None = None,
    lead: Lead = "channel",
) -> list[LayerTriple]:
    """Layers that show a volume; its array is viewed, not copied.

    It is shown in the window that its header asks for, else in nearly its whole range.
    Red, green and blue of 8 bits are one coloured layer. Other channels are a layer each, the first of them
    visible; time points are one layer with a slider. A picture is a layer of two dimensions.

    Parameters
    ----------
    volume : Volume
        Any axes; oblique ones lie where they are.
    name : str
        Of the layer; the name of the channel follows it where there are several.
    origin : Origin, optional
        Where it was read from.
    lead : "time" or "channel"
        What the first axis of a volume (C, I, J, K) is.
    """
    view = view_of_grid(volume.grid)
    window = IntensityWindow(*volume.window) if volume.window else None
    source = LayerSource(view, origin, volume.modality, window, warnings=volume.warnings)
    shown = view.apply(volume.data)
    if volume.data.ndim == 3:
        return [_image(shown, name, source)]
    if lead == "time":
        return [_image(shown, name, replace(source, lead="time"), leading=1)]
    if _is_colour(volume):
        colours = _as_shown(shown, source)
        colours = colours.transpose(*range(1, colours.ndim), 0)
        return [(colours, {"name": name, "rgb": True, **_placed(source)}, "image")]
    return _channel_layers(shown, volume, name, source)


def labels_layer(
    labels: LabelMap,
    like: Layer | None = None,
    *,
    name: str = "labels",
    level: int = 0,
    frame: int | None = None,
) -> LayerTriple:
    """Layer of labels with names, which the status bar shows, and colours.

    Parameters
    ----------
    labels : LabelMap
        On the stored grid of `like`, if that is given.
    like : Layer, optional
        The image layer that they were made from: they get exactly its transform.
    name : str
        Of the layer.
    level, frame : int
        Which level of a multiscale layer, which time point of `like` they belong to.
    """
    if like is None:
        source = LayerSource(view_of_grid(labels.grid), codes=labels.codes, warnings=labels.warnings)
        data, keywords = _as_shown(source.view.apply(labels.data), source), _placed(source)
    else:
        data, keywords = _like(labels.data, like, level, frame)
        made = keywords["metadata"][METADATA_KEY]
        keywords["metadata"] = {METADATA_KEY: replace(made, codes=labels.codes)}
    keywords |= {"name": name, "features": features_of(labels)}
    if labels.colours:
        keywords["colormap"] = colormap_of(labels)
    return data, keywords, "labels"


def labels_over_time(labels: IntArray, like: Layer, name: str) -> LayerTriple:
    """Layer of labels of all time points of an image layer, exactly where that lies.

    Parameters
    ----------
    labels : ndarray of int, shape (T, I, J, K)
        On the stored grid of `like`; viewed, not copied.
    like : Layer
        Of four dimensions, with one level.
    name : str
        Of the layer.
    """
    view = placement_of(like)
    known = source_of(like)
    knows_sides = known is not None and known.knows_sides
    keywords: dict[str, Any] = {"name": name, **transform_like(like, with_time=True)}
    keywords["metadata"] = {METADATA_KEY: LayerSource(view, knows_sides=knows_sides)}
    return view.apply(labels), keywords, "labels"


def doubt_layer(
    doubt: NDArray[np.float32], like: Layer, *, level: int = 0, frame: int | None = None
) -> LayerTriple:
    """Hidden layer of doubt, (I, J, K) in [0, 1] on the stored grid of `like`, exactly where `like` lies."""
    data, keywords = _like(doubt, like, level, frame)
    keywords["metadata"] = {METADATA_KEY: replace(keywords["metadata"][METADATA_KEY], channel=DOUBT)}
    keywords |= {
        "name": f"{like.name} doubt",
        "colormap": "magma",
        "blending": "additive",
        "contrast_limits": (0.0, 1.0),
        "visible": False,
    }
    return data, keywords, "image"


# --- images ---


def _image(shown: Any, name: str, source: LayerSource, leading: int = 0) -> LayerTriple:
    keywords = {"name": name, **_placed(source, leading)}
    limits = _contrast(shown, source.window)
    if limits is not None:
        keywords["contrast_limits"] = limits
    return _as_shown(shown, source), keywords, "image"


def _channel_layers(shown: Any, volume: Volume, name: str, source: LayerSource) -> list[LayerTriple]:
    names = volume.channel_names or tuple(f"channel {number}" for number in range(volume.channels))
    layers = []
    for number, channel in enumerate(names):
        data, keywords, kind = _image(shown[number], f"{name} {channel}", replace(source, channel=channel))
        if channel.lower() in _PRIMARIES:
            keywords |= {"colormap": channel.lower(), "blending": "additive"}
        else:
            keywords["visible"] = number == 0
        layers.append((data, keywords, kind))
    return layers


def _is_colour(volume: Volume) -> bool:
    names = tuple(channel.lower() for channel in volume.channel_names)
    return volume.channels == 3 and volume.data.dtype == np.uint8 and names in ((), _PRIMARIES)


def _as_shown(array: Any, source: LayerSource) -> Any:
    """Drop the slice axis of a picture."""
    return array[..., 0, :, :] if _is_picture(source.view) else array


def _is_picture(view: Reorientation) -> bool:
    """Whether a grid is that of a picture as `io` reads them, which has no place of its own in a patient."""
    affine = view.source.affine
    diagonal = np.diag(np.diag(affine))
    return view.source.shape[2] == 1 and affine[2, 2] == 1 and np.array_equal(affine, diagonal)


def _contrast(array: Any, window: IntensityWindow | None) -> tuple[float, float] | None:
    """Range to show: the window, or nearly the whole range of a sample; None leaves it to napari."""
    if window is not None:
        return window.lower, window.upper
    if not isinstance(array, np.ndarray) or array.dtype == bool:
        return None
    step = max(1, round((array.size / _CONTRAST_SAMPLE) ** (1 / array.ndim)))
    sample = np.asarray(array[(slice(None, None, step),) * array.ndim], dtype=np.float32)
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return None
    low, high = np.percentile(sample, _CONTRAST_PERCENTILES).tolist()
    if high <= low:
        low, high = float(sample.min()), float(sample.max())
    return (low, high) if high > low else None


# --- transforms ---


def _placed(source: LayerSource, leading: int = 0) -> dict[str, Any]:
    """Keywords that place a layer of ours, and say where it comes from."""
    sides = 2 if _is_picture(source.view) else 3
    return {
        **_transform(world_matrix(source.view), sides, leading),
        "metadata": {METADATA_KEY: source},
    }


def _transform(matrix: Affine, sides: int = 3, leading: int = 0, first: float = 0.0) -> dict[str, Any]:
    """Give napari's transform for a matrix index -> world (S, P, L); `first` places the leading axis.

    ``scale`` is always the voxel size, so that tools which look at nothing else are right about it.
    """
    ndim = leading + sides
    linear, offset = matrix[3 - sides : 3, 3 - sides : 3], matrix[3 - sides : 3, 3]
    spacing = np.linalg.norm(linear, axis=0)
    keywords: dict[str, Any] = {
        "scale": (*[1.0] * leading, *spacing.tolist()),
        "units": (*["pixel"] * leading, *["mm"] * sides),
    }
    if np.array_equal(linear, np.diag(spacing)):
        return {**keywords, "translate": (*[first] * leading, *offset.tolist())}
    _hush_tilt()
    full = np.eye(ndim + 1)
    full[leading:ndim, leading:ndim] = linear / spacing
    full[leading:ndim, ndim] = offset
    full[:leading, ndim] = first
    return {**keywords, "affine": full}


def _transform_in_units_of(
    like: Layer, view: Reorientation, leading: int = 0, first: float = 0.0
) -> dict[str, Any]:
    """As `_transform`, in the units of `like`: napari does not draw pixels and mm together."""
    factors = [factor or 1.0 for factor in mm_factors(like)]
    matrix = world_matrix(view).copy()
    matrix[3 - len(factors) : 3] /= np.asarray(factors)[:, None]
    transform = _transform(matrix, len(factors), leading, first)
    return {**transform, "units": like.units[-len(factors) - leading :]}


def transform_like(like: Layer, with_time: bool = False) -> dict[str, Any]:
    """Give the keywords that place another layer exactly where this one is.

    Parameters
    ----------
    like : Layer
    with_time : bool
        The other layer has the axis before the spatial ones, too; without, it has the spatial ones alone.
    """
    if like.ndim > 3 and not with_time:
        return _transform_in_units_of(like, placement_of(like))
    if is_oblique(like):
        _hush_tilt()
    same = ("scale", "translate", "rotate", "shear", "units", "axis_labels")
    transform = {name: getattr(like, name) for name in same if hasattr(like, name)}
    return {**transform, "affine": like.affine.affine_matrix}


def _hush_tilt() -> None:
    """Silence what napari says at every step through a tilted volume; the reading panel says it, once."""
    warnings.filterwarnings("ignore", message="Non-orthogonal slicing is being requested")


def _like(
    array: NDArray[Any], like: Layer, level: int, frame: int | None
) -> tuple[NDArray[Any], dict[str, Any]]:
    """Array on the stored grid of `like`, turned as its axes are, and the keywords that place it there."""
    view = placement_of(like, level)
    known = source_of(like)
    source = LayerSource(view, knows_sides=False)
    if known is not None:
        is_whole = known.view is view  # neither moved, cut nor coarser: the files still have this grid
        origin = _at(known.origin, frame) if is_whole else None
        source = LayerSource(view, origin, known.modality, knows_sides=known.knows_sides)
    shown = view.apply(array)
    if like.ndim == 2:
        shown = shown[0]
    metadata = {"metadata": {METADATA_KEY: source}}
    if level == 0 and like.ndim < 4:
        return shown, {**transform_like(like), **metadata}
    if frame is None or like.ndim < 4:
        return shown, {**_transform_in_units_of(like, view), **metadata}
    when = _time_in_world(like, frame)
    return shown[np.newaxis], {**_transform_in_units_of(like, view, leading=1, first=when), **metadata}


def _at(origin: Origin | None, frame: int | None) -> Origin | None:
    return origin if origin is None or frame is None else replace(origin, frame=frame)


def _time_in_world(like: Layer, frame: int) -> float:
    """World coordinate of a step along the axis before the three spatial ones."""
    index = np.zeros(like.ndim)
    index[like.ndim - 4] = frame
    return float(like.data_to_world(index)[like.ndim - 4])
