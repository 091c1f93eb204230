"""nnU-Net's U-Nets, plain and with a residual encoder: what its plans describe.

Glossary: c channels at a level.

References
----------
Isensee et al., nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation,
2021; nnU-Net Revisited, arXiv:2404.09556 (residual encoder).
Written from what the public package dynamic-network-architectures computes (``PlainConvUNet`` and
``ResidualEncoderUNet``). Its state dicts load strictly; names that hold a tensor a second time are left out.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ._quick import quick_chain

__all__ = ["NNUNet", "NNUNetConfig"]

_CONV: dict[int, Callable[..., nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED: dict[int, Callable[..., nn.Module]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_POOL: dict[int, Callable[..., nn.Module]] = {2: nn.AvgPool2d, 3: nn.AvgPool3d}
_NORM: dict[tuple[str, int], Callable[..., nn.Module]] = {
    ("instance", 2): nn.InstanceNorm2d,
    ("instance", 3): nn.InstanceNorm3d,
    ("batch", 2): nn.BatchNorm2d,
    ("batch", 3): nn.BatchNorm3d,
}
_ACTIVATION: dict[str, Callable[[], nn.Module]] = {"leaky_relu": nn.LeakyReLU, "relu": nn.ReLU}
# Names by which the public package holds a tensor a second time: layers in a list of themselves, the encoder
# in the decoder.
_SECOND_NAME = re.compile(r"(^|\.)(decoder\.encoder|all_modules)\.")


@dataclass(frozen=True)
class NNUNetConfig:
    """Constructor arguments of `NNUNet`: what nnU-Net's plans say of a network.

    Attributes
    ----------
    variant : {"plain", "residual"}
        Blocks of the encoder.
    spatial_dims : {2, 3}
    input_channels, num_classes : int
    features_per_stage : tuple of int
        Channels of each level; its length is the number of levels.
    kernel_sizes, strides : tuple of tuples of int
        Of each level, one number an axis (or one number for all); the first stride is usually 1.
    n_conv_per_stage, n_conv_per_stage_decoder : int or tuple of int
        Convolutions (residual: blocks) of each level of the encoder, and convolutions of the decoder's levels
        (one less, from deep to shallow).
    conv_bias : bool
    norm : {"instance", "batch"}
    norm_eps : float
    norm_affine : bool
    activation : {"leaky_relu", "relu"}
    """

    variant: Literal["plain", "residual"] = "plain"
    spatial_dims: int = 3
    input_channels: int = 1
    num_classes: int = 2
    features_per_stage: tuple[int, ...] = (32, 64, 128, 256, 320, 320)
    kernel_sizes: tuple[tuple[int, ...] | int, ...] = (3, 3, 3, 3, 3, 3)
    strides: tuple[tuple[int, ...] | int, ...] = (1, 2, 2, 2, 2, 2)
    n_conv_per_stage: tuple[int, ...] | int = 2
    n_conv_per_stage_decoder: tuple[int, ...] | int = 2
    conv_bias: bool = True
    norm: Literal["instance", "batch"] = "instance"
    norm_eps: float = 1e-5
    norm_affine: bool = True
    activation: Literal["leaky_relu", "relu"] = "leaky_relu"

    def __post_init__(self) -> None:
        for name, known in (
            ("variant", ("plain", "residual")),
            ("spatial_dims", (2, 3)),
            ("norm", ("instance", "batch")),
            ("activation", tuple(_ACTIVATION)),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}; expected one of {known}")
        levels = len(tuple(self.features_per_stage))
        if levels < 2 or min(self.input_channels, self.num_classes, *self.features_per_stage) < 1:
            raise ValueError("expected at least two levels, and at least one channel everywhere")
        object.__setattr__(self, "features_per_stage", tuple(self.features_per_stage))
        for name in ("kernel_sizes", "strides"):
            object.__setattr__(self, name, self._by_axis(name, levels))
        for name, count in (("n_conv_per_stage", levels), ("n_conv_per_stage_decoder", levels - 1)):
            object.__setattr__(self, name, self._by_level(name, count))

    def _by_axis(self, name: str, levels: int) -> tuple[tuple[int, ...], ...]:
        values = tuple(
            (value,) * self.spatial_dims if isinstance(value, int) else tuple(value)
            for value in getattr(self, name)
        )
        if len(values) != levels or any(
            len(value) != self.spatial_dims or min(value) < 1 for value in values
        ):
            raise ValueError(
                f"{name} has {len(values)} entries; expected {levels}, each of one number an axis, 1 or more"
            )
        return values

    def _by_level(self, name: str, count: int) -> tuple[int, ...]:
        given = getattr(self, name)
        values = (given,) * count if isinstance(given, int) else tuple(given)
        if len(values) != count or min(values) < 1:
            raise ValueError(f"{name} is {given}; expected {count} numbers of at least 1")
        return values

    @property
    def multiples(self) -> tuple[int, ...]:
        """What each spatial size must be a multiple of."""
        return tuple(math.prod(axis) for axis in zip(*_by_axis(self.strides), strict=True))


class NNUNet(nn.Module):
    """A U-Net as nnU-Net plans it, in 2D or 3D: (B, input_channels, *S) -> logits (B, num_classes, *S).

    Parameters
    ----------
    config : NNUNetConfig

    Raises
    ------
    ValueError
        In `forward`, if a size is not a multiple of the product of the strides along its axis.
    """

    def __init__(self, config: NNUNetConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _Encoder(config)
        self.decoder = _Decoder(config)
        self.register_load_state_dict_pre_hook(_forget_second_names)

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
        if x.ndim != self.config.spatial_dims + 2 or any(
            size % unit for size, unit in zip(x.shape[2:], self.config.multiples, strict=True)
        ):
            raise ValueError(
                f"input of shape {tuple(x.shape)}; expected (B, {self.config.input_channels}, sizes that are "
                f"multiples of {self.config.multiples})"
            )
        logits: Tensor = self.decoder(self.encoder(x))
        return logits


def is_second_name(key: str) -> bool:
    """Whether a key of nnU-Net's state dicts names a tensor that another key names too."""
    return _SECOND_NAME.search(key) is not None


def _forget_second_names(_: nn.Module, state: dict[str, Any], prefix: str, *rest: object) -> None:
    for key in [key for key in state if key.startswith(prefix) and is_second_name(key[len(prefix) :])]:
        del state[key]


def _by_axis(values: Sequence[tuple[int, ...] | int]) -> list[tuple[int, ...]]:
    """Narrow the type: the configuration has made one number an axis of every entry."""
    return [value for value in values if isinstance(value, tuple)]


def _per_level(given: tuple[int, ...] | int) -> tuple[int, ...]:
    """Narrow the type: the configuration has made one number of every level."""
    return given if isinstance(given, tuple) else (given,)


class _Encoder(nn.Module):
    """Levels of convolutions, or a stem and levels of residual blocks; returns every level, finest first."""

    def __init__(self, config: NNUNetConfig) -> None:
        super().__init__()
        widths = config.features_per_stage
        kernels, strides = _by_axis(config.kernel_sizes), _by_axis(config.strides)
        counts = _per_level(config.n_conv_per_stage)
        residual = config.variant == "residual"
        if residual:
            self.stem = _stack(
                config, config.input_channels, widths[0], kernels[0], (1,) * config.spatial_dims, 1
            )
        before = (widths[0] if residual else config.input_channels, *widths[:-1])
        levels = zip(before, widths, kernels, strides, counts, strict=True)
        if residual:
            self.stages = nn.Sequential(*(_blocks(config, *sizes) for sizes in levels))
        else:
            # The public package wraps a level's convolutions, and has pooling before them in other plans.
            self.stages = nn.Sequential(*(nn.Sequential(_stack(config, *sizes)) for sizes in levels))

    def forward(self, x: Tensor) -> list[Tensor]:
        if hasattr(self, "stem"):
            x = self.stem(x)
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        return levels


class _Decoder(nn.Module):
    """Double, join with the encoder's level, mix; a head at every level, of which the finest answers."""

    def __init__(self, config: NNUNetConfig) -> None:
        super().__init__()
        dims, widths = config.spatial_dims, config.features_per_stage[::-1]
        kernels, strides = _by_axis(config.kernel_sizes)[::-1], _by_axis(config.strides)[::-1]
        counts = _per_level(config.n_conv_per_stage_decoder)
        self.stages = nn.ModuleList(
            _stack(config, 2 * c, c, kernel, (1,) * dims, count)
            for c, kernel, count in zip(widths[1:], kernels[1:], counts, strict=True)
        )
        self.transpconvs = nn.ModuleList(
            _TRANSPOSED[dims](below, c, stride, stride, bias=config.conv_bias)
            for below, c, stride in zip(widths[:-1], widths[1:], strides[:-1], strict=True)
        )
        self.seg_layers = nn.ModuleList(_CONV[dims](c, config.num_classes, 1) for c in widths[1:])

    def forward(self, skips: list[Tensor]) -> Tensor:
        x = skips[-1]
        for upsample, stage, skip in zip(self.transpconvs, self.stages, skips[-2::-1], strict=True):
            x = stage(torch.cat([upsample(x), skip], dim=1))
        logits: Tensor = self.seg_layers[-1](x)
        return logits


class _ConvNorm(nn.Module):
    """A convolution, its norm, and, unless told not to, the activation."""

    def __init__(
        self,
        config: NNUNetConfig,
        channels_in: int,
        c: int,
        kernel: tuple[int, ...],
        stride: tuple[int, ...],
        activates: bool = True,
        bias: bool | None = None,
    ) -> None:
        super().__init__()
        padding = tuple((side - 1) // 2 for side in kernel)
        self.conv = _CONV[config.spatial_dims](
            channels_in, c, kernel, stride, padding, bias=config.conv_bias if bias is None else bias
        )
        self.norm = _NORM[config.norm, config.spatial_dims](c, eps=config.norm_eps, affine=config.norm_affine)
        self.nonlin = _ACTIVATION[config.activation]() if activates else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.nonlin(self.norm(self.conv(x)))
        return y

    def inference_form(self) -> nn.Module:
        """Return what is called one after the other, as far as it has quick forms."""
        return nn.Sequential(*quick_chain([self.conv, self.norm, self.nonlin]))


def _stack(config: NNUNetConfig, *sizes: Any) -> nn.Sequential:
    """Make the convolutions of one level, under the name that they have in nnU-Net; sizes as `_level`."""
    return nn.Sequential(OrderedDict(convs=_level(_ConvNorm, config, *sizes)))


def _blocks(config: NNUNetConfig, *sizes: Any) -> nn.Sequential:
    """Make the residual blocks of one level, under their name; sizes as `_level`."""
    return nn.Sequential(OrderedDict(blocks=_level(_Residual, config, *sizes)))


def _level(
    kind: Callable[..., nn.Module],
    config: NNUNetConfig,
    channels_in: int,
    c: int,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    count: int,
) -> nn.Sequential:
    """Make `count` parts of one kind; the first changes channels and size."""
    one = (1,) * config.spatial_dims
    return nn.Sequential(
        kind(config, channels_in, c, kernel, stride),
        *(kind(config, c, c, kernel, one) for _ in range(count - 1)),
    )


class _Residual(nn.Module):
    """Two convolutions, added to the input, which is averaged and projected where size or channels change."""

    def __init__(
        self, config: NNUNetConfig, channels_in: int, c: int, kernel: tuple[int, ...], stride: tuple[int, ...]
    ) -> None:
        super().__init__()
        one = (1,) * config.spatial_dims
        self.conv1 = _ConvNorm(config, channels_in, c, kernel, stride)
        self.conv2 = _ConvNorm(config, c, c, kernel, one, activates=False)
        self.nonlin2 = _ACTIVATION[config.activation]()
        skip: list[nn.Module] = []
        if stride != one:
            skip.append(_POOL[config.spatial_dims](stride, stride))
        if channels_in != c:
            skip.append(_ConvNorm(config, channels_in, c, one, one, activates=False, bias=False))
        self.skip = nn.Sequential(*skip)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.nonlin2(self.conv2(self.conv1(x)) + self.skip(x))
        return y
