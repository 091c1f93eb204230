"""The compiled forward loops of the selective scan.

Each state of an item is swept through a block with its h in registers. Every lane is a channel, so the sum
over states needs no sum across lanes, and the mixing B[n, t], C[n, t] is one number for the whole vector.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call"
# Numba infers the types of these functions; vectors have no Python type.

from __future__ import annotations

import numpy as np

from ._denormals import flush_denormals, restore_denormals
from ._numba_cache import SOURCE, inlined, kernel
from ._scan_cpu_blocks import (
    activate,
    align,
    block_bytes,
    clear,
    gather,
    item_of,
    mixing_at,
    prepare_decay,
    prepare_row,
    reach_of,
    scatter,
)
from ._scan_cpu_math import ORDINARY, SMALL, decay_factor, decay_factor_any, decay_less_one, logistic
from ._simd import LANES, add, claim, fill, fma, load, mul, peek, size_of, store

__all__ = ["forward"]


@inlined
def _sweep_small(zero, steps, dts, xs, ys, decay, B, B_time, C, C_time, state):
    """Take one state through a block where |dt * A| <= `SMALL`."""
    step = LANES * size_of(zero)
    A = load(zero, decay)
    h = load(zero, state)
    for s in range(steps):
        k = s * step
        less = decay_less_one(load(zero, dts + k), A)
        h = add(h, fma(less, h, mul(load(zero, xs + k), fill(peek(zero, B + s * B_time)))))
        store(ys + k, fma(h, fill(peek(zero, C + s * C_time)), load(zero, ys + k)))
    store(state, h)


@inlined
def _sweep(zero, steps, dts, xs, ys, decay, B, B_time, C, C_time, state):
    """Take one state through a block where |dt * A| <= `ORDINARY`."""
    step = LANES * size_of(zero)
    A = load(zero, decay)
    h = load(zero, state)
    for s in range(steps):
        k = s * step
        p = decay_factor(load(zero, dts + k), A)
        h = fma(p, h, mul(load(zero, xs + k), fill(peek(zero, B + s * B_time))))
        store(ys + k, fma(h, fill(peek(zero, C + s * C_time)), load(zero, ys + k)))
    store(state, h)


@inlined
def _sweep_any(zero, steps, dts, xs, ys, decay, B, B_time, C, C_time, state):
    """Take one state through a block of any dt * A."""
    step = LANES * size_of(zero)
    A = load(zero, decay)
    h = load(zero, state)
    for s in range(steps):
        k = s * step
        p = decay_factor_any(load(zero, dts + k), A)
        h = fma(p, h, mul(load(zero, xs + k), fill(peek(zero, B + s * B_time))))
        store(ys + k, fma(h, fill(peek(zero, C + s * C_time)), load(zero, ys + k)))
    store(state, h)


@inlined
def _sweep_states(zero, shape, problem, item, t, steps, bound, dts, xs, ys, decay, state):
    """Take all states through the block that starts at time t, adding to `ys`."""
    step = LANES * size_of(zero)
    B_time, C_time = problem.B.time, problem.C.time
    for n in range(shape.states):
        A, h = decay + n * step, state + n * step
        B, C = mixing_at(problem.B, item, n, t), mixing_at(problem.C, item, n, t)
        reach = reach_of(zero, bound, A)
        if reach <= SMALL:
            _sweep_small(zero, steps, dts, xs, ys, A, B, B_time, C, C_time, h)
        elif reach <= ORDINARY:
            _sweep(zero, steps, dts, xs, ys, A, B, B_time, C, C_time, h)
        else:
            _sweep_any(zero, steps, dts, xs, ys, A, B, B_time, C, C_time, h)


@inlined
def _apply_gate(zero, steps, gates, ys):
    """Set y = y * silu(z)."""
    step = LANES * size_of(zero)
    for s in range(steps):
        z = load(zero, gates + s * step)
        store(ys + s * step, mul(load(zero, ys + s * step), mul(z, logistic(z))))


@inlined
def _scan_block(zero, shape, problem, item, t, steps, scratch, decay, bias, feed, state, y):
    """Compute y of one item in the block that starts at time t."""
    step = LANES * size_of(zero)
    block = block_bytes(zero, shape)
    dts, xs, ys = scratch, scratch + block, scratch + 2 * block
    gather(zero, step, problem.delta, item, t, steps, dts)
    gather(zero, step, problem.u, item, t, steps, xs)
    bound = activate(zero, step, shape, steps, bias, feed, dts, xs, xs, ys, 0)
    _sweep_states(zero, shape, problem, item, t, steps, bound, dts, xs, ys, decay, state)
    if problem.z.address:
        gather(zero, step, problem.z, item, t, steps, xs)
        _apply_gate(zero, steps, xs, ys)
    scatter(zero, step, ys, y, item, t, steps)


@inlined
def _scan_group(zero, shape, first, last, problem, y, states, go_on, checkpoints, scratch):
    """Scan the items `first` to `last`, which read the same B and C, side by side, block after block."""
    vector = LANES * size_of(zero)
    decay = scratch + 3 * block_bytes(zero, shape)
    bias = decay + shape.states * vector
    feed = bias + vector
    blocks = (shape.length + shape.block - 1) // shape.block
    if not go_on:
        clear(zero, vector, (last - first) * shape.states, states + first * shape.states * vector)
    for k in range(blocks):
        t = k * shape.block
        steps = min(shape.block, shape.length - t)
        for number in range(first, last):
            item = item_of(number, shape)
            prepare_decay(zero, shape, problem.A, item, decay)
            prepare_row(zero, problem.bias, item, bias)
            prepare_row(zero, problem.D, item, feed)
            state = states + number * shape.states * vector
            if checkpoints:
                keep = checkpoints + (number * blocks + k) * shape.states * vector
                for n in range(shape.states):
                    store(keep + n * vector, load(zero, state + n * vector))
            _scan_block(zero, shape, problem, item, t, steps, scratch, decay, bias, feed, state, y)


@inlined
def _scan_items(zero, counter, together, shape, problem, y, states, go_on, checkpoints):
    """Scan items until none is left that no other thread has claimed.

    Parameters
    ----------
    zero : float32 or float64
        Says the dtype.
    counter : address of an int64
        The next claim; starts at 0.
    together : int
        Items of one claim, of one group of one batch element; fewer where the group ends.
    shape : Shape
    problem : Problem
    y : View
    states : address of (items, states, LANES)
        Receives the last state of every item.
    go_on : int
        Whether `states` holds the state to begin with; otherwise that is 0.
    checkpoints : address of (items, blocks, states, LANES), or 0
        Receives the state at the start of every block.
    """
    memory = np.empty(
        3 * block_bytes(zero, shape) + (shape.states + 2) * LANES * size_of(zero) + 64, np.uint8
    )
    scratch = align(memory.ctypes.data)
    per_group = (shape.channels + LANES - 1) // LANES
    claims = (per_group + together - 1) // together  # of one group
    before = flush_denormals()
    number = claim(counter)
    while number < shape.batch * shape.groups * claims:
        start = number // claims * per_group
        first = start + number % claims * together
        last = min(first + together, start + per_group)
        _scan_group(zero, shape, first, last, problem, y, states, go_on, checkpoints, scratch)
        number = claim(counter)
    restore_denormals(before)
    memory[0] = 0  # numba frees an array after its last use, of which the uses of its address are none


def _forward_of(source):
    """Make the kernel, with the hash of its sources in its closure, and so in its key on disk."""

    def forward(zero, counter, together, shape, problem, y, states, go_on, checkpoints):
        _ = source
        _scan_items(zero, counter, together, shape, problem, y, states, go_on, checkpoints)

    return forward


forward = kernel(_forward_of(SOURCE))
"""`_scan_items`, compiled on first use."""
