"""Compiled loops around the scan of a Mamba layer: what is before it and after it, a block of tokens at once.

Lanes are tokens, so that norms and products of channels need no sums across lanes. A block's arrays stay in
the first two caches. Rows of a block are channels, `BLOCK` numbers and `HALO` before them where the causal
convolution looks back.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call"
# Numba infers the types of these functions; vectors have no Python type.

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._numba_cache import SOURCE, inlined, kernel
from ._scan_cpu_math import logistic, one
from ._simd import LANES, add, claim, div, fill, fma, load, mul, peek, poke, root, size_of, store, sub

__all__ = ["BLOCK", "HALO", "LayerAddresses", "PieceAddresses", "after", "before"]

_QUAD = 4  # rows that a product makes at once; its weights are packed by as many
HALO = 2 * LANES
"""Tokens before a block that are computed again, for the convolution; its kernel is at most one longer."""
BLOCK = 128
"""Tokens of a block."""


class LayerAddresses(NamedTuple):
    """A layer's sizes, and where its weights are: see `_quick_mamba._Weights`."""

    channels: int
    inner: int
    rank: int
    mixed: int
    taps: int
    channels_out: int
    eps: np.float32
    skip: np.float32
    norm_weight: int
    norm_bias: int
    widen_x: int
    widen_z: int
    conv_weight: int
    conv_bias: int
    mix: int
    delta: int
    narrow: int
    out: int
    out_bias: int


class PieceAddresses(NamedTuple):
    """Where a piece of a sequence lies, and what is between the kernels, in rows of `row` bytes.

    `tokens` and `result` are those of the whole sequence, of which the piece starts with number `start`;
    `u`, `z`, `delta`, `y` have a row for each inner channel, `mixed` for each step and state of B and of C.
    """

    tokens: int
    result: int
    start: int
    length: int
    row: int
    u: int
    z: int
    delta: int
    mixed: int
    y: int


@inlined
def _product(zero, weight, depth, rows, x, x_row, y, y_row, count):
    """Set y[e, t] = sum over c of weight[e, c] x[c, t]; rows are made up to a multiple of `_QUAD`."""
    size = size_of(zero)
    step = LANES * size
    for q in range((rows + _QUAD - 1) // _QUAD):
        for pair in range(count // (2 * LANES)):
            s = 2 * pair * step
            w = weight + q * depth * _QUAD * size
            a0 = a1 = b0 = b1 = c0 = c1 = d0 = d1 = fill(zero)
            for c in range(depth):
                x0, x1 = load(zero, x + c * x_row + s), load(zero, x + c * x_row + s + step)
                wa, wb = fill(peek(zero, w)), fill(peek(zero, w + size))
                wc, wd = fill(peek(zero, w + 2 * size)), fill(peek(zero, w + 3 * size))
                a0, a1 = fma(wa, x0, a0), fma(wa, x1, a1)
                b0, b1 = fma(wb, x0, b0), fma(wb, x1, b1)
                c0, c1 = fma(wc, x0, c0), fma(wc, x1, c1)
                d0, d1 = fma(wd, x0, d0), fma(wd, x1, d1)
                w += _QUAD * size
            to = y + q * _QUAD * y_row + s
            store(to, a0)
            store(to + step, a1)
            store(to + y_row, b0)
            store(to + y_row + step, b1)
            store(to + 2 * y_row, c0)
            store(to + 2 * y_row + step, c1)
            store(to + 3 * y_row, d0)
            store(to + 3 * y_row + step, d1)


@inlined
def _normalise(zero, x, row, channels, count, weight, bias, eps):
    """Normalise every token over its channels, in place."""
    size = size_of(zero)
    inverse = fill(np.float32(1.0) / np.float32(channels))
    for k in range(count // LANES):
        s = x + k * LANES * size
        total = fill(zero)
        for c in range(channels):
            total = add(total, load(zero, s + c * row))
        mean = mul(total, inverse)
        squares = fill(zero)
        for c in range(channels):
            apart = sub(load(zero, s + c * row), mean)
            squares = fma(apart, apart, squares)
        factor = div(one(mean), root(fma(squares, inverse, fill(eps))))
        for c in range(channels):
            scale = mul(factor, fill(peek(zero, weight + c * size)))
            apart = sub(load(zero, s + c * row), mean)
            store(s + c * row, fma(apart, scale, fill(peek(zero, bias + c * size))))


@inlined
def _take(zero, tokens, channels, first, last, x, row, width):
    """Read tokens `first` to `last` as rows of channels, then zeros up to `width`."""
    size = size_of(zero)
    for c in range(channels):
        to, at = x + c * row, tokens + (first * channels + c) * size
        for _ in range(last - first):
            poke(to, peek(zero, at))
            to += size
            at += channels * size
        for _ in range(width - (last - first)):
            poke(to, zero)
            to += size


@inlined
def _convolve(zero, layer, x, x_row, u, u_row):
    """Causal convolution and SiLU of every row of x, which begins `HALO` tokens early."""
    size = size_of(zero)
    for d in range(layer.inner):
        weight = layer.conv_weight + d * layer.taps * size
        bias = fill(peek(zero, layer.conv_bias + d * size))
        for k in range(BLOCK // LANES):
            at = x + d * x_row + (HALO + k * LANES - layer.taps + 1) * size
            v = bias
            for tap in range(layer.taps):
                v = fma(fill(peek(zero, weight + tap * size)), load(zero, at + tap * size), v)
            store(u + d * u_row + k * LANES * size, mul(v, logistic(v)))


@inlined
def _before_block(zero, layer, piece, t, x, wide):
    """Make u, z, delta, B and C of the block that starts at token t of the piece."""
    size = size_of(zero)
    row = (HALO + BLOCK) * size
    first = piece.start + t
    early = min(HALO, first)
    if early < HALO:  # nothing lies before the sequence
        for c in range(layer.channels):
            for k in range(HALO // LANES):
                store(x + c * row + k * LANES * size, fill(zero))
    count = min(BLOCK, piece.length - t)
    late = (HALO - early) * size
    _take(zero, piece.tokens, layer.channels, first - early, first + count, x + late, row, early + BLOCK)
    _normalise(zero, x, row, layer.channels, HALO + BLOCK, layer.norm_weight, layer.norm_bias, layer.eps)
    _product(zero, layer.widen_x, layer.channels, layer.inner, x, row, wide, row, HALO + BLOCK)
    if early < HALO:
        for d in range(layer.inner):
            for k in range(HALO - early):
                poke(wide + d * row + k * size, zero)
    here = t * size
    z, u, delta = piece.z + here, piece.u + here, piece.delta + here
    mixed = piece.mixed + here
    _product(zero, layer.widen_z, layer.channels, layer.inner, x + HALO * size, row, z, piece.row, BLOCK)
    _convolve(zero, layer, wide, row, u, piece.row)
    _product(zero, layer.mix, layer.inner, layer.mixed, u, piece.row, mixed, piece.row, BLOCK)
    _product(zero, layer.delta, layer.rank, layer.inner, mixed, piece.row, delta, piece.row, BLOCK)


@inlined
def _after_block(zero, layer, piece, t, x, mixed):
    """Make the results of the block that starts at token t of the piece."""
    size = size_of(zero)
    row = BLOCK * size
    count = min(BLOCK, piece.length - t)
    first = piece.start + t
    _take(zero, piece.tokens, layer.channels, first, first + count, x, row, BLOCK)
    _product(
        zero, layer.narrow, layer.inner, layer.channels, piece.y + t * size, piece.row, mixed, row, BLOCK
    )
    skip = fill(layer.skip)
    for c in range(layer.channels):
        for k in range(BLOCK // LANES):
            at = c * row + k * LANES * size
            store(mixed + at, fma(skip, load(zero, x + at), load(zero, mixed + at)))
    _normalise(zero, mixed, row, layer.channels, BLOCK, layer.norm_weight, layer.norm_bias, layer.eps)
    _product(zero, layer.out, layer.channels, layer.channels_out, mixed, row, x, row, BLOCK)
    for c in range(layer.channels_out):
        bias = peek(zero, layer.out_bias + c * size)
        at, to = x + c * row, piece.result + (first * layer.channels_out + c) * size
        for _ in range(count):
            poke(to, peek(zero, at) + bias)
            at += size
            to += layer.channels_out * size


@inlined
def _up(rows):
    """Rows that a product makes for these."""
    return (rows + _QUAD - 1) // _QUAD * _QUAD


@inlined
def _before_blocks(zero, counter, layer, piece):
    row = (HALO + BLOCK) * size_of(zero)
    memory = np.empty((layer.channels + _up(layer.inner)) * row, np.uint8)
    x = memory.ctypes.data
    number = claim(counter)
    while number * BLOCK < piece.length:
        _before_block(zero, layer, piece, number * BLOCK, x, x + layer.channels * row)
        number = claim(counter)
    memory[0] = 0  # numba frees an array after its last use, of which the uses of its address are none


@inlined
def _after_blocks(zero, counter, layer, piece):
    row = BLOCK * size_of(zero)
    most = max(layer.channels, _up(layer.channels_out))
    memory = np.empty((most + _up(layer.channels)) * row, np.uint8)
    x = memory.ctypes.data
    number = claim(counter)
    while number * BLOCK < piece.length:
        _after_block(zero, layer, piece, number * BLOCK, x, x + most * row)
        number = claim(counter)
    memory[0] = 0


def _before_of(source):
    def before(zero, counter, layer, piece):
        _ = source
        _before_blocks(zero, counter, layer, piece)

    return before


def _after_of(source):
    def after(zero, counter, layer, piece):
        _ = source
        _after_blocks(zero, counter, layer, piece)

    return after


before = kernel(_before_of(SOURCE))
"""All blocks of a piece up to the scan, shared out among the threads that call it."""
after = kernel(_after_of(SOURCE))
"""All blocks of a piece from the scan on."""
