"""What is known in a session so far: of each slice, of what was painted, and of what was followed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from ...types import BoolArray, CancelCheck, IndexBox, Progress
from .body import Hypothesis, PlanePrompt, SliceBody
from .in_planes import SliceKey
from .propagate import Gap
from .solid import SolidBody

__all__ = ["SURE", "Answers", "Bodies", "Carried", "SliceState", "Watch"]

SURE = 4.0
"""Logit of what was made by hand, or carried here from elsewhere."""


@dataclass(frozen=True, eq=False)
class SliceState:
    """What is known of a slice.

    Attributes
    ----------
    prompts : tuple of PlanePrompt
    hypotheses : tuple of Hypothesis
        The masks that they may mean, the likeliest first.
    chosen : int
    """

    prompts: tuple[PlanePrompt, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()
    chosen: int = 0

    @property
    def logits(self) -> Tensor | None:
        """Logits of the mask that was chosen."""
        return self.hypotheses[self.chosen].logits if self.hypotheses else None


@dataclass(frozen=True, eq=False)
class Carried:
    """What was followed through a gap.

    Attributes
    ----------
    ends : tuple of SliceState or None
        The anchors' states then.
    logits : mapping of int to Tensor
        Of the slices in which the object was found.
    """

    ends: tuple[SliceState | None, ...]
    logits: Mapping[int, Tensor]


@dataclass(frozen=True)
class Answers:
    """All that the events so far have led to, but for the mask itself.

    Attributes
    ----------
    slices : mapping of SliceKey to SliceState
    by_hand : tuple of (IndexBox, ndarray of bool, bool)
        Boxes, the voxels in them that were painted (or given as a mask) or wiped, in order.
    carried : mapping of (int, Gap) to Carried
        What was followed, of each axis and gap.
    """

    slices: Mapping[SliceKey, SliceState] = field(default_factory=dict)
    by_hand: tuple[tuple[IndexBox, BoolArray, bool], ...] = ()
    carried: Mapping[tuple[int, Gap], Carried] = field(default_factory=dict)


@dataclass(frozen=True)
class Bodies:
    """The networks of a session: one for slices, and one that carries objects through volumes, or None."""

    slices: SliceBody
    solid: SolidBody | None = None


@dataclass(frozen=True)
class Watch:
    """Who is told how far a long event has come, and who may stop it."""

    progress: Progress | None = None
    cancel: CancelCheck | None = None
