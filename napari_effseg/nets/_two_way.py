"""SAM's two-way transformer: tokens look at the image, and the image at the tokens.

References
----------
Kirillov et al., Segment Anything, arXiv:2304.02643, appendix A; layout of facebookresearch/segment-anything
``modeling/transformer.py``. The pooling branches are those that HRMedSeg's paper (arXiv:2504.06205)
describes and its released code has commented out.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["TwoWayTransformer"]

_POOLS = (5, 9, 13)  # of the image in each layer
_FINAL_POOL = 7


class TwoWayTransformer(nn.Module):
    """Attend between tokens and an image.

    Parameters
    ----------
    depth : int
        Layers.
    width : int
    heads : int
    mlp_dim : int
        Channels inside the tokens' perceptrons.
    multiscale : bool
        Whether the image is pooled at several scales on the way; needs no weights of its own.
    """

    def __init__(self, depth: int, width: int, heads: int, mlp_dim: int, multiscale: bool) -> None:
        super().__init__()
        self._multiscale = multiscale
        self.layers = nn.ModuleList(
            _TwoWayLayer(width, heads, mlp_dim, first=number == 0, multiscale=multiscale)
            for number in range(depth)
        )
        self.final_attn_token_to_image = _Attention(width, heads, 2)
        self.norm_final_attn = nn.LayerNorm(width)

    def forward(self, image: Tensor, positions: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens and image after all layers.

        Parameters
        ----------
        image : Tensor, shape (P, W, g, g)
        positions : Tensor, shape (1, W, g, g)
        tokens : Tensor, shape (P, t, W)
            Their own values are their positions.

        Returns
        -------
        tokens : Tensor, shape (P, t, W)
        image : Tensor, shape (P, W, g, g)
        """
        grid = image.shape[2:]
        i, ip = image.flatten(2).transpose(1, 2), positions.flatten(2).transpose(1, 2)
        t, tp = tokens, tokens
        for layer in self.layers:
            t, i = layer(t, i, tp, ip, grid)
        key = i + ip
        if self._multiscale:
            key = key + _pooled(i, grid, (_FINAL_POOL,))
        t = self.norm_final_attn(t + self.final_attn_token_to_image(t + tp, key, i))
        return t, i.transpose(1, 2).unflatten(2, grid)


class _TwoWayLayer(nn.Module):
    """Tokens among themselves, tokens to image, perceptron, image to tokens."""

    def __init__(self, width: int, heads: int, mlp_dim: int, first: bool, multiscale: bool) -> None:
        super().__init__()
        self._first, self._multiscale = first, multiscale
        self.self_attn = _Attention(width, heads, 1)
        self.norm1 = nn.LayerNorm(width)
        self.cross_attn_token_to_image = _Attention(width, heads, 2)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = _Mlp(width, mlp_dim)
        self.norm3 = nn.LayerNorm(width)
        self.norm4 = nn.LayerNorm(width)
        self.cross_attn_image_to_token = _Attention(width, heads, 2)

    def forward(
        self, t: Tensor, i: Tensor, tp: Tensor, ip: Tensor, grid: tuple[int, ...]
    ) -> tuple[Tensor, Tensor]:
        if self._first:  # without positions, and nothing is added to
            t = self.norm1(self.self_attn(t, t, t))
        else:
            t = self.norm1(t + self.self_attn(t + tp, t + tp, t))
        key = i + ip
        if self._multiscale:
            i = i + _pooled(i, grid, _POOLS)
        t = self.norm2(t + self.cross_attn_token_to_image(t + tp, key, i))
        t = self.norm3(t + self.mlp(t))
        i = self.norm4(i + self.cross_attn_image_to_token(i + ip, t + tp, t))
        return t, i


class _Mlp(nn.Module):
    """A perceptron on each token."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(width, hidden)
        self.lin2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.lin2(F.relu(self.lin1(x)))
        return mixed


class _Attention(nn.Module):
    """Attention whose inner width is `width` divided by `narrowing`."""

    def __init__(self, width: int, heads: int, narrowing: int) -> None:
        super().__init__()
        self._heads = heads
        inner = width // narrowing
        self.q_proj = nn.Linear(width, inner)
        self.k_proj = nn.Linear(width, inner)
        self.v_proj = nn.Linear(width, inner)
        self.out_proj = nn.Linear(inner, width)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        queries, keys, values = (
            projected.unflatten(2, (self._heads, -1)).transpose(1, 2)
            for projected in (self.q_proj(q), self.k_proj(k), self.v_proj(v))
        )  # (P, h, n, inner / h)
        mixed = F.scaled_dot_product_attention(queries, keys, values)
        attended: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return attended


def _pooled(i: Tensor, grid: tuple[int, ...], sizes: tuple[int, ...]) -> Tensor:
    """Sum over sizes of the mean around each place, less the place itself: (P, g * g, W)."""
    image = i.transpose(1, 2).unflatten(2, grid)
    means = [
        F.avg_pool2d(image, size, stride=1, padding=size // 2, count_include_pad=False) - image
        for size in sizes
    ]
    return sum(means[1:], means[0]).flatten(2).transpose(1, 2)
