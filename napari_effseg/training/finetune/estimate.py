"""What a finetuning will cost, measured on a small step of the very network on the very machine."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from ...engine.device import DeviceInfo
from ...engine.tiling import Tiling
from ...engine.torch_memory import TorchMemory
from ...zoo.card import Card
from ..losses import Loss

__all__ = ["StepCost", "measure_step", "window_seconds"]

_PROBE_FRACTION = 0.5
"""Side of the small step's patch, of the patch's: an eighth of its voxels."""
_UNSEEN = 1.5
"""What scratch memory and gaps of the allocator add to what tensors hold: a step of lightm-unet made
the process grow by 1.4 times as much as its tensors, with a frozen encoder by 1.6 times."""
_BYTES = 4  # of a float32


@dataclass(frozen=True)
class StepCost:
    """One optimiser step on one patch, scaled up from a smaller patch voxel by voxel.

    Attributes
    ----------
    bytes : int
        Most memory that the step needs beside the network: activations kept for the way back, gradients and
        AdamW's two moments of what is not frozen, and the averaged and the best weights.
    seconds : float
    forward_seconds_per_voxel : float
        Without gradients, as in validation.
    """

    bytes: int
    seconds: float
    forward_seconds_per_voxel: float


def measure_step(
    network: nn.Module, loss_of: Loss, card: Card, patch: tuple[int, ...], device: DeviceInfo
) -> StepCost:
    """Take two small steps of a copy of the network: one counts memory, the other is timed.

    Parameters
    ----------
    network : torch.nn.Module
        What is frozen in it needs neither memory for the way back nor its time.
    loss_of : callable
    card : Card
    patch : tuple of int
        Patch size in voxels.
    device : DeviceInfo

    Raises
    ------
    RuntimeError
        If even the small step needs more memory than there is.
    """
    target = torch.device(device.name)
    probed = copy.deepcopy(network).to(target)
    size = tuple(map(_smaller, patch, card.window.units))
    image = torch.zeros((1, len(card.input.channels), *size), device=target)
    image[..., ::2] = 1.0
    truth = torch.zeros((1, 1, *size), dtype=torch.uint8, device=target)
    truth[..., ::2] = 1

    def step() -> None:
        probed.train()
        loss_of(probed(image), truth).backward()

    def forward() -> None:
        with torch.inference_mode():
            probed.eval()(image)

    values = sum(value.numel() for value in probed.parameters())
    gradients = _BYTES * sum(value.numel() for value in probed.parameters() if value.requires_grad)
    activations = max(_peak_of(step, target) - gradients, 0)
    probed.zero_grad(set_to_none=True)
    scale = math.prod(patch) / math.prod(size)
    return StepCost(
        bytes=int(_UNSEEN * scale * activations) + 3 * gradients + 2 * _BYTES * values,
        seconds=scale * _seconds_of(step, target),
        forward_seconds_per_voxel=_seconds_of(forward, target) / math.prod(size),
    )


def window_seconds(shape: tuple[int, int, int], card: Card, cost: StepCost) -> float:
    """Seconds of the network over a whole image of this shape on the network's grid."""
    i, j, k = card.window.size
    windows = Tiling.over(shape, (i, j, k), card.window.overlap).count
    return windows * math.prod(card.window.size) * cost.forward_seconds_per_voxel


def _smaller(side: int, multiple: int) -> int:
    return max(multiple, int(side * _PROBE_FRACTION) // multiple * multiple)


def _peak_of(step: Callable[[], None], device: torch.device) -> int:
    """Most bytes that the step holds at a time beyond what there is; it also compiles what is compiled."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = int(torch.cuda.memory_allocated(device))
        step()
        return int(torch.cuda.max_memory_allocated(device)) - before
    with TorchMemory() as made:
        step()
    return int(made.peak)


def _seconds_of(step: Callable[[], None], device: torch.device) -> float:
    step()  # warm
    _finish(device)
    began = time.perf_counter()
    step()
    _finish(device)
    return time.perf_counter() - began


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
