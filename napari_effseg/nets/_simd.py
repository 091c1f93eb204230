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
    "BYTES",
    "LANES",
    "Lanes",
    "absolute",
    "add",
    "call_llvm",
    "choose_greater",
    "claim",
    "constant",
    "div",
    "exponent_factor",
    "fill",
    "fma",
    "largest",
    "load",
    "mul",
    "peek",
    "poke",
    "polynomial",
    "root",
    "scalar_of",
    "size_of",
    "store",
    "sub",
    "total",
    "vector_of",
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

BYTES = {"float32": 4, "float64": 8}
"""Bytes of a number, by dtype."""
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
        super().__init__(manager, fe_type, ir.VectorType(scalar_of(fe_type.dtype), LANES))


def scalar_of(dtype: types.Float) -> ir.Type:
    """Return the LLVM type of one number."""
    return ir.FloatType() if dtype.name == "float32" else ir.DoubleType()


def vector_of(dtype: types.Float) -> ir.VectorType:
    """Return the LLVM type of a vector."""
    return ir.VectorType(scalar_of(dtype), LANES)


def _splat(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    vector = ir.VectorType(value.type, LANES)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    order = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), order)


def call_llvm(
    builder: ir.IRBuilder,
    name: str,
    result: ir.Type,
    arguments: list[ir.Value],
    fastmath: tuple[str, ...] = (),
) -> ir.Value:
    """Call a function of LLVM's own, which is declared where it is not yet."""
    signature = ir.FunctionType(result, [argument.type for argument in arguments])
    function = builder.module.globals.get(name) or ir.Function(builder.module, signature, name)
    return builder.call(function, arguments, fastmath=fastmath)


def _suffix(dtype: types.Float) -> str:
    return f"v{LANES}f{8 * BYTES[dtype.name]}"


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


@intrinsic  # type: ignore[untyped-decorator]
def claim(typingctx: Any, counter: Any) -> Any:
    """Return the 64-bit integer at an address and add 1 to it, in one step for all threads."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        number = ir.IntType(64)
        pointer = builder.inttoptr(args[0], number.as_pointer())
        return builder.atomic_rmw("add", pointer, ir.Constant(number, 1), "monotonic")

    return types.int64(types.intp), codegen


def constant(values: dict[str, float]) -> Any:
    """Make an intrinsic that returns the vector of one number, which may differ between dtypes.

    The intrinsic takes a float scalar or a vector, of which only the type matters.
    """

    def fixed(typingctx: Any, like: Any) -> Any:
        dtype = getattr(like, "dtype", like)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return ir.Constant(vector_of(dtype), [values[dtype.name]] * LANES)

        return Lanes(dtype)(like), codegen

    return intrinsic(fixed)


def polynomial(coefficients: dict[str, tuple[float, ...]]) -> Any:
    """Make an intrinsic that evaluates a polynomial by Horner's rule, lowest coefficient first."""

    def horner(typingctx: Any, x: Any) -> Any:
        terms = coefficients[x.dtype.name]

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            vector = vector_of(x.dtype)
            value = ir.Constant(vector, [terms[-1]] * LANES)
            for term in reversed(terms[:-1]):
                operands = [value, args[0], ir.Constant(vector, [term] * LANES)]
                value = call_llvm(builder, f"llvm.fmuladd.{_suffix(x.dtype)}", vector, operands)
            return value

        return x(x), codegen

    return intrinsic(horner)


@intrinsic  # type: ignore[untyped-decorator]
def size_of(typingctx: Any, like: Any) -> Any:
    """Return the bytes of a number of the type of `like`, known to the compiler."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(ir.IntType(types.intp.bitwidth), BYTES[like.name])

    return types.intp(like), codegen


@intrinsic  # type: ignore[untyped-decorator]
def load(typingctx: Any, like: Any, address: Any) -> Any:
    """Return the vector of `LANES` numbers of the type of `like` at an address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[1], vector_of(like).as_pointer())
        return builder.load(pointer, align=BYTES[like.name])

    return Lanes(like)(like, types.intp), codegen


@intrinsic  # type: ignore[untyped-decorator]
def store(typingctx: Any, address: Any, vector: Any) -> Any:
    """Write a vector at an address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], vector_of(vector.dtype).as_pointer())
        builder.store(args[1], pointer, align=BYTES[vector.dtype.name])
        return context.get_dummy_value()

    return types.none(types.intp, vector), codegen


@intrinsic  # type: ignore[untyped-decorator]
def peek(typingctx: Any, like: Any, address: Any) -> Any:
    """Return the one number of the type of `like` at an address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(builder.inttoptr(args[1], scalar_of(like).as_pointer()), align=BYTES[like.name])

    return like(like, types.intp), codegen


@intrinsic  # type: ignore[untyped-decorator]
def poke(typingctx: Any, address: Any, value: Any) -> Any:
    """Write one number at an address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], scalar_of(value).as_pointer())
        builder.store(args[1], pointer, align=BYTES[value.name])
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
        return call_llvm(builder, name, vector_of(a.dtype), list(args))

    return a(a, b, c), codegen


@intrinsic  # type: ignore[untyped-decorator]
def absolute(typingctx: Any, a: Any) -> Any:
    """Return the magnitude of every lane."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return call_llvm(builder, f"llvm.fabs.{_suffix(a.dtype)}", vector_of(a.dtype), list(args))

    return a(a), codegen


@intrinsic  # type: ignore[untyped-decorator]
def root(typingctx: Any, a: Any) -> Any:
    """Return the square root of every lane."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return call_llvm(builder, f"llvm.sqrt.{_suffix(a.dtype)}", vector_of(a.dtype), list(args))

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
        integers = ir.VectorType(ir.IntType(8 * BYTES[a.dtype.name]), LANES)
        places = ir.Constant(integers, [_MANTISSA_BITS[a.dtype.name]] * LANES)
        return builder.bitcast(builder.shl(builder.bitcast(args[0], integers), places), args[0].type)

    return a(a), codegen


@intrinsic  # type: ignore[untyped-decorator]
def total(typingctx: Any, a: Any) -> Any:
    """Return the sum of the lanes."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        scalar = scalar_of(a.dtype)
        name = f"llvm.vector.reduce.fadd.{_suffix(a.dtype)}"
        return call_llvm(builder, name, scalar, [ir.Constant(scalar, 0.0), args[0]], fastmath=("reassoc",))

    return a.dtype(a), codegen


@intrinsic  # type: ignore[untyped-decorator]
def largest(typingctx: Any, a: Any) -> Any:
    """Return the largest lane; a NaN is passed over."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return call_llvm(
            builder, f"llvm.vector.reduce.fmax.{_suffix(a.dtype)}", scalar_of(a.dtype), list(args)
        )

    return a.dtype(a), codegen
