"""A norm over the channels of each pixel, as SAM and its relatives use it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["LayerNorm2d"]


class LayerNorm2d(nn.Module):
    """Normalise over channels at each pixel, biased variance: (B, C, H, W) -> (B, C, H, W).

    Parameters
    ----------
    channels : int
    eps : float
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, dim=1, keepdim=True, correction=0)
        normed = (x - mean) * torch.rsqrt(variance + self.eps)
        return torch.addcmul(self.bias[:, None, None], normed, self.weight[:, None, None])
