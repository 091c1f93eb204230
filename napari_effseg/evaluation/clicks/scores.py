"""What came out of simulated clicks, an object at a time, and the means that are told."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, fields

from .protocol import Asked

__all__ = ["ENOUGH", "ObjectClicks", "SetClicks", "SolidClicks", "Summary", "mean_of_sets"]

ENOUGH = 0.90
"""Dice at which a user may stop."""


@dataclass(frozen=True)
class ObjectClicks:
    """An object of a slice that was asked for.

    Attributes
    ----------
    case, task : str
    label, axis, index, pixels : int
        Number of the structure or object, the slice, and the object's pixels in it.
    asked : Asked
    """

    case: str
    task: str
    label: int
    axis: int
    index: int
    pixels: int
    asked: Asked

    @property
    def clicks_to_enough(self) -> int | None:
        """Clicks until Dice was 0.90; None where all of them did not suffice."""
        reached = [number for number, value in enumerate(self.asked.clicks, 1) if value >= ENOUGH]
        return reached[0] if reached else None

    def auc(self, clicks: int) -> float | None:
        """Area under Dice over 1 ... `clicks` clicks, over its largest value; None if there were fewer."""
        curve = self.asked.clicks[:clicks]
        if len(curve) < clicks or clicks < 2:
            return None
        return (sum(curve) - (curve[0] + curve[-1]) / 2) / (clicks - 1)


@dataclass(frozen=True)
class SolidClicks:
    """An object of a volume that was asked for.

    Attributes
    ----------
    case, task : str
    label, axis, voxels : int
    dice : tuple of float
        After one click that was carried on, and after each correction.
    """

    case: str
    task: str
    label: int
    axis: int
    voxels: int
    dice: tuple[float, ...]


@dataclass(frozen=True)
class Summary:
    """Means; None where nothing was measured.

    Attributes
    ----------
    clicks_1, clicks_3, clicks_5 : float or None
        Dice after so many clicks.
    box, box_3, box_5 : float or None
        Dice after a box, and so many clicks more.
    auc_5, auc_10 : float or None
        Area under Dice over 1 to 5, and to 10 clicks, over its largest value.
    clicks_to_90 : float or None
        Clicks until Dice was 0.90, the cap for objects that did not reach it.
    reached_90 : float or None
        Share of objects that reached it.
    solid, solid_3 : float or None
        Dice in the volume after one click that was carried on, and after three corrections.
    """

    clicks_1: float | None
    clicks_3: float | None
    clicks_5: float | None
    box: float | None
    box_3: float | None
    box_5: float | None
    auc_5: float | None
    auc_10: float | None
    clicks_to_90: float | None
    reached_90: float | None
    solid: float | None = None
    solid_3: float | None = None

    @classmethod
    def of(cls, objects: Sequence[ObjectClicks], solids: Sequence[SolidClicks] = ()) -> Summary:
        """Mean over objects."""
        caps = [one.clicks_to_enough or len(one.asked.clicks) for one in objects]
        clicks = {n: _mean([_at(one.asked.clicks, n - 1) for one in objects]) for n in (1, 3, 5)}
        box = {n: _mean([_at(one.asked.box, n) for one in objects]) for n in (0, 3, 5)}
        auc = {n: _mean([one.auc(n) for one in objects]) for n in (5, 10)}
        solid = {n: _mean([_at(one.dice, n) for one in solids]) for n in (0, 3)}
        return cls(
            clicks_1=clicks[1],
            clicks_3=clicks[3],
            clicks_5=clicks[5],
            box=box[0],
            box_3=box[3],
            box_5=box[5],
            auc_5=auc[5],
            auc_10=auc[10],
            clicks_to_90=_mean(caps),
            reached_90=_mean([float(one.clicks_to_enough is not None) for one in objects]),
            solid=solid[0],
            solid_3=solid[3],
        )

    @classmethod
    def over(cls, summaries: Sequence[Summary]) -> Summary:
        """Mean over sets, or tasks, that count alike."""
        columns = {field.name: [getattr(one, field.name) for one in summaries] for field in fields(cls)}
        return cls(**{name: _mean(values) for name, values in columns.items()})


@dataclass(frozen=True)
class SetClicks:
    """A data set.

    Attributes
    ----------
    dataset, folder, group : str
        Its name, that of its folder, and the group that it was put into; "" for none.
    dimensions : int
        2 for pictures, 3 for volumes.
    cases : int
    objects : tuple of ObjectClicks
    solids : tuple of SolidClicks
        Empty for pictures, and where they were not asked for.
    warnings : tuple of str
    """

    dataset: str
    folder: str
    group: str
    dimensions: int
    cases: int
    objects: tuple[ObjectClicks, ...]
    solids: tuple[SolidClicks, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def summary(self) -> Summary:
        """Mean over the objects."""
        return Summary.of(self.objects, self.solids)

    @property
    def tasks(self) -> dict[str, Summary]:
        """Mean over the objects of each task."""
        names = sorted({one.task for one in self.objects})
        return {
            name: Summary.of(
                [one for one in self.objects if one.task == name],
                [one for one in self.solids if one.task == name],
            )
            for name in names
        }


def mean_of_sets(sets: Sequence[SetClicks]) -> dict[str, Summary]:
    """Return means in which each set counts alike: of each group, of pictures, of volumes, of all sets."""
    parts: dict[str, list[SetClicks]] = {}
    for group in dict.fromkeys(one.group for one in sets if one.group):
        parts[group] = [one for one in sets if one.group == group]
    for dimensions, name in ((2, "pictures"), (3, "volumes")):
        found = [one for one in sets if one.dimensions == dimensions]
        if found and len(found) < len(sets):
            parts[name] = found
    parts["all sets"] = list(sets)
    return {name: Summary.over([one.summary for one in found]) for name, found in parts.items()}


def _at(values: Sequence[float], place: int) -> float | None:
    return values[place] if place < len(values) else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
