"""LGViT, the image encoder of HRMedSeg: two convolutional blocks, then linear attention over patches.

Glossary: g patches a side, N = g * g tokens, h heads, d = dim / h channels a head.

References
----------
Xu et al., HRMedSeg: Unlocking High-Resolution Medical Image Segmentation via Memory-Efficient Attention
Modeling, arXiv:2504.06205. Follows the released code (xq141839/HRMedSeg, ``SAM/LGViT.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ._blocks import MBConv, PatchEmbedding
from ._quick_lgvit import QuickLinearBlock

__all__ = ["LGViT"]

PATCH = 16
_DEPTHS = (2, 2, 6, 2)
_HEADS = (3, 6, 12, 24)  # the first layer is convolutional: its entry has no effect
_MLP_RATIO = 2  # of the perceptrons and the convolutional blocks
_BOTTLENECK = 4  # of the attention's values
_DROP_PATH = 0.1  # of the last block; rises linearly from 0
_ROTARY_BASE = 10000.0
_TINY = 1e-6


class LGViT(nn.Module):
    """Image encoder: (B, 3, img_size, img_size) -> tokens (B, N, dim), row-major.

    Parameters
    ----------
    dim : int
        Channels of a token, a multiple of 24.
    img_size : int
        Side of the image in pixels, a multiple of 16.
    """

    def __init__(self, dim: int, img_size: int) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding(dim, PATCH)
        rates = torch.linspace(0, _DROP_PATH, sum(_DEPTHS), device="cpu").tolist()
        self.layers = nn.ModuleList()
        for level, (depth, heads) in enumerate(zip(_DEPTHS, _HEADS, strict=True)):
            first = sum(_DEPTHS[:level])
            self.layers.append(
                _Layer(
                    MBConv(dim, _MLP_RATIO) if level == 0 else _Block(dim, heads, img_size // PATCH, rate)
                    for rate in rates[first : first + depth]
                )
            )
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        image = self.layers[0](self.patch_embed(x))  # (B, dim, g, g)
        tokens: Tensor = image.flatten(2).transpose(1, 2)  # (B, N, dim)
        for layer in self.layers[1:]:
            tokens = layer(tokens)
        return tokens


class _Layer(nn.Module):
    """Blocks one after the other, under the name that the released state dicts use."""

    def __init__(self, blocks: Iterable[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


class _Block(nn.Module):
    """Gated linear attention and a perceptron, each with a residual: (B, N, dim) -> (B, N, dim)."""

    def __init__(self, dim: int, heads: int, grid: int, drop_path: float) -> None:
        super().__init__()
        self._drop_path = drop_path
        self.norm1 = nn.LayerNorm(dim)
        self.act_proj = nn.Linear(dim, dim)
        self.attn = _LinearAttention(dim, heads, grid)
        self.out_proj = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = _Mlp(dim)

    def forward(self, x: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return self._mix(x)
        # A block keeps twenty times its input for the gradients; computed again, it keeps the input alone.
        mixed: Tensor = checkpoint(self._mix, x, use_reentrant=False)
        return mixed

    def inference_form(self) -> nn.Module:
        """Return the quick block of the same weights."""
        return QuickLinearBlock(self)

    def _mix(self, x: Tensor) -> Tensor:
        n = self.norm1(x)
        x = x + self._drop(self.out_proj(self.attn(n) * F.silu(self.act_proj(n))))
        return x + self._drop(self.mlp(self.norm2(x)))

    def _drop(self, x: Tensor) -> Tensor:
        """Leave the branch out for a random part of the batch while training; its mean stays."""
        if not self.training or self._drop_path == 0:
            return x
        keep = 1 - self._drop_path
        return x * x.new_empty(x.shape[0], 1, 1).bernoulli_(keep) / keep


class _Mlp(nn.Module):
    """A perceptron on each token."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, _MLP_RATIO * dim)
        self.fc2 = nn.Linear(_MLP_RATIO * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return mixed


class _LinearAttention(nn.Module):
    """Attention that is linear in the number of tokens, with rotary positions and a local term."""

    def __init__(self, dim: int, heads: int, grid: int) -> None:
        super().__init__()
        self._heads, self._grid = heads, grid
        self.qk = nn.Linear(dim, 2 * dim)
        self.lepe = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.rope = _Rotary(dim, grid)
        self.up_proj = nn.Linear(dim, dim // _BOTTLENECK)
        self.down_proj = nn.Linear(dim // _BOTTLENECK, dim)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.shape[1]
        q, k = (F.elu(self.qk(x)) + 1).chunk(2, dim=2)  # (B, N, dim) each, positive
        v = self.down_proj(F.silu(self.up_proj(x)))
        mean_k = k.mean(dim=1, keepdim=True)
        normaliser = (q * mean_k).unflatten(2, (self._heads, -1)).sum(3)  # (B, N, h)
        context = self._split(self.rope(k)).transpose(2, 3) @ (self._split(v) / tokens)  # (B, h, d, d)
        mixed = self._split(self.rope(q)) @ context  # (B, h, N, d)
        mixed = mixed / (normaliser.transpose(1, 2)[..., None] + _TINY)
        image = v.transpose(1, 2).unflatten(2, (self._grid, self._grid))
        local: Tensor = self.lepe(image).flatten(2).transpose(1, 2)
        return mixed.transpose(1, 2).flatten(2) + local

    def _split(self, x: Tensor) -> Tensor:
        """(B, N, dim) -> (B, h, N, d)."""
        return x.unflatten(2, (self._heads, -1)).transpose(1, 2)


class _Rotary(nn.Module):
    """Rotate pairs of channels by angles that grow with the row (first half) and the column (second)."""

    rotations: Tensor  # (g, g, dim / 2, 2): cosine and sine

    def __init__(self, dim: int, grid: int) -> None:
        super().__init__()
        count = dim // 4
        frequencies = _ROTARY_BASE ** (-torch.arange(count, dtype=torch.float64) / count)
        angles = torch.arange(grid, dtype=torch.float64)[:, None] * frequencies  # (g, count)
        rows = angles[:, None].expand(grid, grid, count)
        both = torch.cat([rows, rows.transpose(0, 1)], dim=2)
        self.register_buffer("rotations", torch.stack([both.cos(), both.sin()], dim=3).float())
        self.register_load_state_dict_pre_hook(_keep_own_size)

    def forward(self, x: Tensor) -> Tensor:
        # Pairs as complex numbers: one product instead of six and a stack, ten times quicker on a CPU.
        wide = torch.promote_types(x.dtype, torch.float32)
        turns = torch.view_as_complex(self.rotations.to(wide).flatten(0, 1))  # (N, dim / 2)
        pairs = torch.view_as_complex(x.to(wide).unflatten(2, (-1, 2)))
        return torch.view_as_real(pairs * turns).flatten(2).to(x.dtype)


def _keep_own_size(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Take no table of another image size, and need none: nothing in it is learned."""
    name = prefix + "rotations"
    if name not in state or state[name].shape != module.rotations.shape:
        state[name] = module.rotations
