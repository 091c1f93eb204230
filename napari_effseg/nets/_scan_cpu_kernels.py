"""The compiled loops of the selective scan: numba, channels in the lanes of vectors.

Every lane of a vector is a channel, so that the sum over states needs no sum across lanes and the
mixing B[n, t], C[n, t] is one number for the whole vector. A kernel takes `LANES` channels at a time
through blocks of time steps. In each block the step sizes and inputs are first laid out as
(time, lane), then each state is swept through the block with its h in registers.

exp(dt * A) is computed in base 2 by a polynomial. Where all |dt * A| of a block are small, the sweep uses
exp(dt * A) - 1 instead, which keeps slow decays exact to the last bits and needs no range reduction.

Addresses are bytes; a `View` holds the byte strides of a tensor.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from ._simd import (
    LANES,
    absolute,
    add,
    choose_greater,
    constant,
    div,
    exponent_factor,
    fill,
    fma,
    largest,
    load,
    mul,
    peek,
    poke,
    polynomial,
    store,
    sub,
)

__all__ = ["ORDINARY", "SMALL", "Shape", "View", "forward"]


class Shape(NamedTuple):
    """Sizes of a problem."""

    batch: int
    groups: int
    channels: int  # of one group
    length: int
    states: int
    block: int  # time steps of a block
    softplus: int


class View(NamedTuple):
    """Where a tensor lies: address 0 for one that is absent; strides in bytes, 0 for an absent axis."""

    address: int
    batch: int
    group: int
    row: int  # channel, or state of B and C
    time: int


_LN2 = math.log(2.0)
_log2e = constant({"float32": 1 / _LN2, "float64": 1 / _LN2})
_ln2 = constant({"float32": _LN2, "float64": _LN2})
_one = constant({"float32": 1.0, "float64": 1.0})
_two = constant({"float32": 2.0, "float64": 2.0})
_nothing = constant({"float32": 0.0, "float64": 0.0})
_linear_from = constant({"float32": 20.0, "float64": 20.0})  # the softplus of the specification
# Adding this rounds to an integer, which then stands, biased, in the lowest bits of the mantissa.
_rounder = constant({"float32": 1.5 * 2**23 + 127, "float64": 1.5 * 2**52 + 1023})
_lowest = constant({"float32": -127.0, "float64": -1023.0})  # 2**this becomes 0
_highest = constant({"float32": 128.0, "float64": 1024.0})  # 2**this becomes inf
# (2**f - 1) / f on [-0.5, 0.5]: relative minimax of degree 5 (1.1e-8); Taylor of degree 12 (1e-17).
_quotient = polynomial(
    {
        "float32": (
            0.6931471824645996,
            0.24022649228572845,
            0.05550357326865196,
            0.009618237614631653,
            0.0013390735257416964,
            0.00015403512225020677,
        ),
        "float64": tuple(_LN2 ** (k + 1) / math.factorial(k + 1) for k in range(13)),
    }
)
# atanh(s) / s as a polynomial in s**2 on [0, 1/9], Taylor.
_atanh_quotient = polynomial(
    {
        "float32": tuple(1.0 / (2 * k + 1) for k in range(8)),
        "float64": tuple(1.0 / (2 * k + 1) for k in range(16)),
    }
)
SMALL = 0.5  # largest |dt * A| in base 2 for which no range reduction is needed
ORDINARY = 120.0  # largest for which 2**x is a normal number in float32 (and float64)


@njit(error_model="numpy")
def _exp2(x):
    """2**x where |x| <= `ORDINARY`."""
    shifted = add(x, _rounder(x))
    f = sub(x, sub(shifted, _rounder(x)))
    return mul(fma(f, _quotient(f), _one(x)), exponent_factor(shifted))


@njit(error_model="numpy")
def _exp2_wide(x):
    """2**x of any x, 0 or inf where it under- or overflows."""
    x = choose_greater(_lowest(x), x, _lowest(x), x)
    x = choose_greater(x, _highest(x), _highest(x), x)
    return _exp2(x)


@njit(error_model="numpy")
def _softplus(v):
    """log(1 + exp(v)), relative accuracy at both ends."""
    e = _exp2_wide(mul(sub(_nothing(v), absolute(v)), _log2e(v)))
    s = div(e, add(_two(v), e))
    log1p = mul(mul(_two(v), s), _atanh_quotient(mul(s, s)))
    smooth = add(choose_greater(v, _nothing(v), v, _nothing(v)), log1p)
    return choose_greater(v, _linear_from(v), v, smooth)


@njit(error_model="numpy")
def _sigmoid(v):
    """1 / (1 + exp(-v))."""
    return div(_one(v), add(_one(v), _exp2_wide(mul(sub(_nothing(v), v), _log2e(v)))))


@njit(error_model="numpy")
def _gather(zero, size, source, row, time, width, steps, target):
    """Copy (width rows, steps) of a strided tensor to (steps, LANES), missing lanes 0."""
    if row == size and width == LANES:
        for t in range(steps):
            store(target + t * LANES * size, load(zero, source + t * time))
        return
    for t in range(steps):
        if width < LANES:
            store(target + t * LANES * size, fill(zero))
        for w in range(width):
            poke(target + (t * LANES + w) * size, peek(zero, source + w * row + t * time))


@njit(error_model="numpy")
def _scatter(zero, size, source, width, steps, target, row, time):
    """Copy (steps, LANES) to (width rows, steps) of a strided tensor."""
    if row == size and width == LANES:
        for t in range(steps):
            store(target + t * time, load(zero, source + t * LANES * size))
        return
    for t in range(steps):
        for w in range(width):
            poke(target + w * row + t * time, peek(zero, source + (t * LANES + w) * size))


@njit(error_model="numpy")
def _activate(zero, size, steps, softplus, bias, deltas):
    """Turn raw step sizes into step sizes, in place; return the largest magnitude."""
    bound = fill(zero)
    b = load(zero, bias)
    for t in range(steps):
        at = deltas + t * LANES * size
        dt = add(load(zero, at), b)
        if softplus:
            dt = _softplus(dt)
        store(at, dt)
        magnitude = absolute(dt)
        bound = choose_greater(magnitude, bound, magnitude, bound)
    return largest(bound)


@njit(error_model="numpy")
def _slope_of_softplus(zero, size, steps, bias, deltas, slopes):
    """Derivative of the softplus at delta + bias."""
    b = load(zero, bias)
    for t in range(steps):
        v = add(load(zero, deltas + t * LANES * size), b)
        store(slopes + t * LANES * size, choose_greater(v, _linear_from(v), _one(v), _sigmoid(v)))


@njit(error_model="numpy")
def _multiply(zero, size, steps, a, b, target):
    """target = a * b, (steps, LANES) each."""
    for t in range(steps):
        k = t * LANES * size
        store(target + k, mul(load(zero, a + k), load(zero, b + k)))


@njit(error_model="numpy")
def _sweep_small(zero, size, steps, dts, xs, ys, decay, B, B_time, C, C_time, state):
    """Take one state through a block where |dt * A| <= `SMALL`."""
    step = LANES * size
    A = load(zero, decay)
    h = load(zero, state)
    for t in range(steps):
        k = t * step
        x = mul(load(zero, dts + k), A)
        less = mul(x, _quotient(x))
        h = add(h, fma(less, h, mul(load(zero, xs + k), fill(peek(zero, B + t * B_time)))))
        store(ys + k, fma(h, fill(peek(zero, C + t * C_time)), load(zero, ys + k)))
    store(state, h)


@njit(error_model="numpy")
def _sweep(zero, size, steps, dts, xs, ys, decay, B, B_time, C, C_time, state):
    """Take one state through a block where |dt * A| <= `ORDINARY`."""
    step = LANES * size
    A = load(zero, decay)
    h = load(zero, state)
    for t in range(steps):
        k = t * step
        a = _exp2(mul(load(zero, dts + k), A))
        h = fma(a, h, mul(load(zero, xs + k), fill(peek(zero, B + t * B_time))))
        store(ys + k, fma(h, fill(peek(zero, C + t * C_time)), load(zero, ys + k)))
    store(state, h)


@njit(error_model="numpy")
def _sweep_wide(zero, size, steps, dts, xs, ys, decay, B, B_time, C, C_time, state):
    """Take one state through a block of any dt * A."""
    step = LANES * size
    A = load(zero, decay)
    h = load(zero, state)
    for t in range(steps):
        k = t * step
        a = _exp2_wide(mul(load(zero, dts + k), A))
        h = fma(a, h, mul(load(zero, xs + k), fill(peek(zero, B + t * B_time))))
        store(ys + k, fma(h, fill(peek(zero, C + t * C_time)), load(zero, ys + k)))
    store(state, h)


@njit(error_model="numpy")
def _prepare_rows(zero, size, row, width, source, target):
    """Copy `width` numbers of a strided row to LANES, the rest 0; all 0 for an absent tensor."""
    store(target, fill(zero))
    if source:
        for w in range(width):
            poke(target + w * size, peek(zero, source + w * row))


@njit(error_model="numpy")
def _prepare_decay(zero, size, shape, width, A, A_row, A_state, target):
    """Lay A * log2(e) out as (states, LANES)."""
    for n in range(shape.states):
        at = target + n * LANES * size
        _prepare_rows(zero, size, A_row, width, A + n * A_state, at)
        store(at, mul(load(zero, at), _log2e(zero)))


@njit(error_model="numpy")
def _aligned(buffer):
    return (buffer.ctypes.data + 63) // 64 * 64


@njit(nogil=True, cache=True, error_model="numpy")
def forward(zero, size, first, last, shape, u, delta, A, B, C, D, z, bias, y, states, checkpoints):
    """Scan the items `first` to `last`; an item is LANES channels of one group of one batch element.

    `zero` is a float of the dtype, `size` its bytes. `states` and `checkpoints` are addresses:
    (items, states, LANES), and (items, blocks, states, LANES) or 0 for none.
    """
    vector = LANES * size
    block = shape.block * vector
    scratch = np.empty(3 * block + (shape.states + 2) * vector + 64, np.uint8)
    dts = _aligned(scratch)
    xs = dts + block
    ys = xs + block
    decay = ys + block
    bias_row = decay + shape.states * vector
    D_row = bias_row + vector
    per_group = (shape.channels + LANES - 1) // LANES
    blocks = (shape.length + shape.block - 1) // shape.block
    for item in range(first, last):
        g = item // per_group
        b, g = g // shape.groups, g % shape.groups
        c = item % per_group * LANES
        width = min(LANES, shape.channels - c)
        c += g * shape.channels
        _prepare_decay(zero, size, shape, width, A.address + c * A.row, A.row, A.time, decay)
        _prepare_rows(
            zero, size, bias.row, width, bias.address + c * bias.row if bias.address else 0, bias_row
        )
        _prepare_rows(zero, size, D.row, width, D.address + c * D.row if D.address else 0, D_row)
        state = states + item * shape.states * vector
        for n in range(shape.states):
            store(state + n * vector, fill(zero))
        feed = load(zero, D_row)
        for k in range(blocks):
            t = k * shape.block
            steps = min(shape.block, shape.length - t)
            if checkpoints:
                keep = checkpoints + (item * blocks + k) * shape.states * vector
                for n in range(shape.states):
                    store(keep + n * vector, load(zero, state + n * vector))
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
                zero, size, u.address + b * u.batch + c * u.row + t * u.time, u.row, u.time, width, steps, xs
            )
            bound = _activate(zero, size, steps, shape.softplus, bias_row, dts)
            for s in range(steps):
                x = load(zero, xs + s * vector)
                store(ys + s * vector, mul(feed, x))
            _multiply(zero, size, steps, dts, xs, xs)
            for n in range(shape.states):
                at = decay + n * vector
                reach = bound * largest(absolute(load(zero, at)))
                Bn = B.address + b * B.batch + g * B.group + n * B.row + t * B.time
                Cn = C.address + b * C.batch + g * C.group + n * C.row + t * C.time
                h = state + n * vector
                if reach <= SMALL:
                    _sweep_small(zero, size, steps, dts, xs, ys, at, Bn, B.time, Cn, C.time, h)
                elif reach <= ORDINARY:
                    _sweep(zero, size, steps, dts, xs, ys, at, Bn, B.time, Cn, C.time, h)
                else:
                    _sweep_wide(zero, size, steps, dts, xs, ys, at, Bn, B.time, Cn, C.time, h)
            if z.address:
                _gather(
                    zero,
                    size,
                    z.address + b * z.batch + c * z.row + t * z.time,
                    z.row,
                    z.time,
                    width,
                    steps,
                    xs,
                )
                for s in range(steps):
                    gate = load(zero, xs + s * vector)
                    at = ys + s * vector
                    store(at, mul(load(zero, at), mul(gate, _sigmoid(gate))))
            _scatter(
                zero, size, ys, width, steps, y.address + b * y.batch + c * y.row + t * y.time, y.row, y.time
            )
