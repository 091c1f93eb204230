"""LightM-UNet's Mamba layer for inference on a CPU: norms and products in compiled loops around the scan.

Letters as in `mamba`. Plain torch spends most of the time of a layer with few channels on moving memory and
on thin matrix products; here a piece of the sequence is done by a loop before the scan, the scan, and a loop
after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._quick import channels_last
from ._scan_types import ScanInputs
from ._threads import run_together

__all__ = ["QuickMambaLayer"]

_QUAD = 4  # rows that a product makes at once
_PIECE_NUMBERS = 1 << 19  # of one tensor of a piece: 2 MB


class QuickMambaLayer(nn.Module):
    """Norm, Mamba, scaled skip, norm, linear: (B, C, *S) -> (B, C', *S), channels last.

    Parameters
    ----------
    layer : nn.Module
        The layer of `lightm_unet` whose weights it takes.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self._branch = layer.mamba._branch("")
        self._decay = -torch.exp(self._branch.A_log)
        self._weights = _Weights.of(layer, self._branch)
        self._rank, self._states = layer.mamba.dt_rank, layer.mamba.d_state
        self._inner, self._channels_out = layer.mamba.d_inner, layer.proj.out_features
        self._eps, self._skip = np.float32(layer.norm.eps), np.float32(float(layer.skip_scale))

    def forward(self, x: Tensor) -> Tensor:
        image = channels_last(x).movedim(1, -1)
        out = image.new_empty(*image.shape[:-1], self._channels_out)
        for tokens, result in zip(image.flatten(1, -2), out.flatten(1, -2), strict=True):
            self._mix(tokens, result)
        return out.movedim(-1, 1)

    def _mix(self, tokens: Tensor, result: Tensor) -> None:
        """Mix one sequence, piece by piece: (L, C) into (L, C')."""
        from ._quick_mamba_kernels import BLOCK, LayerAddresses, PieceAddresses, after, before

        length, inner = len(tokens), self._inner
        mixed = self._rank + 2 * self._states
        taps = self._branch.conv1d.kernel_size[0]
        sizes = tokens.shape[1], inner, self._rank, mixed, taps, self._channels_out
        layer = LayerAddresses(*sizes, self._eps, self._skip, *_addresses(self._weights))
        longest = max(_PIECE_NUMBERS // inner // BLOCK, 8) * BLOCK
        row = min(longest, -(-length // BLOCK) * BLOCK)
        rows = [inner, inner, inner, mixed, inner]
        room = [tokens.new_empty(_padded(count), row) for count in rows]
        carry: Tensor | None = None
        for start in range(0, length, longest):
            count = min(longest, length - start)
            piece = PieceAddresses(
                tokens.data_ptr(), result.data_ptr(), start, count, 4 * row, *_addresses(room)
            )
            _share(before, layer, piece)
            held = [part[None, :size, :count] for part, size in zip(room, rows, strict=True)]
            carry = self._scan(held, carry)
            _share(after, layer, piece)

    def _scan(self, room: list[Tensor], carry: Tensor | None) -> Tensor:
        """Scan a piece on from the state of the one before, and return the state that it ends with."""
        from ._scan_cpu import cpu_scan_on

        u, z, delta, mixed, y = room
        B, C = mixed[:, None, self._rank : self._rank + 2 * self._states].chunk(2, dim=2)
        branch = self._branch
        inputs = ScanInputs(u, delta, self._decay, B, C, branch.D, z, branch.dt_proj.bias, True)
        return cpu_scan_on(inputs, carry, y)[1]


class _Weights(NamedTuple):
    """What the kernels read, in their order; products are packed."""

    norm_weight: Tensor
    norm_bias: Tensor
    widen_x: Tensor
    widen_z: Tensor
    conv_weight: Tensor
    conv_bias: Tensor
    mix: Tensor
    delta: Tensor
    narrow: Tensor
    out: Tensor
    out_bias: Tensor

    @classmethod
    def of(cls, layer: Any, branch: Any) -> _Weights:
        """Take them from a layer of `lightm_unet` and the branch of its Mamba block."""
        widen_x, widen_z = layer.mamba.in_proj.weight.chunk(2)
        return cls(
            layer.norm.weight,
            layer.norm.bias,
            _packed(widen_x),
            _packed(widen_z),
            branch.conv1d.weight.contiguous(),
            branch.conv1d.bias,
            _packed(branch.x_proj.weight),
            _packed(branch.dt_proj.weight),
            _packed(layer.mamba.out_proj.weight),
            _packed(layer.proj.weight),
            layer.proj.bias,
        )


def _padded(rows: int) -> int:
    """Rows that a product makes for these."""
    return -(-rows // _QUAD) * _QUAD


def _packed(weight: Tensor) -> Tensor:
    """Lay (E, C) out as the products read it: (E / 4, C, 4), with rows of zeros where 4 does not divide E."""
    padded = F.pad(weight.detach(), (0, 0, 0, _padded(len(weight)) - len(weight)))
    return padded.unflatten(0, (-1, _QUAD)).transpose(1, 2).contiguous()


def _addresses(tensors: Iterable[Tensor]) -> list[int]:
    return [tensor.data_ptr() for tensor in tensors]


def _share(kernel: Any, layer: Any, piece: Any) -> None:
    """Run a kernel on all threads; they claim blocks from one counter."""
    counter = np.zeros(1, np.int64)
    run_together(lambda: kernel(np.float32(0), counter.ctypes.data, layer, piece), torch.get_num_threads())
