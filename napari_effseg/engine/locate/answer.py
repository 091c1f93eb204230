"""Whether what the network found in a box can be the structure; pure functions.

In a drawn region the user has said that the structure is there, and odd answers are only warned of. Where the
program looked by itself, an answer that cannot be right is left out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...types import IntArray
from ...volume import Grid
from ...zoo.card import Card, LabelSpec
from .places import Place

__all__ = ["ask_for_region", "coarse_for", "implausible", "left_out", "settle"]

_SLACK = 2.0
"""How far outside a label's plausible range its volume may be: disease makes structures small."""
_MOST_DOUBT = 0.4
"""Mean over the structure. Measured: 0.22 to 0.32 where the labels were good, up to 0.38 where voxels were
long, 0.4 and more where they were wrong."""
_COARSE = 2.5
"""Voxels longer than this many times those that a network learned from hide much of a small structure."""
_MOST_AT_EDGE = 0.05  # of the structure's voxels beside the box's edge: it goes on outside


def settle(
    labels: IntArray,
    doubt: NDArray[np.float32],
    inside: NDArray[np.bool_],
    voxel_mm3: float,
    place: Place,
    card: Card,
) -> str | None:
    """Give the labels of a place the ids that they have there, in place; or clear them, and say why.

    Parameters
    ----------
    labels, doubt, inside, voxel_mm3, card
        As `implausible`.
    place : Place
    """
    reason = implausible(labels, doubt, inside, voxel_mm3, card)
    if reason is not None:
        labels[...] = 0
        doubt[...] = 0
        return left_out(place, reason)
    if place.ids:
        ids = np.array([0, *place.ids], dtype=labels.dtype)
        labels[...] = ids[labels]
    return None


def left_out(place: Place, reason: str) -> str:
    """Say that nothing is labelled at a place."""
    return f"{place.name} was left out: {reason}"


def ask_for_region(card: Card) -> str:
    """Say what to do where a structure was not found."""
    channel = card.input.channels[0].description
    return (
        f"{card.name} takes a whole head ({channel}) whose orientation is right, "
        "or else a region around the structure (--roi I0,J0,K0:I1,J1,K1)"
    )


def coarse_for(grid: Grid, card: Card) -> tuple[str, ...]:
    """Warn of voxels that are much longer than those that a card's network learned from."""
    learned = card.input.spacing
    if learned is None or max(grid.spacing) <= _COARSE * max(learned):
        return ()
    have, wanted = (" x ".join(f"{size:.3g}" for size in sizes) for sizes in (grid.spacing, learned))
    return (
        f"the voxels measure {have} mm, and {card.name} learned from {wanted} mm: its labels are worse "
        "here, and their volumes smaller",
    )


def implausible(
    labels: IntArray, doubt: NDArray[np.float32], inside: NDArray[np.bool_], voxel_mm3: float, card: Card
) -> str | None:
    """Say why an answer cannot be right, or return None.

    Parameters
    ----------
    labels : (I, J, K), integer
        The network's labels, before they are renamed.
    doubt : (I, J, K), float32
    inside : (I, J, K), bool
        Voxels of the box that the network was given.
    voxel_mm3 : float
    card : Card
        Plausible volumes.
    """
    found = labels > 0
    voxels = int(found.sum())
    if voxels == 0:
        return "nothing was found there"
    for label in card.labels:
        reason = _odd_volume(label, int((labels == label.id).sum()) * voxel_mm3 / 1000)
        if reason is not None:
            return reason
    if (mean := float(doubt[found].mean())) > _MOST_DOUBT:
        return f"the network is too unsure (mean doubt {mean:.2f})"
    at_edge = int((found & _rim(inside)).sum()) / voxels
    if at_edge > _MOST_AT_EDGE:
        return f"{at_edge:.0%} of what was found lies at the edge of the box"
    return None


def _odd_volume(label: LabelSpec, millilitres: float) -> str | None:
    if label.volume_ml is None:
        return None
    low, high = label.volume_ml
    if low / _SLACK <= millilitres <= high * _SLACK:
        return None
    return f"{label.name} would measure {millilitres:.2g} mL; {low:g} to {high:g} mL is plausible"


def _rim(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy.ndimage import binary_erosion

    rim: NDArray[np.bool_] = inside & ~binary_erosion(inside)
    return rim
