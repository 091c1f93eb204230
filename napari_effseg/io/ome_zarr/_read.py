"""Read OME-Zarr images and label images."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ImageReadError
from ...types import PathLike, Spacing, SpatialShape
from ...volume import Grid, LabelMap, LazyView, Volume
from .. import _stream
from .._arrange import Choice, arrange
from .._labels import labels_from
from ._geometry import grid_of, placement_warnings
from ._group import Group, find_image, find_labels
from ._image_label import label_table
from ._multiscales import Multiscales

__all__ = ["Level", "levels", "read", "read_grid", "read_labels"]


@dataclass(frozen=True)
class Level:
    """One resolution of an image.

    Attributes
    ----------
    index : int
        0 is the finest; what `load` takes as ``level``.
    grid : Grid
        Voxels along (I, J, K) = (x, y, z), and where they lie.
    channels, times : int
        Number of channels and time points.
    dtype : numpy.dtype
    """

    index: int
    grid: Grid
    channels: int
    times: int
    dtype: np.dtype[Any]

    @property
    def shape(self) -> SpatialShape:
        """Voxels along x, y, z."""
        return self.grid.shape

    @property
    def spacing(self) -> Spacing:
        """Millimetres a voxel along x, y, z."""
        return self.grid.spacing


def levels(path: PathLike) -> tuple[Level, ...]:
    """Resolutions of an OME-Zarr image, from the finest; no voxel is read.

    Raises
    ------
    ImageReadError
        As `load`.

    Examples
    --------
    >>> [level.shape for level in levels("image.ome.zarr")]  # doctest: +SKIP
    [(2048, 2048, 900), (1024, 1024, 450), (512, 512, 225)]
    """
    group = find_image(Path(path))
    return tuple(_level(group, index) for index in range(len(group.image.datasets)))


def read(path: Path, choice: Choice) -> Volume:
    """Read an image; see `napari_effseg.io.load`. Its voxels are read when they are needed."""
    return _volume(find_image(path), choice)


def read_labels(path: Path, level: int | None = None) -> LabelMap:
    """Read a label image: the one at `path`, or the only one of the image there. Its voxels are read."""
    group = find_labels(path)
    volume = _volume(group, Choice(level=level))
    data = volume.data
    claim = f"{' x '.join(map(str, data.shape))} voxels of {data.dtype}"
    _stream.require_memory(path, int(np.prod(data.shape, dtype=object)) * data.dtype.itemsize, claim)
    labels = replace(volume, data=np.asarray(data))
    return labels_from(labels, label_table(group.attributes.get("image-label")), group.where)


def read_grid(path: Path, level: int | None = None) -> Grid:
    """Grid of a level, from the metadata alone."""
    group = find_image(path)
    return _level(group, _checked_level(group, level)).grid


def _volume(group: Group, choice: Choice) -> Volume:
    index = _checked_level(group, choice.level)
    level = _level(group, index)
    view, roles = _without_other_axes(group, LazyView(group.array(index)))
    data, chosen = arrange(view, roles, choice, group.where)
    return Volume(
        data,
        level.grid.affine,
        channel_names=_channel_names(group, data, choice),
        window=_window(group),
        warnings=(*group.warnings, *_finest_taken(group, choice), *placement_warnings(group.image), *chosen),
    )


def _finest_taken(group: Group, choice: Choice) -> tuple[str, ...]:
    """Say that there are smaller ones, where nobody chose: the finest may be needlessly large."""
    count = len(group.image.datasets)
    if choice.level is not None or count == 1:
        return ()
    first, second = (" x ".join(map(str, _level(group, index).shape)) for index in (0, 1))
    taken = f"the finest of {count} resolutions was taken, {first} voxels"
    return (f"{taken}; level 1 of 0 to {count - 1} has {second}",)


def _level(group: Group, index: int) -> Level:
    stored = group.metadata(index)
    grid = grid_of(group.image, group.image.datasets[index], stored.shape, group.where)
    channels, times = (_count(group.image, stored.shape, role) for role in "ct")
    return Level(index, grid, channels, times, stored.dtype)


def _count(image: Multiscales, shape: tuple[int, ...], role: str) -> int:
    return shape[image.roles.index(role)] if role in image.roles else 1


def _checked_level(group: Group, level: int | None) -> int:
    count = len(group.image.datasets)
    if level is not None and not 0 <= level < count:
        has = f"levels 0 to {count - 1}" if count > 1 else "only one (0)"
        raise ImageReadError(f"{group.where}: level {level} was asked for; the image has {has}")
    return level or 0


def _without_other_axes(group: Group, view: LazyView) -> tuple[LazyView, str]:
    """View without the axes that are neither space, time nor channels, and the roles of those that are."""
    roles = group.image.roles
    for axis, side in zip(group.image.axes, view.shape, strict=True):
        if not axis.role and side > 1:
            raise ImageReadError(
                f"{group.where}: has {side} entries along an axis {axis.name!r}; expected axes of space, "
                "time and channels"
            )
    key = tuple(0 if role == "?" else slice(None) for role in roles)
    return view[key], roles.replace("?", "")


def _channel_names(group: Group, data: Any, choice: Choice) -> tuple[str, ...]:
    """Names that the display settings (omero) give to the channels that were chosen, or none."""
    channels = _omero_channels(group)
    names = [channel.get("label") for channel in channels]
    if "c" not in group.image.roles or not all(isinstance(name, str) and name for name in names):
        return ()
    if data.ndim == 4:
        return tuple(map(str, names)) if len(names) == data.shape[0] else ()
    at = choice.channel if isinstance(choice.channel, int) else 0
    return (str(names[at]),) if at < len(names) else ()


def _window(group: Group) -> tuple[float, float] | None:
    """Level and width of the range that the display settings show, of the first channel."""
    channels = _omero_channels(group)
    window = channels[0].get("window") if channels else None
    if not isinstance(window, dict):
        return None
    start, end = window.get("start"), window.get("end")
    if not isinstance(start, (int, float)) or not isinstance(end, (int, float)):
        return None
    usable = math.isfinite(start) and math.isfinite(end) and start < end
    return ((start + end) / 2, float(end - start)) if usable else None


def _omero_channels(group: Group) -> list[dict[str, Any]]:
    omero = group.attributes.get("omero")
    channels = omero.get("channels") if isinstance(omero, dict) else None
    if not isinstance(channels, list) or not all(isinstance(one, dict) for one in channels):
        return []
    return channels
