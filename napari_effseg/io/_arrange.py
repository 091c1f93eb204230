"""From a file's axes to (I, J, K) or (C, I, J, K): choose a time point and channels, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageReadError
from ..volume import LazyView

__all__ = ["Choice", "arrange", "pick_frame"]

ChannelChoice = int | Literal["all"] | None
_AnyArray: TypeAlias = NDArray[Any] | LazyView


@dataclass(frozen=True)
class Choice:
    """Which part of a file with time points or channels is wanted.

    Parameters
    ----------
    frame : int or None
        Time point, from 0; None takes the first and says so.
    channel : int, "all" or None
        Channel, from 0; "all" also takes the time points of an image without channels as channels.
    series : str or None
        UID of a DICOM series.
    level : int or None
        Resolution of an OME-Zarr image, from 0, the finest, which None takes.
    """

    frame: int | None = None
    channel: ChannelChoice = None
    series: str | None = None
    level: int | None = None


@overload
def arrange(
    array: NDArray[Any], roles: str, choice: Choice, path: object
) -> tuple[NDArray[Any], tuple[str, ...]]: ...
@overload
def arrange(
    array: LazyView, roles: str, choice: Choice, path: object
) -> tuple[LazyView, tuple[str, ...]]: ...
def arrange(
    array: NDArray[Any] | LazyView, roles: str, choice: Choice, path: object
) -> tuple[NDArray[Any] | LazyView, tuple[str, ...]]:
    """Bring an array with named axes into the order of a Volume; a view.

    Parameters
    ----------
    array : ndarray or LazyView
    roles : str
        A letter for each axis: i, j, k space; c channels; t time. Each at most once.
    choice : Choice
    path : path-like
        For messages.

    Returns
    -------
    array : shape (I, J, K) or (C, I, J, K)
        Missing spatial axes get one voxel; a single channel has no axis.
    warnings : tuple of str

    Raises
    ------
    ImageReadError
        If the chosen frame or channel does not exist.
    """
    times = array.shape[roles.index("t")] if "t" in roles else 1
    channels = array.shape[roles.index("c")] if "c" in roles else 1
    if times > 1 and channels == 1 and choice.frame is None and choice.channel is not None:
        array, roles = _take(array, roles, "c", 0) if "c" in roles else (array, roles)
        roles, channels, times = roles.replace("t", "c"), times, 1
    frame, warnings = pick_frame(times, choice, path)
    array, roles = _take(array, roles, "t", frame)
    if choice.channel not in (None, "all") or channels == 1:
        wanted = choice.channel if isinstance(choice.channel, int) else 0
        array, roles = _take(array, roles, "c", _checked(wanted, channels, "channel", path))
    return _in_order(array, roles), warnings


def pick_frame(times: int, choice: Choice, path: object) -> tuple[int, tuple[str, ...]]:
    """Time point to take, and a warning when there are several and none was chosen.

    Raises
    ------
    ImageReadError
        If the chosen one does not exist.
    """
    if times > 1 and choice.frame is None:
        return 0, (f"the file has {times} time points; the first (frame 0) was taken",)
    return _checked(choice.frame or 0, times, "frame", path), ()


def _checked(index: int, count: int, word: str, path: object) -> int:
    if not 0 <= index < count:
        has = f"{count} ({word} 0 to {count - 1})" if count > 1 else "only one (0)"
        raise ImageReadError(f"{path}: {word} {index} was asked for; the file has {has}")
    return index


def _take(array: _AnyArray, roles: str, role: str, index: int) -> tuple[_AnyArray, str]:
    if role not in roles:
        return array, roles
    taken = array[(slice(None),) * roles.index(role) + (index,)]
    return taken, roles.replace(role, "")


def _in_order(array: _AnyArray, roles: str) -> _AnyArray:
    for missing in (axis for axis in "ijk" if axis not in roles):
        array, roles = array[..., np.newaxis], roles + missing
    wanted = "cijk" if "c" in roles else "ijk"
    return array.transpose(*(roles.index(axis) for axis in wanted))
