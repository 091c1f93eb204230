"""The compiled backward loops of the selective scan.

A block of time steps is taken from its end to its start. Its states are computed again from the
checkpoint at its start, so that only one state a block was kept from the forward pass.

With x = dt * u and p = exp(dt * A), the recurrence is h[t] = p[t] h[t-1] + B[t] x[t], y[t] = sum C[t] h[t];
backwards, with g the gradient of y:

    dh[t] = C[t] g[t] + p[t+1] dh[t+1]
    dC[t] = g[t] h[t],  dB[t] = dh[t] x[t]    summed over channels
    dx[t] = sum over n of dh[t] B[t],  d(dt A)[t] = dh[t] p[t] h[t-1]
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ._scan_cpu_kernels import (
    ORDINARY,
    SMALL,
    View,
    _activate,
    _aligned,
    _exp2,
    _exp2_wide,
    _gather,
    _ln2,
    _multiply,
    _one,
    _prepare_decay,
    _prepare_rows,
    _quotient,
    _scatter,
    _sigmoid,
    _slope_of_softplus,
)
from ._simd import LANES, absolute, add, fill, fma, largest, load, mul, peek, poke, store, sub, total

__all__ = ["backward", "reduce_parts"]


@njit(error_model="numpy")
def _replay_small(zero, size, steps, dts, xs, ys, decay, B, B_time, C, C_time, state, hs, ps):
    """Sweep a block forwards, keeping every h (the first is the checkpoint) and every exp(dt A) - 1."""
    step = LANES * size
    A = load(zero, decay)
    h = load(zero, state)
    store(hs, h)
    for t in range(steps):
        k = t * step
        x = mul(load(zero, dts + k), A)
        less = mul(x, _quotient(x))
        h = add(h, fma(less, h, mul(load(zero, xs + k), fill(peek(zero, B + t * B_time)))))
        store(hs + k + step, h)
        store(ps + k, less)
        store(ys + k, fma(h, fill(peek(zero, C + t * C_time)), load(zero, ys + k)))


@njit(error_model="numpy")
def _replay(zero, size, steps, dts, xs, ys, decay, B, B_time, C, C_time, state, hs, ps, wide):
    """Sweep a block forwards, keeping every h (the first is the checkpoint) and every exp(dt A)."""
    step = LANES * size
    A = load(zero, decay)
    h = load(zero, state)
    store(hs, h)
    for t in range(steps):
        k = t * step
        x = mul(load(zero, dts + k), A)
        p = _exp2_wide(x) if wide else _exp2(x)
        h = fma(p, h, mul(load(zero, xs + k), fill(peek(zero, B + t * B_time))))
        store(hs + k + step, h)
        store(ps + k, p)
        store(ys + k, fma(h, fill(peek(zero, C + t * C_time)), load(zero, ys + k)))


@njit(error_model="numpy")
def _return(
    zero, size, steps, small, dts, xs, gs, decay, B, B_time, C, C_time, hs, ps, dxs, dts_A, carry, dA, dB, dC
):
    """Sweep a block backwards; `small` says that `ps` holds exp(dt A) - 1."""
    step = LANES * size
    A = load(zero, decay)
    back = load(zero, carry)
    sum_A = load(zero, dA)
    h = load(zero, hs + steps * step)
    for s in range(steps):
        t = steps - 1 - s
        k = t * step
        g = load(zero, gs + k)
        dh = fma(g, fill(peek(zero, C + t * C_time)), back)
        poke(dC + t * size, peek(zero, dC + t * size) + total(mul(g, h)))
        poke(dB + t * size, peek(zero, dB + t * size) + total(mul(dh, load(zero, xs + k))))
        store(dxs + k, fma(dh, fill(peek(zero, B + t * B_time)), load(zero, dxs + k)))
        p = load(zero, ps + k)
        h = load(zero, hs + k)
        if small:
            back = fma(p, dh, dh)
            through = mul(dh, fma(p, h, h))
        else:
            back = mul(p, dh)
            through = mul(back, h)
        store(dts_A + k, fma(through, A, load(zero, dts_A + k)))
        sum_A = fma(through, load(zero, dts + k), sum_A)
    store(carry, back)
    store(dA, sum_A)


@njit(error_model="numpy")
def _clear(zero, size, steps, target):
    for t in range(steps):
        store(target + t * LANES * size, fill(zero))


@njit(error_model="numpy")
def _scale(zero, size, steps, factor, source, target):
    for t in range(steps):
        store(target + t * LANES * size, mul(factor, load(zero, source + t * LANES * size)))


@njit(error_model="numpy")
def _split_gate(zero, size, steps, gates, gs):
    """Turn (z, dy) into (dy * silu'(z), dy * silu(z)), in place."""
    for t in range(steps):
        k = t * LANES * size
        z = load(zero, gates + k)
        dy = load(zero, gs + k)
        s = _sigmoid(z)
        zs = mul(z, s)
        slope = fma(zs, sub(_one(zero), s), s)
        store(gates + k, mul(dy, slope))
        store(gs + k, mul(dy, zs))


@njit(error_model="numpy")
def _finish(zero, size, steps, softplus, feed, dts, us, gs, slopes, dxs, dts_A, dD, dbias):
    """Turn the sums over states into du (in `dxs`) and ddelta (in `dts_A`)."""
    sum_D = load(zero, dD)
    sum_bias = load(zero, dbias)
    for t in range(steps):
        k = t * LANES * size
        dx = load(zero, dxs + k)
        g = load(zero, gs + k)
        u = load(zero, us + k)
        ddelta = fma(u, dx, mul(_ln2(zero), load(zero, dts_A + k)))
        if softplus:
            ddelta = mul(ddelta, load(zero, slopes + k))
        store(dts_A + k, ddelta)
        store(dxs + k, fma(load(zero, dts + k), dx, mul(feed, g)))
        sum_D = fma(g, u, sum_D)
        sum_bias = add(sum_bias, ddelta)
    store(dD, sum_D)
    store(dbias, sum_bias)


@njit(nogil=True, cache=True, error_model="numpy")
def backward(
    zero,
    size,
    first,
    last,
    parts,
    items_of_part,
    first_block,
    last_block,
    shape,
    u,
    delta,
    A,
    B,
    C,
    D,
    z,
    bias,
    dy,
    du,
    ddelta,
    dz,
    dB,
    dC,
    dA,
    dD,
    dbias,
    carry,
    checkpoints,
):
    """Gradients of the parts `first` to `last` in the time blocks `first_block` to `last_block`.

    A part is up to `items_of_part` items (LANES channels) of one group of one batch element; there are
    `parts` of them a group. dB and dC are addresses of (all parts, states, time of these blocks), of which
    this call sets what its parts sum over their channels. dA and carry (items, states, LANES), dD and dbias
    (items, LANES) are added to and must start at 0.
    """
    vector = LANES * size
    block = shape.block * vector
    scratch = np.empty(11 * block + (shape.states + 3) * vector + 64, np.uint8)
    dts = _aligned(scratch)
    us = dts + block
    xs = us + block
    ys = xs + block
    gs = ys + block
    gates = gs + block
    slopes = gates + block
    dxs = slopes + block
    dts_A = dxs + block
    ps = dts_A + block
    hs = ps + block
    decay = hs + block + vector
    bias_row = decay + shape.states * vector
    D_row = bias_row + vector
    per_group = (shape.channels + LANES - 1) // LANES
    blocks = (shape.length + shape.block - 1) // shape.block
    start = first_block * shape.block
    span = min(last_block * shape.block, shape.length) - start
    for part in range(first, last):
        group_index = part // parts
        b, g = group_index // shape.groups, group_index % shape.groups
        sums = part * shape.states * span * size
        for i in range(shape.states * span):
            poke(dB + sums + i * size, zero)
            poke(dC + sums + i * size, zero)
        first_item = part % parts * items_of_part
        for i in range(first_item, min(first_item + items_of_part, per_group)):
            item = group_index * per_group + i
            c = i * LANES
            width = min(LANES, shape.channels - c)
            c += g * shape.channels
            _prepare_decay(zero, size, shape, width, A.address + c * A.row, A.row, A.time, decay)
            _prepare_rows(
                zero, size, bias.row, width, bias.address + c * bias.row if bias.address else 0, bias_row
            )
            _prepare_rows(zero, size, D.row, width, D.address + c * D.row if D.address else 0, D_row)
            feed = load(zero, D_row)
            for back in range(last_block - first_block):
                k = last_block - 1 - back
                t = k * shape.block
                steps = min(shape.block, shape.length - t)
                _gather(
                    zero,
                    size,
                    delta.address + b * delta.batch + c * delta.row + t * delta.time,
                    delta.row,
                    delta.time,
                    width,
                    steps,
                    dts,
                )
                _gather(
                    zero,
                    size,
                    u.address + b * u.batch + c * u.row + t * u.time,
                    u.row,
                    u.time,
                    width,
                    steps,
                    us,
                )
                _gather(
                    zero,
                    size,
                    dy.address + b * dy.batch + c * dy.row + t * dy.time,
                    dy.row,
                    dy.time,
                    width,
                    steps,
                    gs,
                )
                if shape.softplus:
                    _slope_of_softplus(zero, size, steps, bias_row, dts, slopes)
                bound = _activate(zero, size, steps, shape.softplus, bias_row, dts)
                _multiply(zero, size, steps, dts, us, xs)
                _scale(zero, size, steps, feed, us, ys)
                if z.address:
                    _gather(
                        zero,
                        size,
                        z.address + b * z.batch + c * z.row + t * z.time,
                        z.row,
                        z.time,
                        width,
                        steps,
                        gates,
                    )
                    _split_gate(zero, size, steps, gates, gs)
                _clear(zero, size, steps, dxs)
                _clear(zero, size, steps, dts_A)
                for n in range(shape.states):
                    at = decay + n * vector
                    reach = bound * largest(absolute(load(zero, at)))
                    Bn = B.address + b * B.batch + g * B.group + n * B.row + t * B.time
                    Cn = C.address + b * C.batch + g * C.group + n * C.row + t * C.time
                    h = checkpoints + ((item * blocks + k) * shape.states + n) * vector
                    along = (item * shape.states + n) * vector
                    here = sums + (n * span + t - start) * size
                    small = reach <= SMALL
                    if small:
                        _replay_small(zero, size, steps, dts, xs, ys, at, Bn, B.time, Cn, C.time, h, hs, ps)
                    else:
                        _replay(
                            zero,
                            size,
                            steps,
                            dts,
                            xs,
                            ys,
                            at,
                            Bn,
                            B.time,
                            Cn,
                            C.time,
                            h,
                            hs,
                            ps,
                            not reach <= ORDINARY,
                        )
                    _return(
                        zero,
                        size,
                        steps,
                        small,
                        dts,
                        xs,
                        gs,
                        at,
                        Bn,
                        B.time,
                        Cn,
                        C.time,
                        hs,
                        ps,
                        dxs,
                        dts_A,
                        carry + along,
                        dA + along,
                        dB + here,
                        dC + here,
                    )
                _finish(
                    zero,
                    size,
                    steps,
                    shape.softplus,
                    feed,
                    dts,
                    us,
                    gs,
                    slopes,
                    dxs,
                    dts_A,
                    dD + item * vector,
                    dbias + item * vector,
                )
                _scatter(
                    zero,
                    size,
                    dxs,
                    width,
                    steps,
                    du.address + b * du.batch + c * du.row + t * du.time,
                    du.row,
                    du.time,
                )
                _scatter(
                    zero,
                    size,
                    dts_A,
                    width,
                    steps,
                    ddelta.address + b * ddelta.batch + c * ddelta.row + t * ddelta.time,
                    ddelta.row,
                    ddelta.time,
                )
                if z.address:
                    _multiply(zero, size, steps, gates, ys, gates)
                    _scatter(
                        zero,
                        size,
                        gates,
                        width,
                        steps,
                        dz.address + b * dz.batch + c * dz.row + t * dz.time,
                        dz.row,
                        dz.time,
                    )


@njit(nogil=True, cache=True, error_model="numpy")
def reduce_parts(zero, size, first, last, parts, start, span, states, source, target):
    """Add the parts of every group, in order, into a tensor (batch * groups, states, length) from `start` on.

    Rows `first` to `last` of all batch * groups * states are done; `source` is an address,
    `target` a view of which batch and group are one axis.
    """
    for row in range(first, last):
        group, n = row // states, row % states
        out = target.address + group * target.batch + n * target.row + start * target.time
        for t in range(span):
            value = zero
            for part in range(parts):
                value += peek(zero, source + (((group * parts + part) * states + n) * span + t) * size)
            poke(out + t * target.time, value)
