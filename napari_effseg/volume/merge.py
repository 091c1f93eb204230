"""Several label maps of one grid into one, without two structures sharing a number or a name.

The rule: where maps overlap, the earlier one keeps its label, unless the later ones are asked to win. Numbers
are kept where they are free; names, colours and codes always go with their labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import VolumeError
from ..types import IntArray
from .affine import same_grid
from .volume import Algorithm, LabelMap

__all__ = ["MergedLabels", "merge_labels"]

_MOST_MAPS = 255
_TABLE_LIMIT = 2**20  # labels up to here are renumbered by a table, larger ones by searching


@dataclass(frozen=True, eq=False)
class MergedLabels:
    """Label maps laid over each other.

    Attributes
    ----------
    labels : LabelMap
    numbers : tuple of dict of int to int
        For each map: its labels, those that do not occur but are described too -> numbers in `labels`.
    owner : (I, J, K), uint8
        Which map the label of a voxel is of: 1 for the first; 0 where there is no label.
    """

    labels: LabelMap
    numbers: tuple[dict[int, int], ...]
    owner: NDArray[np.uint8]


def merge_labels(
    maps: Sequence[LabelMap], sources: Sequence[str] = (), later_wins: bool = False
) -> MergedLabels:
    """Lay label maps over each other.

    A label keeps its number where no earlier map has it, else it gets the lowest number above all others.
    A name that an earlier label has gets its source in brackets.

    Parameters
    ----------
    maps : sequence of LabelMap
        On one grid, the most important first. Not changed.
    sources : sequence of str
        What made each map, such as names of models; default "map 1", "map 2", ...
    later_wins : bool
        Whether a later label replaces an earlier one; else it gives way to it.

    Raises
    ------
    VolumeError
        If there is no map, more than 255, or one on another grid; if a label is negative.

    Examples
    --------
    >>> first = LabelMap(np.array([[[1, 1, 0, 0]]]), np.eye(4), {1: "liver"})
    >>> second = LabelMap(np.array([[[0, 1, 1, 0]]]), np.eye(4), {1: "tumour"})
    >>> merged = merge_labels([first, second])
    >>> merged.labels.data.tolist(), merged.labels.names, merged.numbers[1]
    ([[[1, 1, 2, 0]]], {1: 'liver', 2: 'tumour'}, {1: 2})
    """
    _check(maps)
    numbers = _numbers([_labels_of(one) for one in maps])
    called = sources or [f"map {at}" for at in range(1, len(maps) + 1)]
    highest = max((number for table in numbers for number in table.values()), default=0)
    data = np.zeros(maps[0].shape, np.min_scalar_type(highest))
    owner = np.zeros(maps[0].shape, np.uint8)
    order = range(len(maps)) if later_wins else reversed(range(len(maps)))
    for at in order:  # those drawn last are on top
        _draw(maps[at].data, numbers[at], data, owner, at + 1)
    labels = LabelMap(
        data,
        maps[0].affine,
        _names(maps, numbers, called),
        {new: one.colours[old] for one, new, old in _entries(maps, numbers) if old in one.colours},
        {new: one.codes[old] for one, new, old in _entries(maps, numbers) if old in one.codes},
        made_by=_made_by(maps),
        warnings=tuple(dict.fromkeys(text for one in maps for text in one.warnings)),
    )
    return MergedLabels(labels, numbers, owner)


def _check(maps: Sequence[LabelMap]) -> None:
    if not 1 <= len(maps) <= _MOST_MAPS:
        raise VolumeError(f"{len(maps)} label maps were given to merge; expected 1 to {_MOST_MAPS}")
    for at, one in enumerate(maps[1:], start=2):
        if not same_grid(one.grid, maps[0].grid):
            raise VolumeError(f"label map {at} lies on another grid than the first; bring both to one grid")


def _labels_of(one: LabelMap) -> list[int]:
    found = {*one.counts(), *one.described}
    if found and min(found) < 0:
        raise VolumeError(f"the label {min(found)} was given to merge; expected 0 and above")
    return sorted(found)


def _numbers(tables: Sequence[Sequence[int]]) -> tuple[dict[int, int], ...]:
    """Give the labels of each map other numbers where an earlier map has theirs."""
    taken: set[int] = set()
    highest = max((label for labels in tables for label in labels), default=0)
    found = []
    for labels in tables:
        numbers = {}
        for label in labels:
            if label in taken:
                highest += 1
            numbers[label] = highest if label in taken else label
        taken.update(numbers.values())
        found.append(numbers)
    return tuple(found)


def _draw(
    source: IntArray, numbers: Mapping[int, int], data: IntArray, owner: NDArray[np.uint8], mark: int
) -> None:
    """Write one map's labels over what is there, slab by slab."""
    old = np.array([0, *numbers], dtype=np.int64)
    new = np.array([0, *numbers.values()], dtype=data.dtype)
    table = np.zeros(int(old[-1]) + 1, data.dtype) if old[-1] < _TABLE_LIMIT else None
    if table is not None:
        table[old] = new
    axis = int(np.argmax(np.abs(source.strides)))
    parts = (np.moveaxis(array, axis, 0) for array in (source, data, owner))
    for theirs, ours, marks in zip(*parts, strict=True):
        here = theirs != 0
        if here.any():
            wanted = theirs[here]
            ours[here] = table[wanted] if table is not None else new[np.searchsorted(old, wanted)]
            marks[here] = mark


def _entries(
    maps: Sequence[LabelMap], numbers: Sequence[Mapping[int, int]]
) -> Iterable[tuple[LabelMap, int, int]]:
    """Each map with each of its labels: the new number, and the map's own."""
    return ((one, new, old) for one, table in zip(maps, numbers, strict=True) for old, new in table.items())


def _names(
    maps: Sequence[LabelMap], numbers: Sequence[Mapping[int, int]], sources: Sequence[str]
) -> dict[int, str]:
    """Names that are different, whatever the maps call their labels."""
    names: dict[int, str] = {}
    used: set[str] = set()
    for one, table, source in zip(maps, numbers, sources, strict=True):
        for old, new in table.items():
            if old in one.names:
                names[new] = _free(one.names[old], source, used)
                used.add(names[new].casefold())
    return names


def _free(name: str, source: str, used: set[str]) -> str:
    if name.casefold() not in used:
        return name
    wanted, count = f"{name} ({source})", 1
    while wanted.casefold() in used:
        count += 1
        wanted = f"{name} ({source}, {count})"
    return wanted


def _made_by(maps: Sequence[LabelMap]) -> Algorithm | None:
    """Name all that made them; None where one is not known."""
    made = [one.made_by for one in maps if one.made_by is not None]
    if len(made) < len(maps):
        return None
    if len(set(made)) == 1:
        return made[0]
    kinds = {one.kind for one in made}
    kind = kinds.pop() if len(kinds) == 1 else "semiautomatic"
    return Algorithm(" + ".join(one.name for one in made), "; ".join(one.version for one in made), kind)
