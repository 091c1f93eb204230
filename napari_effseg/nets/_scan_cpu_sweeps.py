"""Sweeps of two states through a block for the backward pass: forwards again, keeping all, then back.

Two at once, because each number that both need is then loaded, and each sum over states stored, half as
often, and one recurrence is computed while the other waits for its last step.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call"
# Numba infers the types of these functions; vectors have no Python type.

from __future__ import annotations

from typing import NamedTuple

from ._numba_cache import forced, inlined
from ._scan_cpu_blocks import clear
from ._scan_cpu_math import decay_factor, decay_factor_any, decay_less_one
from ._simd import LANES, add, fill, fma, load, mul, peek, poke, size_of, store, total
from ._simd_tiles import sums_of_rows

__all__ = [
    "Blocks",
    "State",
    "blocks_at",
    "bytes_of_blocks",
    "no_state",
    "replay",
    "replay_any",
    "replay_small",
    "row_bytes",
    "sweep_back",
    "sweep_back_small",
]

# What sweeps know of a time step lies side by side, in a row: one address and constants then name it all.
_DT, _X, _Y, _G, _DX, _DLOG, _P0, _H0, _P1, _H1 = range(10)
_COLUMNS = 10


class Blocks(NamedTuple):
    """Addresses of the blocks in a thread's own memory; each has a vector in every row."""

    dts: int  # where rows start
    us: int
    xs: int  # dt * u
    ys: int
    gs: int  # gradient of y before the gate
    gates: int  # z, then what makes dz of ys
    slopes: int  # of the softplus
    dxs: int
    dlogs: int  # sum over states of the gradient of dt * A, times A in base 2
    tiles: int  # four of (LANES, LANES)
    nothing: int  # what `no_state` is made of


class State(NamedTuple):
    """Where the numbers of one state of an item lie, at the start of a block."""

    decay: int  # A, in base 2
    start: int  # h
    B: int
    B_time: int  # the stride
    C: int
    C_time: int
    carry: int  # gradients from here on
    dA: int
    dB: int
    dC: int


@forced
def row_bytes(zero):
    """Return the distance between two rows."""
    return _COLUMNS * LANES * size_of(zero)


@inlined
def bytes_of_blocks(zero, shape):
    """Return the memory that `Blocks` takes: twice as many rows as time steps and one, tiles, and nothing."""
    vectors = 2 * (shape.block + 1) * _COLUMNS + 4 * LANES + _vectors_of_nothing(shape)
    return vectors * LANES * size_of(zero)


@inlined
def _vectors_of_nothing(shape):
    """Return how many `no_state` takes: one that is read, and one and a block's sums that are written."""
    return 2 + (shape.block + LANES - 1) // LANES


@inlined
def blocks_at(zero, shape, scratch):
    vector = LANES * size_of(zero)
    apart = scratch + (shape.block + 1) * row_bytes(zero)  # the columns that sweeps do not need
    tiles = apart + (shape.block + 1) * row_bytes(zero)
    return Blocks(
        scratch + _DT * vector,
        apart,
        scratch + _X * vector,
        scratch + _Y * vector,
        scratch + _G * vector,
        apart + vector,
        apart + 2 * vector,
        scratch + _DX * vector,
        scratch + _DLOG * vector,
        tiles,
        tiles + 4 * LANES * vector,
    )


@inlined
def no_state(zero, shape, at):
    """Return a state that is 0 and stays it, for one that has no second."""
    vector = LANES * size_of(zero)
    clear(zero, vector, _vectors_of_nothing(shape), at.nothing)
    read, written = at.nothing, at.nothing + vector
    return State(read, read, read, 0, read, 0, written, written, written + vector, written + vector)


@forced
def _mixed(zero, place, time, s):
    """Return the number of B or C at a time step, in all lanes."""
    return fill(peek(zero, place + s * time))


def _replay_of(factor, less_one):
    """Make the sweep that keeps every h and ``factor(dt, A)``: exp(dt * A), or, if so said, that less 1."""

    @forced
    def advance(p, h, drive):
        return add(h, fma(p, h, drive)) if less_one else fma(p, h, drive)

    @inlined
    def replay(zero, steps, at, first, second):
        vector, step = LANES * size_of(zero), row_bytes(zero)
        A0, A1 = load(zero, first.decay), load(zero, second.decay)
        h0, h1 = load(zero, first.start), load(zero, second.start)
        store(at.dts + _H0 * vector, h0)
        store(at.dts + _H1 * vector, h1)
        for s in range(steps):
            k = at.dts + s * step
            dt, x = load(zero, k + _DT * vector), load(zero, k + _X * vector)
            p0, p1 = factor(dt, A0), factor(dt, A1)
            h0 = advance(p0, h0, mul(x, _mixed(zero, first.B, first.B_time, s)))
            h1 = advance(p1, h1, mul(x, _mixed(zero, second.B, second.B_time, s)))
            store(k + _P0 * vector, p0)
            store(k + _P1 * vector, p1)
            store(k + step + _H0 * vector, h0)
            store(k + step + _H1 * vector, h1)
            y = fma(h0, _mixed(zero, first.C, first.C_time, s), load(zero, k + _Y * vector))
            store(k + _Y * vector, fma(h1, _mixed(zero, second.C, second.C_time, s), y))

    return replay


replay_small = _replay_of(decay_less_one, True)
"""Sweep two states through a block where |dt * A| <= `SMALL`."""
replay = _replay_of(decay_factor, False)
"""Sweep two states through a block where |dt * A| <= `ORDINARY`."""
replay_any = _replay_of(decay_factor_any, False)
"""Sweep two states through a block of any dt * A."""


def _sweep_back_of(less_one):
    """Make the backward sweep; `less_one` says that exp(dt * A) - 1 was kept, and not exp(dt * A)."""

    @forced
    def decay(p, h, dh):
        """Return p dh, which goes back to the step before, and dh p h, the gradient of dt * A."""
        if less_one:
            return fma(p, dh, dh), mul(dh, fma(p, h, h))
        back = mul(p, dh)
        return back, mul(back, h)

    @forced
    def sweep_tile(zero, at, first, second, A0, A1, bottom, rows, carried):
        """Take the rows from `bottom` on, the last one first, and add them to the sums over channels."""
        vector, size = LANES * size_of(zero), size_of(zero)
        back0, back1, h0, h1, sum0, sum1 = carried
        for row in range(rows):
            i = rows - 1 - row
            s = bottom + i
            k, tile = at.dts + s * row_bytes(zero), at.tiles + i * vector
            g, x = load(zero, k + _G * vector), load(zero, k + _X * vector)
            dh0 = fma(g, _mixed(zero, first.C, first.C_time, s), back0)
            dh1 = fma(g, _mixed(zero, second.C, second.C_time, s), back1)
            store(tile, mul(g, h0))
            store(tile + LANES * vector, mul(g, h1))
            store(tile + 2 * LANES * vector, mul(dh0, x))
            store(tile + 3 * LANES * vector, mul(dh1, x))
            dx = fma(dh0, _mixed(zero, first.B, first.B_time, s), load(zero, k + _DX * vector))
            store(k + _DX * vector, fma(dh1, _mixed(zero, second.B, second.B_time, s), dx))
            h0, h1 = load(zero, k + _H0 * vector), load(zero, k + _H1 * vector)
            back0, through0 = decay(load(zero, k + _P0 * vector), h0, dh0)
            back1, through1 = decay(load(zero, k + _P1 * vector), h1, dh1)
            dlog = fma(through0, A0, load(zero, k + _DLOG * vector))
            store(k + _DLOG * vector, fma(through1, A1, dlog))
            dt = load(zero, k + _DT * vector)
            sum0, sum1 = fma(through0, dt, sum0), fma(through1, dt, sum1)
        _add_sums(zero, rows, at.tiles, first.dC + bottom * size)
        _add_sums(zero, rows, at.tiles + LANES * vector, second.dC + bottom * size)
        _add_sums(zero, rows, at.tiles + 2 * LANES * vector, first.dB + bottom * size)
        _add_sums(zero, rows, at.tiles + 3 * LANES * vector, second.dB + bottom * size)
        return back0, back1, h0, h1, sum0, sum1

    @inlined
    def sweep_back(zero, steps, at, first, second):
        vector = LANES * size_of(zero)
        A0, A1 = load(zero, first.decay), load(zero, second.decay)
        end = at.dts + steps * row_bytes(zero)
        carried = (
            load(zero, first.carry),
            load(zero, second.carry),
            load(zero, end + _H0 * vector),
            load(zero, end + _H1 * vector),
            load(zero, first.dA),
            load(zero, second.dA),
        )
        whole = steps // LANES * LANES
        if whole < steps:
            carried = sweep_tile(zero, at, first, second, A0, A1, whole, steps - whole, carried)
        for bottom in range(whole - LANES, -1, -LANES):  # of rows as many as the compiler knows
            carried = sweep_tile(zero, at, first, second, A0, A1, bottom, LANES, carried)
        back0, back1, _, _, sum0, sum1 = carried
        store(first.carry, back0)
        store(second.carry, back1)
        store(first.dA, sum0)
        store(second.dA, sum1)

    return sweep_back


sweep_back_small = _sweep_back_of(True)
"""Sweep two states back through a block, after `replay_small`."""
sweep_back = _sweep_back_of(False)
"""Sweep two states back through a block, after `replay` or `replay_any`."""


@forced
def _add_sums(zero, rows, tile, target):
    """Add the sum of each of the first rows of a tile to numbers that lie one after another."""
    if rows == LANES:
        store(target, add(load(zero, target), sums_of_rows(zero, tile)))
        return
    for row in range(rows):
        place = target + row * size_of(zero)
        poke(place, peek(zero, place) + total(load(zero, tile + row * LANES * size_of(zero))))
