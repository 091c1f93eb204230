"""What a network costs: parameters, operations, and time and energy of a pass and of a training step.

Memory is a process's own high-water mark, so each measurement wants a process of its own; see `comparison`.
"""

from __future__ import annotations

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

_LEAST_RUNS, _LEAST_SECONDS = 3, 2.0
_ENOUGH_SECONDS = 12.0
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
    """Count the operations of one pass.

    Selective scans and their causal convolutions are computed in ways that differ by device and that torch's
    counter sees or does not see, so stand-ins take their places while counting.
    """
    scans: list[int] = []

    def scan(u: Tensor, delta: Tensor, A: Tensor, *_: Tensor | None, z: Tensor | None, **__: Any) -> Tensor:
        scans.append(u.numel() * (_SCAN_OPERATIONS * A.shape[1] + 1 + (z is not None)))
        return u

    def convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        padded = F.conv1d(x, weight, bias, padding=weight.shape[-1] - 1, groups=x.shape[1])
        return padded[..., : x.shape[-1]]

    # torch's counter stumbles over parameters that are a module's input, if they want gradients.
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    network.requires_grad_(False)
    with (
        torch.inference_mode(),
        mock.patch.object(mamba, "selective_scan", scan),
        mock.patch.object(mamba, "causal_conv", convolve),
        mock.patch.object(RunningScan, "can_run", return_value=False),
        FlopCounterMode(display=False) as counter,
    ):
        network(example)
    for parameter in learning:
        parameter.requires_grad_(True)
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
    """Repeat a run that is warm: at least three times and two seconds, but no more after twelve seconds."""
    process, seconds, power = psutil.Process(), list[float](), list[float]()
    busy = _core_seconds(process)
    while sum(seconds) < _LEAST_SECONDS or (len(seconds) < _LEAST_RUNS and sum(seconds) < _ENOUGH_SECONDS):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
        if device.type == "cuda":
            power.extend(_power_watts(device))
    energy = None
    if device.type == "cuda" and power:
        energy = statistics.fmean(power) * statistics.fmean(seconds)
    elif device.type == "cpu":
        energy = (_core_seconds(process) - busy) / len(seconds) * _WATTS_A_CORE
    return Run(statistics.median(seconds), min(seconds), energy)


def _core_seconds(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def _power_watts(device: torch.device) -> list[float]:
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
