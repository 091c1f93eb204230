"""What one pass of a network costs: parameters, operations, time, memory, and an estimate of energy."""

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

from ..engine.torch_memory import TorchMemory
from ..nets import mamba
from ..types import CancelCheck

__all__ = ["Cost", "count_operations", "count_parameters", "measure"]

_LEAST_PASSES, _LEAST_SECONDS = 3, 2.0
_WATTS_A_CORE = 10.0
"""Power of a busy CPU core in W: an assumption (nominal powers of 65 to 280 W over 8 to 32 cores)."""
_SCAN_OPERATIONS = 9  # a state update, the convention of Mamba's authors


@dataclass(frozen=True)
class Cost:
    """One pass in evaluation mode, batch of one.

    Attributes
    ----------
    parameters : int
    operations : int
        Convolutions and matrix products, 2 a multiply-add, as torch's FlopCounterMode counts them.
    scan_operations : int
        Selective scans, counted apart: 9 a state update (B L D N), and 1 a value (B L D) for D and for z.
    seconds : float
        Median of the timed passes, after two that are not timed.
    fastest_seconds : float
    peak_memory_bytes : int
        Most bytes that tensors made in the pass hold at a time: weights and input are not among them.
    energy_joules : float or None
        An estimate: on a CPU its busy core-seconds at 10 W each; on CUDA the power that the driver reports,
        None where it reports none.
    """

    parameters: int
    operations: int
    scan_operations: int
    seconds: float
    fastest_seconds: float
    peak_memory_bytes: int
    energy_joules: float | None


def measure(network: nn.Module, example: Tensor, cancel: CancelCheck) -> Cost:
    """Measure a network on one input.

    Parameters
    ----------
    network : nn.Module
        On the device of `example`; put into evaluation mode.
    example : Tensor, shape (1, C, *S)
    cancel : callable
        Asked between passes.

    Raises
    ------
    Cancelled
        If `cancel` said so.
    """
    from ..errors import Cancelled

    network.eval()
    with torch.inference_mode():
        operations, scan = count_operations(network, example)

        def once() -> None:
            if cancel():
                raise Cancelled("stopped while measuring")
            network(example)
            _finish(example.device)

        # Two passes are over before the clock starts: caches are warm, kernels compiled.
        memory = _peak_of(once, example.device)
        seconds, energy = _timed(once, example.device)
    return Cost(
        parameters=count_parameters(network),
        operations=operations,
        scan_operations=scan,
        seconds=statistics.median(seconds),
        fastest_seconds=min(seconds),
        peak_memory_bytes=memory,
        energy_joules=energy,
    )


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable values."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_operations(network: nn.Module, example: Tensor) -> tuple[int, int]:
    """Count the operations of one pass.

    Selective scans and their causal convolutions are computed in ways that differ by device and that torch's
    counter sees or does not see, so stand-ins take their places while counting.

    Returns
    -------
    operations : int
        Of convolutions and matrix products, 2 a multiply-add.
    scan_operations : int
        Of the selective scans in `Mamba` blocks.
    """
    scans: list[int] = []

    def scan(u: Tensor, delta: Tensor, A: Tensor, *_: Tensor | None, z: Tensor | None, **__: Any) -> Tensor:
        scans.append(u.numel() * (_SCAN_OPERATIONS * A.shape[1] + 1 + (z is not None)))
        return u

    def convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        padded = F.conv1d(x, weight, bias, padding=weight.shape[-1] - 1, groups=x.shape[1])
        return padded[..., : x.shape[-1]]

    with (
        mock.patch.object(mamba, "selective_scan", scan),
        mock.patch.object(mamba, "causal_conv", convolve),
        FlopCounterMode(display=False) as counter,
    ):
        network(example)
    return int(counter.get_total_flops()), sum(scans)


def _timed(once: Callable[[], None], device: torch.device) -> tuple[list[float], float | None]:
    """Seconds of each pass, and joules of one (None where the device does not say)."""
    process, seconds, power = psutil.Process(), list[float](), list[float]()
    busy = _core_seconds(process)
    while len(seconds) < _LEAST_PASSES or sum(seconds) < _LEAST_SECONDS:
        started = time.perf_counter()
        once()
        seconds.append(time.perf_counter() - started)
        if device.type == "cuda":
            power.extend(_power_watts(device))
    if device.type == "cuda":
        return seconds, statistics.fmean(power) * statistics.fmean(seconds) if power else None
    if device.type != "cpu":
        return seconds, None
    return seconds, (_core_seconds(process) - busy) / len(seconds) * _WATTS_A_CORE


def _core_seconds(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def _power_watts(device: torch.device) -> list[float]:
    try:
        return [torch.cuda.power_draw(device) / 1000]
    except (ImportError, RuntimeError):  # no NVML bindings, or a device that keeps silent
        return []


def _peak_of(once: Callable[[], None], device: torch.device) -> int:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        once()
        return int(torch.cuda.max_memory_allocated(device)) - int(before)
    with TorchMemory() as made:
        once()
    return int(made.peak)


def _finish(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
