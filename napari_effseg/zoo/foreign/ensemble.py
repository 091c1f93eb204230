"""Several networks of one kind that answer together."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

__all__ = ["Ensemble", "members_of"]


class Ensemble(nn.ModuleList):
    """Networks whose logits are averaged; the keys of its state dict begin with their numbers.

    Parameters
    ----------
    members : iterable of Module
        Each takes (B, C, *S) and gives (B, classes, *S).
    """

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__(members)

    def forward(self, x: Tensor) -> Tensor:
        """Average the logits of all members."""
        total: Tensor | None = None
        for member in self:
            logits: Tensor = member(x)
            total = logits if total is None else total + logits
        if total is None:
            raise ValueError("an ensemble needs at least one network")
        return total / len(self)


def members_of(network: nn.Module) -> tuple[nn.Module, ...]:
    """Return the networks that answer together; a single one is its only member."""
    return tuple(network) if isinstance(network, Ensemble) else (network,)
