"""The selective scan as Triton kernels, for CUDA devices without mamba-ssm. Not seen on a GPU yet.

A program takes one channel of one batch element through time, a tile of steps at once: within a tile the
recurrence is a parallel scan of pairs (decay, input), and a state goes on from tile to tile. Step sizes, feed
and gate are plain torch around it.

Its values and gradients are tested with Triton's interpreter, which needs no GPU; nothing is known about its
speed. It runs on request alone, by ``EFFSEG_SCAN=triton``.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
# Triton compiles the kernels' source; its values have no Python type.

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ._scan_reference import gated, step_sizes
from ._scan_types import ScanInputs

__all__ = ["triton_scan"]

LARGEST_TILE = 1024
"""Steps that a program takes at once, at most."""


def triton_scan(inputs: ScanInputs) -> tuple[Tensor, Tensor]:
    """Return y (B, D, L) and the last state (B, D, N), which is not differentiated; float32."""
    steps = step_sizes(inputs)
    y, last_state = _TritonScan.apply(*_contiguous(inputs.u, steps, inputs.A, inputs.B, inputs.C))
    return gated(y, inputs), last_state


def _contiguous(*tensors: Tensor) -> list[Tensor]:
    return [tensor.contiguous() for tensor in tensors]


class _TritonScan(torch.autograd.Function):
    """The recurrence alone: u, positive step sizes, A, B, C to y before feed and gate."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
        batch, channels, _ = u.shape
        y, last = torch.empty_like(u), u.new_empty(batch, channels, A.shape[1])
        sizes = _sizes(u, A, B)
        starts = u.new_empty(batch, channels, sizes["TILES"], A.shape[1])
        _forward[batch, channels](u, dt, A, B, C, y, starts, last, **sizes)
        ctx.save_for_backward(u, dt, A, B, C, starts)
        ctx.mark_non_differentiable(last)
        return y, last

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor, _: Tensor) -> tuple[Tensor, ...]:
        u, dt, A, B, C, starts = ctx.saved_tensors
        batch, channels, _length = u.shape
        du, ddt = torch.empty_like(u), torch.empty_like(dt)
        dA = A.new_empty(batch, *A.shape)
        dB, dC = torch.zeros_like(B), torch.zeros_like(C)
        sizes = _sizes(u, A, B)
        _backward[batch, channels](u, dt, A, B, C, starts, dy.contiguous(), du, ddt, dA, dB, dC, **sizes)
        return du, ddt, dA.sum(0), dB, dC


def _sizes(u: Tensor, A: Tensor, B: Tensor) -> dict[str, int]:
    """Return what the kernels are compiled for, and how many steps, tiles and channels there are."""
    _, channels, length = u.shape
    tile = min(LARGEST_TILE, triton.next_power_of_2(length))
    states = A.shape[1]
    return {
        "CHANNELS": channels,
        "LENGTH": length,
        "PER_GROUP": channels // B.shape[1],
        "GROUPS": B.shape[1],
        "TILES": triton.cdiv(length, tile),
        "N": states,
        "LANES": triton.next_power_of_2(states),
        "TILE": tile,
    }


@triton.jit
def _follow(decay, state, next_decay, next_state):
    """Two steps of the recurrence as one."""
    return decay * next_decay, next_decay * state + next_state


@triton.jit
def _forward(
    u, dt, A, B, C, y, starts, last,
    CHANNELS, LENGTH, PER_GROUP, GROUPS, TILES,
    N: tl.constexpr, LANES: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    b, d = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    row, group = (b * CHANNELS + d) * LENGTH, (b * GROUPS + d // PER_GROUP) * N * LENGTH
    t, lanes = tl.arange(0, TILE), tl.arange(0, LANES)
    states = tl.zeros((LANES,), tl.float32)
    for tile in range(TILES):
        at = tile * TILE + t
        here = at < LENGTH
        step = tl.load(
            dt + row + at, mask=here, other=0.0
        )  # beyond the end nothing happens: decay 1, input 0
        x = step * tl.load(u + row + at, mask=here, other=0.0)
        total = tl.zeros((TILE,), tl.float32)
        for n in range(N):
            before = tl.sum(tl.where(lanes == n, states, 0.0))
            tl.store(starts + ((b * CHANNELS + d) * TILES + tile) * N + n, before)
            decay = tl.exp(step * tl.load(A + d * N + n))
            mixed = x * tl.load(B + group + n * LENGTH + at, mask=here, other=0.0)
            decays, sums = tl.associative_scan((decay, mixed), 0, _follow)
            h = sums + decays * before
            total += h * tl.load(C + group + n * LENGTH + at, mask=here, other=0.0)
            states = tl.where(lanes == n, tl.sum(tl.where(t == TILE - 1, h, 0.0)), states)
        tl.store(y + row + at, total, mask=here)
    tl.store(last + (b * CHANNELS + d) * N + lanes, states, mask=lanes < N)


@triton.jit
def _backward(
    u, dt, A, B, C, starts, dy, du, ddt, dA, dB, dC,
    CHANNELS, LENGTH, PER_GROUP, GROUPS, TILES,
    N: tl.constexpr, LANES: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    b, d = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    row, group = (b * CHANNELS + d) * LENGTH, (b * GROUPS + d // PER_GROUP) * N * LENGTH
    t, lanes = tl.arange(0, TILE), tl.arange(0, LANES)
    later, sum_A = tl.zeros((LANES,), tl.float32), tl.zeros((LANES,), tl.float32)
    for back in range(TILES):
        tile = TILES - 1 - back
        at = tile * TILE + t
        here = at < LENGTH
        step = tl.load(dt + row + at, mask=here, other=0.0)
        next_step = tl.load(dt + row + at + 1, mask=at + 1 < LENGTH, other=0.0)
        x = tl.load(u + row + at, mask=here, other=0.0)
        weight = tl.load(dy + row + at, mask=here, other=0.0)
        sum_u, sum_dt = tl.zeros((TILE,), tl.float32), tl.zeros((TILE,), tl.float32)
        for n in range(N):
            rate = tl.load(A + d * N + n)
            b_n = tl.load(B + group + n * LENGTH + at, mask=here, other=0.0)
            c_n = tl.load(C + group + n * LENGTH + at, mask=here, other=0.0)
            mixed = step * x * b_n
            decays, sums = tl.associative_scan((tl.exp(step * rate), mixed), 0, _follow)
            h = sums + decays * tl.load(starts + ((b * CHANNELS + d) * TILES + tile) * N + n)
            # What the loss gains by a state: its own output, and what it becomes in the next step.
            decays, sums = tl.associative_scan(
                (tl.exp(next_step * rate), weight * c_n), 0, _follow, reverse=True
            )
            gain = sums + decays * tl.sum(tl.where(lanes == n, later, 0.0))
            later = tl.where(lanes == n, tl.sum(tl.where(t == 0, gain, 0.0)), later)
            kept = gain * (h - mixed)  # of the state before, decayed
            sum_u += gain * step * b_n
            sum_dt += gain * x * b_n + rate * kept
            sum_A += tl.where(lanes == n, tl.sum(step * kept), 0.0)
            tl.atomic_add(dB + group + n * LENGTH + at, gain * step * x, mask=here)
            tl.atomic_add(dC + group + n * LENGTH + at, weight * h, mask=here)
        tl.store(du + row + at, sum_u, mask=here)
        tl.store(ddt + row + at, sum_dt, mask=here)
    tl.store(dA + (b * CHANNELS + d) * N + lanes, sum_A, mask=lanes < N)
