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
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .selective_scan import selective_scan

__all__ = ["Mamba"]

_DT_MIN, _DT_MAX, _DT_FLOOR = 1e-3, 1e-1, 1e-4  # steps at initialisation, paper section 3.6


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
        self._initialise_dt(self.dt_proj)

    def forward(self, hidden: Tensor) -> Tensor:
        """Mix a sequence.

        Parameters
        ----------
        hidden : Tensor, shape (B, L, d_model)

        Returns
        -------
        Tensor, shape (B, L, d_model)
        """
        xz = self.in_proj(hidden).transpose(1, 2)  # (B, 2D, L), a view: token-major in memory
        mixed = self._scan(xz, "")
        if self.bimamba_type == "v3":
            mixed = mixed + self._scan(xz.flip(-1), "_b").flip(-1) + self._scan_slices(xz)
        return self.out_proj(mixed.transpose(1, 2))

    def _scan_slices(self, xz: Tensor) -> Tensor:
        """Scan the first token of every slice, then the second of every slice, and so on."""
        length = xz.shape[-1]
        if length % self.nslices:
            raise ValueError(f"a sequence of {length} tokens cannot be cut into {self.nslices} equal slices")
        across = xz.unflatten(-1, (self.nslices, -1)).transpose(-1, -2).flatten(-2)  # (B, 2D, L)
        mixed = self._scan(across, "_s")
        return mixed.unflatten(-1, (-1, self.nslices)).transpose(-1, -2).flatten(-2)

    def _scan(self, xz: Tensor, suffix: str) -> Tensor:
        """Convolve, project and scan one orientation: (B, 2D, L) -> (B, D, L), gated."""
        branch = self._branch(suffix)
        x, z = xz.chunk(2, dim=1)
        length = xz.shape[-1]
        # Padding both sides by d_conv - 1 and keeping the first L outputs makes it causal.
        x = F.silu(branch.conv1d(x)[..., :length])
        tokens = x.transpose(1, 2)  # (B, L, D)
        dt_low, B, C = branch.x_proj(tokens).split([self.dt_rank, self.d_state, self.d_state], dim=-1)
        delta = F.linear(dt_low, branch.dt_proj.weight).transpose(
            1, 2
        )  # (B, D, L); the bias goes into the scan
        return selective_scan(
            x,
            delta,
            -torch.exp(_at_least_float32(branch.A_log)),
            B.transpose(1, 2),
            C.transpose(1, 2),
            _at_least_float32(branch.D),
            z=z,
            delta_bias=_at_least_float32(branch.dt_proj.bias),
            delta_softplus=True,
        )

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


def _at_least_float32(parameter: Tensor) -> Tensor:
    return parameter if parameter.dtype == torch.float64 else parameter.float()
