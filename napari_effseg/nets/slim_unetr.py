"""Slim UNETR: a U-shaped network of light hybrid blocks, 1.8 M parameters for a brain at 128^3.

Glossary: c channels at a level, E embed_dim channels at the deepest one, T tokens (its voxels),
r stride of the sub-sampled attention, h heads, d = c / h channels a head.

References
----------
Pang et al., Slim UNETR: Scale Hybrid Transformers to Efficient 3D Medical Image Segmentation Under Limited
Computational Resources, IEEE TMI 2023, doi 10.1109/TMI.2023.3326188. Follows the released code
(aigzhusmart/Slim-UNETR), whose quirks its weights depend on: attention without scaling, tokens
reinterpreted as an image without being transposed, a group norm on the logits. State dicts load strictly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._depthwise import depthwise_conv
from ._quick_slim import QuickSlimBlock

__all__ = ["SlimUNETR", "SlimUNETRConfig"]

_STRIDES = (4, 2, 2, 2)
_EXPANSION = 4  # of the pointwise perceptrons


@dataclass(frozen=True)
class SlimUNETRConfig:
    """Constructor arguments of `SlimUNETR`, with the released defaults (BraTS).

    Attributes
    ----------
    in_channels, out_channels : int
        Channels of the image and of the logits.
    embed_dim : int
        Channels at the deepest level.
    embedding_dim : int
        Number of tokens there: the voxels of the input divided by 32^3.
    channels : (int, int, int)
        Channels of the three levels above.
    blocks, heads, r : (int, int, int, int)
        Slim blocks, attention heads and attention stride of each level, from fine to deep.
    dropout : float
        Of the tokens, in training only.
    """

    in_channels: int = 4
    out_channels: int = 3
    embed_dim: int = 96
    embedding_dim: int = 64
    channels: tuple[int, ...] = (24, 48, 60)
    blocks: tuple[int, ...] = (1, 2, 3, 2)
    heads: tuple[int, ...] = (1, 2, 4, 4)
    r: tuple[int, ...] = (4, 2, 2, 1)
    dropout: float = 0.3

    def __post_init__(self) -> None:
        for name, count in (("channels", 3), ("blocks", 4), ("heads", 4), ("r", 4)):
            values = tuple(getattr(self, name))
            object.__setattr__(self, name, values)
            if len(values) != count or min(values) < 1:
                raise ValueError(f"{name} is {values}; expected {count} numbers of at least 1")
        if min(self.in_channels, self.out_channels, self.embedding_dim) < 1:
            raise ValueError("in_channels, out_channels and embedding_dim must be at least 1")
        for width, heads in zip(self.widths, self.heads, strict=True):
            if width % heads:
                raise ValueError(f"{heads} heads do not divide {width} channels")

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the four levels."""
        return (*self.channels, self.embed_dim)

    @property
    def multiple_of(self) -> int:
        """Every spatial size must be a multiple of this; their product is bound to the number of tokens."""
        strides = [math.prod(_STRIDES[: level + 1]) for level in range(4)]
        return math.lcm(strides[-1], *(stride * r for stride, r in zip(strides, self.r, strict=True)))


class SlimUNETR(nn.Module):
    """Slim UNETR: (B, in_channels, I, J, K) -> logits (B, out_channels, I, J, K).

    Parameters
    ----------
    config : SlimUNETRConfig

    Raises
    ------
    ValueError
        In `forward`, if a size is not a multiple of ``config.multiple_of``, or the volume does not have
        ``config.embedding_dim`` tokens.

    Notes
    -----
    The logits are normalised over a whole window, so they depend on everything in it.
    """

    def __init__(self, config: SlimUNETRConfig) -> None:
        super().__init__()
        self.config = config
        self.Encoder = _Encoder(config)
        self.Decoder = _Decoder(config)

    def forward(self, x: Tensor) -> Tensor:
        """Segment a batch of volumes.

        Parameters
        ----------
        x : Tensor, shape (B, in_channels, I, J, K)

        Returns
        -------
        Tensor, shape (B, out_channels, I, J, K)
            Logits.
        """
        self._check_size(x)
        tokens, skips = self.Encoder(x)
        grid = [size // 32 for size in x.shape[2:]]
        logits: Tensor = self.Decoder(tokens, skips, grid)
        return logits

    def _check_size(self, x: Tensor) -> None:
        multiple, tokens = self.config.multiple_of, self.config.embedding_dim
        if x.ndim != 5 or any(size % multiple for size in x.shape[2:]):
            raise ValueError(
                f"input of shape {tuple(x.shape)}; expected (B, {self.config.in_channels}, three spatial "
                f"sizes that are multiples of {multiple})"
            )
        if math.prod(x.shape[2:]) != tokens * 32**3:
            raise ValueError(
                f"input of {' x '.join(map(str, x.shape[2:]))} voxels; this network takes {tokens} blocks of "
                "32 x 32 x 32 voxels in any arrangement, no more and no less"
            )


class _Encoder(nn.Module):
    """Halve the volume level by level; returns tokens (B, T, E) and the three finer levels."""

    def __init__(self, config: SlimUNETRConfig) -> None:
        super().__init__()
        self.position_embeddings = nn.Parameter(torch.zeros(1, config.embedding_dim, config.embed_dim))
        widths = (config.in_channels, *config.widths)
        for level, stride in enumerate(_STRIDES):
            self.add_module(f"DWconv{level + 1}", _Down(widths[level], widths[level + 1], stride))
        _add_blocks(self, config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        levels = []
        for level in range(1, 5):
            x = self.get_submodule(f"DWconv{level}")(x)
            x = self.get_submodule(f"block{level}")(x)  # (B, c, I / stride, ...)
            levels.append(x)
        tokens = x.flatten(2).transpose(1, 2) + self.position_embeddings  # (B, T, E)
        return self.dropout(tokens), levels[:3]


class _Decoder(nn.Module):
    """Double the volume level by level, adding what the encoder kept."""

    def __init__(self, config: SlimUNETRConfig) -> None:
        super().__init__()
        c1, c2, c3, deepest = config.widths
        self.SegHead = _Up(c1, config.out_channels, _STRIDES[0])
        self.TSconv3 = _Up(c2, c1, 2)
        self.TSconv2 = _Up(c3, c2, 2)
        self.TSconv1 = _Up(deepest, c3, 2)
        _add_blocks(self, config)

    def forward(self, tokens: Tensor, skips: list[Tensor], grid: list[int]) -> Tensor:
        batch, _, width = tokens.shape
        # The memory of (B, T, E) is read as (B, E, I, J, K): released weights have adapted to this mix-up.
        x = self.get_submodule("block4")(tokens.reshape(batch, width, *grid))
        for step, level in enumerate((3, 2, 1), start=1):
            x = self.get_submodule(f"TSconv{step}")(x) + skips[level - 1]
            x = self.get_submodule(f"block{level}")(x)
        logits: Tensor = self.SegHead(x)
        return logits


def _add_blocks(parent: nn.Module, config: SlimUNETRConfig) -> None:
    """Add ``block1`` to ``block4``, which encoder and decoder have alike."""
    levels = zip(config.widths, config.blocks, config.r, config.heads, strict=True)
    for level, (width, blocks, r, heads) in enumerate(levels, start=1):
        parent.add_module(
            f"block{level}", nn.Sequential(*(_SlimBlock(width, r, heads) for _ in range(blocks)))
        )


class _Down(nn.Module):
    """A strided convolution and a norm over all channels; dense, whatever its name in the state dict says."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.depth_wise = nn.Conv3d(channels_in, channels_out, stride, stride)
        self.norm = nn.GroupNorm(1, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = self.norm(self.depth_wise(x))
        return normed


class _Up(nn.Module):
    """A transposed convolution and a norm over all channels."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.transposed = nn.ConvTranspose3d(channels_in, channels_out, stride, stride)
        self.norm = nn.GroupNorm(1, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = self.norm(self.transposed(x))
        return normed


class _SlimBlock(nn.Module):
    """Local convolution, perceptron, sub-sampled attention, perceptron, each with a residual."""

    def __init__(self, channels: int, r: int, heads: int) -> None:
        super().__init__()
        self.patch1 = _Position(channels)
        self.LocalRC = _LocalConvolution(channels)
        self.LineConv1 = _Perceptron(channels)
        self.patch2 = _Position(channels)
        self.GlobalST = _SparseAttention(channels, r, heads)
        self.LocalRD = _LocalSpread(channels, r)
        self.LineConv2 = _Perceptron(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.patch1(x)
        x = x + self.LocalRC(x)
        x = x + self.LineConv1(x)
        x = x + self.patch2(x)
        x = x + self.LocalRD(self.GlobalST(x))
        x = x + self.LineConv2(x)
        return x

    def inference_form(self) -> nn.Module:
        """Return the quick block of the same weights."""
        return QuickSlimBlock(self)


class _Position(nn.Module):
    """A depthwise convolution that tells voxels their surroundings."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.positional_encoding = nn.Conv3d(channels, channels, 3, padding=1, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return depthwise_conv(x, self.positional_encoding.weight, None)


class _LocalConvolution(nn.Module):
    """Norm, 1x1, depthwise 3x3x3, norm, 1x1; no activation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm3d(channels)
        self.pointwise_conv_0 = nn.Conv3d(channels, channels, 1, bias=False)
        self.depthwise_conv = nn.Conv3d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn2 = nn.BatchNorm3d(channels)
        self.pointwise_conv_1 = nn.Conv3d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pointwise_conv_0(self.bn1(x))
        x = self.bn2(depthwise_conv(x, self.depthwise_conv.weight, None))
        mixed: Tensor = self.pointwise_conv_1(x)
        return mixed


class _Perceptron(nn.Module):
    """A perceptron at every voxel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.line_conv_0 = nn.Conv3d(channels, _EXPANSION * channels, 1, bias=False)
        self.line_conv_1 = nn.Conv3d(_EXPANSION * channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.line_conv_1(F.gelu(self.line_conv_0(x)))
        return mixed


class _SparseAttention(nn.Module):
    """Attention among every r-th voxel: (B, c, I, J, K) -> (B, c, I / r, J / r, K / r)."""

    def __init__(self, channels: int, r: int, heads: int) -> None:
        super().__init__()
        self.r, self.heads = r, heads
        self.qkv = nn.Conv3d(channels, 3 * channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.r, :: self.r, :: self.r]
        grid = x.shape[2:]
        heads = self.qkv(x).flatten(2).unflatten(1, (self.heads, -1))  # (B, h, 3 d, tokens)
        q, k, v = heads.transpose(2, 3).chunk(3, dim=3)  # (B, h, tokens, d)
        out = F.scaled_dot_product_attention(q, k, v, scale=1.0)  # the released code never scales
        return out.transpose(2, 3).flatten(1, 2).unflatten(2, grid)


class _LocalSpread(nn.Module):
    """Give each attended voxel's answer to its neighbourhood: (B, c, I / r, ...) -> (B, c, I, ...)."""

    def __init__(self, channels: int, r: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)
        self.conv_trans = nn.ConvTranspose3d(channels, channels, r, r, groups=channels)
        self.pointwise_conv = nn.Conv3d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        spread: Tensor = self.pointwise_conv(self.norm(self.conv_trans(x)))
        return spread
