"""The selective scan of Mamba: one signature, the fastest path that the device allows."""

from __future__ import annotations

import torch
from torch import Tensor

from ._scan_cpu import cpu_scan
from ._scan_reference import reference_scan
from ._scan_types import ScanInputs

__all__ = ["selective_scan"]


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    return_last_state: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Run the recurrence of a selective state-space layer over a sequence."""
    dtype = torch.float64 if u.dtype == torch.float64 else torch.float32

    def cast(x: Tensor | None) -> Tensor | None:
        return None if x is None else x.to(dtype)

    inputs = ScanInputs(
        u.to(dtype),
        delta.to(dtype),
        A.to(dtype),
        (B if B.ndim == 4 else B[:, None]).to(dtype),
        (C if C.ndim == 4 else C[:, None]).to(dtype),
        cast(D),
        cast(z),
        cast(delta_bias),
        delta_softplus,
    )
    y, last_state = cpu_scan(inputs) if u.device.type == "cpu" else reference_scan(inputs)
    return (y.to(u.dtype), last_state) if return_last_state else y.to(u.dtype)
