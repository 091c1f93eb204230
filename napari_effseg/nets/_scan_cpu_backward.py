"""The compiled backward loops of the selective scan.

A block is taken from its end to its start. Its states are computed again from the checkpoint at its start,
so that only one state a block was kept from the forward pass.

With x = dt * u and p = exp(dt * A), the recurrence is h[t] = p[t] h[t-1] + B[t] x[t], y[t] = sum C[t] h[t];
backwards, with g the gradient of y before the gate:

    dh[t] = C[t] g[t] + p[t+1] dh[t+1]
    dC[t] = g[t] h[t],  dB[t] = dh[t] x[t]    summed over channels
    dx[t] = sum over states of dh[t] B[t],  d(dt * A)[t] = dh[t] p[t] h[t-1]
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call"
# Numba infers the types of these functions; vectors have no Python type.

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._denormals import flush_denormals, restore_denormals
from ._numba_cache import SOURCE, inlined, kernel
from ._scan_cpu_blocks import (
    View,
    activate,
    align,
    clear,
    gather,
    item_of,
    mixing_at,
    multiply,
    prepare_decay,
    prepare_row,
    reach_of,
    scatter,
)
from ._scan_cpu_math import ORDINARY, SMALL, ln2, logistic, one
from ._scan_cpu_sweeps import (
    State,
    blocks_at,
    bytes_of_blocks,
    no_state,
    replay,
    replay_any,
    replay_small,
    row_bytes,
    sweep_back,
    sweep_back_small,
)
from ._simd import LANES, add, claim, fma, load, mul, peek, poke, size_of, store, sub

__all__ = ["Gradients", "Span", "backward", "reduce_parts"]


class Span(NamedTuple):
    """The stretch of time of one call, and how items are grouped into parts."""

    first_block: int
    last_block: int
    parts: int  # of one group of one batch element
    items_of_part: int


class Gradients(NamedTuple):
    """Where gradients go; all but the views are addresses.

    What is summed over channels (B, C) is summed over a part's here, over parts by `reduce_parts`; what is
    summed over time (A, D, bias) and the carry, which is the gradient of the last state of the span, is
    added to from span to span and must start at 0. The batch is summed by the caller.
    """

    y: View  # of y: the one that is read
    u: View
    delta: View
    z: View
    B: int  # (parts, states, time of the span)
    C: int
    A: int  # (items, states, LANES)
    D: int  # (items, LANES)
    bias: int  # (items, LANES)
    carry: int  # (items, states, LANES)


@inlined
def _open_gate(zero, steps, at):
    """Turn (z, dy) in (`gates`, `gs`) into (dy * silu'(z), dy * silu(z))."""
    step = row_bytes(zero)
    for s in range(steps):
        k = s * step
        z = load(zero, at.gates + k)
        dy = load(zero, at.gs + k)
        weight = logistic(z)
        silu = mul(z, weight)
        store(at.gates + k, mul(dy, fma(silu, sub(one(zero), weight), weight)))
        store(at.gs + k, mul(dy, silu))


@inlined
def _finish(zero, shape, steps, at, feed, dD, dbias):
    """Turn the sums over states into du (in `dxs`) and ddelta (in `dlogs`)."""
    step = row_bytes(zero)
    D = load(zero, feed)
    sum_D = load(zero, dD)
    sum_bias = load(zero, dbias)
    for s in range(steps):
        k = s * step
        dx = load(zero, at.dxs + k)
        g = load(zero, at.gs + k)
        u = load(zero, at.us + k)
        ddelta = fma(u, dx, mul(ln2(zero), load(zero, at.dlogs + k)))
        if shape.softplus:
            ddelta = mul(ddelta, load(zero, at.slopes + k))
        store(at.dlogs + k, ddelta)
        store(at.dxs + k, fma(load(zero, at.dts + k), dx, mul(D, g)))
        sum_D = fma(g, u, sum_D)
        sum_bias = add(sum_bias, ddelta)
    store(dD, sum_D)
    store(dbias, sum_bias)


@inlined
def _prepare_block(zero, shape, problem, gradients, item, t, steps, at, bias, feed):
    """Fill the blocks that are the same for every state; return the largest |dt|."""
    gather(zero, row_bytes(zero), problem.delta, item, t, steps, at.dts)
    gather(zero, row_bytes(zero), problem.u, item, t, steps, at.us)
    gather(zero, row_bytes(zero), gradients.y, item, t, steps, at.gs)
    bound = activate(zero, row_bytes(zero), shape, steps, bias, feed, at.dts, at.us, at.xs, at.ys, at.slopes)
    if problem.z.address:
        gather(zero, row_bytes(zero), problem.z, item, t, steps, at.gates)
        _open_gate(zero, steps, at)
    clear(zero, row_bytes(zero), steps, at.dxs)
    clear(zero, row_bytes(zero), steps, at.dlogs)
    return bound


@inlined
def _state_at(zero, shape, problem, gradients, item, n, t, decay, checkpoint, sums, span):
    """Say where state n of an item lies, from time t on; `sums` and `span` as for `_return_states`."""
    size = size_of(zero)
    step = LANES * size
    state = (item.number * shape.states + n) * step
    row = (sums + n * span) * size
    return State(
        decay + n * step,
        checkpoint + n * step,
        mixing_at(problem.B, item, n, t),
        problem.B.time,
        mixing_at(problem.C, item, n, t),
        problem.C.time,
        gradients.carry + state,
        gradients.A + state,
        gradients.B + row,
        gradients.C + row,
    )


@inlined
def _return_states(zero, shape, problem, gradients, item, t, steps, bound, at, decay, checkpoint, sums, span):
    """Take all states of an item through the block at time t and back, two at once where they decay alike.

    `sums` is the place, in numbers, of this block in the first state's row of dB and dC, of `span` each.
    """
    n = 0
    while n < shape.states:
        first = _state_at(zero, shape, problem, gradients, item, n, t, decay, checkpoint, sums, span)
        second = _state_at(zero, shape, problem, gradients, item, n + 1, t, decay, checkpoint, sums, span)
        reach = reach_of(zero, bound, first.decay)
        alike = False
        if n + 1 < shape.states:
            other = reach_of(zero, bound, second.decay)
            alike = (reach <= SMALL) == (other <= SMALL)
        if alike:
            reach = max(reach, other)
            n += 2
        else:
            second = no_state(zero, shape, at)
            n += 1
        if reach <= SMALL:
            replay_small(zero, steps, at, first, second)
            sweep_back_small(zero, steps, at, first, second)
            continue
        if reach <= ORDINARY:
            replay(zero, steps, at, first, second)
        else:
            replay_any(zero, steps, at, first, second)
        sweep_back(zero, steps, at, first, second)


@inlined
def _return_block(zero, shape, problem, gradients, item, t, steps, at, decay, checkpoint, sums, span):
    """Gradients of one item in the block at time t."""
    step = LANES * size_of(zero)
    bias = decay + shape.states * step
    feed = bias + step
    bound = _prepare_block(zero, shape, problem, gradients, item, t, steps, at, bias, feed)
    _return_states(zero, shape, problem, gradients, item, t, steps, bound, at, decay, checkpoint, sums, span)
    row = item.number * step
    _finish(zero, shape, steps, at, feed, gradients.D + row, gradients.bias + row)
    scatter(zero, row_bytes(zero), at.dxs, gradients.u, item, t, steps)
    scatter(zero, row_bytes(zero), at.dlogs, gradients.delta, item, t, steps)
    if problem.z.address:
        multiply(zero, row_bytes(zero), steps, at.gates, at.ys, at.gates)
        scatter(zero, row_bytes(zero), at.gates, gradients.z, item, t, steps)


@inlined
def _return_part(zero, shape, span, part, problem, gradients, checkpoints, at, decay):
    """Gradients of the items of one part in the blocks of a span, the last block first."""
    size = size_of(zero)
    step = LANES * size
    per_group = (shape.channels + LANES - 1) // LANES
    blocks = (shape.length + shape.block - 1) // shape.block
    start = span.first_block * shape.block
    length = min(span.last_block * shape.block, shape.length) - start
    sums = part * shape.states * length
    for i in range(sums, sums + shape.states * length):
        poke(gradients.B + i * size, zero)
        poke(gradients.C + i * size, zero)
    group = part // span.parts * per_group
    first = group + part % span.parts * span.items_of_part
    last = min(first + span.items_of_part, group + per_group)
    for k in range(span.last_block - 1, span.first_block - 1, -1):
        t = k * shape.block
        steps = min(shape.block, shape.length - t)
        for number in range(first, last):  # these read the same B and C
            item = item_of(number, shape)
            prepare_decay(zero, shape, problem.A, item, decay)
            prepare_row(zero, problem.bias, item, decay + shape.states * step)
            prepare_row(zero, problem.D, item, decay + (shape.states + 1) * step)
            checkpoint = checkpoints + (number * blocks + k) * shape.states * step
            place = sums + t - start
            _return_block(
                zero, shape, problem, gradients, item, t, steps, at, decay, checkpoint, place, length
            )


@inlined
def _return_parts(zero, counter, shape, span, problem, gradients, checkpoints):
    """Gradients in the blocks of `span`, part by part until none is left that no other thread has claimed.

    Parameters
    ----------
    zero : float32 or float64
        Says the dtype.
    counter : address of an int64
        The next part to claim, of all groups and batch elements; starts at 0.
    shape : Shape
    span : Span
    problem : Problem
    gradients : Gradients
    checkpoints : address of (items, blocks, states, LANES)
        The state at the start of every block, from the forward pass.
    """
    vector = LANES * size_of(zero)
    blocks = bytes_of_blocks(zero, shape)
    memory = np.empty(blocks + (shape.states + 2) * vector + 64, np.uint8)
    scratch = align(memory.ctypes.data)
    at, decay = blocks_at(zero, shape, scratch), scratch + blocks
    before = flush_denormals()
    part = claim(counter)
    while part < shape.batch * shape.groups * span.parts:
        _return_part(zero, shape, span, part, problem, gradients, checkpoints, at, decay)
        part = claim(counter)
    restore_denormals(before)
    memory[0] = 0  # numba frees an array after its last use, of which the uses of its address are none


@inlined
def _add_parts(zero, row, shape, span, source, target):
    """Add up, in order, the parts' sums for one state of one group, and write them where they belong.

    Parameters
    ----------
    zero : float32 or float64
        Says the dtype.
    row : int
        A state, counted over all groups and batch elements.
    shape : Shape
    span : Span
    source : address of (parts, states, time of the span)
    target : View
        Of the gradient of B or C, whole.
    """
    size = size_of(zero)
    start = span.first_block * shape.block
    length = min(span.last_block * shape.block, shape.length) - start
    apart = shape.states * length * size  # from part to part
    group, n = row // shape.states, row % shape.states
    place = target.address + group // shape.groups * target.batch + group % shape.groups * target.group
    place += n * target.row + start * target.time
    begin = source + (group * span.parts * shape.states + n) * length * size
    whole = length // LANES * LANES if target.time == size else 0
    for s in range(0, whole, LANES):
        values = load(zero, begin + s * size)
        for part in range(1, span.parts):
            values = add(values, load(zero, begin + part * apart + s * size))
        store(place + s * size, values)
    for s in range(whole, length):
        value = peek(zero, begin + s * size)
        for part in range(1, span.parts):
            value += peek(zero, begin + part * apart + s * size)
        poke(place + s * target.time, value)


@inlined
def _add_all_parts(zero, counter, shape, span, source_B, target_B, source_C, target_C):
    """Add up the parts of B and C, row by row until none is left that no other thread has claimed."""
    row = claim(counter)
    while row < shape.batch * shape.groups * shape.states:
        _add_parts(zero, row, shape, span, source_B, target_B)
        _add_parts(zero, row, shape, span, source_C, target_C)
        row = claim(counter)


def _backward_of(source):
    """Make the kernel, with the hash of its sources in its closure, and so in its key on disk."""

    def backward(zero, counter, shape, span, problem, gradients, checkpoints):
        _ = source
        _return_parts(zero, counter, shape, span, problem, gradients, checkpoints)

    return backward


def _reduce_parts_of(source):
    """Make the kernel, with the hash of its sources in its closure, and so in its key on disk."""

    def reduce_parts(zero, counter, shape, span, source_B, target_B, source_C, target_C):
        _ = source
        _add_all_parts(zero, counter, shape, span, source_B, target_B, source_C, target_C)

    return reduce_parts


backward = kernel(_backward_of(SOURCE))
"""`_return_parts`, compiled on first use."""
reduce_parts = kernel(_reduce_parts_of(SOURCE))
"""`_add_all_parts`, compiled on first use."""
