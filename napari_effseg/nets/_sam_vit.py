"""SAM's image encoder: a plain vision transformer with windowed and global attention.

Glossary: g patches a side, N = g * g tokens, h heads, d = dim / h channels a head, w side of a window.

References
----------
Kirillov et al., Segment Anything, arXiv:2304.02643; Li et al., Exploring Plain Vision Transformer Backbones
for Object Detection, arXiv:2203.16527 (windows, relative positions). Layout of
facebookresearch/segment-anything ``modeling/image_encoder.py``, whose state dicts load strictly.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._blocks import LayerNorm2d, PatchEmbedding

__all__ = ["SAMViT"]

PATCH = 16
_WINDOW = 14
_GLOBAL_BLOCKS = 4  # evenly spread; the others attend within windows
_MLP_RATIO = 4
_EPS = 1e-6


class SAMViT(nn.Module):
    """Image encoder: (B, 3, img_size, img_size) -> (B, width, g, g).

    Parameters
    ----------
    dim, depth, heads : int
        Channels of a token, blocks, attention heads.
    img_size : int
        Side of the image in pixels, a multiple of 16.
    width : int
        Channels of the embedding.
    """

    def __init__(self, dim: int, depth: int, heads: int, img_size: int, width: int) -> None:
        super().__init__()
        grid = img_size // PATCH
        self.pos_embed = nn.Parameter(torch.zeros(1, grid, grid, dim))
        self.patch_embed = PatchEmbedding(dim, PATCH)
        every = max(depth // _GLOBAL_BLOCKS, 1)
        self.blocks = nn.ModuleList(
            _Block(dim, heads, grid, 0 if (number + 1) % every == 0 else _WINDOW) for number in range(depth)
        )
        self.neck = nn.Sequential(
            nn.Conv2d(dim, width, 1, bias=False),
            LayerNorm2d(width),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            LayerNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch_embed(x).permute(0, 2, 3, 1) + self.pos_embed  # (B, g, g, dim)
        for block in self.blocks:
            tokens = block(tokens)
        embedding: Tensor = self.neck(tokens.permute(0, 3, 1, 2))
        return embedding


class _Block(nn.Module):
    """Attention, within windows if `window` is not 0, and a perceptron: (B, g, g, dim) -> (B, g, g, dim)."""

    def __init__(self, dim: int, heads: int, grid: int, window: int) -> None:
        super().__init__()
        self._window = window
        self.norm1 = nn.LayerNorm(dim, eps=_EPS)
        self.attn = _Attention(dim, heads, window or grid)
        self.norm2 = nn.LayerNorm(dim, eps=_EPS)
        self.mlp = _Mlp(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._attend(self.norm1(x))
        added: Tensor = x + self.mlp(self.norm2(x))
        return added

    def _attend(self, x: Tensor) -> Tensor:
        if not self._window:
            attended: Tensor = self.attn(x)
            return attended
        windows, padded = _to_windows(x, self._window)
        return _from_windows(self.attn(windows), padded)[:, : x.shape[1], : x.shape[2]]


class _Mlp(nn.Module):
    """A perceptron on each token."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(dim, _MLP_RATIO * dim)
        self.lin2 = nn.Linear(_MLP_RATIO * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.lin2(F.gelu(self.lin1(x)))
        return mixed


class _Attention(nn.Module):
    """Attention with relative positions along rows and columns: (B, w, w, dim) -> (B, w, w, dim)."""

    def __init__(self, dim: int, heads: int, side: int) -> None:
        super().__init__()
        self._heads = heads
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * side - 1, dim // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * side - 1, dim // heads))
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        batch, side = x.shape[:2]
        heads = self.qkv(x).reshape(batch, side * side, 3, self._heads, -1).permute(2, 3, 0, 1, 4)
        rows, columns = _apart(self.rel_pos_h, side), _apart(self.rel_pos_w, side)
        # Head by head: the positions' terms of all heads together would take 0.8 GB at 1024 x 1024 pixels.
        mixed = [_attend_head(q, k, v, rows, columns) for q, k, v in zip(*heads, strict=True)]
        out: Tensor = self.proj(torch.cat(mixed, dim=2).unflatten(1, (side, side)))
        return out


def _attend_head(q: Tensor, k: Tensor, v: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """One head: (B, N, d) each, and (w, w, d) of rows and columns -> (B, N, d)."""
    side = rows.shape[0]
    grid = q.unflatten(1, (side, side))
    by_row = torch.einsum("bijc,ikc->bijk", grid, rows)
    by_column = torch.einsum("bijc,jkc->bijk", grid, columns)
    bias = (by_row[..., :, None] + by_column[..., None, :]).flatten(3).flatten(1, 2)  # (B, N, N)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def _apart(table: Tensor, side: int) -> Tensor:
    """Entry of every distance between two of `side` places: (2 side - 1, d) -> (side, side, d)."""
    places = torch.arange(side, device=table.device)
    return table[places[:, None] - places + side - 1]


def _to_windows(x: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Cut (B, g, g, dim) into windows (B * n * n, w, w, dim), zeros at the far sides; and the padded form."""
    side = x.shape[1]
    more = -side % window
    padded = F.pad(x, (0, 0, 0, more, 0, more))
    count = padded.shape[1] // window
    parts = padded.reshape(len(x), count, window, count, window, -1).transpose(2, 3)
    return parts.reshape(-1, window, window, x.shape[3]), padded


def _from_windows(windows: Tensor, padded: Tensor) -> Tensor:
    """Put windows back into the shape of what they were cut from."""
    window, (batch, side, _, dim) = windows.shape[1], padded.shape
    count = side // window
    return windows.reshape(batch, count, count, window, window, dim).transpose(2, 3).reshape(padded.shape)
