"""The selective scan in plain torch operations: any device, bounded memory, differentiable.

The sequence is taken in segments, short enough that a segment's (time, batch, channel, state) arrays fit a
budget; only the state at each segment's start is kept for the backward pass, which computes the rest again.
Inside a segment, pieces run side by side, one step of all pieces at a time, and the states at the ends of
the pieces are then carried from piece to piece. There are only products of decays, no quotients, so that a
strong decay underflows to 0 as it should.

Letters as in `_scan_reference`; S time steps of a segment, T = time first.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ._scan_types import ScanInputs

__all__ = ["chunked_scan"]

_SEGMENT_ELEMENTS = 1 << 21
"""Elements of one (S, B, G, D, N) array; about six such arrays exist at once in the backward pass."""


def chunked_scan(inputs: ScanInputs) -> tuple[Tensor, Tensor]:
    """Return y (B, D, L) and the last state (B, D, N), which is not differentiated."""
    delta = inputs.delta
    if inputs.delta_bias is not None:
        delta = delta + inputs.delta_bias[:, None]
    if inputs.delta_softplus:
        delta = functional.softplus(delta)
    groups = inputs.B.shape[1]
    y, last_state = _ChunkedScan.apply(
        _time_first(inputs.u, groups),
        _time_first(delta, groups),
        inputs.A.unflatten(0, (groups, -1)),
        inputs.B.permute(3, 0, 1, 2),
        inputs.C.permute(3, 0, 1, 2),
    )
    y = y.flatten(2, 3).permute(1, 2, 0)
    if inputs.D is not None:
        y = y + inputs.D[:, None] * inputs.u
    if inputs.z is not None:
        y = y * functional.silu(inputs.z)
    return y, last_state.flatten(1, 2)


def _time_first(x: Tensor, groups: int) -> Tensor:
    """(B, D, L) -> (L, B, G, D / G)."""
    return x.permute(2, 0, 1).unflatten(2, (groups, -1))


class _Segment(NamedTuple):
    """One stretch of time: u, dt (S, B, G, D), B, C (S, B, G, N), and A (G, D, N) whole."""

    u: Tensor
    dt: Tensor
    A: Tensor
    B: Tensor
    C: Tensor

    def decay(self) -> Tensor:
        return torch.exp(self.dt[..., None] * self.A)  # (S, B, G, D, N)

    def states(self, decay: Tensor, start: Tensor) -> Tensor:
        """Every state h of the segment, (S, B, G, D, N)."""
        drive = (self.dt * self.u)[..., None] * self.B[..., None, :]
        return _recur(decay.clone(), drive, start)


class _ChunkedScan(torch.autograd.Function):
    """The recurrence alone; feed-through, gate and step sizes are left to autograd."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
        h = u.new_zeros(*u.shape[1:], A.shape[-1])
        starts, y = [], torch.empty_like(u)
        for where in _segments(u, A):
            segment = _Segment(u[where], dt[where], A, B[where], C[where])
            starts.append(h)
            states = segment.states(segment.decay(), h)
            y[where] = torch.einsum("tbgdn,tbgn->tbgd", states, segment.C)
            h = states[-1].clone()
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(u, dt, A, B, C, *starts)
        ctx.mark_non_differentiable(h)
        return y, h

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor, _: Tensor) -> tuple[Tensor, ...]:
        u, dt, A, B, C, *starts = ctx.saved_tensors
        du, ddt, dB, dC = (torch.empty_like(x) for x in (u, dt, B, C))
        dA = torch.zeros_like(A)
        carry = torch.zeros_like(starts[0])
        for where, start in reversed(list(zip(_segments(u, A), starts, strict=True))):
            segment = _Segment(u[where], dt[where], A, B[where], C[where])
            grads, carry = _segment_gradients(segment, start, dy[where], carry)
            du[where], ddt[where], dB[where], dC[where] = grads.u, grads.dt, grads.B, grads.C
            dA += grads.A
        return du, ddt, dA, dB, dC


def _segment_gradients(
    segment: _Segment, start: Tensor, dy: Tensor, carry: Tensor
) -> tuple[_Segment, Tensor]:
    """Gradients of one segment, and of its start state; `carry` is the gradient of its last state."""
    decay = segment.decay()
    h = segment.states(decay, start)
    dC = torch.einsum("tbgdn,tbgd->tbgn", h, dy)
    before = torch.cat((start[None], h[:-1]))
    del h
    # dh[t] = C[t] dy[t] + decay[t + 1] dh[t + 1], which is the same recurrence in reversed time.
    drive = (dy[..., None] * segment.C[..., None, :]).flip(0)
    drive[0] += carry
    shifted = torch.cat((torch.zeros_like(decay[:1]), decay[1:].flip(0)))
    dh = _recur(shifted, drive, torch.zeros_like(start)).flip(0)
    start_gradient = decay[0] * dh[0]
    dx = torch.einsum("tbgdn,tbgn->tbgd", dh, segment.B)
    dB = torch.einsum("tbgdn,tbgd->tbgn", dh, segment.dt * segment.u)
    through = dh.mul_(decay).mul_(before)  # gradient of dt * A
    dA = torch.einsum("tbgdn,tbgd->gdn", through, segment.dt)
    ddt = torch.einsum("tbgdn,gdn->tbgd", through, segment.A) + dx * segment.u
    return _Segment(dx * segment.dt, ddt, dA, dB, dC), start_gradient


def _recur(decay: Tensor, drive: Tensor, start: Tensor) -> Tensor:
    """Solve h[t] = decay[t] h[t-1] + drive[t] from h[-1] = start; both arguments are overwritten.

    Parameters
    ----------
    decay, drive : Tensor, shape (S, ...)
    start : Tensor, shape (...)

    Returns
    -------
    Tensor, shape (S, ...)
    """
    length = drive.shape[0]
    steps = max(1, math.isqrt(length))
    pieces = length // steps
    whole = pieces * steps
    h = drive[:whole].unflatten(0, (pieces, steps))
    product = decay[:whole].unflatten(0, (pieces, steps))
    for k in range(1, steps):
        h[:, k].addcmul_(product[:, k], h[:, k - 1])
        product[:, k].mul_(product[:, k - 1])
    arriving = torch.empty_like(h[:, 0])
    for piece in range(pieces):
        arriving[piece] = start
        start = torch.addcmul(h[piece, -1], product[piece, -1], start)
    h.addcmul_(product, arriving[:, None])
    for t in range(whole, length):
        start = drive[t].addcmul_(decay[t], start)
    return drive


def _segments(u: Tensor, A: Tensor) -> list[slice]:
    """Cut the time axis of u (L, B, G, D) so that a segment's states fit `_SEGMENT_ELEMENTS`."""
    length = u.shape[0]
    steps = max(1, _SEGMENT_ELEMENTS // max(1, u[0].numel() * A.shape[-1]))
    return [slice(t, min(t + steps, length)) for t in range(0, length, steps)]
