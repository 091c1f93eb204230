"""The selective scan on the CPU: numba kernels on threads of our own, behind a torch autograd function."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._scan_cpu_backward import backward, reduce_parts
from ._scan_cpu_kernels import Shape, View, forward
from ._scan_types import ScanInputs
from ._simd import LANES
from ._threads import run_tasks

__all__ = ["compile_kernels", "cpu_scan"]

_BLOCK = 128  # time steps whose intermediate values stay in the first two caches
_INLINE_UPDATES = 100_000  # below this many state updates a second thread costs more than it gives
_PARTS = 32  # tasks of a backward pass, at least, where the channels allow


def cpu_scan(inputs: ScanInputs) -> tuple[Tensor, Tensor]:
    """Return y (B, D, L) and the last state (B, D, N), which is not differentiated."""
    y, last_state = _CpuScan.apply(
        inputs.u,
        inputs.delta,
        inputs.A,
        inputs.B,
        inputs.C,
        inputs.D,
        inputs.z,
        inputs.delta_bias,
        inputs.delta_softplus,
    )
    return y, last_state


def compile_kernels(dtype: torch.dtype) -> None:
    """Compile the kernels of a dtype, or read them from the disk, by running the smallest scan there is."""
    one = torch.ones(1, 1, 1, dtype=dtype)
    inputs = ScanInputs(one, one, one[0], one[None], one[None], None, None, None, False)
    y, _, checkpoints = _run_forward(inputs, keep=True)
    _run_backward(inputs, y, checkpoints)


class _CpuScan(torch.autograd.Function):
    """Forward and backward of the scan; tensors of `ScanInputs`, in its order."""

    @staticmethod
    def forward(ctx: Any, *fields: Any) -> tuple[Tensor, Tensor]:
        inputs = ScanInputs(*fields)
        keep = any(ctx.needs_input_grad)
        y, last_state, checkpoints = _run_forward(inputs, keep)
        if keep:
            ctx.save_for_backward(*fields[:-1], checkpoints)
            ctx.delta_softplus = inputs.delta_softplus
        ctx.mark_non_differentiable(last_state)
        return y, last_state

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, dy: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        *tensors, checkpoints = ctx.saved_tensors
        inputs = ScanInputs(*tensors, ctx.delta_softplus)
        return (*_run_backward(inputs, dy, checkpoints), None)


def _run_forward(inputs: ScanInputs, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    shape = _shape(inputs)
    items = _items(shape)
    y = torch.empty_like(inputs.u)
    states = inputs.u.new_empty(items, shape.states, LANES)
    checkpoints = inputs.u.new_empty((items, _blocks(shape), shape.states, LANES) if keep else 0)
    zero, size = _zero(inputs.u), inputs.u.element_size()
    views = _views(inputs)
    y_view = _sequence(y)
    keep_at = checkpoints.data_ptr() if keep else 0

    def task(first: int) -> None:
        forward(zero, size, first, first + 1, shape, *views, y_view, states.data_ptr(), keep_at)

    run_tasks(task, items, _threads(inputs))
    last = states.transpose(1, 2).reshape(shape.batch, shape.groups, -1, shape.states)
    last = last[:, :, : shape.channels].reshape(shape.batch, -1, shape.states)
    return y, last, checkpoints


def _run_backward(inputs: ScanInputs, dy: Tensor, checkpoints: Tensor) -> tuple[Tensor | None, ...]:
    shape = _shape(inputs)
    items = _items(shape)
    u = inputs.u
    zero, size = _zero(u), u.element_size()
    groups = shape.batch * shape.groups
    per_group = items // groups
    parts = min(per_group, -(-_PARTS // groups))
    items_of_part = -(-per_group // parts)
    parts = -(-per_group // items_of_part)
    du, ddelta = torch.empty_like(u), torch.empty_like(inputs.delta)
    dz = None if inputs.z is None else torch.empty_like(inputs.z)
    dB, dC = (torch.empty_like(x, memory_format=torch.contiguous_format) for x in (inputs.B, inputs.C))
    dA, carry = (u.new_zeros(items, shape.states, LANES) for _ in range(2))
    dD, dbias = (u.new_zeros(items, LANES) for _ in range(2))
    blocks = _blocks(shape)
    step = max(1, min(blocks, int(0.35 * shape.channels * blocks / (2 * parts * shape.states))))
    part_B, part_C = (
        u.new_empty(groups * parts * shape.states * min(step * shape.block, shape.length)) for _ in range(2)
    )
    views = _views(inputs)
    threads = _threads(inputs)
    grads = (_sequence(du), _sequence(ddelta), _sequence(dz))
    for stop in range(blocks, 0, -step):
        begin = max(0, stop - step)
        start = begin * shape.block
        span = min(stop * shape.block, shape.length) - start

        def task(part: int, begin: int = begin, stop: int = stop) -> None:
            backward(
                zero, size, part, part + 1, parts, items_of_part, begin, stop, shape,
                *views, _sequence(dy), *grads, part_B.data_ptr(), part_C.data_ptr(),
                dA.data_ptr(), dD.data_ptr(), dbias.data_ptr(), carry.data_ptr(), checkpoints.data_ptr(),
            )  # fmt: skip

        run_tasks(task, groups * parts, threads)
        for source, target in ((part_B, dB), (part_C, dC)):
            reduce_parts(
                zero, size, 0, groups * shape.states, parts, start, span, shape.states, source.data_ptr(),
                _sequence(target.flatten(0, 1)),
            )  # fmt: skip

    def over_batch(x: Tensor) -> Tensor:
        x = x.unflatten(0, (shape.batch, shape.groups, per_group)).movedim(-1, 3).sum(0)  # (G, K, LANES, ...)
        return x.flatten(1, 2)[:, : shape.channels].flatten(0, 1)

    return (
        du,
        ddelta,
        over_batch(dA),
        dB,
        dC,
        None if inputs.D is None else over_batch(dD),
        dz,
        None if inputs.delta_bias is None else over_batch(dbias),
    )


def _shape(inputs: ScanInputs) -> Shape:
    batch, channels, length = inputs.u.shape
    groups, states = inputs.B.shape[1:3]
    return Shape(batch, groups, channels // groups, length, states, _BLOCK, int(inputs.delta_softplus))


def _items(shape: Shape) -> int:
    return shape.batch * shape.groups * -(-shape.channels // LANES)


def _blocks(shape: Shape) -> int:
    return -(-shape.length // shape.block)


def _threads(inputs: ScanInputs) -> int:
    updates = inputs.u.numel() * inputs.A.shape[1]
    return 1 if updates < _INLINE_UPDATES else torch.get_num_threads()


def _zero(like: Tensor) -> np.floating[Any]:
    return np.float64(0) if like.dtype == torch.float64 else np.float32(0)


def _views(inputs: ScanInputs) -> tuple[View, ...]:
    return (
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
    if x is None:
        return View(0, 0, 0, 0, 0)
    batch, row, time = (stride * x.element_size() for stride in x.stride())
    return View(x.data_ptr(), batch, 0, row, time)


def _mixing(x: Tensor) -> View:
    return View(x.data_ptr(), *(stride * x.element_size() for stride in x.stride()))


def _rows(x: Tensor | None) -> View:
    if x is None:
        return View(0, 0, 0, 0, 0)
    row, column = (*(stride * x.element_size() for stride in x.stride()), 0)[:2]
    return View(x.data_ptr(), 0, 0, row, column)
