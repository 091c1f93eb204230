"""Where things lie: the compiled scan's problem, its items, and the blocks it works on.

An *item* is `LANES` neighbouring channels of one group of one batch element; missing channels of the last
item are 0. A *block* is a stretch of time steps, laid out as (time, lane) in a thread's own memory, so that
channels are the lanes of vectors. Its vectors are a *step* apart, which may be more than their size.
Addresses, strides, steps and offsets are in bytes.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call"
# Numba infers the types of these functions; vectors have no Python type.

from __future__ import annotations

from typing import NamedTuple

from ._numba_cache import inlined
from ._scan_cpu_math import log2e, softplus, softplus_with_slope
from ._simd import (
    LANES,
    absolute,
    add,
    choose_greater,
    fill,
    largest,
    load,
    mul,
    peek,
    poke,
    size_of,
    store,
)
from ._simd_tiles import TILE, transpose

__all__ = [
    "Item",
    "Problem",
    "Shape",
    "View",
    "activate",
    "align",
    "block_bytes",
    "block_count",
    "clear",
    "gather",
    "item_count",
    "item_of",
    "mixing_at",
    "multiply",
    "prepare_decay",
    "prepare_row",
    "reach_of",
    "scatter",
]


_STAGGER = 5 * 64


class Shape(NamedTuple):
    """Sizes of a problem."""

    batch: int
    groups: int
    channels: int  # of one group
    length: int
    states: int
    block: int  # time steps
    softplus: int  # 1 or 0


class View(NamedTuple):
    """Where a tensor lies: address 0 if there is none; stride 0 along an axis that it lacks."""

    address: int
    batch: int
    group: int
    row: int  # a channel; of B and C, a state
    time: int  # a time step; of A, a state


class Problem(NamedTuple):
    """The tensors that a scan reads."""

    u: View
    delta: View
    A: View
    B: View
    C: View
    D: View
    z: View
    bias: View


class Item(NamedTuple):
    """`LANES` channels of one batch element."""

    number: int
    batch: int
    group: int
    channel: int  # the first, counted over all groups
    width: int  # channels that exist


def item_count(shape: Shape) -> int:
    """Count the items of all groups and batch elements."""
    return shape.batch * shape.groups * -(-shape.channels // LANES)


def block_count(shape: Shape) -> int:
    """Count the blocks that a sequence is cut into."""
    return -(-shape.length // shape.block)


@inlined
def item_of(number, shape):
    """Return the item of a number; those of a group follow each other, then groups, then the batch."""
    per_group = (shape.channels + LANES - 1) // LANES
    row = number // per_group
    first = number % per_group * LANES
    batch, group = row // shape.groups, row % shape.groups
    width = min(LANES, shape.channels - first)
    return Item(number, batch, group, group * shape.channels + first, width)


@inlined
def align(address):
    """Return the next multiple of a cache line."""
    return (address + 63) // 64 * 64


@inlined
def block_bytes(zero, shape):
    """Return the distance between two blocks in memory.

    One cache line and more than a block: blocks at a multiple of 4096 bytes would share cache sets.
    """
    return align(shape.block * LANES * size_of(zero)) + _STAGGER


@inlined
def mixing_at(view, item, n, t):
    """Address of B or C, state n, time t."""
    return view.address + item.batch * view.batch + item.group * view.group + n * view.row + t * view.time


@inlined
def _sequence_at(view, item, t):
    return view.address + item.batch * view.batch + item.channel * view.row + t * view.time


@inlined
def gather(zero, step, view, item, t, steps, target):
    """Lay `steps` time steps of an item of a sequence (B, D, L) out as a block."""
    size = size_of(zero)
    source = _sequence_at(view, item, t)
    if view.row == size and item.width == LANES:
        for s in range(steps):
            store(target + s * step, load(zero, source + s * view.time))
        return
    if item.width < LANES:
        clear(zero, step, steps, target)
    rows, columns = 0, 0
    if view.time == size:
        rows, columns = item.width // TILE * TILE, steps // TILE * TILE
        for w in range(0, rows, TILE):
            for s in range(0, columns, TILE):
                transpose(
                    zero, source + w * view.row + s * size, view.row, target + s * step + w * size, step
                )
    for w in range(item.width):
        for s in range(columns if w < rows else 0, steps):
            poke(target + s * step + w * size, peek(zero, source + w * view.row + s * view.time))


@inlined
def scatter(zero, step, source, view, item, t, steps):
    """Write a block to where it belongs in a sequence (B, D, L): the inverse of `gather`."""
    size = size_of(zero)
    target = _sequence_at(view, item, t)
    if view.row == size and item.width == LANES:
        for s in range(steps):
            store(target + s * view.time, load(zero, source + s * step))
        return
    rows, columns = 0, 0
    if view.time == size:
        rows, columns = item.width // TILE * TILE, steps // TILE * TILE
        for w in range(0, rows, TILE):
            for s in range(0, columns, TILE):
                transpose(
                    zero, source + s * step + w * size, step, target + w * view.row + s * size, view.row
                )
    for w in range(item.width):
        for s in range(columns if w < rows else 0, steps):
            poke(target + w * view.row + s * view.time, peek(zero, source + s * step + w * size))


@inlined
def activate(zero, step, shape, steps, bias, feed, deltas, us, xs, ys, slopes):
    """Turn raw step sizes into step sizes, in place, and return the largest magnitude (NaN aside).

    Along the way, x = dt * u and y = feed * u are set; `xs` may be `us`. The slopes of a softplus go to the
    block `slopes` unless that is 0.
    """
    offset, through = load(zero, bias), load(zero, feed)
    bound = fill(zero)
    for s in range(steps):
        k = s * step
        dt = add(load(zero, deltas + k), offset)
        if shape.softplus:
            if slopes:
                dt, slope = softplus_with_slope(dt)
                store(slopes + k, slope)
            else:
                dt = softplus(dt)
        u = load(zero, us + k)
        store(deltas + k, dt)
        store(xs + k, mul(dt, u))
        store(ys + k, mul(through, u))
        magnitude = absolute(dt)
        bound = choose_greater(magnitude, bound, magnitude, bound)
    return largest(bound)


@inlined
def reach_of(zero, bound, decay):
    """Return the largest |dt * A| of one state, given that of dt."""
    return bound * largest(absolute(load(zero, decay)))


@inlined
def multiply(zero, step, steps, a, b, target):
    """Set target = a * b, three blocks."""
    for s in range(steps):
        store(target + s * step, mul(load(zero, a + s * step), load(zero, b + s * step)))


@inlined
def clear(zero, step, steps, target):
    """Set a block to 0."""
    for s in range(steps):
        store(target + s * step, fill(zero))


@inlined
def prepare_row(zero, view, item, target):
    """Copy an item's numbers of a vector (D,), 0 if there is no such vector."""
    store(target, fill(zero))
    if view.address:
        for w in range(item.width):
            source = view.address + (item.channel + w) * view.row
            poke(target + w * size_of(zero), peek(zero, source))


@inlined
def prepare_decay(zero, shape, view, item, target):
    """Lay an item's A * log2(e) out as (state, lane)."""
    for n in range(shape.states):
        row = target + n * LANES * size_of(zero)
        store(row, fill(zero))
        for w in range(item.width):
            source = view.address + (item.channel + w) * view.row + n * view.time
            poke(row + w * size_of(zero), peek(zero, source))
        store(row, mul(load(zero, row), log2e(zero)))
