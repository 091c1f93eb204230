"""The selective scan as its formula reads, one step of the sequence after another.

Slow, and every other path is measured against it: same signature, same values, same gradients.

Glossary (the paper's letters)
    B batch, D channels, L length, N states, G groups of channels
    u (B, D, L) sequence; delta (B, D, L) step sizes; A (D, N) decay; B, C (B, G, N, L) input and output
    mixing; D (D) feed-through; z (B, D, L) gate; h (B, D, N) state
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ._scan_types import ScanInputs

__all__ = ["reference_scan"]


def reference_scan(inputs: ScanInputs) -> tuple[Tensor, Tensor]:
    """Return y (B, D, L) and the last state (B, D, N), both of the dtype of the inputs."""
    groups = inputs.B.shape[1]
    A = inputs.A.unflatten(0, (groups, -1))  # (G, D / G, N)
    h = torch.zeros_like(A).expand(inputs.u.shape[0], -1, -1, -1)  # (B, G, D / G, N)
    outputs = []
    for u, delta, B, C in zip(
        inputs.u.unflatten(1, (groups, -1)).unbind(-1),  # (B, G, D / G) at each time
        step_sizes(inputs).unflatten(1, (groups, -1)).unbind(-1),
        inputs.B.unbind(-1),  # (B, G, N) at each time
        inputs.C.unbind(-1),
        strict=True,
    ):
        step = delta[..., None]
        h = torch.exp(step * A) * h + step * B[:, :, None] * u[..., None]
        outputs.append((C[:, :, None] * h).sum(-1))
    y = torch.stack(outputs, dim=-1).flatten(1, 2)
    return gated(y, inputs), h.detach().flatten(1, 2)


def step_sizes(inputs: ScanInputs) -> Tensor:
    """Return delta with its bias and softplus applied, (B, D, L)."""
    delta = inputs.delta
    if inputs.delta_bias is not None:
        delta = delta + inputs.delta_bias[:, None]
    return functional.softplus(delta) if inputs.delta_softplus else delta


def gated(y: Tensor, inputs: ScanInputs) -> Tensor:
    """Return y with the feed-through added, then gated."""
    if inputs.D is not None:
        y = y + inputs.D[:, None] * inputs.u
    return y if inputs.z is None else y * functional.silu(inputs.z)
