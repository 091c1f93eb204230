"""Networks of slices and volumes behind one shape: windows have three spatial axes, a slice's first is 1."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from ..zoo.card import Card

__all__ = ["on_windows"]


def on_windows(network: nn.Module, card: Card) -> Callable[[Tensor], Tensor]:
    """Let a network take windows of three spatial axes, whatever its dimensions.

    Parameters
    ----------
    network : nn.Module
        Takes (B, C, I, J, K), or (B, C, J, K) where the card has two dimensions.
    card : Card

    Returns
    -------
    callable
        (B, C, I, J, K) to (B, classes, I, J, K); I is 1 for a card of two dimensions.
    """
    if card.dimensions == 3:
        return network

    def of_slices(windows: Tensor) -> Tensor:
        logits: Tensor = network(windows.squeeze(2))
        return logits.unsqueeze(2)

    return of_slices
