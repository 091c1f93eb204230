"""LightM-UNet: a U-Net whose encoder mixes tokens with Mamba and whose decoder is depthwise.

Glossary: f first filters, C channels at a level, L tokens (voxels of a level in row-major order).

References
----------
Liao et al., LightM-UNet: Mamba Assists in Lightweight UNet for Medical Image Segmentation,
arXiv:2403.05246. Follows the released code (MrBlankness/LightM-UNet, state of 29 March 2024 and later),
whose full configuration has 5.0 M parameters where the paper states about 1 M; see the docs page
on networks. State dicts of the released code load strictly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._blocks import norm_relu
from ._depthwise import depthwise_conv
from ._quick import quick_chain
from ._quick_mamba import QuickMambaLayer
from .mamba import Mamba
from .selective_scan import RunningScan

__all__ = ["LightMUNet", "LightMUNetConfig"]

_NORM_GROUPS = 8


@dataclass(frozen=True)
class LightMUNetConfig:
    """Constructor arguments of `LightMUNet`, with the released class defaults.

    Attributes
    ----------
    spatial_dims : {2, 3}
    init_filters : int
        Channels at full resolution, a multiple of 8 (GroupNorm has 8 groups); doubles at each level.
    in_channels, out_channels : int
        Channels of the image; classes including background.
    blocks_down : tuple of int
        Residual Mamba blocks at each encoder level; its length is the number of levels.
    blocks_up : tuple of int
        Residual blocks at each decoder level, from deep to shallow; one entry less.
    dropout_prob : float or None
        Dropout after the stem, in training only.
    """

    spatial_dims: int = 3
    init_filters: int = 8
    in_channels: int = 1
    out_channels: int = 2
    blocks_down: tuple[int, ...] = (1, 2, 2, 4)
    blocks_up: tuple[int, ...] = (1, 1, 1)
    dropout_prob: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks_down", tuple(self.blocks_down))
        object.__setattr__(self, "blocks_up", tuple(self.blocks_up))
        if self.spatial_dims not in (2, 3):
            raise ValueError(f"spatial_dims is {self.spatial_dims}; expected 2 or 3")
        if self.init_filters < 1 or self.init_filters % _NORM_GROUPS:
            raise ValueError(f"init_filters is {self.init_filters}; expected a multiple of {_NORM_GROUPS}")
        if min(self.in_channels, self.out_channels) < 1:
            raise ValueError("in_channels and out_channels must be at least 1")
        if len(self.blocks_up) != len(self.blocks_down) - 1:
            raise ValueError(
                f"blocks_up has {len(self.blocks_up)} entries; expected one less than the "
                f"{len(self.blocks_down)} of blocks_down"
            )

    @property
    def multiple_of(self) -> int:
        """Every spatial size must be a multiple of this."""
        return int(2 ** (len(self.blocks_down) - 1))


class LightMUNet(nn.Module):
    """LightM-UNet in 2D or 3D: (B, in_channels, *S) -> logits (B, out_channels, *S).

    Parameters
    ----------
    config : LightMUNetConfig

    Raises
    ------
    ValueError
        In `forward`, if a spatial size is not a multiple of ``2 ** (levels - 1)``.
    """

    def __init__(self, config: LightMUNetConfig) -> None:
        super().__init__()
        self.config = config
        dims, f = config.spatial_dims, config.init_filters
        levels = len(config.blocks_down)
        self.convInit = _depthwise_separable(dims, config.in_channels, f, kernel=3, bias=False)
        self.dropout = nn.Identity() if config.dropout_prob is None else _DROPOUT[dims](config.dropout_prob)
        self.down_layers = nn.ModuleList(
            _encoder_level(dims, f * 2**level, blocks, first=level == 0)
            for level, blocks in enumerate(config.blocks_down)
        )
        widths = [
            f * 2 ** (levels - 1 - step) for step in range(levels - 1)
        ]  # channels before each upsampling
        self.up_layers = nn.ModuleList(
            nn.Sequential(*(_ResUpBlock(dims, c // 2) for _ in range(blocks)))
            for c, blocks in zip(widths, config.blocks_up, strict=True)
        )
        self.up_samples = nn.ModuleList(
            nn.Sequential(_Pointwise(dims, c, c // 2, bias=False)) for c in widths
        )
        self.conv_final = nn.Sequential(
            nn.GroupNorm(_NORM_GROUPS, f),
            nn.ReLU(),
            _depthwise_separable(dims, f, config.out_channels, kernel=1, bias=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Segment a batch of images.

        Parameters
        ----------
        x : Tensor, shape (B, in_channels, *S)

        Returns
        -------
        Tensor, shape (B, out_channels, *S)
            Logits.
        """
        self._check_size(x)
        x = self.dropout(self.convInit(x))  # (B, f, S)
        skips = []
        for level in self.down_layers:
            x = level(x)  # (B, f * 2^level, S / 2^level)
            skips.append(x)
        skips.pop()
        for squeeze, blocks in zip(self.up_samples, self.up_layers, strict=True):
            x = blocks(self._upsample(squeeze(x)) + skips.pop())  # (B, C / 2, 2 S)
        logits: Tensor = self.conv_final(x)
        return logits

    def _upsample(self, x: Tensor) -> Tensor:
        mode = "bilinear" if self.config.spatial_dims == 2 else "trilinear"
        return F.interpolate(x, scale_factor=2.0, mode=mode, align_corners=False)

    def _check_size(self, x: Tensor) -> None:
        multiple = self.config.multiple_of
        if x.ndim != self.config.spatial_dims + 2 or any(size % multiple for size in x.shape[2:]):
            raise ValueError(
                f"input of shape {tuple(x.shape)}; expected (B, {self.config.in_channels}, "
                f"{self.config.spatial_dims} spatial sizes that are multiples of {multiple})"
            )


class _MambaLayer(nn.Module):
    """Mix the voxels of an image as one sequence: (B, C_in, *S) -> (B, C_out, *S).

    One LayerNorm is used twice, and the skip takes the un-normalised tokens, as in the released code.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels_in)
        self.mamba = Mamba(channels_in)
        self.proj = nn.Linear(channels_in, channels_out)
        self.skip_scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        x = x.float() if x.dtype == torch.float16 else x
        tokens = x.flatten(2).transpose(1, 2)  # (B, L, C_in)
        pieces = self.mamba.pieces(tokens)
        if pieces is None:
            out = self._mix(tokens, self.mamba).transpose(1, 2)
        else:
            out = torch.cat([self._mix(t, pieces).transpose(1, 2) for t in tokens.split(pieces.length, 1)], 2)
        image: Tensor = out.unflatten(2, x.shape[2:])
        return image

    def inference_form(self) -> nn.Module | None:
        """Return the quick layer of the same weights, where the compiled scan runs."""
        return QuickMambaLayer(self) if RunningScan.can_run(self.norm.weight) else None

    def _mix(self, tokens: Tensor, mamba: Callable[[Tensor], Tensor]) -> Tensor:
        """Mix a sequence, or the next piece of one: (B, L, C_in) -> (B, L, C_out)."""
        mixed = mamba(self.norm(tokens)) + self.skip_scale * tokens
        out: Tensor = self.proj(self.norm(mixed))
        return out


class _ResMambaBlock(nn.Module):
    """Two normalised Mamba layers and a residual: (B, C, *S) -> (B, C, *S)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(_NORM_GROUPS, channels)
        self.norm2 = nn.GroupNorm(_NORM_GROUPS, channels)
        self.conv1 = _MambaLayer(channels, channels)
        self.conv2 = _MambaLayer(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.conv1(norm_relu(x, self.norm1))
        mixed = self.conv2(norm_relu(mixed, self.norm2))
        return x + mixed


class _ResUpBlock(nn.Module):
    """One depthwise-separable convolution with a scaled skip: (B, C, *S) -> (B, C, *S)."""

    def __init__(self, dims: int, channels: int) -> None:
        super().__init__()
        self.skip_scale = nn.Parameter(torch.ones(1))
        self.norm1 = nn.GroupNorm(_NORM_GROUPS, channels)
        self.norm2 = nn.GroupNorm(_NORM_GROUPS, channels)
        self.conv = _depthwise_separable(dims, channels, channels, kernel=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.conv(norm_relu(x, self.norm1)) + self.skip_scale * x
        return norm_relu(mixed, self.norm2)


_CONV = {2: nn.Conv2d, 3: nn.Conv3d}
_POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
_DROPOUT = {2: nn.Dropout2d, 3: nn.Dropout3d}


class _Depthwise(nn.Module):
    """A depthwise convolution under the name ``conv`` that the released state dicts use."""

    def __init__(self, dims: int, channels: int, kernel: int, bias: bool) -> None:
        super().__init__()
        self.conv = _CONV[dims](channels, channels, kernel, padding=kernel // 2, groups=channels, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return depthwise_conv(x, self.conv.weight, self.conv.bias)

    def inference_form(self) -> nn.Module:
        """Return the quick convolution."""
        return quick_chain([self.conv])[0]


class _Pointwise(nn.Module):
    """Mix channels voxel by voxel, under the name ``conv`` that the released state dicts use."""

    def __init__(self, dims: int, channels_in: int, channels_out: int, bias: bool) -> None:
        super().__init__()
        self.conv = _CONV[dims](channels_in, channels_out, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        return out


def _depthwise_separable(
    dims: int, channels_in: int, channels_out: int, kernel: int, bias: bool
) -> nn.Sequential:
    """Depthwise convolution, then 1x1: (B, C_in, *S) -> (B, C_out, *S)."""
    return nn.Sequential(
        _Depthwise(dims, channels_in, kernel, bias),
        _Pointwise(dims, channels_in, channels_out, bias),
    )


def _encoder_level(dims: int, channels: int, blocks: int, first: bool) -> nn.Sequential:
    """Halve the image and double its channels (not at the first level), then mix."""
    down = nn.Identity() if first else nn.Sequential(_MambaLayer(channels // 2, channels), _POOL[dims](2, 2))
    return nn.Sequential(down, *(_ResMambaBlock(channels) for _ in range(blocks)))
