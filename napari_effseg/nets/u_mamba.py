"""U-Mamba: nnU-Net's residual U-Net with Mamba at the bottleneck, or after every level of the encoder.

Glossary: c channels at a level, L tokens (voxels of a level, row-major).

References
----------
Ma et al., U-Mamba: Enhancing Long-range Dependency for Biomedical Image Segmentation, arXiv:2401.04722.
Written from the paper and from what the public code (bowang-lab/U-Mamba, ``UMambaBot`` and ``UMambaEnc``)
computes. Its state dicts load strictly, names of one tensor under several keys included.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._quick import quick_chain
from .mamba import Mamba

__all__ = ["UMamba", "UMambaConfig"]

_CONV: dict[int, Callable[..., nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}
_NORM: dict[int, Callable[..., nn.Module]] = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
_SLOPE = 0.01  # of the leaky ReLU


@dataclass(frozen=True)
class UMambaConfig:
    """Constructor arguments of `UMamba`: what nnU-Net's plans say of a network.

    Attributes
    ----------
    variant : {"bottleneck", "encoder"}
        Where Mamba is.
    spatial_dims : {2, 3}
    input_channels, num_classes : int
    features_per_stage : tuple of int
        Channels of each level; its length is the number of levels.
    kernel_sizes, strides : tuple of tuples of int
        Of each level, one number an axis (or one number for all); the first stride is usually 1.
    n_conv_per_stage, n_conv_per_stage_decoder : int or tuple of int
        Blocks of each level of the encoder, and of the decoder (one level less, from deep to shallow). In
        the deeper half of the encoder, and the last levels of the decoder, only one is built, as released.
    input_size : tuple of int
        Voxels of the windows it is trained on. Only the "encoder" variant needs it: where a level has
        fewer voxels than channels, channels are its tokens, and the network is then tied to this size.
    """

    variant: Literal["bottleneck", "encoder"] = "bottleneck"
    spatial_dims: int = 3
    input_channels: int = 1
    num_classes: int = 2
    features_per_stage: tuple[int, ...] = (32, 64, 128, 256, 320, 320)
    kernel_sizes: tuple[tuple[int, ...] | int, ...] = (3, 3, 3, 3, 3, 3)
    strides: tuple[tuple[int, ...] | int, ...] = (1, 2, 2, 2, 2, 2)
    n_conv_per_stage: tuple[int, ...] | int = 2
    n_conv_per_stage_decoder: tuple[int, ...] | int = 2
    input_size: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.variant not in ("bottleneck", "encoder"):
            raise ValueError(f"variant is {self.variant!r}; expected 'bottleneck' or 'encoder'")
        if self.spatial_dims not in (2, 3):
            raise ValueError(f"spatial_dims is {self.spatial_dims}; expected 2 or 3")
        levels = len(tuple(self.features_per_stage))
        if levels < 2 or min(self.input_channels, self.num_classes, *self.features_per_stage) < 1:
            raise ValueError("expected at least two levels, and at least one channel everywhere")
        object.__setattr__(self, "features_per_stage", tuple(self.features_per_stage))
        object.__setattr__(self, "input_size", tuple(self.input_size))
        for name in ("kernel_sizes", "strides"):
            object.__setattr__(self, name, self._by_axis(name, levels))
        for name, count in (("n_conv_per_stage", levels), ("n_conv_per_stage_decoder", levels - 1)):
            object.__setattr__(self, name, self._by_level(name, count))
        if self.variant == "encoder" and len(self.input_size) != self.spatial_dims:
            raise ValueError(
                f"input_size is {self.input_size}; the encoder variant needs {self.spatial_dims} sizes"
            )

    def _by_axis(self, name: str, levels: int) -> tuple[tuple[int, ...], ...]:
        values = tuple(
            (value,) * self.spatial_dims if isinstance(value, int) else tuple(value)
            for value in getattr(self, name)
        )
        if len(values) != levels or any(len(value) != self.spatial_dims for value in values):
            raise ValueError(
                f"{name} has {len(values)} entries; expected {levels}, each of one number an axis"
            )
        return values

    def _by_level(self, name: str, count: int) -> tuple[int, ...]:
        given = getattr(self, name)
        values = (given,) * count if isinstance(given, int) else tuple(given)
        if len(values) != count or min(values) < 1:
            raise ValueError(f"{name} is {given}; expected {count} numbers of at least 1")
        return values

    @property
    def multiple_of(self) -> int:
        """Every spatial size must be a multiple of this."""
        return max(math.prod(axis) for axis in zip(*_by_axis(self.strides), strict=True))


class UMamba(nn.Module):
    """U-Mamba in 2D or 3D: (B, input_channels, *S) -> logits (B, num_classes, *S).

    Parameters
    ----------
    config : UMambaConfig

    Raises
    ------
    ValueError
        In `forward`, if a size is not a multiple of the product of the strides along its axis, or, where
        channels are tokens, another than ``config.input_size``.
    """

    def __init__(self, config: UMambaConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _Encoder(config)
        if config.variant == "bottleneck":
            self.mamba_layer = _MambaLayer(config.features_per_stage[-1], channel_token=False)
        self.decoder = _Decoder(config, self.encoder)

    def forward(self, x: Tensor) -> Tensor:
        """Segment a batch of images.

        Parameters
        ----------
        x : Tensor, shape (B, input_channels, *S)

        Returns
        -------
        Tensor, shape (B, num_classes, *S)
            Logits of the finest level; the others serve deep supervision in training by nnU-Net.
        """
        self._check_size(x)
        skips = self.encoder(x)
        if self.config.variant == "bottleneck":
            skips[-1] = self.mamba_layer(skips[-1])
        logits: Tensor = self.decoder(skips)
        return logits

    def _check_size(self, x: Tensor) -> None:
        strides = [math.prod(axis) for axis in zip(*_by_axis(self.config.strides), strict=True)]
        if x.ndim != self.config.spatial_dims + 2 or any(
            size % stride for size, stride in zip(x.shape[2:], strides, strict=True)
        ):
            raise ValueError(
                f"input of shape {tuple(x.shape)}; expected (B, {self.config.input_channels}, sizes that are "
                f"multiples of {strides})"
            )
        if any(_channel_tokens(self.config)) and tuple(x.shape[2:]) != self.config.input_size:
            raise ValueError(
                f"input of {tuple(x.shape[2:])} voxels; this network reads channels as tokens at its deepest "
                f"levels and takes {self.config.input_size} only"
            )


def _by_axis(values: Sequence[tuple[int, ...] | int]) -> list[tuple[int, ...]]:
    """Narrow the type: the configuration has made one number an axis of every entry."""
    return [value for value in values if isinstance(value, tuple)]


def _channel_tokens(config: UMambaConfig) -> list[bool]:
    """Whether a level of the encoder has no more voxels than channels: its channels are then its tokens."""
    if config.variant == "bottleneck":
        return [False] * len(config.features_per_stage)
    levels = zip(_voxels_of_levels(config), config.features_per_stage, _mixing(config), strict=True)
    return [mixes and voxels <= c for voxels, c, mixes in levels]


def _voxels_of_levels(config: UMambaConfig) -> list[int]:
    size, counts = list(config.input_size), []
    for stride in _by_axis(config.strides):
        size = [side // step for side, step in zip(size, stride, strict=True)]
        counts.append(math.prod(size))
    return counts


def _mixing(config: UMambaConfig) -> list[bool]:
    """Whether a level of the encoder has Mamba: all in 3D, every other one in 2D, the deepest among them."""
    levels = len(config.features_per_stage)
    return [config.spatial_dims == 3 or (levels - 1 - level) % 2 == 0 for level in range(levels)]


def _counts(given: tuple[int, ...] | int, first_single: int) -> list[int]:
    """Blocks of each level; from `first_single` on one, as the public code builds them."""
    values = given if isinstance(given, tuple) else (given,)
    return [count if level < first_single else 1 for level, count in enumerate(values)]


class _Encoder(nn.Module):
    """A stem and levels of residual blocks; returns every level, the finest first."""

    def __init__(self, config: UMambaConfig) -> None:
        super().__init__()
        dims, widths = config.spatial_dims, config.features_per_stage
        kernels, strides = _by_axis(config.kernel_sizes), _by_axis(config.strides)
        blocks = _counts(config.n_conv_per_stage, math.ceil(len(widths) / 2))
        self.stem = _level(dims, config.input_channels, widths[0], kernels[0], (1,) * dims, blocks[0])
        if config.variant == "encoder":
            self.mamba_layers = nn.ModuleList(
                _MambaLayer(voxels if by_channel else c, by_channel) if mixes else nn.Identity()
                for voxels, c, by_channel, mixes in zip(
                    _voxels_of_levels(config), widths, _channel_tokens(config), _mixing(config), strict=True
                )
            )
        before = (widths[0], *widths[:-1])
        self.stages = nn.ModuleList(
            _level(dims, *sizes) for sizes in zip(before, widths, kernels, strides, blocks, strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x)
        levels = []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if hasattr(self, "mamba_layers"):
                x = self.mamba_layers[number](x)
            levels.append(x)
        return levels


class _Decoder(nn.Module):
    """Double, join with the encoder's level, mix; a head at every level, of which the finest answers."""

    def __init__(self, config: UMambaConfig, encoder: _Encoder) -> None:
        super().__init__()
        self.encoder = encoder  # the public state dicts hold its tensors under this name a second time
        dims, widths = config.spatial_dims, config.features_per_stage[::-1]
        kernels, strides = _by_axis(config.kernel_sizes)[::-1], _by_axis(config.strides)[::-1]
        levels = len(widths)
        blocks = _counts(config.n_conv_per_stage_decoder, math.ceil((levels - 1) / 2 + 0.5))
        # In 2D the finest level does without the encoder's.
        joins = [dims == 3 or level < levels - 2 for level in range(levels - 1)]
        self.stages = nn.ModuleList(
            _level(dims, 2 * c if joined else c, c, kernel, (1,) * dims, count)
            for c, kernel, count, joined in zip(widths[1:], kernels[1:], blocks, joins, strict=True)
        )
        self.upsample_layers = nn.ModuleList(
            _Upsample(dims, below, c, stride)
            for below, c, stride in zip(widths[:-1], widths[1:], strides[:-1], strict=True)
        )
        self.seg_layers = nn.ModuleList(_CONV[dims](c, config.num_classes, 1) for c in widths[1:])

    def forward(self, skips: list[Tensor]) -> Tensor:
        x = skips[-1]
        finest = skips[0]
        for upsample, stage, skip in zip(self.upsample_layers, self.stages, skips[-2::-1], strict=True):
            x = upsample(x)
            if x.ndim == 5 or skip is not finest:
                x = torch.cat([x, skip], dim=1)
            x = stage(x)
        logits: Tensor = self.seg_layers[-1](x)
        return logits


class _MambaLayer(nn.Module):
    """A norm and Mamba over voxels, or over channels, as one sequence; nothing is added to."""

    def __init__(self, dim: int, channel_token: bool) -> None:
        super().__init__()
        self._channel_token = channel_token
        self.norm = nn.LayerNorm(dim)
        self.mamba = Mamba(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x.float() if x.dtype == torch.float16 else x
        flat = x.flatten(2)  # (B, c, L)
        tokens = flat if self._channel_token else flat.transpose(1, 2)
        mixed: Tensor = self.mamba(self.norm(tokens))
        back = mixed if self._channel_token else mixed.transpose(1, 2)
        return back.reshape(x.shape)


class _Upsample(nn.Module):
    """Repeat every voxel, then mix channels."""

    def __init__(self, dims: int, channels_in: int, channels_out: int, stride: tuple[int, ...]) -> None:
        super().__init__()
        self._stride = tuple(float(step) for step in stride)
        self.conv = _CONV[dims](channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.conv(F.interpolate(x, scale_factor=self._stride, mode="nearest"))
        return mixed


def _level(
    dims: int, channels_in: int, c: int, kernel: tuple[int, ...], stride: tuple[int, ...], blocks: int
) -> nn.Sequential:
    """Chain a residual block that changes channels and size, and others that do not."""
    return nn.Sequential(
        _ResBlock(dims, channels_in, c, kernel, stride),
        *(_PlainResBlock(dims, c, kernel) for _ in range(blocks - 1)),
    )


class _ResBlock(nn.Module):
    """Two normalised convolutions; the input joins through a 1x1 convolution."""

    def __init__(
        self, dims: int, channels_in: int, c: int, kernel: tuple[int, ...], stride: tuple[int, ...]
    ) -> None:
        super().__init__()
        padding = tuple(side // 2 for side in kernel)
        self.conv1 = _CONV[dims](channels_in, c, kernel, stride, padding)
        self.norm1 = _NORM[dims](c, affine=True)
        self.conv2 = _CONV[dims](c, c, kernel, padding=padding)
        self.norm2 = _NORM[dims](c, affine=True)
        self.conv3 = _CONV[dims](channels_in, c, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.leaky_relu(self.norm1(self.conv1(x)), _SLOPE)
        return F.leaky_relu(self.norm2(self.conv2(inner)) + self.conv3(x), _SLOPE)


class _PlainResBlock(nn.Module):
    """Two normalised convolutions added to the input."""

    def __init__(self, dims: int, c: int, kernel: tuple[int, ...]) -> None:
        super().__init__()
        self.conv1 = _ConvNorm(dims, c, kernel)
        self.conv2 = _ConvNorm(dims, c, kernel)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.conv2(F.leaky_relu(self.conv1(x), _SLOPE)) + x, _SLOPE)


class _ConvNorm(nn.Module):
    """A convolution and its norm, which nnU-Net's state dicts hold under two names each."""

    def __init__(self, dims: int, c: int, kernel: tuple[int, ...]) -> None:
        super().__init__()
        self.conv = _CONV[dims](c, c, kernel, padding=tuple(side // 2 for side in kernel))
        self.norm = _NORM[dims](c, affine=True)
        self.all_modules = nn.Sequential(self.conv, self.norm)

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = self.all_modules(x)
        return normed

    def inference_form(self) -> nn.Module:
        """Return the quick convolution and norm."""
        return nn.Sequential(*quick_chain([self.conv, self.norm]))
