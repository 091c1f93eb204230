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
    delta = step_sizes(inputs)
    per_group = inputs.u.shape[1] // inputs.B.shape[1]
    B = inputs.B.repeat_interleave(per_group, dim=1)  # (B, D, N, L)
    C = inputs.C.repeat_interleave(per_group, dim=1)
    h = inputs.u.new_zeros(inputs.u.shape[0], *inputs.A.shape)
    outputs = []
    for t in range(inputs.u.shape[2]):
        step = delta[:, :, t, None]  # (B, D, 1)
        h = torch.exp(step * inputs.A) * h + step * B[..., t] * inputs.u[:, :, t, None]
        outputs.append((C[..., t] * h).sum(-1))
    y = torch.stack(outputs, dim=2)
    return gated(y, inputs), h


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
