"""Vectors of a fixed number of lanes inside numba kernels.

Numba leaves vectors to LLVM's loop vectoriser, which gives up on the recurrence of a selective scan.
Here a vector is a value like any other: `load` and `fill` make one, `add`, `fma`, ... combine them
lane by lane, `store` writes it. LLVM maps a vector to whatever the machine has (two AVX2 registers, one
AVX-512 register, four NEON registers), so that one source serves them all.

Memory is named by address (an integer, in bytes), because one compiled kernel then serves every stride.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import binding as llvm
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, register_model

__all__ = [
    "LANES",
    "Lanes",
    "absolute",
    "add",
    "choose_greater",
    "constant",
    "div",
    "exponent_factor",
    "fill",
    "flush_denormals",
    "fma",
    "largest",
    "load",
    "mul",
    "peek",
    "poke",
    "polynomial",
    "restore_denormals",
    "size_of",
    "store",
    "sub",
    "sums_of_rows",
    "total",
    "transpose",
]


def _host_lanes() -> int:
    """16 lanes (one register of float32) with AVX-512, otherwise 8 (one AVX2, two NEON registers)."""
    try:
        features = llvm.get_host_cpu_features()
    except RuntimeError:  # LLVM cannot tell on this platform
        return 8
    return 16 if features.get("avx512f", False) else 8


LANES = _host_lanes()
"""Lanes of a vector, 8 or 16."""

TILE = 8
"""Rows and columns of the tiles that `transpose` takes."""

_SIZE = {"float32": 4, "float64": 8}
_MANTISSA_BITS = {"float32": 23, "float64": 52}


class Lanes(types.Type):  # type: ignore[misc]  # numba ships no types
    """Numba's type of a vector of `LANES` floats."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        super().__init__(name=f"Lanes({dtype} x {LANES})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    """A `Lanes` value is one LLVM vector."""

    def __init__(self, manager: Any, fe_type: Lanes) -> None:
        super().__init__(manager, fe_type, ir.VectorType(_scalar(fe_type.dtype), LANES))


def _scalar(dtype: types.Float) -> ir.Type:
    return ir.FloatType() if dtype.name == "float32" else ir.DoubleType()


def _vector(dtype: types.Float) -> ir.VectorType:
    return ir.VectorType(_scalar(dtype), LANES)


def _splat(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    vector = ir.VectorType(value.type, LANES)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    order = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), order)


def _call_llvm(
    builder: ir.IRBuilder,
    name: str,
    result: ir.Type,
    arguments: list[ir.Value],
    fastmath: tuple[str, ...] = (),
) -> ir.Value:
    signature = ir.FunctionType(result, [argument.type for argument in arguments])
    function = builder.module.globals.get(name) or ir.Function(builder.module, signature, name)
    return builder.call(function, arguments, fastmath=fastmath)


def _suffix(dtype: types.Float) -> str:
    return f"v{LANES}f{8 * _SIZE[dtype.name]}"


def _binary(instruction: str) -> Callable[..., Any]:
    def operation(typingctx: Any, left: Any, right: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(builder, instruction)(*args)

        return left(left, right), codegen

    operation.__name__ = instruction
    return intrinsic(operation)


add = _binary("fadd")
sub = _binary("fsub")
mul = _binary("fmul")
div = _binary("fdiv")


def constant(values: dict[str, float]) -> Any:
    """Make an intrinsic that returns the vector of one number, which may differ between dtypes.

    The intrinsic takes a float scalar or a vector, of which only the type matters.
    """

    def fixed(typingctx: Any, like: Any) -> Any:
        dtype = getattr(like, "dtype", like)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return ir.Constant(_vector(dtype), [values[dtype.name]] * LANES)

        return Lanes(dtype)(like), codegen

    return intrinsic(fixed)


def polynomial(coefficients: dict[str, tuple[float, ...]]) -> Any:
    """Make an intrinsic that evaluates a polynomial by Horner's rule, lowest coefficient first."""

    def horner(typingctx: Any, x: Any) -> Any:
        terms = coefficients[x.dtype.name]

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            vector = _vector(x.dtype)
            value = ir.Constant(vector, [terms[-1]] * LANES)
            for term in reversed(terms[:-1]):
                operands = [value, args[0], ir.Constant(vector, [term] * LANES)]
                value = _call_llvm(builder, f"llvm.fmuladd.{_suffix(x.dtype)}", vector, operands)
            return value

        return x(x), codegen

    return intrinsic(horner)


@intrinsic  # type: ignore[untyped-decorator]
def size_of(typingctx: Any, like: Any) -> Any:
    """Return the bytes of a number of the type of `like`, known to the compiler."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(ir.IntType(types.intp.bitwidth), _SIZE[like.name])

    return types.intp(like), codegen


@intrinsic  # type: ignore[untyped-decorator]
def load(typingctx: Any, like: Any, address: Any) -> Any:
    """Return the vector of `LANES` numbers of the type of `like` at an address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[1], _vector(like).as_pointer())
        return builder.load(pointer, align=_SIZE[like.name])

    return Lanes(like)(like, types.intp), codegen


@intrinsic  # type: ignore[untyped-decorator]
def store(typingctx: Any, address: Any, vector: Any) -> Any:
    """Write a vector at an address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], _vector(vector.dtype).as_pointer())
        builder.store(args[1], pointer, align=_SIZE[vector.dtype.name])
        return context.get_dummy_value()

    return types.none(types.intp, vector), codegen


@intrinsic  # type: ignore[untyped-decorator]
def peek(typingctx: Any, like: Any, address: Any) -> Any:
    """Return the one number of the type of `like` at an address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(builder.inttoptr(args[1], _scalar(like).as_pointer()), align=_SIZE[like.name])

    return like(like, types.intp), codegen


@intrinsic  # type: ignore[untyped-decorator]
def poke(typingctx: Any, address: Any, value: Any) -> Any:
    """Write one number at an address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], _scalar(value).as_pointer())
        builder.store(args[1], pointer, align=_SIZE[value.name])
        return context.get_dummy_value()

    return types.none(types.intp, value), codegen


@intrinsic  # type: ignore[untyped-decorator]
def fill(typingctx: Any, value: Any) -> Any:
    """Return the vector whose lanes all hold one number."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _splat(builder, args[0])

    return Lanes(value)(value), codegen


@intrinsic  # type: ignore[untyped-decorator]
def fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c, in one rounding where the machine can."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        name = f"llvm.fmuladd.{_suffix(a.dtype)}"
        return _call_llvm(builder, name, _vector(a.dtype), list(args))

    return a(a, b, c), codegen


@intrinsic  # type: ignore[untyped-decorator]
def absolute(typingctx: Any, a: Any) -> Any:
    """Return the magnitude of every lane."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _call_llvm(builder, f"llvm.fabs.{_suffix(a.dtype)}", _vector(a.dtype), list(args))

    return a(a), codegen


@intrinsic  # type: ignore[untyped-decorator]
def choose_greater(typingctx: Any, a: Any, b: Any, then: Any, otherwise: Any) -> Any:
    """Return `then` where a > b, else `otherwise` (so also where a or b is NaN)."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", args[0], args[1]), args[2], args[3])

    return then(a, b, then, otherwise), codegen


@intrinsic  # type: ignore[untyped-decorator]
def exponent_factor(typingctx: Any, a: Any) -> Any:
    """Return the float whose exponent field holds the lowest bits of `a`'s mantissa."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        integers = ir.VectorType(ir.IntType(8 * _SIZE[a.dtype.name]), LANES)
        places = ir.Constant(integers, [_MANTISSA_BITS[a.dtype.name]] * LANES)
        return builder.bitcast(builder.shl(builder.bitcast(args[0], integers), places), args[0].type)

    return a(a), codegen


@intrinsic  # type: ignore[untyped-decorator]
def total(typingctx: Any, a: Any) -> Any:
    """Return the sum of the lanes."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        scalar = _scalar(a.dtype)
        name = f"llvm.vector.reduce.fadd.{_suffix(a.dtype)}"
        return _call_llvm(builder, name, scalar, [ir.Constant(scalar, 0.0), args[0]], fastmath=("reassoc",))

    return a.dtype(a), codegen


@intrinsic  # type: ignore[untyped-decorator]
def largest(typingctx: Any, a: Any) -> Any:
    """Return the largest lane; a NaN is passed over."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _call_llvm(
            builder, f"llvm.vector.reduce.fmax.{_suffix(a.dtype)}", _scalar(a.dtype), list(args)
        )

    return a.dtype(a), codegen


@intrinsic  # type: ignore[untyped-decorator]
def sums_of_rows(typingctx: Any, like: Any, address: Any) -> Any:
    """Return the sum of each of `LANES` vectors that lie one after another, one sum a lane."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows = _load_rows(builder, args[1], None, _vector(like), LANES)
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
        vector = ir.VectorType(_scalar(like), TILE)
        rows = _load_rows(builder, args[1], args[2], vector, TILE)
        for distance in (4, 2, 1):
            rows = _exchange(builder, rows, distance)
        address = args[3]
        for row in rows:
            builder.store(row, builder.inttoptr(address, vector.as_pointer()), align=_SIZE[like.name])
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


_FLUSH_BITS = 0x8040  # of the x86 register MXCSR: denormal results, and inputs, count as 0


@intrinsic  # type: ignore[untyped-decorator]
def flush_denormals(typingctx: Any) -> Any:
    """Make this thread take denormals for 0 (x86), where they can cost a hundred cycles; return what was."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = ir.IntType(32)
        if not _is_x86():
            return ir.Constant(word, 0)
        place = builder.alloca(word)
        _control_register(builder, "llvm.x86.sse.stmxcsr", place)
        before = builder.load(place)
        builder.store(builder.or_(before, ir.Constant(word, _FLUSH_BITS)), place)
        _control_register(builder, "llvm.x86.sse.ldmxcsr", place)
        return before

    return types.uint32(), codegen


@intrinsic  # type: ignore[untyped-decorator]
def restore_denormals(typingctx: Any, before: Any) -> Any:
    """Undo `flush_denormals`, given what it returned."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if _is_x86():
            place = builder.alloca(ir.IntType(32))
            builder.store(args[0], place)
            _control_register(builder, "llvm.x86.sse.ldmxcsr", place)
        return context.get_dummy_value()

    return types.none(before), codegen


def _is_x86() -> bool:
    return llvm.get_default_triple().partition("-")[0] in ("x86_64", "i686", "i386")


def _control_register(builder: ir.IRBuilder, name: str, place: ir.Value) -> None:
    pointer = builder.bitcast(place, ir.IntType(8).as_pointer())
    _call_llvm(builder, name, ir.VoidType(), [pointer])
