"""What a network costs: parameters, operations, and time and energy of a pass and of a training step.

Memory is a process's own high-water mark, so each measurement wants a process of its own; see `comparison`.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from unittest import mock

import psutil
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..nets import mamba
from ..nets.selective_scan import RunningScan

__all__ = [
    "Operations",
    "Run",
    "Warm",
    "count_operations",
    "count_parameters",
    "one_pass",
    "one_step",
    "timed",
    "warmed",
]

_LEAST_RUNS, _LEAST_SECONDS = 3, 1.5
_ENOUGH_SECONDS = 4.0
_SHORT_SECONDS, _LONG_SECONDS = 1.0, 5.0
"""A first run of the latter length counts: what it does once, such as compiling, is little to that."""
_WATTS_A_CORE = 10.0
"""Power of a busy CPU core in W: an assumption (nominal powers of 65 to 280 W over 8 to 32 cores)."""
_SCAN_OPERATIONS = 9  # a state update, the convention of Mamba's authors


@dataclass(frozen=True)
class Operations:
    """Operations of one pass.

    Attributes
    ----------
    products : int
        Convolutions and matrix products, 2 a multiply-add, as torch's FlopCounterMode counts them.
    scans : int
        Selective scans, counted apart: 9 a state update (B L D N), and 1 a value (B L D) for D and for z.
    """

    products: int
    scans: int


@dataclass(frozen=True)
class Run:
    """One kind of run, repeated.

    Attributes
    ----------
    seconds, fastest_seconds : float
        Median and least, after one run that is not timed.
    energy_joules : float or None
        Of one run, an estimate: on a CPU its busy core-seconds at 10 W each; on CUDA the power that the
        driver reports; None where nothing is known.
    """

    seconds: float
    fastest_seconds: float
    energy_joules: float | None


@dataclass(frozen=True)
class Warm:
    """A run that has been done.

    Attributes
    ----------
    run : callable
    took : (float, float) or None
        Seconds and busy core-seconds, if they were so many that they count.
    """

    run: Callable[[], None]
    took: tuple[float, float] | None


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable values."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_operations(network: nn.Module, shape: Sequence[int]) -> Operations:
    """Count the operations of one pass over an input of a shape, without computing it.

    Selective scans and their causal convolutions are computed in ways that differ by device and that torch's
    counter sees or does not see, so stand-ins take their places while counting.
    """
    scans: list[int] = []

    def scan(u: Tensor, delta: Tensor, A: Tensor, *others: Tensor | None, **_: Any) -> Tensor:
        D, z = others[2:4]
        scans.append(u.numel() * (_SCAN_OPERATIONS * A.shape[1] + (D is not None) + (z is not None)))
        return u

    def convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        padded = F.conv1d(x, weight, bias, padding=weight.shape[-1] - 1, groups=x.shape[1])
        return padded[..., : x.shape[-1]]

    # torch's counter stumbles over parameters that are a module's input, if they want gradients.
    shapes = copy.deepcopy(network).requires_grad_(False).eval().to("meta")
    with (
        torch.inference_mode(),
        mock.patch.object(mamba, "selective_scan", scan),
        mock.patch.object(mamba, "causal_conv", convolve),
        mock.patch.object(RunningScan, "can_run", return_value=False),
        FlopCounterMode(display=False) as counter,
    ):
        shapes(torch.empty(tuple(shape), device="meta"))
    return Operations(int(counter.get_total_flops()), sum(scans))


def one_pass(network: nn.Module, example: Tensor) -> Callable[[], None]:
    """Return a pass in evaluation mode, to be called as often as wanted."""
    network.eval()

    @torch.inference_mode()
    def run() -> None:
        network(example)
        _finish(example.device)

    return run


def one_step(network: nn.Module, example: Tensor) -> Callable[[], None]:
    """Return a training step with Adam, to be called as often as wanted; the loss is a mean."""
    network.train()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-5)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()  # changes nothing, and makes the moments, as in every step but a training's first

    def run() -> None:
        output = network(example)
        answer = output if isinstance(output, Tensor) else output[0]
        optimiser.zero_grad(set_to_none=True)
        answer.float().square().mean().backward()
        optimiser.step()
        _finish(example.device)

    return run


def warmed(run: Callable[[], None]) -> Warm:
    """Run, as a first run compiles and sets up; twice if it is short; a long run is timed by that."""
    began, busy = time.perf_counter(), _core_seconds()
    run()
    took = time.perf_counter() - began
    if took > _LONG_SECONDS:
        return Warm(run, (took, _core_seconds() - busy))
    if took < _SHORT_SECONDS:
        run()
    return Warm(run, None)


def timed(runs: Sequence[Warm], device: torch.device) -> list[Run]:
    """Time runs in turn, so that what else the machine does falls on all of them.

    Each at least three times and 1.5 seconds, but no more after four seconds; those that take long have been
    timed.
    """
    taken: list[list[tuple[float, float]]] = [[] if warm.took is None else [warm.took] for warm in runs]
    power: list[list[float]] = [_power_watts(device) if warm.took else [] for warm in runs]
    while wanting := [n for n, warm in enumerate(runs) if warm.took is None and _wants_more(taken[n])]:
        for n in wanting:
            began, busy = time.perf_counter(), _core_seconds()
            runs[n].run()
            taken[n].append((time.perf_counter() - began, _core_seconds() - busy))
            power[n].extend(_power_watts(device))
    return [_run_of(some, watts, device) for some, watts in zip(taken, power, strict=True)]


def _wants_more(taken: list[tuple[float, float]]) -> bool:
    total = sum(seconds for seconds, _ in taken)
    return total < _LEAST_SECONDS or (len(taken) < _LEAST_RUNS and total < _ENOUGH_SECONDS)


def _run_of(taken: list[tuple[float, float]], watts: list[float], device: torch.device) -> Run:
    """Sum up runs of so many seconds and busy core-seconds each."""
    seconds = [some for some, _ in taken]
    energy = None
    if device.type == "cpu":
        energy = statistics.fmean(busy for _, busy in taken) * _WATTS_A_CORE
    elif watts:
        energy = statistics.fmean(watts) * statistics.fmean(seconds)
    return Run(statistics.median(seconds), min(seconds), energy)


def _core_seconds() -> float:
    """Time that this process has computed, on all cores."""
    used = psutil.Process().cpu_times()
    return float(used.user + used.system)


def _power_watts(device: torch.device) -> list[float]:
    """Read what a CUDA device takes now; nothing where nobody knows."""
    if device.type != "cuda":
        return []
    try:
        return [torch.cuda.power_draw(device) / 1000]
    except (ImportError, RuntimeError):  # no NVML bindings, or a device that keeps silent
        return []


def _finish(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
