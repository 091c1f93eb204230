"""LGViT's block for inference on a CPU: what reads the same tokens is one product, and works in place.

Letters as in `_lgvit`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._quick import QuickLinear, QuickPerceptron, quick_chain

__all__ = ["QuickLinearBlock"]

_TINY = 1e-6  # as in the plain block


class QuickLinearBlock(nn.Module):
    """Gated linear attention and a perceptron, each with a residual: (B, N, dim) -> (B, N, dim).

    Parameters
    ----------
    block : nn.Module
        The block of `_lgvit` whose weights it takes.
    """

    def __init__(self, block: Any) -> None:
        super().__init__()
        attention = block.attn
        self._heads, self._grid = attention._heads, attention._grid
        self._norm1, self._norm2, self._rope = block.norm1, block.norm2, attention.rope
        read = (attention.qk, attention.up_proj, block.act_proj)
        self._widths = [layer.out_features for layer in read]
        weights, biases = (torch.cat([getattr(layer, name) for layer in read]) for name in ("weight", "bias"))
        self._read = QuickLinear(weights, biases)
        self._down = QuickLinear(attention.down_proj.weight, attention.down_proj.bias)
        self._out = QuickLinear(block.out_proj.weight, block.out_proj.bias)
        self._local = quick_chain([attention.lepe])[0]
        self._mlp = QuickPerceptron(block.mlp.fc1, block.mlp.fc2)

    def forward(self, x: Tensor) -> Tensor:
        qk, low, gate = self._read(self._norm1(x)).split(self._widths, dim=2)
        mixed = self._attend(F.elu(qk).add_(1), self._down(F.silu(low)))
        x = self._out(mixed.mul_(F.silu(gate))).add_(x)
        added: Tensor = self._mlp(self._norm2(x)).add_(x)
        return added

    def _attend(self, qk: Tensor, v: Tensor) -> Tensor:
        """Mix values (B, N, dim) by positive queries and keys, (B, N, 2 dim) together."""
        q, k = qk.chunk(2, dim=2)
        summed = (q * k.mean(dim=1, keepdim=True)).unflatten(2, (self._heads, -1)).sum(3, keepdim=True)
        context = self._split(self._rope(k)).transpose(2, 3) @ self._split(v)  # (B, h, d, d)
        mixed = self._split(self._rope(q)) @ context.div_(v.shape[1])  # (B, h, N, d)
        mixed = mixed.transpose(1, 2) / summed.add_(_TINY)  # (B, N, h, d)
        image = v.unflatten(1, (self._grid, self._grid)).movedim(-1, 1)
        return mixed.flatten(2).add_(self._local(image).movedim(1, -1).flatten(1, 2))

    def _split(self, x: Tensor) -> Tensor:
        """(B, N, dim) -> (B, h, N, d)."""
        return x.unflatten(2, (self._heads, -1)).transpose(1, 2)
