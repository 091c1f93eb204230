"""What a network costs: parameters, operations, and time and energy of a pass and of a training step.

Memory is a process's own high-water mark, so each measurement wants a process of its own; see `comparison`.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
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

__all__ = ["Operations", "Run", "count_operations", "count_parameters", "one_pass", "one_step", "timed"]

_LEAST_RUNS, _LEAST_SECONDS = 3, 1.5
_ENOUGH_SECONDS = 6.0
_LONG_SECONDS = 5.0
"""A first run of this length counts: what it does once, such as compiling, is little to that."""
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


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable values."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_operations(network: nn.Module, example: Tensor) -> Operations:
    """Count the operations of one pass, without computing it: the network is turned into shapes.

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
        shapes(example.to("meta"))
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

    def run() -> None:
        output = network(example)
        answer = output if isinstance(output, Tensor) else output[0]
        optimiser.zero_grad(set_to_none=True)
        answer.float().square().mean().backward()
        optimiser.step()
        _finish(example.device)

    return run


def timed(run: Callable[[], None], device: torch.device) -> Run:
    """Time runs after a first: at least three and 1.5 seconds, none after six; or a long first one alone."""
    busy, first = _core_seconds(), _seconds_of(run)
    if first > _LONG_SECONDS:
        return Run(first, first, _energy(device, [first], _core_seconds() - busy, _power_watts(device)))
    busy, seconds, power = _core_seconds(), list[float](), list[float]()
    while sum(seconds) < _LEAST_SECONDS or (len(seconds) < _LEAST_RUNS and sum(seconds) < _ENOUGH_SECONDS):
        seconds.append(_seconds_of(run))
        power.extend(_power_watts(device))
    energy = _energy(device, seconds, _core_seconds() - busy, power)
    return Run(statistics.median(seconds), min(seconds), energy)


def _seconds_of(run: Callable[[], None]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _energy(device: torch.device, seconds: list[float], busy: float, power: list[float]) -> float | None:
    """Joules of one run, an estimate; `busy` core-seconds and `power` in W are those of all runs."""
    if device.type == "cpu":
        return busy / len(seconds) * _WATTS_A_CORE
    return statistics.fmean(power) * statistics.fmean(seconds) if power else None


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
