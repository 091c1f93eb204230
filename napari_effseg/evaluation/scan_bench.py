"""The selective scan's paths on one problem in one run: speed, error and memory of each."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import statistics
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass, fields
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from ..engine.torch_memory import TorchMemory
from ..errors import Cancelled
from ..nets.selective_scan import ScanInputs, checked_inputs, run_path, scan_path
from ..types import CancelCheck, Progress

__all__ = ["ScanProblem", "ScanRow", "bench_scan"]

_log = logging.getLogger(__name__)

_Scan = Callable[[ScanInputs], Tensor]
_REFERENCE = "reference"
_PEER = "mambapy"
_LEAST_SECONDS = 0.3
"""A direction is timed again until this much time went by, or `_MOST_PASSES` were timed."""
_MOST_PASSES = 50


@dataclass(frozen=True)
class ScanProblem:
    """Size of the problem: a state update is one of batch x channels x length x states."""

    batch: int = 1
    channels: int = 64
    length: int = 4096
    states: int = 16

    @property
    def updates(self) -> int:
        """State updates of one pass."""
        return self.batch * self.channels * self.length * self.states


@dataclass(frozen=True)
class ScanRow:
    """One path in one direction.

    Attributes
    ----------
    path : str
        As `scan_path` names it, or "mambapy" for that package's parallel scan in plain torch.
    direction : {"forward", "backward"}
        The backward pass alone, without the forward pass before it.
    seconds : float
        Median of the timed passes, after one that is not timed.
    updates_per_second : float
    times_reference : float
        How many times faster than the reference loop in the same run.
    relative_error : float
        Largest difference to the reference loop in float64 over the largest magnitude there; backward: the
        worst of all gradients.
    extra_memory_bytes : int
        Peak memory of tensors, beside inputs and results, that the pass makes; forward: with what is kept for
        the backward pass. The compiled kernels' blocks (a thread's: 80 to 170 kB) are not among them.
    """

    path: str
    direction: Literal["forward", "backward"]
    seconds: float
    updates_per_second: float
    times_reference: float
    relative_error: float
    extra_memory_bytes: int


@dataclass(frozen=True)
class _Expected:
    """Output and gradients in float64, and the loop's seconds in float32."""

    y: Tensor
    gradients: list[Tensor]
    forward_seconds: float
    backward_seconds: float


def bench_scan(
    problem: ScanProblem | None = None,
    progress: Progress | None = None,
    cancel: CancelCheck | None = None,
) -> tuple[ScanRow, ...]:
    """Measure every path of the selective scan that this machine's CPU has, in float32.

    Parameters
    ----------
    problem : ScanProblem, optional
        By default 64 channels of 16 states over 4096 steps.
    progress : callable, optional
        Given the share that is done, and what comes next.
    cancel : callable, optional
        Asked between paths.

    Returns
    -------
    tuple of ScanRow
        Two a path, the reference loop first. The row of a package that is not installed is left out, and a
        logged warning says so.

    Raises
    ------
    Cancelled
        If `cancel` said so.
    """
    problem = problem or ScanProblem()
    inputs = _draw(problem)
    paths = _paths()
    rows: list[ScanRow] = []
    expected: _Expected | None = None
    for i, (name, scan) in enumerate(paths.items()):
        if cancel is not None and cancel():
            raise Cancelled("the measurement of the selective scan was cancelled")
        if progress is not None:
            progress(i / len(paths), f"measuring the selective scan: {name}")
        forward, backward = _seconds(scan, inputs)
        if expected is None:  # the reference loop itself
            expected = _expect(scan, inputs, forward, backward)
        rows.extend(_rows(name, scan, inputs, expected, forward, backward, problem.updates))
    return tuple(rows)


def _paths() -> dict[str, _Scan]:
    """Every path by name, the reference loop first."""
    names = [_REFERENCE, "chunked-torch"]
    if (chosen := scan_path("cpu", torch.float32)) not in names:
        names.append(chosen)
    paths: dict[str, _Scan] = {name: _path(name) for name in names}
    if importlib.util.find_spec(_PEER) is None:
        _log.warning("%s is not installed, so its scan is left out: pip install %s", _PEER, _PEER)
    else:
        paths[_PEER] = _peer_scan
    return paths


def _path(name: str) -> _Scan:
    return lambda inputs: run_path(name, inputs)[0]


def _peer_scan(inputs: ScanInputs) -> Tensor:
    """Scan as mambapy's own block does, with its published parallel scan."""
    pscan = importlib.import_module(f"{_PEER}.pscan").pscan
    assert inputs.D is not None  # as _draw makes them
    assert inputs.z is not None
    assert inputs.delta_bias is not None
    u = inputs.u.transpose(1, 2)  # (B, L, D)
    delta = functional.softplus(inputs.delta.transpose(1, 2) + inputs.delta_bias)
    B, C = (mixing[:, 0].transpose(1, 2) for mixing in (inputs.B, inputs.C))  # (B, L, N)
    drive = delta[..., None] * B[:, :, None] * u[..., None]  # (B, L, D, N)
    states = pscan(torch.exp(delta[..., None] * inputs.A), drive)
    y: Tensor = (states @ C[..., None]).squeeze(3) + inputs.D * u
    return (y * functional.silu(inputs.z.transpose(1, 2))).transpose(1, 2)


def _draw(problem: ScanProblem) -> ScanInputs:
    """Draw a problem as a Mamba block poses it after initialisation."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    batch, channels, length, states = astuple(problem)
    sequence, mixing = (batch, channels, length), (batch, states, length)
    A = -torch.arange(1.0, states + 1).repeat(channels, 1)
    return checked_inputs(
        draw(*sequence),
        draw(*sequence),
        A,
        draw(*mixing),
        draw(*mixing),
        draw(channels),
        draw(*sequence),
        draw(channels) - 4,  # steps of about 0.02
        True,
    )


def _tensors(inputs: ScanInputs) -> list[Tensor]:
    values = (getattr(inputs, field.name) for field in fields(inputs))
    return [value for value in values if isinstance(value, Tensor)]


def _as_leaves(inputs: ScanInputs, dtype: torch.dtype = torch.float32) -> ScanInputs:
    u, delta, A, B, C, D, z, delta_bias = (x.detach().to(dtype).requires_grad_() for x in _tensors(inputs))
    return ScanInputs(u, delta, A, B, C, D, z, delta_bias, inputs.delta_softplus)


def _gradients(y: Tensor, leaves: ScanInputs, weight: Tensor) -> list[Tensor]:
    """Gradients of the sum of y * weight."""
    return list(torch.autograd.grad(y, _tensors(leaves), weight))


def _seconds(scan: _Scan, inputs: ScanInputs) -> tuple[float, float]:
    """Median seconds of a forward pass without gradients, and of a backward pass."""
    leaves = _as_leaves(inputs)

    def forward() -> float:
        with torch.no_grad():
            start = time.perf_counter()
            scan(inputs)
            return time.perf_counter() - start

    def backward() -> float:
        y = scan(leaves)
        weight = y.detach()  # so that outputs weigh differently
        start = time.perf_counter()
        _gradients(y, leaves, weight)
        return time.perf_counter() - start

    return _median(forward), _median(backward)


def _median(once: Callable[[], float]) -> float:
    once()
    passes: list[float] = []
    while not passes or (sum(passes) < _LEAST_SECONDS and len(passes) < _MOST_PASSES):
        passes.append(once())
    return statistics.median(passes)


def _expect(scan: _Scan, inputs: ScanInputs, forward: float, backward: float) -> _Expected:
    wide = _as_leaves(inputs, torch.float64)
    y = scan(wide)
    return _Expected(y.detach(), _gradients(y, wide, y.detach()), forward, backward)


def _rows(
    name: str,
    scan: _Scan,
    inputs: ScanInputs,
    expected: _Expected,
    forward: float,
    backward: float,
    updates: int,
) -> tuple[ScanRow, ScanRow]:
    leaves = _as_leaves(inputs)
    with TorchMemory() as made:
        y = scan(leaves)
    forward_memory = made.peak - y.nbytes
    weight = expected.y.float()
    with TorchMemory() as made:
        gradients = _gradients(y, leaves, weight)
    backward_memory = made.peak - sum(x.nbytes for x in gradients)
    worst = max(_error(a, b) for a, b in zip(gradients, expected.gradients, strict=True))
    error = _error(y.detach(), expected.y)
    faster = (expected.forward_seconds / forward, expected.backward_seconds / backward)
    return (
        ScanRow(name, "forward", forward, updates / forward, faster[0], error, forward_memory),
        ScanRow(name, "backward", backward, updates / backward, faster[1], worst, backward_memory),
    )


def _error(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected).abs().max() / expected.abs().max())
