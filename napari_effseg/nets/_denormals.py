"""Denormals inside numba kernels: numbers below 1e-38 that can cost a hundred cycles each.

A state decays into them wherever its input is 0 for long. To a scan they are as good as 0.
"""

from __future__ import annotations

from typing import Any

from llvmlite import binding as llvm
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ._simd import call_llvm

__all__ = ["flush_denormals", "restore_denormals"]

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
    call_llvm(builder, name, ir.VoidType(), [pointer])
