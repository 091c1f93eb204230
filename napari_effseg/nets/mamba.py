"""The Mamba v1 block, plain and with three orientations.

Letters, as in the paper: B batch, L sequence length, C = d_model channels of the block's input,
D = d_inner = expand * C channels inside, N = d_state states a channel, R = dt_rank.

References
----------
Gu and Dao, Mamba: Linear-Time Sequence Modeling with Selective State Spaces, arXiv:2312.00752.
Xing et al., SegMamba, arXiv:2401.13560 (the three orientations, called "v3" in its fork of mamba-ssm).
Parameter names and shapes are those of mamba-ssm's ``Mamba`` module, so its state dicts load strictly.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._depthwise import causal_conv
from .selective_scan import RunningScan, checked_inputs, selective_scan

__all__ = ["Mamba", "MambaPieces"]

_PIECE_NUMBERS = 1 << 19  # of a piece of one tensor inside a block: 2 MB
_LEAST_PIECE = 1024  # tokens
_DT_MIN, _DT_MAX, _DT_FLOOR = 1e-3, 1e-1, 1e-4  # steps at initialisation, paper section 3.6


_ScanArguments = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


class _Branch(NamedTuple):
    """The weights of one scan orientation."""

    A_log: nn.Parameter
    D: nn.Parameter
    conv1d: nn.Conv1d
    x_proj: nn.Linear
    dt_proj: nn.Linear


class Mamba(nn.Module):
    """Mamba v1 block: (B, L, d_model) -> (B, L, d_model).

    Parameters
    ----------
    d_model : int
        Channels of input and output.
    d_state : int
        States a channel.
    d_conv : int
        Kernel size of the causal depthwise convolution.
    expand : int
        ``d_inner = expand * d_model``.
    bimamba_type : {"none", "v3"}
        "v3" scans forward, backward and across slices with weights of their own.
    nslices : int
        Contiguous pieces that the sequence is cut into for the slice orientation ("v3" only);
        the sequence length must be a multiple of it.

    Raises
    ------
    ValueError
        If `bimamba_type` is unknown, or a sequence cannot be cut into `nslices` equal pieces.
    """

    def __init__(
        self,
        d_model: int,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        bimamba_type: Literal["none", "v3"] = "none",
        nslices: int = 5,
    ) -> None:
        super().__init__()
        if bimamba_type not in ("none", "v3"):
            raise ValueError(f'bimamba_type is {bimamba_type!r}; expected "none" or "v3"')
        self.d_model = d_model
        self.d_state = d_state
        self.d_conv = d_conv
        self.d_inner = int(expand * d_model)
        self.dt_rank = math.ceil(d_model / 16)
        self.bimamba_type = bimamba_type
        self.nslices = nslices
        suffixes = ("",) if bimamba_type == "none" else ("", "_b", "_s")
        self._register_states(suffixes)
        self.in_proj = nn.Linear(d_model, 2 * self.d_inner, bias=False)
        for suffix in suffixes:
            self._register_projections(suffix)
        self.out_proj = nn.Linear(self.d_inner, d_model, bias=False)
        self._initialise_dt(self._branch("").dt_proj)

    def forward(self, hidden: Tensor) -> Tensor:
        """Mix a sequence.

        Parameters
        ----------
        hidden : Tensor, shape (B, L, d_model)

        Returns
        -------
        Tensor, shape (B, L, d_model)
        """
        x, z = self._project(hidden)
        mixed = self._scan(x, z, "")
        if self.bimamba_type == "v3":
            mixed = mixed + self._scan(x.flip(-1), z.flip(-1), "_b").flip(-1) + self._scan_slices(x, z)
        return self.out_proj(mixed.transpose(1, 2))

    def pieces(self, hidden: Tensor) -> MambaPieces | None:
        """Return the block as a function of consecutive pieces of a sequence like `hidden`.

        None where that cannot be, or would not pay: with gradients, off the CPU, with three orientations, or
        where the sequence is short. In pieces everything between input and output stays in the caches, and
        memory does not grow with the sequence.
        """
        length = max(_LEAST_PIECE, _PIECE_NUMBERS // self.d_inner)
        if self.bimamba_type != "none" or hidden.shape[1] <= length or not RunningScan.can_run(hidden):
            return None
        return MambaPieces(self, length)

    def _project(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Make the sequence x and its gate z: (B, L, C) -> two (B, D, L), channel after channel in memory."""
        tokens = hidden.transpose(1, 2)
        weight_x, weight_z = self.in_proj.weight.chunk(2)
        return _mix_channels(weight_x, tokens), _mix_channels(weight_z, tokens)

    def _scan_slices(self, x: Tensor, z: Tensor) -> Tensor:
        """Scan the first token of every slice, then the second of every slice, and so on."""
        length = x.shape[-1]
        if length % self.nslices:
            raise ValueError(f"a sequence of {length} tokens cannot be cut into {self.nslices} equal slices")
        mixed = self._scan(_interleave(x, self.nslices), _interleave(z, self.nslices), "_s")
        return _interleave(mixed, length // self.nslices)

    def _scan(self, x: Tensor, z: Tensor, suffix: str) -> Tensor:
        """Convolve, project and scan one orientation: x and its gate z, (B, D, L) each -> (B, D, L)."""
        branch = self._branch(suffix)
        convolved = causal_conv(x, branch.conv1d.weight, cast("Tensor", branch.conv1d.bias))
        return selective_scan(*self._scan_arguments(branch, convolved, z), delta_softplus=True)

    def _scan_arguments(self, branch: _Branch, convolved: Tensor, z: Tensor) -> _ScanArguments:
        """Make u, delta, A, B, C, D, z and delta's bias of a convolved sequence (B, D, L) and its gate."""
        u = F.silu(convolved)
        projected = _mix_channels(branch.x_proj.weight, u)  # (B, R + 2N, L)
        dt_low, B, C = projected.split([self.dt_rank, self.d_state, self.d_state], dim=1)
        delta = _mix_channels(branch.dt_proj.weight, dt_low)  # its bias goes into the scan
        A = -torch.exp(_at_least_float32(branch.A_log))
        return u, delta, A, B, C, _at_least_float32(branch.D), z, _at_least_float32(branch.dt_proj.bias)

    def _branch(self, suffix: str) -> _Branch:
        infix = f"{suffix}_log" if suffix else "_log"
        return _Branch(
            getattr(self, f"A{infix}"),
            getattr(self, f"D{suffix}"),
            getattr(self, f"conv1d{suffix}"),
            getattr(self, f"x_proj{suffix}"),
            getattr(self, f"dt_proj{suffix}"),
        )

    def _register_states(self, suffixes: tuple[str, ...]) -> None:
        rows = torch.arange(1, self.d_state + 1, dtype=torch.float32).repeat(self.d_inner, 1)
        for suffix in suffixes:
            self.register_parameter(f"A{suffix}_log", nn.Parameter(rows.log()))
            self.register_parameter(f"D{suffix}", nn.Parameter(torch.ones(self.d_inner)))

    def _register_projections(self, suffix: str) -> None:
        D, N, R = self.d_inner, self.d_state, self.dt_rank
        conv = nn.Conv1d(D, D, self.d_conv, groups=D, padding=self.d_conv - 1)
        self.add_module(f"conv1d{suffix}", conv)
        self.add_module(f"x_proj{suffix}", nn.Linear(D, R + 2 * N, bias=False))
        self.add_module(f"dt_proj{suffix}", nn.Linear(R, D, bias=True))

    def _initialise_dt(self, dt_proj: nn.Linear) -> None:
        """Draw first steps log-uniformly from [1e-3, 1e-1]; as in the fork, for the forward branch only."""
        bound = self.dt_rank**-0.5
        nn.init.uniform_(dt_proj.weight, -bound, bound)
        low, high = math.log(_DT_MIN), math.log(_DT_MAX)
        steps = torch.exp(torch.rand(self.d_inner) * (high - low) + low).clamp(min=_DT_FLOOR)
        with torch.no_grad():
            dt_proj.bias.copy_(steps + torch.log(-torch.expm1(-steps)))  # inverse of softplus


class MambaPieces:
    """A plain `Mamba` block that is given a sequence piece by piece, without gradients.

    Parameters
    ----------
    block : Mamba
    length : int
        Tokens of a piece, such that a piece stays in the caches.
    """

    def __init__(self, block: Mamba, length: int) -> None:
        self.length = length
        self._block, self._branch = block, block._branch("")
        self._scan = RunningScan()
        self._past: Tensor | None = None

    def __call__(self, hidden: Tensor) -> Tensor:
        """Mix the next piece: (B, l, d_model) -> (B, l, d_model)."""
        block = self._block
        x, z = block._project(hidden)
        arguments = block._scan_arguments(self._branch, self._convolved(x), z)
        inputs = checked_inputs(*arguments, delta_softplus=True)
        return block.out_proj(self._scan(inputs).to(x.dtype).transpose(1, 2))

    def _convolved(self, x: Tensor) -> Tensor:
        """Convolve with what the last piece ended with, or with zeros before the first."""
        reach = self._block.d_conv - 1
        past = x.new_zeros(*x.shape[:2], reach) if self._past is None else self._past
        joined = torch.cat([past, x], dim=-1)
        self._past = joined[..., joined.shape[-1] - reach :].clone()
        conv = self._branch.conv1d
        return causal_conv(joined, conv.weight, cast("Tensor", conv.bias))[..., reach:]


def _mix_channels(weight: Tensor, x: Tensor) -> Tensor:
    """Multiply (E, D) and (B, D, L) to (B, E, L), laid out so that each channel is one run of memory."""
    return torch.bmm(weight.expand(x.shape[0], -1, -1), x)


def _interleave(x: Tensor, pieces: int) -> Tensor:
    """Take the first of each of `pieces` runs, then the second of each, ...; undone by ``L / pieces``."""
    return x.unflatten(-1, (pieces, -1)).transpose(-1, -2).flatten(-2)


def _at_least_float32(parameter: Tensor) -> Tensor:
    return parameter if parameter.dtype == torch.float64 else parameter.float()
