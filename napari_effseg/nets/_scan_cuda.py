"""The selective scan on CUDA: the fused kernel of mamba-ssm, where it is installed."""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache

import torch
from torch import Tensor

from ._scan_types import ScanInputs

__all__ = ["cuda_kernel_installed", "cuda_scan"]

_INTERFACE = "mamba_ssm.ops.selective_scan_interface"
LARGEST_STATE = 256
"""States a channel that the fused kernel takes."""


@cache
def cuda_kernel_installed() -> bool:
    """Whether mamba-ssm can be found (it is not imported)."""
    return importlib.util.find_spec("mamba_ssm") is not None


def cuda_scan(inputs: ScanInputs) -> tuple[Tensor, Tensor]:
    """Return y (B, D, L) and the last state (B, D, N); float32 tensors on a CUDA device."""
    kernel = importlib.import_module(_INTERFACE).selective_scan_fn
    with torch.autocast("cuda", enabled=False):
        y, last_state = kernel(
            inputs.u.contiguous(),
            inputs.delta.contiguous(),
            inputs.A.contiguous(),
            inputs.B.contiguous(),
            inputs.C.contiguous(),
            inputs.D,
            inputs.z,
            inputs.delta_bias,
            inputs.delta_softplus,
            True,
        )
    return y, last_state
