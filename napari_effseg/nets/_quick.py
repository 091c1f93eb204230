"""Layers for inference on a CPU: channels-last memory, oneDNN called directly, norms folded into weights.

Torch sends many 3D convolutions on a CPU to a slow loop of its own, and lays images out channel after
channel, where most of its 3D operations are slow: measured on two cores, a 3x3x3 convolution of 8 channels at
96 voxels a side takes 98 ms so and 30 ms here, an instance norm of 48 channels at 48 a side 8.3 and 2.7 ms,
doubling it 24 and 5 ms. A layer here gives channels-last results whatever it is given, and all that follows
keeps that layout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

__all__ = [
    "GELU",
    "QuickConv",
    "QuickLinear",
    "QuickMBConv",
    "QuickNorm",
    "QuickPerceptron",
    "QuickTransposed",
    "can_fold",
    "channels_last",
    "folded",
    "is_channels_last",
    "normed",
    "quick_chain",
]

_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose2d, nn.ConvTranspose3d)
_BATCH_NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)
_INSTANCE_NORMS = (nn.InstanceNorm2d, nn.InstanceNorm3d)


class Activation(NamedTuple):
    """What oneDNN applies to a convolution's results before it stores them."""

    name: str = "none"
    numbers: tuple[float, ...] = ()
    algorithm: str = ""


_NONE = Activation()
GELU = Activation("gelu", (), "none")


class Geometry(NamedTuple):
    """How a convolution steps through an image, a number an axis."""

    padding: list[int]
    stride: list[int]
    dilation: list[int]
    groups: int


class QuickConv(nn.Module):
    """A convolution by oneDNN: (B, C, *S) -> (B, C', *S'), channels last.

    Parameters
    ----------
    weight : Tensor, shape (C', C / groups, *K)
    bias : Tensor, shape (C',), or None
    geometry : Geometry
    activation : Activation
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None, geometry: Geometry, activation: Activation = _NONE
    ) -> None:
        super().__init__()
        self._bias, self._geometry, self._activation = bias, geometry, activation
        self._weight = _ArrangedWeight(weight)

    def forward(self, x: Tensor) -> Tensor:
        convolve = torch.ops.mkldnn._convolution_pointwise
        weight = self._weight.arranged(x.shape, self._arrange)
        return cast(
            "Tensor", convolve(channels_last(x), weight, self._bias, *self._geometry, *self._activation)
        )

    def _arrange(self, weight: Tensor, shape: list[int]) -> Tensor:
        return cast("Tensor", torch.ops.mkldnn._reorder_convolution_weight(weight, *self._geometry, shape))


class QuickOverlapping(nn.Module):
    """A transposed convolution by oneDNN: (B, C, *S) -> (B, C', *S'), channels last.

    Parameters
    ----------
    weight : Tensor, shape (C, C' / groups, *K)
    bias : Tensor, shape (C',), or None
    geometry : Geometry
    more : list of int
        Voxels that the result has more, an axis: "output_padding".
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, geometry: Geometry, more: list[int]) -> None:
        super().__init__()
        self._bias = bias
        self._options = (geometry.padding, more, geometry.stride, geometry.dilation, geometry.groups)
        self._weight = _ArrangedWeight(weight)

    def forward(self, x: Tensor) -> Tensor:
        convolve = torch.ops.mkldnn._convolution_transpose_pointwise
        weight = self._weight.arranged(x.shape, self._arrange)
        return cast("Tensor", convolve(channels_last(x), weight, self._bias, *self._options, *_NONE))

    def _arrange(self, weight: Tensor, shape: list[int]) -> Tensor:
        return cast(
            "Tensor", torch.ops.mkldnn._reorder_convolution_transpose_weight(weight, *self._options, shape)
        )


class _ArrangedWeight:
    """A weight in the order that oneDNN wants for images of one size, which is that of the last image.

    In another order each call would arrange it anew, which can cost more than the convolution.
    """

    def __init__(self, weight: Tensor) -> None:
        self._held: tuple[list[int], Tensor] = ([], weight)

    def arranged(self, shape: torch.Size, arrange: Callable[[Tensor, list[int]], Tensor]) -> Tensor:
        """Return the weight for images of this shape, (B, C, *S)."""
        known, weight = self._held  # read once: another thread may exchange it
        if known[2:] == [*shape[2:]]:
            return weight
        with torch.inference_mode(False), torch.no_grad():
            arranged = arrange(weight.to_dense() if known else weight, [*shape])
        self._held = ([*shape], arranged)
        return arranged


class QuickTransposed(nn.Module):
    """A transposed convolution whose kernels do not overlap, as one matrix product, channels last.

    Parameters
    ----------
    weight : Tensor, shape (C, C', *K)
        The strides are K, too.
    bias : Tensor, shape (C',), or None
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self._kernel = weight.shape[2:]
        axes = range(2, weight.ndim)
        self._weight = weight.permute(*axes, 1, 0).flatten(0, -2).contiguous()  # (K C', C)
        self._bias = None if bias is None else bias.repeat(self._kernel.numel())

    def forward(self, x: Tensor) -> Tensor:
        dims = len(self._kernel)
        tokens = channels_last(x).movedim(1, -1)  # (B, *S, C)
        spread = torch.ops.mkldnn._linear_pointwise(tokens, self._weight, self._bias, *_NONE)
        pairs = [axis for n in range(1, dims + 1) for axis in (n, n + dims)]
        whole = spread.unflatten(-1, (*self._kernel, -1)).permute(0, *pairs, -1)  # (B, I, k, J, k, ..., C')
        sides = [size * k for size, k in zip(x.shape[2:], self._kernel, strict=True)]
        return whole.reshape(x.shape[0], *sides, -1).movedim(-1, 1)


class QuickLinear(nn.Module):
    """A linear layer by oneDNN, of tokens (..., C), and the activation that follows it."""

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: Activation = _NONE) -> None:
        super().__init__()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), None)
        self._bias, self._activation = None if bias is None else bias.detach(), activation

    def forward(self, x: Tensor) -> Tensor:
        linear = torch.ops.mkldnn._linear_pointwise
        return cast("Tensor", linear(x, self._weight, self._bias, *self._activation))


class QuickPerceptron(nn.Sequential):
    """Two linear layers with GELU between, of tokens (..., C)."""

    def __init__(self, first: nn.Linear, last: nn.Linear) -> None:
        super().__init__(QuickLinear(first.weight, first.bias, GELU), QuickLinear(last.weight, last.bias))


class QuickMBConv(nn.Module):
    """Widen, convolve each channel, narrow, add, each followed by GELU: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, *convolutions: tuple[nn.Module, nn.Module]) -> None:
        super().__init__()
        first, second, third = convolutions
        fused = [quick_chain([*pair, nn.GELU()])[0] for pair in (first, second)]
        self._inner = nn.Sequential(*fused, quick_chain(third)[0])

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self._inner(x)
        return F.gelu(inner.add_(x))


class QuickNorm(nn.Module):
    """An instance or group norm, under a group norm's names, and the ReLU or leaky ReLU that follows it."""

    def __init__(self, norm: nn.Module, slope: float = 1.0) -> None:
        super().__init__()
        n: Any = norm
        self.num_groups = n.num_groups if isinstance(norm, nn.GroupNorm) else n.num_features
        self.weight, self.bias, self.eps, self._slope = n.weight, n.bias, n.eps, slope

    def forward(self, x: Tensor) -> Tensor:
        return normed(x, self.num_groups, self.weight, self.bias, self.eps, self._slope)


def normed(
    x: Tensor,
    groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    slope: float = 1.0,
) -> Tensor:
    """Normalise groups of channels over an image, then multiply what is below 0 by a slope.

    An instance norm is the group norm of one channel a group, and twice as fast so, gradients too.

    Parameters
    ----------
    x : Tensor, shape (B, C, *S)
    groups : int
        C of them make an instance norm.
    weight, bias : Tensor, shape (C,), or None
    eps : float
    slope : float
        0 is a ReLU, 1 no activation.
    """
    if is_channels_last(x) and x.dtype == torch.float32 and not torch.is_grad_enabled():
        from ._quick_norm import normalise  # numba is imported, and compiles, on first use

        return normalise(x, groups, weight, bias, eps, slope)
    y = F.group_norm(x, groups, weight, bias, eps)
    if slope == 1:
        return y
    return F.leaky_relu(y, slope) if slope else F.relu(y)


def is_channels_last(x: Tensor) -> bool:
    """Whether the channels of a voxel are neighbours in memory, on the CPU."""
    return x.device.type == "cpu" and x.movedim(1, -1).is_contiguous() and not x.is_contiguous()


def channels_last(x: Tensor) -> Tensor:
    """Lay (B, C, *S) out so that the channels of a voxel are neighbours, strides of sides of 1 included."""
    return x.movedim(1, -1).contiguous().movedim(-1, 1)


def quick_chain(parts: Sequence[nn.Module]) -> list[nn.Module]:
    """Quick forms of modules that are called one after the other; what another took over is an identity.

    A convolution takes over a batch norm and an activation behind it, a norm an activation. What has no quick
    form, or any doubt about it, stays as it is.
    """
    found: list[nn.Module] = []
    while len(found) < len(parts):
        rest = parts[len(found) :]
        quick, taken = _quick_run(rest)
        found += [quick, *(nn.Identity() for _ in range(taken - 1))]
    return found


def _quick_run(parts: Sequence[nn.Module]) -> tuple[nn.Module, int]:
    """Quick form of the first module and what it takes over, and how many modules these are."""
    first, *rest = parts
    norm = rest.pop(0) if rest and isinstance(first, _CONVOLUTIONS) and can_fold(rest[0]) else None
    activation = _activation_of(rest[0]) if rest else None
    taken = 1 + (norm is not None) + (activation is not None)
    if isinstance(first, _CONVOLUTIONS) and _is_plain(first):
        return _conv_form(first, norm, activation or _NONE), taken
    if isinstance(first, _TRANSPOSED) and _is_plain(first):
        return _transposed_form(first), 1
    if isinstance(first, nn.GroupNorm) or (isinstance(first, _INSTANCE_NORMS) and not _has_statistics(first)):
        slope = _slope_of(rest[0]) if rest else None
        return (QuickNorm(first), 1) if slope is None else (QuickNorm(first, slope), 2)
    return first, 1


def _conv_form(conv: nn.Conv2d | nn.Conv3d, norm: nn.Module | None, activation: Activation) -> nn.Module:
    return QuickConv(*folded(conv, norm), _geometry(conv), activation)


def folded(conv: nn.Module, norm: nn.Module | None) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of a convolution and the batch norm that follows it, as one convolution.

    Raises
    ------
    TypeError
        If the norm is no batch norm with statistics of its own.
    """
    weight, bias = cast("Tensor", conv.weight), cast("Tensor | None", conv.bias)
    if norm is None:
        return weight.detach(), None if bias is None else bias.detach()
    if not can_fold(norm):
        raise TypeError(f"{norm} cannot be folded into a convolution")
    n: Any = norm
    return fuse_conv_bn_weights(weight, bias, n.running_mean, n.running_var, n.eps, n.weight, n.bias)


def can_fold(norm: nn.Module) -> bool:
    """Whether a norm is the same affine map for every image: a batch norm with statistics of its own."""
    return isinstance(norm, _BATCH_NORMS) and _has_statistics(norm)


def _has_statistics(norm: nn.Module) -> bool:
    return getattr(norm, "running_mean", None) is not None


def _transposed_form(conv: nn.ConvTranspose2d | nn.ConvTranspose3d) -> nn.Module:
    padding, more = _numbers(conv.padding), _numbers(conv.output_padding)
    apart = tuple(conv.kernel_size) == tuple(conv.stride) and conv.groups == 1
    if apart and not any((*padding, *more)) and set(conv.dilation) == {1}:
        return QuickTransposed(*folded(conv, None))
    return QuickOverlapping(*folded(conv, None), _geometry(conv), more)


def _geometry(conv: Any) -> Geometry:
    return Geometry(_numbers(conv.padding), [*conv.stride], [*conv.dilation], conv.groups)


def _is_plain(conv: nn.Module) -> bool:
    """Whether a convolution pads with zeros, by numbers."""
    return getattr(conv, "padding_mode", "") == "zeros" and not isinstance(conv.padding, str)


def _numbers(values: object) -> list[int]:
    return [*cast("Sequence[int]", values)]


def _activation_of(module: nn.Module) -> Activation | None:
    """Return what oneDNN calls it; None if it is none, or has no name there."""
    slope = _slope_of(module)
    if slope is not None:
        return Activation("leaky_relu", (slope,)) if slope else Activation("relu")
    if type(module) is nn.GELU and module.approximate == "none":
        return GELU
    return None


def _slope_of(module: nn.Module) -> float | None:
    """Return what a ReLU or leaky ReLU multiplies numbers below 0 by; None for other modules."""
    if type(module) is nn.ReLU:
        return 0.0
    return float(module.negative_slope) if type(module) is nn.LeakyReLU else None
