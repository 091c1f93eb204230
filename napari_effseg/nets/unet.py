"""A plain convolutional U-Net: what the other networks must beat, and the quickest learner of few images.

References
----------
Ronneberger et al., U-Net: Convolutional Networks for Biomedical Image Segmentation, arXiv:1505.04597, with
the instance norms, leaky ReLUs and strided convolutions of nnU-Net (Isensee et al., Nature Methods 18, 2021).
No published state dict has these names.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["UNet", "UNetConfig"]

_CONV = {2: nn.Conv2d, 3: nn.Conv3d}
_UP = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_NORM = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}


@dataclass(frozen=True)
class UNetConfig:
    """Constructor arguments of `UNet`.

    Attributes
    ----------
    spatial_dims : 2 or 3
    in_channels, out_channels : int
    features : tuple of int
        Channels of each level, the finest first; each level halves the sides.
    convolutions : int
        Convolutions at each level, on the way down and on the way up.
    """

    spatial_dims: int = 2
    in_channels: int = 1
    out_channels: int = 2
    features: tuple[int, ...] = (32, 64, 128, 256, 256)
    convolutions: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", tuple(self.features))
        if self.spatial_dims not in _CONV:
            raise ValueError(f"spatial_dims is {self.spatial_dims}; expected 2 or 3")
        if len(self.features) < 2 or min(self.features) < 1:
            raise ValueError(f"features is {self.features}; expected at least two numbers of channels")
        if min(self.in_channels, self.out_channels, self.convolutions) < 1:
            raise ValueError("in_channels, out_channels and convolutions must be at least 1")

    @property
    def multiple_of(self) -> int:
        """Every spatial size must be a multiple of this."""
        return 2 ** (len(self.features) - 1)


class UNet(nn.Module):
    """U-Net: (B, in_channels, *S) -> logits (B, out_channels, *S).

    Parameters
    ----------
    config : UNetConfig

    Examples
    --------
    >>> import torch
    >>> net = UNet(UNetConfig(features=(8, 16))).eval()
    >>> net(torch.zeros(1, 1, 16, 32)).shape
    torch.Size([1, 2, 16, 32])
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        dims, widths, count = config.spatial_dims, config.features, config.convolutions
        before = (config.in_channels, *widths)
        self.down = nn.ModuleList(
            _stage(dims, before[level], widths[level], count, stride=1 if level == 0 else 2)
            for level in range(len(widths))
        )
        pairs = list(itertools.pairwise(widths))
        self.widen = nn.ModuleList(_UP[dims](low, high, 2, 2, bias=False) for high, low in pairs)
        self.up = nn.ModuleList(_stage(dims, 2 * high, high, count, stride=1) for high, _ in pairs)
        self.head = _CONV[dims](widths[0], config.out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Segment a batch.

        Parameters
        ----------
        x : Tensor, shape (B, in_channels, *S)

        Returns
        -------
        Tensor, shape (B, out_channels, *S)
            Logits.

        Raises
        ------
        ValueError
            If a side is no multiple of ``config.multiple_of``.
        """
        if any(side % self.config.multiple_of for side in x.shape[2:]):
            raise ValueError(
                f"sides are {tuple(x.shape[2:])}; expected multiples of {self.config.multiple_of}"
            )
        skips = []
        for stage in self.down:
            x = stage(x)
            skips.append(x)
        for level in reversed(range(len(self.up))):
            x = self.up[level](torch.cat([skips[level], self.widen[level](x)], dim=1))
        logits: Tensor = self.head(x)
        return logits


def _stage(dims: int, channels_in: int, channels_out: int, count: int, stride: int) -> nn.Sequential:
    """Convolutions of 3 voxels a side, each normed and rectified; the first may halve the sides."""
    parts: list[nn.Module] = []
    for index in range(count):
        given = channels_in if index == 0 else channels_out
        parts += [
            _CONV[dims](given, channels_out, 3, stride if index == 0 else 1, 1, bias=False),
            _NORM[dims](channels_out, affine=True),
            nn.LeakyReLU(0.01, inplace=True),
        ]
    return nn.Sequential(*parts)
