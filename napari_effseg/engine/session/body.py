"""What answers the prompts of a slice: one network or another behind the same few words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Embeds", "Hypothesis", "PlanePrompt", "SliceBody", "SliceImage"]


@dataclass(frozen=True, eq=False)
class SliceImage:
    """A slice as networks see it.

    Attributes
    ----------
    key : tuple
        The same for the same slice of the same image: for embeddings that are kept.
    pixels : Tensor, shape (3, I, J), float32
        Values in [0, 1].
    """

    key: tuple[object, ...]
    pixels: Tensor


@dataclass(frozen=True, eq=False)
class PlanePrompt:
    """A prompt as it lies in a slice.

    Attributes
    ----------
    positive : bool
    places : ndarray, shape (N, 2), or None
        Pixels of a point or of a scribble.
    region : Tensor, shape (I, J), float32, or None
        What a box, a lasso or a mask encloses.
    box : (top, left, bottom, right) or None
        Of a box, in pixels, half-open.
    """

    positive: bool
    places: NDArray[np.float64] | None = None
    region: Tensor | None = None
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A mask that the prompts may mean.

    Attributes
    ----------
    logits : Tensor, shape (I, J), float32
        Above 0 on the object.
    score : float
        How good the network thinks it is, in [0, 1].
    """

    logits: Tensor
    score: float


class SliceBody(Protocol):
    """A promptable network for slices."""

    def answer(
        self,
        image: SliceImage,
        prompts: Sequence[PlanePrompt],
        previous: Tensor | None,
        locked: Tensor | None,
    ) -> tuple[Hypothesis, ...]:
        """Return the masks that the prompts may mean, the likeliest first.

        Parameters
        ----------
        image : SliceImage
        prompts : sequence of PlanePrompt
            All of the slice, in order; at least one, unless there is a previous answer.
        previous : Tensor, shape (I, J), or None
            Logits of the answer to the prompts before the last one, changed by hand where it was.
        locked : Tensor, shape (I, J), float32, or None
            Objects that are finished.
        """
        ...

    def carry(self, image: SliceImage, before: Tensor, last: SliceImage, locked: Tensor | None) -> Hypothesis:
        """Return the mask of an object that the slice before this one shows.

        Parameters
        ----------
        image : SliceImage
        before : Tensor, shape (I, J)
            Logits of the slice before, above 0 somewhere.
        last : SliceImage
            The slice before.
        locked : Tensor, shape (I, J), float32, or None
            Objects that are finished.
        """
        ...


@runtime_checkable
class Embeds(Protocol):
    """A network that looks at a slice once, whatever is prompted in it."""

    def look_ahead(self, image: SliceImage) -> None:
        """Look at a slice that may be prompted next, unless that takes long."""
        ...
