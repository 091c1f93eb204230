"""SegMamba: a UNETR-like network whose encoder reads voxels in three orientations with Mamba.

Glossary: f first filters, c channels at a level, L tokens (voxels of a level, row-major).

References
----------
Xing et al., SegMamba: Long-range Sequential Modeling Mamba for 3D Medical Image Segmentation,
arXiv:2401.13560. Written from the paper and from what the public code (ge-xing/SegMamba, with the three
orientations) computes; its state dicts load strictly. No official output was at hand to compare with: its
blocks are compared with MONAI's, and the Mamba block with its fixtures.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._blocks import VoxelPerceptron, instance_norm, norm_relu
from ._quick import normed
from .mamba import Mamba

__all__ = ["SegMamba", "SegMambaConfig"]

_SLICES = (64, 32, 16, 8)
_SLOPE = 0.01  # of the decoder's leaky ReLU


@dataclass(frozen=True)
class SegMambaConfig:
    """Constructor arguments of `SegMamba`, with the public class defaults.

    Attributes
    ----------
    in_chans, out_chans : int
        Channels of the image and of the logits.
    depths : (int, int, int, int)
        Mamba layers of each level.
    feat_size : (int, int, int, int)
        Channels of the four levels.
    hidden_size : int
        Channels at the deepest place of the decoder.
    drop_path_rate, layer_scale_init_value, norm_name, conv_block, res_block
        Arguments of the public constructor that have no effect here.
    spatial_dims : 3
    """

    in_chans: int = 1
    out_chans: int = 13
    depths: tuple[int, ...] = (2, 2, 2, 2)
    feat_size: tuple[int, ...] = (48, 96, 192, 384)
    drop_path_rate: float = 0.0
    layer_scale_init_value: float = 1e-6
    hidden_size: int = 768
    norm_name: str = "instance"
    conv_block: bool = True
    res_block: bool = True
    spatial_dims: int = 3

    def __post_init__(self) -> None:
        for name in ("depths", "feat_size"):
            values = tuple(getattr(self, name))
            object.__setattr__(self, name, values)
            if len(values) != 4 or min(values) < 1:
                raise ValueError(f"{name} is {values}; expected four numbers of at least 1")
        if min(self.in_chans, self.out_chans, self.hidden_size) < 1:
            raise ValueError("in_chans, out_chans and hidden_size must be at least 1")
        if self.spatial_dims != 3:
            raise ValueError(f"spatial_dims is {self.spatial_dims}; this network is three-dimensional")

    @property
    def multiple_of(self) -> int:
        """Every spatial size must be a multiple of this, so that every level divides into its slices."""
        return 32


class SegMamba(nn.Module):
    """SegMamba: (B, in_chans, I, J, K) -> logits (B, out_chans, I, J, K).

    Parameters
    ----------
    config : SegMambaConfig

    Raises
    ------
    ValueError
        In `forward`, if a size is not a multiple of 16, or the voxels of a level do not divide into its
        slices (64, 32, 16, 8).
    """

    def __init__(self, config: SegMambaConfig) -> None:
        super().__init__()
        self.config = config
        c1, c2, c3, c4 = config.feat_size
        self.vit = _Encoder(config)
        self.encoder1 = _Basic(config.in_chans, c1)
        self.encoder2 = _Basic(c1, c2)
        self.encoder3 = _Basic(c2, c3)
        self.encoder4 = _Basic(c3, c4)
        self.encoder5 = _Basic(c4, config.hidden_size)
        self.decoder5 = _Up(config.hidden_size, c4)
        self.decoder4 = _Up(c4, c3)
        self.decoder3 = _Up(c3, c2)
        self.decoder2 = _Up(c2, c1)
        self.decoder1 = _Basic(c1, c1)
        self.out = _Head(c1, config.out_chans)

    def forward(self, x: Tensor) -> Tensor:
        """Segment a batch of volumes.

        Parameters
        ----------
        x : Tensor, shape (B, in_chans, I, J, K)

        Returns
        -------
        Tensor, shape (B, out_chans, I, J, K)
            Logits.
        """
        self._check_size(x)
        x1, x2, x3, x4 = self.vit(x)  # (B, c, I / 2, ...) down to (B, c, I / 16, ...)
        deep = self.decoder5(self.encoder5(x4), self.encoder4(x3))
        deep = self.decoder4(deep, self.encoder3(x2))
        deep = self.decoder3(deep, self.encoder2(x1))
        deep = self.decoder2(deep, self.encoder1(x))
        logits: Tensor = self.out(self.decoder1(deep))
        return logits

    def _check_size(self, x: Tensor) -> None:
        if x.ndim != 5 or any(size % 16 for size in x.shape[2:]):
            raise ValueError(
                f"input of shape {tuple(x.shape)}; expected (B, {self.config.in_chans}, three spatial sizes "
                "that are multiples of 16)"
            )
        for level, slices in enumerate(_SLICES):
            tokens = math.prod(size // 2 ** (level + 1) for size in x.shape[2:])
            if tokens % slices:
                raise ValueError(
                    f"input of {' x '.join(map(str, x.shape[2:]))} voxels; level {level + 1} has {tokens} of "
                    f"them, which do not divide into {slices} slices: make each size a multiple of 32"
                )


class _Encoder(nn.Module):
    """Four levels, the finest at half the size; returns one branch of each."""

    def __init__(self, config: SegMambaConfig) -> None:
        super().__init__()
        widths = config.feat_size
        downs = [nn.Sequential(nn.Conv3d(config.in_chans, widths[0], 7, 2, 3))]
        for before, after in itertools.pairwise(widths):
            downs.append(nn.Sequential(nn.InstanceNorm3d(before), nn.Conv3d(before, after, 2, 2)))
        self.downsample_layers = nn.ModuleList(downs)
        self.stages = nn.ModuleList(
            nn.Sequential(*(_MambaLayer(c, slices) for _ in range(depth)))
            for c, depth, slices in zip(widths, config.depths, _SLICES, strict=True)
        )
        self.gscs = nn.ModuleList(_GatedConvolution(c) for c in widths)
        self.mlps = nn.ModuleList(VoxelPerceptron(c) for c in widths)

    def forward(self, x: Tensor) -> list[Tensor]:
        branches = []
        for down, gate, stage, mlp in zip(
            self.downsample_layers, self.gscs, self.stages, self.mlps, strict=True
        ):
            x = stage(gate(down(x)))
            branches.append(mlp(instance_norm(x)))
        return branches


class _GatedConvolution(nn.Module):
    """Two 3x3x3 convolutions beside one 1x1x1, summed, mixed, and added: (B, c, *S) -> (B, c, *S)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv3d(channels, channels, 3, padding=1)
        self.proj2 = nn.Conv3d(channels, channels, 3, padding=1)
        self.proj3 = nn.Conv3d(channels, channels, 1)
        self.proj4 = nn.Conv3d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        wide = norm_relu(self.proj2(norm_relu(self.proj(x))))
        both = wide + norm_relu(self.proj3(x))
        return x + norm_relu(self.proj4(both))


class _MambaLayer(nn.Module):
    """A norm and Mamba in three orientations over the voxels as one sequence, added to the input."""

    def __init__(self, channels: int, slices: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.mamba = Mamba(channels, bimamba_type="v3", nslices=slices)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)  # (B, L, c)
        mixed: Tensor = self.mamba(self.norm(tokens))
        return x + mixed.transpose(1, 2).unflatten(2, x.shape[2:])


class _Basic(nn.Module):
    """A residual block under the name ``layer`` that the public state dicts use."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.layer = _ResBlock(channels_in, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x)
        return out


class _Up(nn.Module):
    """Double the size, join with the level's encoder, mix: (B, c, *S), (B, c', *2S) -> (B, c', *2S)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.transp_conv = _Wrapped(nn.ConvTranspose3d(channels_in, channels_out, 2, 2, bias=False))
        self.conv_block = _ResBlock(2 * channels_out, channels_out)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        out: Tensor = self.conv_block(torch.cat([self.transp_conv(x), skip], dim=1))
        return out


class _Head(nn.Module):
    """Logits at every voxel, under the names that the public state dicts use."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = _Wrapped(nn.Conv3d(channels_in, channels_out, 1))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.conv(x)
        return logits


class _ResBlock(nn.Module):
    """Two normalised convolutions; the input, squeezed where its channels differ, is added."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv1 = _Wrapped(nn.Conv3d(channels_in, channels_out, 3, padding=1, bias=False))
        self.conv2 = _Wrapped(nn.Conv3d(channels_out, channels_out, 3, padding=1, bias=False))
        if channels_in != channels_out:
            self.conv3 = _Wrapped(nn.Conv3d(channels_in, channels_out, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        first: Tensor = self.conv1(x)
        inner = normed(first, first.shape[1], slope=_SLOPE)
        inner = instance_norm(self.conv2(inner))
        kept = instance_norm(self.conv3(x)) if hasattr(self, "conv3") else x
        return F.leaky_relu(inner + kept, _SLOPE)


class _Wrapped(nn.Module):
    """A convolution under the name ``conv`` that the public state dicts use."""

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        convolved: Tensor = self.conv(x)
        return convolved
