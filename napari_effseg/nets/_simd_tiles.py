"""Tiles of numbers inside numba kernels: transposes, and sums of every row at once.

Both are written as LLVM shuffles, which a machine does a register at a time.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ._simd import BYTES, LANES, Lanes, scalar_of, vector_of

__all__ = ["TILE", "sums_of_rows", "transpose"]

TILE = 8
"""Rows and columns of the tiles that `transpose` takes."""


@intrinsic  # type: ignore[untyped-decorator]
def sums_of_rows(typingctx: Any, like: Any, address: Any) -> Any:
    """Return the sum of each of `LANES` vectors that lie one after another, one sum a lane."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows = _load_rows(builder, args[1], None, vector_of(like), LANES)
        if LANES == 16:  # fold to two problems of 8 rows, one in each half
            rows = [_add_pair(builder, [rows[i], rows[i + 8]], _HALVES) for i in range(8)]
        while len(rows) > 2:
            rows = [_add_pair(builder, rows[i : i + 2], _IN_QUARTERS) for i in range(0, len(rows), 2)]
        return _add_pair(builder, rows, _QUARTERS)

    return Lanes(like)(like, types.intp), codegen


# For every lane of a sum of two vectors a, b: its two terms, as places in a followed by b.
_Places = tuple[list[int], list[int]]
_HALVES: _Places = ([*range(8), *range(16, 24)], [*range(8, 16), *range(24, 32)])
_IN_QUARTERS: _Places = (
    [q + k for q in range(0, LANES, 4) for k in (0, 2, LANES, LANES + 2)],
    [q + k for q in range(0, LANES, 4) for k in (1, 3, LANES + 1, LANES + 3)],
)
_QUARTERS: _Places = (
    [e + s + k for e in range(0, LANES, 8) for s in (0, LANES) for k in range(4)],
    [e + s + k + 4 for e in range(0, LANES, 8) for s in (0, LANES) for k in range(4)],
)


def _add_pair(builder: ir.IRBuilder, pair: list[ir.Value], places: _Places) -> ir.Value:
    first, second = (_shuffle(builder, pair[0], pair[1], where) for where in places)
    return builder.fadd(first, second)


def _shuffle(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, places: list[int]) -> ir.Value:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places))


def _load_rows(
    builder: ir.IRBuilder, address: ir.Value, stride: ir.Value | None, vector: ir.VectorType, count: int
) -> list[ir.Value]:
    """Load `count` vectors, `stride` bytes apart or one after another."""
    size = 4 if isinstance(vector.element, ir.FloatType) else 8
    step = stride if stride is not None else ir.Constant(address.type, vector.count * size)
    rows = []
    for _ in range(count):
        rows.append(builder.load(builder.inttoptr(address, vector.as_pointer()), align=size))
        address = builder.add(address, step)
    return rows


@intrinsic  # type: ignore[untyped-decorator]
def transpose(typingctx: Any, like: Any, source: Any, source_row: Any, target: Any, target_row: Any) -> Any:
    """Copy a tile of `TILE` x `TILE` numbers, rows to columns; rows are as many bytes apart as given."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = ir.VectorType(scalar_of(like), TILE)
        rows = _load_rows(builder, args[1], args[2], vector, TILE)
        for distance in (4, 2, 1):
            rows = _exchange(builder, rows, distance)
        address = args[3]
        for row in rows:
            builder.store(row, builder.inttoptr(address, vector.as_pointer()), align=BYTES[like.name])
            address = builder.add(address, args[4])
        return context.get_dummy_value()

    return types.none(like, types.intp, types.intp, types.intp, types.intp), codegen


def _exchange(builder: ir.IRBuilder, rows: list[ir.Value], distance: int) -> list[ir.Value]:
    """Swap, between rows i and i + distance, the lanes of which that bit differs: a step of a transpose."""
    upper = [k if not k & distance else TILE + k - distance for k in range(TILE)]
    lower = [k + distance if not k & distance else TILE + k for k in range(TILE)]
    result = list(rows)
    for i in range(TILE):
        if not i & distance:
            a, b = rows[i], rows[i + distance]
            result[i] = _shuffle(builder, a, b, upper)
            result[i + distance] = _shuffle(builder, a, b, lower)
    return result
