"""The selective scan on the CPU: compiled kernels on threads of our own, behind a torch autograd function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._scan_cpu_backward import Gradients, Span, backward, reduce_parts
from ._scan_cpu_blocks import Problem, Shape, View, block_count, item_count
from ._scan_cpu_forward import forward
from ._scan_types import ScanInputs
from ._simd import LANES
from ._threads import run_together

__all__ = ["compile_kernels", "cpu_scan", "cpu_scan_on"]

_STEPS_PER_BLOCK = 128  # a block's arrays then stay in the first two caches
_STEPS_PER_STATE = 8  # a block is at least this long for each state, so that checkpoints stay few
_INLINE_UPDATES = 200_000  # state updates below which a second thread costs more than it gives
_CLAIMS_PER_THREAD = 2  # so that threads end together
_PARTS = 16  # tasks of a backward pass, where there are as many items
_PART_SHARE = 0.05  # of the memory of inputs and gradients that sums of B and C over parts may take,
_PART_NUMBERS = 1 << 18  # or this much, whichever is more


def cpu_scan(inputs: ScanInputs) -> tuple[Tensor, Tensor]:
    """Return y (B, D, L) and the last state (B, D, N), which is not differentiated."""
    y, last_state = _CpuScan.apply(*(getattr(inputs, field.name) for field in fields(inputs)))
    return y, last_state


def cpu_scan_on(inputs: ScanInputs, carry: Tensor | None, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Scan the next piece of a long sequence, without gradients.

    Parameters
    ----------
    inputs : ScanInputs
        Of this piece.
    carry : Tensor or None
        What the piece before returned, which is changed in place; None for the first.
    y : Tensor, shape (B, D, L), or None
        Memory for the result, such as that of the piece before.

    Returns
    -------
    y : Tensor, shape (B, D, L)
    carry : Tensor
        For the next piece, which must have the same batch, channels and states.
    """
    y, carry, _ = _run_forward(inputs, False, carry, y)
    return y, carry


def compile_kernels(dtype: torch.dtype, gradients: bool) -> None:
    """Compile the kernels of a dtype, or read them from the disk, by running the smallest scan there is."""
    one = torch.ones(1, 1, 1, dtype=dtype)
    inputs = ScanInputs(one, one, one[0], one[None], one[None], None, None, None, False)
    y, _, checkpoints = _run_forward(inputs, keep=True)
    if gradients:
        _run_backward(inputs, y, checkpoints)


class _CpuScan(torch.autograd.Function):
    """Forward and backward of the scan; arguments are the fields of `ScanInputs`."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor]:
        inputs = ScanInputs(*arguments)
        keep = any(ctx.needs_input_grad)
        y, states, checkpoints = _run_forward(inputs, keep)
        last_state = _by_channel(states, _shape(inputs)).flatten(1, 2)
        if keep:
            ctx.save_for_backward(*arguments[:-1], checkpoints)
            ctx.delta_softplus = inputs.delta_softplus
        ctx.mark_non_differentiable(last_state)
        return y, last_state

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        u, delta, A, B, C, D, z, delta_bias, checkpoints = ctx.saved_tensors
        inputs = ScanInputs(u, delta, A, B, C, D, z, delta_bias, ctx.delta_softplus)
        return (*_run_backward(inputs, dy, checkpoints), None)


def _run_forward(
    inputs: ScanInputs, keep: bool, carry: Tensor | None = None, y: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return y, the last state as (items, N, LANES), and that at the start of every block, if to be kept."""
    shape = _shape(inputs)
    items = item_count(shape)
    y = torch.empty_like(inputs.u) if y is None else y
    states = inputs.u.new_empty(items, shape.states, LANES) if carry is None else carry
    go_on = int(carry is not None)
    checkpoints = inputs.u.new_empty((items, block_count(shape), shape.states, LANES) if keep else 0)
    problem, y_view, zero = _problem(inputs), _sequence(y), _zero(inputs.u)
    starts = checkpoints.data_ptr() if keep else 0

    per_group = items // (shape.batch * shape.groups)
    # Items that are scanned together share what they read of B and C.
    together = -(-items // (_CLAIMS_PER_THREAD * _threads(inputs)))
    together = max(1, min(together, per_group))

    def work(counter: int) -> None:
        forward(zero, counter, together, shape, problem, y_view, states.data_ptr(), go_on, starts)

    _share(work, items, inputs, y, states, checkpoints)
    return y, states, checkpoints


def _run_backward(inputs: ScanInputs, dy: Tensor, checkpoints: Tensor) -> tuple[Tensor | None, ...]:
    """Return the gradients of the tensors of `inputs`, in their order."""
    shape, zero, problem = _shape(inputs), _zero(inputs.u), _problem(inputs)
    groups = shape.batch * shape.groups
    spans = _spans(shape)
    parts = groups * spans[0].parts
    found = _Gradients.empty(inputs, dy, parts * shape.states * _longest(spans, shape))
    addresses = found.addresses()
    held = (checkpoints, *found.tensors())
    for span in spans:

        def work(counter: int, span: Span = span) -> None:
            backward(zero, counter, shape, span, problem, addresses, checkpoints.data_ptr())

        _share(work, parts, inputs, *held)

        def reduce(counter: int, span: Span = span) -> None:
            B, C = _mixing(found.B), _mixing(found.C)
            reduce_parts(zero, counter, shape, span, addresses.B, B, addresses.C, C)

        _share(reduce, groups * shape.states, inputs, *held)
    dA, dD, dbias = (_by_channel(x, shape).sum(0).flatten(0, 1) for x in (found.A, found.D, found.bias))
    return (
        found.u,
        found.delta,
        dA,
        found.B,
        found.C,
        None if inputs.D is None else dD[:, 0],
        found.z,
        None if inputs.delta_bias is None else dbias[:, 0],
    )


@dataclass(frozen=True)
class _Gradients:
    """The tensors behind `Gradients`, and the whole B and C that its parts are added up to."""

    y: Tensor
    u: Tensor
    delta: Tensor
    z: Tensor | None
    B: Tensor
    C: Tensor
    part_B: Tensor
    part_C: Tensor
    A: Tensor
    D: Tensor
    bias: Tensor
    carry: Tensor

    @classmethod
    def empty(cls, inputs: ScanInputs, dy: Tensor, part_numbers: int) -> _Gradients:
        """Make room for every gradient, and for this many numbers of B and C in parts."""
        u, items, states = inputs.u, item_count(_shape(inputs)), inputs.A.shape[1]
        return cls(
            y=dy,
            u=torch.empty_like(u),
            delta=torch.empty_like(inputs.delta),
            z=None if inputs.z is None else torch.empty_like(inputs.z),
            B=torch.empty_like(inputs.B),
            C=torch.empty_like(inputs.C),
            part_B=u.new_empty(part_numbers),
            part_C=u.new_empty(part_numbers),
            A=u.new_zeros(items, states, LANES),
            D=u.new_zeros(items, 1, LANES),
            bias=u.new_zeros(items, 1, LANES),
            carry=u.new_zeros(items, states, LANES),
        )

    def tensors(self) -> list[Tensor]:
        """Return those that exist."""
        values = (getattr(self, field.name) for field in fields(self))
        return [value for value in values if value is not None]

    def addresses(self) -> Gradients:
        """Return where the kernels find them."""
        return Gradients(
            _sequence(self.y),
            _sequence(self.u),
            _sequence(self.delta),
            _sequence(self.z),
            self.part_B.data_ptr(),
            self.part_C.data_ptr(),
            self.A.data_ptr(),
            self.D.data_ptr(),
            self.bias.data_ptr(),
            self.carry.data_ptr(),
        )


def _longest(spans: list[Span], shape: Shape) -> int:
    """Time steps of the longest span."""
    blocks = max(span.last_block - span.first_block for span in spans)
    return min(blocks * shape.block, shape.length)


def _spans(shape: Shape) -> list[Span]:
    """Cut a backward pass into parts of channels and spans of time, the last span first.

    Both follow from the shape alone, so that sums come out the same on any number of threads. dB and dC are
    summed a part at a time into memory of their own; spans keep that memory to a small share of the tensors'.
    """
    groups = shape.batch * shape.groups
    per_group = item_count(shape) // groups
    items_of_part = max(-(-per_group // -(-_PARTS // groups)), min(2, per_group // 2), 1)
    parts = -(-per_group // items_of_part)
    blocks = block_count(shape)
    tensors = 6 * groups * shape.channels * shape.length  # u, delta, z and their gradients
    room = max(_PART_NUMBERS, int(_PART_SHARE * tensors))
    step = max(1, min(blocks, room // (2 * groups * parts * shape.states * shape.block)))
    return [Span(max(0, last - step), last, parts, items_of_part) for last in range(blocks, 0, -step)]


def _share(work: Callable[[int], None], tasks: int, inputs: ScanInputs, *others: Tensor) -> None:
    """Run ``work(address of a task counter)`` on as many threads as torch uses.

    Kernels know tensors by address; `inputs` and `others` are those, which each thread holds on to, so that
    an interrupt of the caller leaves no thread with freed memory.
    """
    threads = min(tasks, _threads(inputs))
    counter = np.zeros(1, np.int64)

    def run(held: tuple[object, ...] = (inputs, *others)) -> None:
        work(counter.ctypes.data)

    run_together(run, threads)


def _threads(inputs: ScanInputs) -> int:
    """Threads that a problem is worth."""
    updates = inputs.u.numel() * inputs.A.shape[1]
    return 1 if updates < _INLINE_UPDATES else torch.get_num_threads()


def _by_channel(x: Tensor, shape: Shape) -> Tensor:
    """(items, M, LANES) -> (batch, groups, channels, M)."""
    x = x.transpose(1, 2).reshape(shape.batch, shape.groups, -1, x.shape[1])
    return x[:, :, : shape.channels]


def _shape(inputs: ScanInputs) -> Shape:
    batch, channels, length = inputs.u.shape
    groups, states = inputs.B.shape[1:3]
    longest = max(_STEPS_PER_BLOCK, _STEPS_PER_STATE * states)
    block = min(-(-length // 2**4) * 2**4, longest)
    return Shape(batch, groups, channels // groups, length, states, block, int(inputs.delta_softplus))


def _zero(like: Tensor) -> np.floating[Any]:
    """Return the number that tells a kernel its dtype."""
    return np.float64(0) if like.dtype == torch.float64 else np.float32(0)


def _problem(inputs: ScanInputs) -> Problem:
    return Problem(
        _sequence(inputs.u),
        _sequence(inputs.delta),
        _rows(inputs.A),
        _mixing(inputs.B),
        _mixing(inputs.C),
        _rows(inputs.D),
        _sequence(inputs.z),
        _rows(inputs.delta_bias),
    )


def _sequence(x: Tensor | None) -> View:
    """View of a tensor (B, D, L)."""
    if x is None:
        return View(0, 0, 0, 0, 0)
    batch, row, time = (stride * x.element_size() for stride in x.stride())
    return View(x.data_ptr(), batch, 0, row, time)


def _mixing(x: Tensor) -> View:
    """View of a tensor (B, G, N, L)."""
    return View(x.data_ptr(), *(stride * x.element_size() for stride in x.stride()))


def _rows(x: Tensor | None) -> View:
    """View of a tensor (D,) or (D, N)."""
    if x is None:
        return View(0, 0, 0, 0, 0)
    row, column = (*(stride * x.element_size() for stride in x.stride()), 0)[:2]
    return View(x.data_ptr(), 0, 0, row, column)
