"""Volume and LabelMap: an array and the affine that places it in the world.

Both are read-only in spirit: functions of this room return new ones, which may share the array's memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import VolumeError
from ..types import Affine, Axcodes, Colour, IntArray, Spacing, SpatialShape
from .affine import Grid, as_affine
from .lazy import LazyView, Voxels, is_lazy, view_of

__all__ = ["Algorithm", "Code", "LabelMap", "Volume"]

_LATERALITIES = (None, "left", "right")
_KINDS = ("automatic", "semiautomatic", "manual")
_SEPARATORS = "|~^"  # of terminology strings in label tables and `.seg.nrrd`
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Code:
    """What a label is, in a terminology that programs understand.

    Parameters
    ----------
    scheme : str
        "SCT" for SNOMED CT.
    value : str
        Code value, such as "4421005".
    meaning : str
        The code's meaning in words.
    laterality : "left", "right" or None
        The patient's side, where the structure is one of a pair.

    Raises
    ------
    VolumeError
        If a part is empty or holds a separator, or the laterality is another word.
    """

    scheme: str
    value: str
    meaning: str
    laterality: str | None = None

    def __post_init__(self) -> None:
        for part in (self.scheme, self.value, self.meaning):
            if not part or not part.isprintable() or any(mark in part for mark in _SEPARATORS):
                raise VolumeError(
                    f"{part!r} was given in a code; expected text without line breaks or any of {_SEPARATORS}"
                )
        if self.laterality not in _LATERALITIES:
            raise VolumeError(f"laterality {self.laterality!r} was given; expected 'left', 'right' or None")


@dataclass(frozen=True)
class Algorithm:
    """What made a label map, for formats that record it.

    Parameters
    ----------
    name : str
        Of a model's card, a program or a method.
    version : str
    kind : "automatic", "semiautomatic" or "manual"
        Whether a person had a hand in it.

    Raises
    ------
    VolumeError
        If a text is empty or not on one line, or the kind is another word.
    """

    name: str
    version: str
    kind: str = "automatic"

    def __post_init__(self) -> None:
        for part in (self.name, self.version):
            if not part.strip() or not part.isprintable():
                raise VolumeError(f"{part!r} was given of an algorithm; expected text on one line")
        if self.kind not in _KINDS:
            raise VolumeError(f"{self.kind!r} was given as an algorithm's kind; expected {', '.join(_KINDS)}")


class _Placed(Protocol):
    @property
    def grid(self) -> Grid: ...


class _GridProperties:
    """The geometry that Volume and LabelMap both show; a mixin, so that the two cannot drift apart."""

    @property
    def spacing(self: _Placed) -> Spacing:
        """Millimetres a voxel along each array axis."""
        return self.grid.spacing

    @property
    def origin(self: _Placed) -> tuple[float, float, float]:
        """World position of the centre of voxel (0, 0, 0), RAS mm."""
        return self.grid.origin

    @property
    def direction(self: _Placed) -> NDArray[np.float64]:
        """(3, 3) unit vectors of the array axes in RAS, one a column."""
        return self.grid.direction

    @property
    def axcodes(self: _Placed) -> Axcodes:
        """World direction towards which each array axis mainly grows, such as ("R", "A", "S")."""
        return self.grid.axcodes

    @property
    def is_flat(self: _Placed) -> bool:
        """Whether an axis is one voxel thick."""
        return self.grid.is_flat


@dataclass(frozen=True, eq=False)
class Volume(_GridProperties):
    """An image: array, affine, and what its reader had to say.

    Parameters
    ----------
    data : array, shape (I, J, K) or (C, I, J, K)
        Real numbers of any type. A numpy array is kept as given, only brought to the machine's byte order.
        An array that is read when it is needed (zarr, dask, `LazyView`, or any with a shape, a dtype and
        items that can be sliced) is kept as it is, and never read whole by this package unless a whole is
        asked for; ``numpy.asarray(volume.data)`` reads it.
    affine : array-like, shape (4, 4)
        Voxel index -> world, RAS, mm.
    channel_names : tuple of str
        One for each channel, or none.
    modality : str or None
        "MR", "CT", ... where it is known.
    window : (level, width) or None
        The range of intensities that the file asks to be shown first, in the units of `data`.
    warnings : tuple of str
        Sentences for the user about what was odd in the file and how it was read.

    Raises
    ------
    VolumeError
        If the array has another number of axes, an empty one, or holds no real numbers; if the window's
        width is not above 0.
    AffineError
        If the affine is not a finite, invertible 4 x 4 matrix.
    """

    data: Voxels
    affine: Affine
    channel_names: tuple[str, ...] = field(default=(), kw_only=True)
    modality: str | None = field(default=None, kw_only=True)
    window: tuple[float, float] | None = field(default=None, kw_only=True)
    warnings: tuple[str, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        data = _as_voxels(self.data)
        if data.ndim not in (3, 4) or 0 in data.shape:
            raise VolumeError(
                f"an array of shape {data.shape} was given; expected (I, J, K) or (C, I, J, K), no side empty"
            )
        if data.dtype.kind not in "biuf":
            raise VolumeError(f"voxels of type {data.dtype} were given; expected real numbers")
        names = tuple(self.channel_names)
        channels = data.shape[0] if data.ndim == 4 else 1
        if names and len(names) != channels:
            raise VolumeError(f"{len(names)} channel names were given for {channels} channels")
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "affine", as_affine(self.affine))
        object.__setattr__(self, "channel_names", names)
        object.__setattr__(self, "window", _as_window(self.window))
        object.__setattr__(self, "warnings", tuple(self.warnings))

    @property
    def shape(self) -> SpatialShape:
        """Voxels along the three spatial axes."""
        i, j, k = self.data.shape[-3:]
        return i, j, k

    @property
    def channels(self) -> int:
        """Number of channels; 1 for an array of three axes."""
        return int(self.data.shape[0]) if self.data.ndim == 4 else 1

    def each_channel(self) -> tuple[NDArray[Any] | LazyView, ...]:
        """Return the channels as views (I, J, K); nothing is read."""
        view = view_of(self.data)
        return tuple(view) if view.ndim == 4 else (view,)

    @property
    def grid(self) -> Grid:
        """Shape and affine, without the data."""
        return Grid(self.shape, self.affine)


@dataclass(frozen=True, eq=False)
class LabelMap(_GridProperties):
    """Integers with a name, a colour and a code for each; 0 is background and has none.

    Parameters
    ----------
    data : ndarray, shape (I, J, K), integer or bool
        Label of each voxel; bool becomes uint8. Another kind of array is read whole.
    affine : array-like, shape (4, 4)
        Voxel index -> world, RAS, mm.
    names, colours, codes : dict keyed by label
        Name, (red, green, blue) 0-255, and `Code`; None is taken for an empty table.
    made_by : Algorithm or None
        What made them, where it is known.
    warnings : tuple of str
        Sentences for the user about how the labels were read.

    Raises
    ------
    VolumeError
        If the array is not integer or has not three axes, or a table has a wrong key or value.
    AffineError
        If the affine is not a finite, invertible 4 x 4 matrix.
    """

    data: IntArray
    affine: Affine
    names: dict[int, str] = field(default_factory=dict)
    colours: dict[int, Colour] = field(default_factory=dict)
    codes: dict[int, Code] = field(default_factory=dict)
    made_by: Algorithm | None = field(default=None, kw_only=True)
    warnings: tuple[str, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        data = np.asanyarray(self.data)
        if data.ndim != 3 or 0 in data.shape:
            raise VolumeError(f"labels of shape {data.shape} were given; expected (I, J, K), no side empty")
        if data.dtype.kind not in "biu":
            raise VolumeError(f"labels of type {data.dtype} were given; expected integers")
        if data.dtype.kind == "b":
            data = data.astype(np.uint8)
        object.__setattr__(self, "data", _native(data))
        object.__setattr__(self, "affine", as_affine(self.affine))
        object.__setattr__(self, "names", {k: _as_name(v) for k, v in _table(self.names or {})})
        object.__setattr__(self, "colours", {k: _as_colour(v) for k, v in _table(self.colours or {})})
        object.__setattr__(self, "codes", dict(_table(self.codes or {})))
        object.__setattr__(self, "warnings", tuple(self.warnings))

    @property
    def shape(self) -> SpatialShape:
        """Voxels along the three spatial axes."""
        i, j, k = self.data.shape
        return i, j, k

    @property
    def grid(self) -> Grid:
        """Shape and affine, without the data."""
        return Grid(self.shape, self.affine)

    @property
    def described(self) -> tuple[int, ...]:
        """Labels that have a name, a colour or a code, in rising order."""
        return tuple(sorted({*self.names, *self.colours, *self.codes}))

    def counts(self) -> dict[int, int]:
        """Voxels of each label that occurs, background left out, in rising order."""
        totals: dict[int, int] = {}
        for slab in np.moveaxis(self.data, int(np.argmax(np.abs(self.data.strides))), 0):
            if not slab.any():  # most of a large image; looking is far cheaper than counting
                continue
            labels, voxels = _count(slab)
            for label, number in zip(labels.tolist(), voxels.tolist(), strict=True):
                totals[label] = totals.get(label, 0) + number
        return {label: totals[label] for label in sorted(totals) if label != 0}

    def volumes_ml(self) -> dict[int, float]:
        """Volume in mL of each label that occurs or has a name (0.0 where it does not occur)."""
        counts = self.counts()
        labels = sorted({*counts, *self.names})
        return {label: counts.get(label, 0) * self.grid.voxel_mm3 / 1000 for label in labels}


def _count(slab: IntArray) -> tuple[IntArray, IntArray]:
    if slab.dtype.itemsize <= 2 and slab.dtype.kind == "u":  # counting needs no sorting
        totals = np.bincount(slab.ravel(order="K"))
        labels = np.flatnonzero(totals)
        return labels, totals[labels]
    return np.unique(slab, return_counts=True)


def _as_voxels(data: Any) -> Voxels:
    if is_lazy(data):
        if isinstance(data, Sequence):  # as napari's, of which numpy would take the coarsest
            raise VolumeError(
                f"{len(data)} levels of resolution were given; expected one, such as the first: data[0]"
            )
        lazy: Voxels = data
        return lazy
    return _native(np.asanyarray(data))  # "any": a memory-mapped array stays one


def _native(data: NDArray[Any]) -> NDArray[Any]:
    return data if data.dtype.isnative else np.asarray(data).astype(data.dtype.newbyteorder("="))


def _as_window(window: tuple[float, float] | None) -> tuple[float, float] | None:
    if window is None:
        return None
    level, width = (float(part) for part in window)
    if not (math.isfinite(level) and 0 < width < math.inf):
        raise VolumeError(
            f"the window ({level:g}, {width:g}) was given; expected a level and a width above 0"
        )
    return level, width


def _table(entries: Mapping[int, _Value]) -> Iterable[tuple[int, _Value]]:
    """Entries of a table in rising order of label, each key checked."""
    table: dict[int, _Value] = {}
    for label, value in entries.items():
        table[_as_label(label)] = value
    return sorted(table.items(), key=lambda entry: entry[0])


def _as_label(label: object) -> int:
    if isinstance(label, bool) or not isinstance(label, (int, np.integer)) or label < 1:
        raise VolumeError(f"a table has the label {label!r}; expected integers from 1, none for 0")
    return int(label)


def _as_name(name: object) -> str:
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise VolumeError(f"{name!r} was given as a label's name; expected text on one line")
    return name.strip()


def _as_colour(colour: Iterable[int]) -> Colour:
    parts = tuple(int(part) for part in colour)
    if len(parts) != 3 or min(parts) < 0 or max(parts) > 255:
        raise VolumeError(f"the colour {parts} was given; expected red, green, blue from 0 to 255")
    return parts[0], parts[1], parts[2]
