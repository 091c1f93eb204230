"""Sweeps of one state through a block for the backward pass: forwards again, keeping all, then back."""
# mypy: disable-error-code="no-untyped-def, no-untyped-call"
# Numba infers the types of these functions; vectors have no Python type.

from __future__ import annotations

from typing import NamedTuple

from ._numba_cache import inlined
from ._scan_cpu_blocks import block_bytes
from ._scan_cpu_math import decay_factor, decay_factor_any, decay_less_one
from ._simd import LANES, add, fill, fma, load, mul, peek, poke, size_of, store, total
from ._simd_tiles import sums_of_rows

__all__ = ["Blocks", "blocks_at", "bytes_of_blocks", "replay", "replay_any", "replay_small", "sweep_back"]


class Blocks(NamedTuple):
    """Addresses of the blocks in a thread's own memory."""

    dts: int
    us: int
    xs: int  # dt * u
    ys: int
    gs: int  # gradient of y before the gate
    gates: int  # z, then what makes dz of ys
    slopes: int  # of the softplus
    dxs: int
    dlogs: int  # sum over states of the gradient of dt * A, times A in base 2
    ps: int  # decays of one state
    hs: int  # one state, before the first step and after every step
    tile_B: int  # (LANES, LANES)
    tile_C: int


@inlined
def bytes_of_blocks(zero, shape):
    """Return the memory that `Blocks` takes: eleven blocks, a vector more of `hs`, and two tiles."""
    return 11 * block_bytes(zero, shape) + (1 + 2 * LANES) * LANES * size_of(zero)


@inlined
def blocks_at(zero, shape, scratch):
    vector = LANES * size_of(zero)
    block = block_bytes(zero, shape)
    tile_B = scratch + 11 * block + vector
    return Blocks(
        scratch,
        scratch + block,
        scratch + 2 * block,
        scratch + 3 * block,
        scratch + 4 * block,
        scratch + 5 * block,
        scratch + 6 * block,
        scratch + 7 * block,
        scratch + 8 * block,
        scratch + 9 * block,
        scratch + 10 * block,
        tile_B,
        tile_B + LANES * vector,
    )


@inlined
def replay_small(zero, steps, at, decay, B, B_time, C, C_time, state):
    """Sweep one state through a block, keeping every h and exp(dt * A) - 1; |dt * A| <= `SMALL`."""
    step = LANES * size_of(zero)
    A = load(zero, decay)
    h = load(zero, state)
    store(at.hs, h)
    for s in range(steps):
        k = s * step
        less = decay_less_one(load(zero, at.dts + k), A)
        h = add(h, fma(less, h, mul(load(zero, at.xs + k), fill(peek(zero, B + s * B_time)))))
        store(at.hs + k + step, h)
        store(at.ps + k, less)
        store(at.ys + k, fma(h, fill(peek(zero, C + s * C_time)), load(zero, at.ys + k)))


@inlined
def replay(zero, steps, at, decay, B, B_time, C, C_time, state):
    """Sweep one state through a block, keeping every h and exp(dt * A); |dt * A| <= `ORDINARY`."""
    step = LANES * size_of(zero)
    A = load(zero, decay)
    h = load(zero, state)
    store(at.hs, h)
    for s in range(steps):
        k = s * step
        p = decay_factor(load(zero, at.dts + k), A)
        h = fma(p, h, mul(load(zero, at.xs + k), fill(peek(zero, B + s * B_time))))
        store(at.hs + k + step, h)
        store(at.ps + k, p)
        store(at.ys + k, fma(h, fill(peek(zero, C + s * C_time)), load(zero, at.ys + k)))


@inlined
def replay_any(zero, steps, at, decay, B, B_time, C, C_time, state):
    """Sweep one state through a block, keeping every h and exp(dt * A)."""
    step = LANES * size_of(zero)
    A = load(zero, decay)
    h = load(zero, state)
    store(at.hs, h)
    for s in range(steps):
        k = s * step
        p = decay_factor_any(load(zero, at.dts + k), A)
        h = fma(p, h, mul(load(zero, at.xs + k), fill(peek(zero, B + s * B_time))))
        store(at.hs + k + step, h)
        store(at.ps + k, p)
        store(at.ys + k, fma(h, fill(peek(zero, C + s * C_time)), load(zero, at.ys + k)))


@inlined
def sweep_back(zero, steps, small, at, decay, B, B_time, C, C_time, carry, dA, dB, dC):
    """Sweep one state through a block backwards; `small` says that `at.ps` holds exp(dt * A) - 1."""
    step = LANES * size_of(zero)
    A = load(zero, decay)
    back = load(zero, carry)
    sum_A = load(zero, dA)
    h = load(zero, at.hs + steps * step)
    top = steps
    while top > 0:
        bottom = (top - 1) // LANES * LANES
        for s in range(top - 1, bottom - 1, -1):
            k = s * step
            g = load(zero, at.gs + k)
            dh = fma(g, fill(peek(zero, C + s * C_time)), back)
            store(at.tile_C + (s - bottom) * step, mul(g, h))
            store(at.tile_B + (s - bottom) * step, mul(dh, load(zero, at.xs + k)))
            store(at.dxs + k, fma(dh, fill(peek(zero, B + s * B_time)), load(zero, at.dxs + k)))
            p = load(zero, at.ps + k)
            h = load(zero, at.hs + k)
            if small:
                back = fma(p, dh, dh)
                through = mul(dh, fma(p, h, h))
            else:
                back = mul(p, dh)
                through = mul(back, h)
            store(at.dlogs + k, fma(through, A, load(zero, at.dlogs + k)))
            sum_A = fma(through, load(zero, at.dts + k), sum_A)
        places_B, places_C = dB + bottom * size_of(zero), dC + bottom * size_of(zero)
        if top - bottom == LANES:
            store(places_B, add(load(zero, places_B), sums_of_rows(zero, at.tile_B)))
            store(places_C, add(load(zero, places_C), sums_of_rows(zero, at.tile_C)))
        else:
            _add_sums(zero, top - bottom, at.tile_B, places_B)
            _add_sums(zero, top - bottom, at.tile_C, places_C)
        top = bottom
    store(carry, back)
    store(dA, sum_A)


@inlined
def _add_sums(zero, rows, tile, target):
    """Add the sum of each of the first rows of a tile to numbers that lie one after another."""
    for row in range(rows):
        place = target + row * size_of(zero)
        poke(place, peek(zero, place) + total(load(zero, tile + row * LANES * size_of(zero))))
