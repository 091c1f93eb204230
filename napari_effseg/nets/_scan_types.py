"""What every path of the selective scan receives: checked tensors of one dtype on one device."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["ScanInputs"]


@dataclass(frozen=True)
class ScanInputs:
    """The arguments of one scan, of one floating dtype (float32 or float64) and one device.

    Attributes
    ----------
    u, delta : Tensor, shape (B, D, L)
        Sequence and raw step sizes.
    A : Tensor, shape (D, N)
        Decay of the states.
    B, C : Tensor, shape (B, G, N, L)
        Input and output mixing of each group of D / G channels.
    D, delta_bias : Tensor, shape (D,), or None
        Feed-through, and what is added to `delta`.
    z : Tensor, shape (B, D, L), or None
        Gate.
    delta_softplus : bool
        Whether the step sizes pass through a softplus.
    """

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor | None
    z: Tensor | None
    delta_bias: Tensor | None
    delta_softplus: bool
