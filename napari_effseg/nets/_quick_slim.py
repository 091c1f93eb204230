"""Slim UNETR's block for inference on a CPU: norms and residuals folded into weights, voxels as rows.

Letters as in `slim_unetr`; N voxels of all images of the batch.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._quick import GELU, Geometry, QuickConv, QuickLinear, channels_last, folded, normed

__all__ = ["QuickSlimBlock"]


class QuickSlimBlock(nn.Module):
    """Local convolution, perceptron, sub-sampled attention, perceptron: (B, c, *S) -> (B, c, *S).

    Parameters
    ----------
    block : nn.Module
        The block of `slim_unetr` whose weights it takes.
    """

    def __init__(self, block: Any) -> None:
        super().__init__()
        self._position1 = _added(block.patch1.positional_encoding)
        self._local = _QuickLocal(block.LocalRC)
        self._perceptron1 = _QuickPerceptron(block.LineConv1)
        self._position2 = _added(block.patch2.positional_encoding)
        self._attend = _QuickAttention(block.GlobalST)
        self._spread = _QuickSpread(block.LocalRD)
        self._perceptron2 = _QuickPerceptron(block.LineConv2)

    def forward(self, x: Tensor) -> Tensor:
        x = self._local(self._position1(x))
        x = self._position2(self._perceptron1(x))
        x = self._spread(self._attend(x), x)
        quick: Tensor = self._perceptron2(x)
        return quick


class _QuickLocal(nn.Module):
    """The local convolution and its residual; its norms belong to the convolutions behind and before them."""

    def __init__(self, local: Any) -> None:
        super().__init__()
        scale = local.bn1.weight / (local.bn1.running_var + local.bn1.eps).sqrt()
        shift = local.bn1.bias - scale * local.bn1.running_mean
        first = local.pointwise_conv_0.weight.flatten(1)  # (c, c)
        self._first, self._first_bias = (first * scale).contiguous(), first @ shift
        self._depthwise = _depthwise(*folded(local.depthwise_conv, local.bn2))
        self._last = local.pointwise_conv_1.weight.flatten(1).t()

    def forward(self, x: Tensor) -> Tensor:
        inner = F.linear(x.movedim(1, -1), self._first, self._first_bias).movedim(-1, 1)
        return _plus_product(x, self._depthwise(inner), self._last)


class _QuickPerceptron(nn.Module):
    """The perceptron at every voxel and its residual."""

    def __init__(self, perceptron: Any) -> None:
        super().__init__()
        self._widen = QuickLinear(perceptron.line_conv_0.weight.flatten(1), None, GELU)
        self._narrow = perceptron.line_conv_1.weight.flatten(1).t()

    def forward(self, x: Tensor) -> Tensor:
        return _back(torch.addmm(_rows(x), self._widen(_rows(x)), self._narrow), x)


class _QuickAttention(nn.Module):
    """Attention among every r-th voxel: (B, c, *S) -> (B, I / r, J / r, K / r, c)."""

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self._r, self._heads = attention.r, attention.heads
        self._qkv = attention.qkv.weight.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        voxels = x[:, :, :: self._r, :: self._r, :: self._r].movedim(1, -1)
        heads = F.linear(voxels.flatten(1, 3), self._qkv).unflatten(2, (self._heads, -1))
        q, k, v = heads.transpose(1, 2).chunk(3, dim=3)  # (B, h, tokens, d)
        out = F.scaled_dot_product_attention(q, k, v, scale=1.0)
        return out.transpose(1, 2).reshape(voxels.shape)


class _QuickSpread(nn.Module):
    """Each attended voxel's answer spread over its neighbourhood, and the residual."""

    def __init__(self, spread: Any) -> None:
        super().__init__()
        kernel = spread.conv_trans.weight.squeeze(1).movedim(0, -1)  # (r, r, r, c)
        self._kernel = kernel[None, :, None, :, None, :].contiguous()  # (1, r, 1, r, 1, r, c)
        self._bias = spread.conv_trans.bias
        self._norm = spread.norm
        self._last = spread.pointwise_conv.weight.flatten(1).t()

    def forward(self, attended: Tensor, x: Tensor) -> Tensor:
        answers = attended[:, :, None, :, None, :, None]  # (B, I / r, 1, J / r, 1, K / r, 1, c)
        spread = torch.addcmul(self._bias, answers, self._kernel).reshape(x.movedim(1, -1).shape)
        normal = normed(spread.movedim(-1, 1), 1, self._norm.weight, self._norm.bias, self._norm.eps)
        return _plus_product(x, normal, self._last)


def _added(conv: nn.Conv3d) -> QuickConv:
    """Return the depthwise convolution and its residual as one: the middle of the kernel grows by 1."""
    weight = conv.weight.clone()
    weight[:, :, 1, 1, 1] += 1
    return _depthwise(weight, None)


def _depthwise(weight: Tensor, bias: Tensor | None) -> QuickConv:
    return QuickConv(weight, bias, Geometry([1] * 3, [1] * 3, [1] * 3, weight.shape[0]))


def _plus_product(x: Tensor, inner: Tensor, weight: Tensor) -> Tensor:
    """Add to x a 1x1x1 convolution of `inner`, its weight (c_in, c_out)."""
    return _back(torch.addmm(_rows(x), _rows(inner), weight), x)


def _rows(x: Tensor) -> Tensor:
    """(B, c, *S), channels last -> (N, c)."""
    return channels_last(x).movedim(1, -1).flatten(0, -2)


def _back(rows: Tensor, like: Tensor) -> Tensor:
    """(N, c) -> (B, c, *S), channels last."""
    return rows.reshape(like.movedim(1, -1).shape).movedim(-1, 1)
