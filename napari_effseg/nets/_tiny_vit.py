"""MobileSAM's image encoder: TinyViT, convolutions first, then attention within windows.

Glossary: g patches a side at a level, N = g * g tokens, h heads, d channels a head, w side of a window.

References
----------
Zhang et al., Faster Segment Anything, arXiv:2306.14289; Wu et al., TinyViT, arXiv:2207.10666. Layout of
ChaoningZhang/MobileSAM ``modeling/tiny_vit_sam.py``, whose state dicts load strictly: its classification
head is kept for its keys and never used.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._blocks import LayerNorm2d, MBConv, NormedConv
from ._quick import QuickPerceptron

__all__ = ["TinyViT"]

_WIDTHS = (64, 128, 160, 320)
_DEPTHS = (2, 2, 6, 2)
_HEADS = (2, 4, 5, 10)  # the first level is convolutional: its entry has no effect
_WINDOWS = (7, 7, 14, 7)
_STRIDES = (2, 2, 1)  # between the levels: the last two are of one size
_EXPANSION = 4
_CLASSES = 1000  # of the unused head


class TinyViT(nn.Module):
    """Image encoder: (B, 3, S, S) -> (B, width, S / 16, S / 16).

    Parameters
    ----------
    width : int
        Channels of the embedding.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.patch_embed = _PatchEmbedding(_WIDTHS[0])
        self.layers = nn.ModuleList()
        for level, (c, depth, heads, window) in enumerate(
            zip(_WIDTHS, _DEPTHS, _HEADS, _WINDOWS, strict=True)
        ):
            blocks: list[nn.Module] = [
                MBConv(c, _EXPANSION) if level == 0 else _Block(c, heads, window) for _ in range(depth)
            ]
            last = level == len(_WIDTHS) - 1
            self.layers.append(
                _Level(blocks, None if last else _Merging(c, _WIDTHS[level + 1], _STRIDES[level]))
            )
        self.norm_head = nn.LayerNorm(_WIDTHS[-1])
        self.head = nn.Linear(_WIDTHS[-1], _CLASSES)
        self.neck = nn.Sequential(
            nn.Conv2d(_WIDTHS[-1], width, 1, bias=False),
            LayerNorm2d(width),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            LayerNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x)  # (B, 64, S / 4, S / 4)
        for layer in self.layers:
            x = layer(x)
        embedding: Tensor = self.neck(x)
        return embedding


class _PatchEmbedding(nn.Module):
    """A quarter of the size, in two strided convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(
            NormedConv(3, channels // 2, 3, 2), nn.GELU(), NormedConv(channels // 2, channels, 3, 2)
        )

    def forward(self, x: Tensor) -> Tensor:
        embedded: Tensor = self.seq(x)
        return embedded


class _Level(nn.Module):
    """Blocks of one size, and the step to the next: (B, c, g, g) -> (B, c', g', g')."""

    def __init__(self, blocks: Iterable[nn.Module], downsample: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        if downsample is not None:
            self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.downsample(x) if hasattr(self, "downsample") else x


class _Merging(nn.Module):
    """Change the channels and, with a stride of 2, halve the size."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = NormedConv(channels_in, channels_out, 1)
        self.conv2 = NormedConv(channels_out, channels_out, 3, stride, groups=channels_out)
        self.conv3 = NormedConv(channels_out, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        merged: Tensor = self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))
        return merged


class _Block(nn.Module):
    """Attention within windows, a local convolution, a perceptron: (B, c, g, g) -> (B, c, g, g)."""

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self._window = window
        self.attn = _Attention(channels, heads, window)
        self.mlp = _Mlp(channels)
        self.local_conv = NormedConv(channels, channels, 3, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.local_conv(x + self._attend(x))
        tokens = x.flatten(2).transpose(1, 2)
        mixed: Tensor = self.mlp(tokens)
        return x + mixed.transpose(1, 2).unflatten(2, x.shape[2:])

    def _attend(self, x: Tensor) -> Tensor:
        """Cut into windows, zeros at the far sides (which take part, as released), attend, put back."""
        batch, channels, side, _ = x.shape
        window = self._window
        more = -side % window
        padded = F.pad(x, (0, more, 0, more))
        count = (side + more) // window
        parts = padded.reshape(batch, channels, count, window, count, window).permute(0, 2, 4, 3, 5, 1)
        attended = self.attn(parts.reshape(-1, window * window, channels))
        back = attended.reshape(batch, count, count, window, window, channels).permute(0, 5, 1, 3, 2, 4)
        return back.reshape(padded.shape)[:, :, :side, :side]


class _Attention(nn.Module):
    """Attention with a learned bias for each distance within a window: (B, N, c) -> (B, N, c)."""

    places: Tensor

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self._heads = heads
        # Distances are numbered in the order in which they appear, row by row from the first place.
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        row, column = torch.arange(window**2) // window, torch.arange(window**2) % window
        places = (row[:, None] - row).abs() * window + (column[:, None] - column).abs()
        self.register_buffer("places", places, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        heads = self.qkv(self.norm(x)).unflatten(2, (self._heads, -1)).transpose(1, 2)  # (B, h, N, 3 d)
        q, k, v = heads.chunk(3, dim=3)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=self.attention_biases[:, self.places])
        out: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return out


class _Mlp(nn.Module):
    """A norm and a perceptron on each token."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.fc1 = nn.Linear(channels, _EXPANSION * channels)
        self.fc2 = nn.Linear(_EXPANSION * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.fc2(F.gelu(self.fc1(self.norm(x))))
        return mixed

    def inference_form(self) -> nn.Module:
        """Return the norm and the quick perceptron of the same weights."""
        return nn.Sequential(self.norm, QuickPerceptron(self.fc1, self.fc2))
