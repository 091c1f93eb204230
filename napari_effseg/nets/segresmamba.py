"""SegResMamba: a convolutional U-Net whose blocks mix voxels in three orientations with Mamba.

Glossary: f first filters, c channels at a level, L tokens (voxels of a block's inner grid, row-major).

References
----------
Das et al., SegResMamba: An Efficient Architecture for 3D Medical Image Segmentation, arXiv:2503.07766.
Written from the paper and from what the released code computes; its state dicts load strictly. The released
forward never calls the Mamba layers that it builds (``use_mamba=False``); the paper's figure does
(``use_mamba=True``, the default here). The released decoder is a whole SegResNet of which only the way up is
used: ``slim=True`` leaves out what takes no part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from ._blocks import VoxelPerceptron, instance_norm, norm_relu
from .mamba import Mamba

__all__ = ["SegResMamba", "SegResMambaConfig"]

_LEVELS = 4
_SLICES = 4  # at every level, as released; a block's padded token count is a multiple of 8
_UNUSED_CHANNELS = 4  # in and out of the decoder's own stem and head
_UNUSED_BLOCKS = (1, 2, 2, 4)


@dataclass(frozen=True)
class SegResMambaConfig:
    """Constructor arguments of `SegResMamba`, with the released class defaults.

    Attributes
    ----------
    in_chans, out_chans : int
        Channels of the image and of the logits.
    feat_size : (int, int, int, int)
        Channels of the four levels, each twice the one before.
    depths, drop_path_rate, layer_scale_init_value, hidden_size, norm_name, conv_block, res_block
        Arguments of the released constructor that have no effect there either.
    spatial_dims : 3
    decoder_init_filters : int or None
        Channels of the finest level of the decoder; None: ``feat_size[0]``, the only value that fits.
    decoder_group_norm_groups : int
    use_mamba : bool
        Whether the Mamba layers are called: True as in the paper, False as in the released code.
    slim : bool
        Leave out the weights that take no part; official state dicts load all the same.
    """

    in_chans: int = 1
    out_chans: int = 13
    depths: tuple[int, ...] = (2, 2, 2, 2)
    feat_size: tuple[int, ...] = (48, 96, 192, 384)
    drop_path_rate: float = 0.0
    layer_scale_init_value: float = 1e-6
    hidden_size: int = 768
    norm_name: str = "instance"
    conv_block: bool = True
    res_block: bool = True
    spatial_dims: int = 3
    decoder_init_filters: int | None = None
    decoder_group_norm_groups: int = 8
    use_mamba: bool = True
    slim: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "depths", tuple(self.depths))
        object.__setattr__(self, "feat_size", tuple(self.feat_size))
        if min(self.in_chans, self.out_chans) < 1:
            raise ValueError("in_chans and out_chans must be at least 1")
        f = self.feat_size[0] if self.feat_size else 0
        if f < 1 or self.feat_size != tuple(f * 2**level for level in range(_LEVELS)):
            raise ValueError(
                f"feat_size is {self.feat_size}; expected four numbers, each twice the one before"
            )
        if self.decoder_init_filters not in (None, f):
            raise ValueError(f"decoder_init_filters is {self.decoder_init_filters}; feat_size asks for {f}")
        if self.decoder_group_norm_groups < 1 or f % self.decoder_group_norm_groups:
            raise ValueError(f"{self.decoder_group_norm_groups} groups of norms do not divide {f} channels")
        if self.spatial_dims != 3:
            raise ValueError(f"spatial_dims is {self.spatial_dims}; this network is three-dimensional")

    @property
    def multiple_of(self) -> int:
        """Every spatial size should be a multiple of this; one less works too and comes back one larger."""
        return 16


class SegResMamba(nn.Module):
    """SegResMamba: (B, in_chans, I, J, K) -> logits (B, out_chans, I, J, K).

    Parameters
    ----------
    config : SegResMambaConfig

    Raises
    ------
    ValueError
        In `forward`, if a size is neither a multiple of 16 nor one less, or all are below 33.
    """

    def __init__(self, config: SegResMambaConfig) -> None:
        super().__init__()
        self.config = config
        f, groups = config.feat_size[0], config.decoder_group_norm_groups
        with_mamba = config.use_mamba or not config.slim
        self.vit = _Encoder(config, with_mamba)
        self.segresnet = _Decoder(f, groups, whole=not config.slim)
        self.out = nn.ConvTranspose3d(f, config.out_chans, 2, 2)
        if config.slim:
            self.register_load_state_dict_pre_hook(_forget_unused)

    def forward(self, x: Tensor) -> Tensor:
        """Segment a batch of volumes.

        Parameters
        ----------
        x : Tensor, shape (B, in_chans, I, J, K)

        Returns
        -------
        Tensor, shape (B, out_chans, I, J, K)
            Logits; a side that is one less than a multiple of 16 comes back one larger.
        """
        self._check_size(x)
        logits: Tensor = self.out(self.segresnet(self.vit(x)))
        return logits

    def _check_size(self, x: Tensor) -> None:
        if x.ndim != 5 or any((size + 1) // 2 % 8 for size in x.shape[2:]):
            raise ValueError(
                f"input of shape {tuple(x.shape)}; expected (B, {self.config.in_chans}, three spatial sizes "
                "that are multiples of 16)"
            )
        if math.prod((size + 31) // 32 for size in x.shape[2:]) == 1:
            raise ValueError(
                f"input of {' x '.join(map(str, x.shape[2:]))} voxels; the deepest level would be one voxel, "
                "which has no mean and spread: one size must be at least 48"
            )


def _forget_unused(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Drop from an official state dict, a copy by now, the weights that a slim network does without."""
    parts = ["segresnet.convInit.", "segresnet.down_layers.", "segresnet.conv_final."]
    for name in [name for name in state if name.startswith(tuple(prefix + part for part in parts))]:
        del state[name]
    if not getattr(module.config, "use_mamba", True):
        for name in [name for name in state if ".mamba_layer." in name and name.startswith(prefix + "vit.")]:
            del state[name]


class _Encoder(nn.Module):
    """Four levels, the finest at half the size; returns one branch of each for the decoder."""

    def __init__(self, config: SegResMambaConfig, with_mamba: bool) -> None:
        super().__init__()
        widths = config.feat_size
        stem = nn.Sequential(nn.Conv3d(config.in_chans, widths[0], 7, 2, 3))
        downs = (_halve(c) for c in widths[:-1])
        self.downsample_layers = nn.ModuleList([stem, *downs])
        self.stages = nn.ModuleList(nn.Sequential(nn.Conv3d(c, c, 3, padding=1)) for c in widths)
        self.gscs = nn.ModuleList(_Block(c, with_mamba, config.use_mamba) for c in widths)
        self.mlps = nn.ModuleList(VoxelPerceptron(c) for c in widths)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the levels' branches, the finest first: (B, f * 2^i, I / 2^(i+1), ...)."""
        branches = []
        for down, block, stage, mlp in zip(
            self.downsample_layers, self.gscs, self.stages, self.mlps, strict=True
        ):
            x = stage(block(down(x)))
            branches.append(mlp(instance_norm(x)))
        return branches


def _halve(channels: int) -> nn.Sequential:
    """Halve the size and double the channels; norms without weights, no activation."""
    return nn.Sequential(
        nn.InstanceNorm3d(channels),
        nn.Conv3d(channels, channels, 3, padding=1),
        nn.InstanceNorm3d(channels),
        nn.Conv3d(channels, 2 * channels, 2, 2),
    )


class _Block(nn.Module):
    """Mix at half the size, with Mamba where it is used, and add: (B, c, *S) -> (B, c, *S)."""

    def __init__(self, channels: int, with_mamba: bool, use_mamba: bool) -> None:
        super().__init__()
        self._use_mamba = use_mamba
        self.proj = nn.Conv3d(channels, channels, 5, 2, 2)
        self.proj3 = nn.Conv3d(channels, channels, 3, padding=1)
        if with_mamba:
            self.mamba_layer = _MambaLayer(channels)
        self.proj4 = nn.Conv3d(channels, channels, 3, padding=1)
        self.proj5 = nn.ConvTranspose3d(channels, channels, 5, 2, 2, output_padding=1)

    def forward(self, x: Tensor) -> Tensor:
        inner = norm_relu(self.proj(x))  # (B, c, ceil(S / 2))
        inner = norm_relu(self.proj3(inner))
        if self._use_mamba:
            inner = self._mix(inner)
        inner = norm_relu(self.proj4(inner))
        inner = norm_relu(self.proj5(inner))  # (B, c, 2 ceil(S / 2))
        extra = [wide - size for wide, size in zip(inner.shape[2:], x.shape[2:], strict=True)]
        return x + inner[:, :, extra[0] :, extra[1] :, extra[2] :]  # the first voxel goes, as released

    def _mix(self, inner: Tensor) -> Tensor:
        """Call the Mamba layer on a grid of even sizes; the voxels of the padding are tokens like others."""
        i, j, k = inner.shape[2:]
        padded = F.pad(inner, (0, k % 2, 0, j % 2, 0, i % 2))
        mixed: Tensor = self.mamba_layer(padded)
        return mixed[:, :, :i, :j, :k]


class _MambaLayer(nn.Module):
    """A norm and Mamba in three orientations over the voxels as one sequence; no residual inside."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.mamba = Mamba(channels, bimamba_type="v3", nslices=_SLICES)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)  # (B, L, c)
        mixed: Tensor = self.mamba(self.norm(tokens))
        return mixed.transpose(1, 2).unflatten(2, x.shape[2:])


class _Decoder(nn.Module):
    """The way up of a SegResNet; `whole` adds the parts that the released code builds and never uses."""

    def __init__(self, f: int, groups: int, whole: bool) -> None:
        super().__init__()
        if whole:
            self.convInit = _Conv(_UNUSED_CHANNELS, f, 3)
            self.down_layers = nn.ModuleList(
                _unused_level(f * 2**level, groups, blocks, first=level == 0)
                for level, blocks in enumerate(_UNUSED_BLOCKS)
            )
        widths = [f * 2**level for level in range(_LEVELS - 2, -1, -1)]  # 4 f, 2 f, f
        self.up_layers = nn.ModuleList(nn.Sequential(_ResBlock(c, groups)) for c in widths)
        self.up_samples = nn.ModuleList(nn.Sequential(_Conv(2 * c, c, 1)) for c in widths)
        if whole:
            self.conv_final = nn.Sequential(
                nn.GroupNorm(groups, f), nn.ReLU(), _Conv(f, _UNUSED_CHANNELS, 1, bias=True)
            )

    def forward(self, branches: list[Tensor]) -> Tensor:
        x = branches[-1]
        for squeeze, block, branch in zip(self.up_samples, self.up_layers, branches[-2::-1], strict=True):
            doubled = F.interpolate(squeeze(x), scale_factor=2.0, mode="trilinear", align_corners=False)
            x = block(doubled + branch)
        return x


class _Conv(nn.Module):
    """A convolution under the name ``conv`` that the released state dicts use."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, bias: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Conv3d(channels_in, channels_out, kernel, stride, kernel // 2, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        convolved: Tensor = self.conv(x)
        return convolved


class _ResBlock(nn.Module):
    """Two normalised convolutions and a residual."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels)
        self.norm2 = nn.GroupNorm(groups, channels)
        self.conv1 = _Conv(channels, channels, 3)
        self.conv2 = _Conv(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv1(norm_relu(x, self.norm1))
        added: Tensor = x + self.conv2(norm_relu(inner, self.norm2))
        return added


def _unused_level(channels: int, groups: int, blocks: int, first: bool) -> nn.Sequential:
    down = nn.Identity() if first else _Conv(channels // 2, channels, 3, stride=2)
    return nn.Sequential(down, *(_ResBlock(channels, groups) for _ in range(blocks)))
