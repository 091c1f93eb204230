"""Labels and doubt of a whole image, filled region by region."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..types import IntArray, SpatialShape
from ..volume import box_shape
from ..zoo.card import Card
from .frame import Frame
from .zeros import zeros

__all__ = ["Canvas", "Part"]


@dataclass(frozen=True, eq=False)
class Part:
    """Labels and doubt of one region, axes turned as its network wants them; filled in place.

    Attributes
    ----------
    labels : (I, J, K), integer
    doubt : (I, J, K), float32
    inside : (I, J, K), bool, or None
        Of a place that is turned against the image: which voxels of the box around it lie in it, to be
        filled too. None: all of them.
    """

    labels: IntArray
    doubt: NDArray[np.float32]
    inside: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class Canvas:
    """Labels and doubt on the grid of the stored image, 0 where no region has been.

    Attributes
    ----------
    labels : (I, J, K), the smallest unsigned type that holds the card's labels
    doubt : (I, J, K), float32
    covered : (I, J, K), bool, or None
        Where earlier regions have been; None if there is only one region.
    """

    labels: IntArray
    doubt: NDArray[np.float32]
    covered: NDArray[np.bool_] | None

    @classmethod
    def blank(cls, shape: SpatialShape, card: Card, frames: Sequence[Frame]) -> Canvas:
        """Make an empty canvas for these regions."""
        written = min(sum(math.prod(box_shape(frame.labelled)) for frame in frames), math.prod(shape))
        highest = max(label.id for label in (*card.labels, *card.located_labels))
        labels = zeros(shape, np.min_scalar_type(highest), written)
        doubt = zeros(shape, np.float32, written)
        covered = zeros(shape, np.bool_, written) if len(frames) > 1 else None
        return cls(labels, doubt, covered)

    @contextmanager
    def part(self, frame: Frame) -> Iterator[Part]:
        """Give one region's arrays to be filled, and put them in their place at the end.

        A single region is filled in place. Of several, the label of lower doubt stays where they overlap;
        of equal doubt, the earlier one.
        """
        here = tuple(slice(low, high) for low, high in zip(*frame.labelled, strict=True))
        shape = box_shape(frame.labelled)
        inside = np.zeros(shape, dtype=bool) if frame.place is not None else None
        labels, doubt = frame.turn.apply(self.labels)[here], frame.turn.apply(self.doubt)[here]
        if self.covered is None:
            yield Part(labels, doubt, inside)
            return
        fresh = Part(np.zeros(shape, self.labels.dtype), np.zeros(shape, np.float32), inside)
        yield fresh
        covered = frame.turn.apply(self.covered)[here]
        better = ~covered | (fresh.doubt < doubt)
        if inside is not None:
            better &= inside
        labels[better] = fresh.labels[better]
        doubt[better] = fresh.doubt[better]
        covered[...] |= True if inside is None else inside
