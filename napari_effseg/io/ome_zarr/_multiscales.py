"""The multiscales metadata of an OME-Zarr image: axes, levels, and how each level lies among the others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import ImageReadError
from ._paths import stays_inside

__all__ = ["Axis", "Dataset", "Multiscales", "parse_multiscales"]

_VERSIONS = ("0.1", "0.2", "0.3", "0.4", "0.5")
_OLDEST_AXES = ["t", "c", "z", "y", "x"]  # of versions 0.1 and 0.2, which do not name them
_SPACE = "xyz"
_KIND_OF_NAME = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


@dataclass(frozen=True)
class Axis:
    """One axis of the stored arrays.

    Attributes
    ----------
    name : str
    role : str
        "i", "j", "k" for x, y, z; "c" for channels, "t" for time, "" for another one.
    unit : str or None
    orientation : str or None
        Such as "left-to-right" (RFC-4), where it is given.
    """

    name: str
    role: str
    unit: str | None = None
    orientation: str | None = None


@dataclass(frozen=True)
class Dataset:
    """One level: where its array is, and ``scale * index + translation`` along each axis, in its unit."""

    path: str
    scale: tuple[float, ...]
    translation: tuple[float, ...]


@dataclass(frozen=True)
class Multiscales:
    """An image at several resolutions.

    Attributes
    ----------
    axes : tuple of Axis
        In the order of the stored arrays.
    datasets : tuple of Dataset
        From the finest to the coarsest.
    has_scale : bool
        Whether the levels say how large a voxel is.
    """

    axes: tuple[Axis, ...]
    datasets: tuple[Dataset, ...]
    has_scale: bool

    @property
    def roles(self) -> str:
        """Roles of the axes, a letter each; "?" for one that has none here."""
        return "".join(axis.role or "?" for axis in self.axes)


def parse_multiscales(image: dict[str, Any], version: Any, where: str) -> Multiscales:
    """Read one entry of ``multiscales``.

    Parameters
    ----------
    image : dict
    version : object
        Of OME-NGFF, as the group or the entry says it; None where neither does.
    where : str
        For messages.

    Raises
    ------
    ImageReadError
        If the version is unknown, or axes, paths or transformations are missing, wrong or of kinds that
        versions 0.4 and 0.5 do not have.
    """
    if (version is not None and version not in _VERSIONS) or "coordinateSystems" in image:
        raise ImageReadError(
            f"{where}: its metadata are of OME-NGFF version {version or '0.6 or newer'}; "
            f"{_VERSIONS[0]} to {_VERSIONS[-1]} are read"
        )
    axes = _axes(image.get("axes"), where)
    entries = image.get("datasets")
    if not isinstance(entries, list) or not entries:
        raise ImageReadError(f"{where}: its metadata name no level of the image")
    whole = _steps(image.get("coordinateTransformations"), where)
    datasets, has_scale = [], False
    for entry in entries:
        if not isinstance(entry, dict):
            raise ImageReadError(f"{where}: a level is described by {entry!r}; its metadata are damaged")
        steps = [*_steps(entry.get("coordinateTransformations"), where), *whole]
        has_scale |= any(step.get("type") == "scale" for step in steps)
        datasets.append(Dataset(_checked_path(entry.get("path"), where), *_composed(steps, len(axes), where)))
    return Multiscales(axes, tuple(datasets), has_scale)


# --- axes ---


def _axes(given: Any, where: str) -> tuple[Axis, ...]:
    entries = _OLDEST_AXES if given is None else given
    if not isinstance(entries, list) or not 2 <= len(entries) <= 6:
        raise ImageReadError(f"{where}: its axes are {given!r}; expected two to five with names")
    axes = [entry if isinstance(entry, dict) else {"name": entry} for entry in entries]
    names = [str(axis.get("name")).lower() for axis in axes]
    if len(set(names)) < len(names):
        raise ImageReadError(f"{where}: two of its axes have one name: {', '.join(names)}")
    kinds = [
        str(axis.get("type") or _KIND_OF_NAME.get(name, "")) for axis, name in zip(axes, names, strict=True)
    ]
    space = _space_roles([name for name, kind in zip(names, kinds, strict=True) if kind == "space"], where)
    roles = {"time": "t", "channel": "c"}
    found = tuple(
        Axis(name, space[name] if kind == "space" else roles.get(kind, ""), _text(axis, "unit"), _turn(axis))
        for axis, name, kind in zip(axes, names, kinds, strict=True)
    )
    for role in "tc":
        if sum(axis.role == role for axis in found) > 1:
            raise ImageReadError(f"{where}: it has several axes of {'time' if role == 't' else 'channels'}")
    return found


def _space_roles(names: list[str], where: str) -> dict[str, str]:
    """Axes by name, x, y, z; those of other names in the order that the format asks for, x last."""
    if not 2 <= len(names) <= 3:
        raise ImageReadError(f"{where}: it has {len(names)} axes of space; expected two or three")
    if set(names) <= set(_SPACE):
        return {name: "ijk"[_SPACE.index(name)] for name in names}
    return dict(zip(reversed(names), "ijk", strict=False))


def _text(axis: dict[str, Any], key: str) -> str | None:
    value = axis.get(key)
    return value if isinstance(value, str) and value else None


def _turn(axis: dict[str, Any]) -> str | None:
    """Anatomical direction in which an axis grows; drafts of RFC-4 had another name, or the text alone."""
    given = axis.get("orientation", axis.get("anatomicalOrientation"))
    if isinstance(given, dict):
        given = given.get("value")
    return given.lower() if isinstance(given, str) else None


# --- levels ---


def _checked_path(path: Any, where: str) -> str:
    if not isinstance(path, str) or not stays_inside(path):
        raise ImageReadError(
            f"{where}: a level lies at {path!r}; expected a path inside of the image, such as '0'"
        )
    return path


def _steps(given: Any, where: str) -> list[dict[str, Any]]:
    steps = [] if given is None else given
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise ImageReadError(f"{where}: its coordinateTransformations are {given!r}; expected a list of them")
    return steps


def _composed(
    steps: Sequence[dict[str, Any]], axes: int, where: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Scale and translation along each axis after all steps, the first one first."""
    scale, translation = [1.0] * axes, [0.0] * axes
    for step in steps:
        kind = step.get("type")
        if kind == "scale":
            factors = _numbers(step.get("scale"), axes, where)
            scale = [s * f for s, f in zip(scale, factors, strict=True)]
            translation = [t * f for t, f in zip(translation, factors, strict=True)]
        elif kind == "translation":
            shifts = _numbers(step.get("translation"), axes, where)
            translation = [t + shift for t, shift in zip(translation, shifts, strict=True)]
        elif kind != "identity":
            raise ImageReadError(
                f"{where}: a level is placed by a transformation of type {kind!r}; those of OME-NGFF 0.4 and "
                "0.5 are read: scale, translation, identity"
            )
    return tuple(scale), tuple(translation)


def _numbers(given: Any, axes: int, where: str) -> list[float]:
    usable = isinstance(given, list) and len(given) == axes
    if not usable or not all(type(n) in (int, float) and math.isfinite(n) for n in given):
        raise ImageReadError(
            f"{where}: a transformation has the numbers {given!r}; expected {axes}, one an axis"
        )
    return [float(number) for number in given]
