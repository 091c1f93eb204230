"""Several images at each place: by what they differ, and which of them make one volume."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ._frames import Frame

__all__ = ["Times", "split_times"]

_UNITS = {
    "b-value": " s/mm²",
    "echo time": " ms",
    "inversion time": " ms",
    "trigger delay": " ms",
    "cardiac phase": " %",
    "flip angle": " degrees",
    "tube voltage": " kV",
}
_MOST_MARKS = 3  # that together tell frames apart
_MOST_NAMED = 8  # values in a message
_ORDER_WORDS = {
    "TriggerTime": "in the order of trigger times",
    "AcquisitionTime": "in the order of acquisition",
    "ContentTime": "in the order of their creation",
    "InstanceNumber": "in the order of their numbers",
    "index": "in the order of the file",
}


@dataclass(frozen=True)
class Times:
    """The images of a stack, sorted into volumes that each have one image at a place.

    Parameters
    ----------
    frames : tuple of tuple of Frame
        A volume each; within it in no particular order.
    names : tuple of str
        What each is, such as "b-value 50 s/mm²"; "" where only their order is known, or there is one.
    words : str
        By what they differ, such as "b-value 50, 400, 800 s/mm²".
    """

    frames: tuple[tuple[Frame, ...], ...]
    names: tuple[str, ...]
    words: str


def split_times(places: Sequence[Sequence[Frame]]) -> Times | None:
    """Sort the frames of all places into volumes.

    Parameters
    ----------
    places : sequence of sequences of Frame
        The frames at each place.

    Returns
    -------
    Times or None
        None where nothing in the headers tells the frames at a place apart.
    """
    most = max(len(frames) for frames in places)
    if most == 1:
        return Times((tuple(frame for frames in places for frame in frames),), ("",), "")
    return _by_marks(places, most) or _by_order(places, most)


def _by_marks(places: Sequence[Sequence[Frame]], most: int) -> Times | None:
    """Use the fewest marks whose values occur once at a place, and are as many as there are frames there."""
    everything = [frame for frames in places for frame in frames]
    names = [name for name in everything[0].marks if len({_mark(frame, name) for frame in everything}) > 1]
    for count in range(1, _MOST_MARKS + 1):
        for chosen in itertools.combinations(names, count):
            values = {_key(frame, chosen) for frame in everything}
            if len(values) == most and all(_differ(frames, chosen) for frames in places):
                return _sorted_by(everything, chosen)
    return None


def _sorted_by(frames: Iterable[Frame], chosen: tuple[str, ...]) -> Times:
    groups: dict[tuple[Hashable, ...], list[Frame]] = {}
    for frame in frames:
        groups.setdefault(_key(frame, chosen), []).append(frame)
    keys = sorted(groups, key=lambda key: [_sortable(part) for part in key])
    names = tuple(
        ", ".join(_named(name, part) for name, part in zip(chosen, key, strict=True)) for key in keys
    )
    if len(chosen) == 1:
        shown = ", ".join(_shown(key[0]) for key in keys[:_MOST_NAMED])
        more = ", ..." if len(keys) > _MOST_NAMED else ""
        words = f"{chosen[0]} {shown}{more}{_UNITS.get(chosen[0], '')}"
    else:
        words = f"by {' and '.join(chosen)}"
    return Times(tuple(tuple(groups[key]) for key in keys), names, words)


def _by_order(places: Sequence[Sequence[Frame]], most: int) -> Times | None:
    """Use the rank at each place, where every place has as many frames."""
    if any(len(frames) != most for frames in places):
        return None
    for keyword, words in _ORDER_WORDS.items():
        ranks = [{frame.order.get(keyword) for frame in frames} for frames in places]
        if all(None not in found and len(found) == most for found in ranks):
            ordered = [sorted(frames, key=lambda frame: frame.order[keyword]) for frames in places]
            volumes = tuple(tuple(frames[rank] for frames in ordered) for rank in range(most))
            return Times(volumes, ("",) * most, words)
    return None


def _differ(frames: Sequence[Frame], chosen: tuple[str, ...]) -> bool:
    return len({_key(frame, chosen) for frame in frames}) == len(frames)


def _key(frame: Frame, chosen: tuple[str, ...]) -> tuple[Hashable, ...]:
    return tuple(_mark(frame, name) for name in chosen)


def _mark(frame: Frame, name: str) -> Hashable:
    return frame.marks.get(name)


def _sortable(part: Any) -> tuple[int, Any]:
    """Nothing before numbers before the rest."""
    if part is None:
        return 0, 0
    return (1, part) if isinstance(part, float) else (2, str(part))


def _named(name: str, part: Any) -> str:
    return f"{name} {_shown(part)}{_UNITS.get(name, '')}"


def _shown(part: Any) -> str:
    if part is None:
        return "none"
    if isinstance(part, float):
        return f"{part:g}"
    if isinstance(part, tuple):
        return "/".join(_shown(each) for each in part)
    return str(part)
