"""Parts that several networks are made of, under the names that the public state dicts use."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._quick import QuickMBConv, QuickNorm, is_channels_last, normed, quick_chain

__all__ = [
    "LayerNorm2d",
    "MBConv",
    "NormedConv",
    "PatchEmbedding",
    "VoxelPerceptron",
    "instance_norm",
    "norm_relu",
]


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
        if is_channels_last(x) and not torch.is_grad_enabled():
            return F.layer_norm(x.movedim(1, -1), x.shape[1:2], self.weight, self.bias, self.eps).movedim(
                -1, 1
            )
        variance, mean = torch.var_mean(x, dim=1, keepdim=True, correction=0)
        normed = (x - mean) * torch.rsqrt(variance + self.eps)
        return torch.addcmul(self.bias[:, None, None], normed, self.weight[:, None, None])


class NormedConv(nn.Module):
    """A 2D convolution without bias and its batch norm; the size is kept, divided by the stride."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.c = nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = self.bn(self.c(x))
        return normed

    def inference_form(self) -> nn.Module:
        """Return one convolution that does both."""
        return quick_chain([self.c, self.bn])[0]


class MBConv(nn.Module):
    """Widen, convolve each channel, narrow, add: (B, C, H, W) -> (B, C, H, W).

    Parameters
    ----------
    channels : int
    expansion : int
        How much wider it is inside.
    """

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        wide = expansion * channels
        self.conv1 = NormedConv(channels, wide, 1)
        self.conv2 = NormedConv(wide, wide, 3, groups=wide)
        self.conv3 = NormedConv(wide, channels, 1)
        nn.init.zeros_(self.conv3.bn.weight)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))
        return F.gelu(x + inner)

    def inference_form(self) -> nn.Module:
        """Return the quick block of the same weights."""
        return QuickMBConv(*((part.c, part.bn) for part in (self.conv1, self.conv2, self.conv3)))


class PatchEmbedding(nn.Module):
    """One token for each patch of a picture: (B, 3, H, W) -> (B, dim, H / patch, W / patch)."""

    def __init__(self, dim: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        embedded: Tensor = self.proj(x)
        return embedded


class VoxelPerceptron(nn.Module):
    """A perceptron at every voxel, twice as wide inside: (B, C, *S) -> (B, C, *S)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv3d(channels, 2 * channels, 1)
        self.fc2 = nn.Conv3d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return mixed


def instance_norm(x: Tensor) -> Tensor:
    """Instance norm without weights."""
    return normed(x, x.shape[1])


def norm_relu(x: Tensor, norm: nn.GroupNorm | QuickNorm | None = None) -> Tensor:
    """Norm, by default an instance norm without weights, then ReLU."""
    if norm is None:
        return normed(x, x.shape[1], slope=0.0)
    return normed(x, norm.num_groups, norm.weight, norm.bias, norm.eps, slope=0.0)
