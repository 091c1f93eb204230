"""The answer of some slices carried on to the others: outwards until the object ends, and between anchors.

The slices lie on a line: beside each other in a volume, or one after the other in time. An anchor is a slice
with prompts of its own. Each further slice is asked with the mask of the one before it. Between two anchors
both ways are gone, and the two answers are mixed by distance.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import Cancelled
from ...types import CancelCheck, Progress
from .body import SliceBody, SliceImage

__all__ = ["Gap", "Line", "carry", "gaps_between", "ticker"]

_SURE = 4.0
_LEAST_SHARED = 0.25
"""Dice of a slice's mask with the one before, below which the object has ended."""
_LEAST_PIXELS = 4
_LEAST_OF_ANCHOR = 0.03
"""Fraction of the anchor's area below which the object has ended."""
_MOST_OF_ANCHOR = 4.0
"""Multiple of the anchor's area above which the answer has run out into what surrounds the object."""
_MOST_GROWTH = 2.0
"""The same from one slice to the next."""


@dataclass(frozen=True)
class Line:
    """Slices one after the other.

    Attributes
    ----------
    image : callable
        Slice of a place on the line.
    locked : callable
        Finished objects of that slice, float32 (I, J); None if there are none.
    """

    image: Callable[[int], SliceImage]
    locked: Callable[[int], Tensor | None]


@dataclass(frozen=True)
class Gap:
    """Slices between two anchors, or beyond the first or last one.

    Attributes
    ----------
    below, above : int or None
        The anchors; None where there is none.
    low, high : int
        First slice and the first beyond.
    """

    below: int | None
    above: int | None
    low: int
    high: int


def gaps_between(anchors: tuple[int, ...], low: int, high: int) -> tuple[Gap, ...]:
    """Return what lies beside and between anchors, from slice `low` to before `high`.

    Parameters
    ----------
    anchors : tuple of int
        Sorted.
    """
    if not anchors:
        return ()
    gaps = [Gap(None, anchors[0], low, anchors[0])]
    gaps += [Gap(a, b, a + 1, b) for a, b in itertools.pairwise(anchors)]
    gaps.append(Gap(anchors[-1], None, anchors[-1] + 1, high))
    return tuple(
        Gap(gap.below, gap.above, max(gap.low, low), min(gap.high, high))
        for gap in gaps
        if max(gap.low, low) < min(gap.high, high)
    )


def carry(
    gap: Gap, anchors: Mapping[int, Tensor], line: Line, body: SliceBody, tick: Callable[[], None]
) -> dict[int, Tensor]:
    """Answer the slices of a gap.

    Parameters
    ----------
    gap : Gap
    anchors : mapping of int to Tensor
        Logits of each anchor, shape (I, J) in pixels of the plane.
    line : Line
    body : SliceBody
    tick : callable
        Called before each slice; may raise `Cancelled`.

    Returns
    -------
    dict of int to Tensor
        Logits of slices; those beyond the object's end are left out.
    """

    def go(anchor: int, slices: range) -> dict[int, Tensor]:
        return dict(_go(anchor, anchors[anchor], slices, line, body, tick))

    upwards = {} if gap.below is None else go(gap.below, range(gap.low, gap.high))
    downwards = {} if gap.above is None else go(gap.above, range(gap.high - 1, gap.low - 1, -1))
    if gap.below is None or gap.above is None:
        return upwards or downwards
    shares = _Shares.of(
        gap.below, gap.above, *(float((anchors[at] > 0).sum()) for at in (gap.below, gap.above))
    )
    mixed = {}
    for index in range(gap.low, gap.high):
        share = shares.of_above(index)
        up, down = upwards.get(index), downwards.get(index)
        if up is None and down is None:
            continue
        nothing = torch.full_like(up if up is not None else anchors[gap.above], -_SURE)
        one, other = (nothing if found is None else found.clamp(-_SURE, _SURE) for found in (up, down))
        mixed[index] = (1 - share) * one + share * other
    return mixed


@dataclass(frozen=True)
class _Shares:
    """How much each of two anchors says about the slices between them: the nearer and the larger one more.

    A small one, such as an object's tip, can hardly be followed to where it is wide.
    """

    below: int
    above: int
    weight_below: float
    weight_above: float

    @classmethod
    def of(cls, below: int, above: int, area_below: float, area_above: float) -> _Shares:
        total = max(area_below + area_above, 1.0)
        return cls(below, above, area_below / total, area_above / total)

    def of_above(self, index: int) -> float:
        """Share of the upper anchor, in [0, 1]."""
        up = self.weight_below * (self.above - index)
        down = self.weight_above * (index - self.below)
        return down / (up + down) if up + down > 0 else 0.5


def ticker(gaps: Sequence[Gap], progress: Progress | None, cancel: CancelCheck | None) -> Callable[[], None]:
    """Make what is called before each slice: it says how far it is, and raises `Cancelled` where asked to."""
    both = (1 + (gap.below is not None and gap.above is not None) for gap in gaps)
    total = sum(ways * (gap.high - gap.low) for ways, gap in zip(both, gaps, strict=True))
    done = 0

    def tick() -> None:
        nonlocal done
        if cancel is not None and cancel():
            raise Cancelled("stopped while the object was carried on")
        if progress is not None:
            progress(done / total, f"slice {done + 1} of at most {total}")
        done += 1

    return tick


def _go(
    anchor: int, logits: Tensor, slices: range, line: Line, body: SliceBody, tick: Callable[[], None]
) -> Iterator[tuple[int, Tensor]]:
    """Go from slice to slice until the object ends."""
    last, area = line.image(anchor), float((logits > 0).sum())
    for index in slices:
        tick()
        if int((logits > 0).sum()) < _LEAST_PIXELS:
            return
        image = line.image(index)
        found = body.carry(image, logits.clamp(-_SURE, _SURE), last, line.locked(index))
        if _has_ended(logits, found.logits, area):
            return
        logits, last = found.logits, image
        yield index, logits


def _has_ended(before: Tensor, now: Tensor, anchor_area: float) -> bool:
    one, other = before > 0, now > 0
    area = float(other.sum())
    if area < max(_LEAST_PIXELS, _LEAST_OF_ANCHOR * anchor_area):
        return True
    if area > min(_MOST_OF_ANCHOR * anchor_area, _MOST_GROWTH * float(one.sum())):
        return True
    shared = 2 * float((one & other).sum()) / (float(one.sum()) + area)
    return shared < _LEAST_SHARED
