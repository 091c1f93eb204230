"""What a run needs to go on after an interruption, in one file without pickle of foreign classes."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..errors import WeightsError

__all__ = ["Clock", "HistoryPoint", "TrainingState", "WeightAverage", "load_checkpoint", "save_checkpoint"]


_Net = TypeVar("_Net", bound=nn.Module)


@dataclass(frozen=True)
class HistoryPoint:
    """One validation.

    Attributes
    ----------
    step : int
    seconds : float
        Training time so far, pauses between sessions left out.
    loss : float
        Mean training loss since the last point.
    dice : dict of str to float
        Mean Dice of each label over the validation cases.
    mean_dice : float
    core_seconds : float
        Time that cores worked on it so far, however busy the machine was.
    """

    step: int
    seconds: float
    loss: float
    dice: dict[str, float]
    mean_dice: float
    core_seconds: float = 0.0


@dataclass
class TrainingState:
    """How far a run has come.

    Attributes
    ----------
    step : int
        Steps done.
    seconds : float
        Time spent.
    core_seconds : float
        Time that this process's threads spent on cores: that of a busy machine is not counted.
    best : float
        Best mean Dice on the validation split; its weights are kept apart.
    history : list of HistoryPoint
    energy_kwh, co2_kg : float
        Estimates, summed over interruptions.
    """

    step: int = 0
    seconds: float = 0.0
    core_seconds: float = 0.0
    best: float = -1.0
    history: list[HistoryPoint] = field(default_factory=list)
    energy_kwh: float = 0.0
    co2_kg: float = 0.0


class Clock:
    """Time since now, on top of what a run has taken before."""

    def __init__(self, state: TrainingState) -> None:
        self._seconds = state.seconds - time.monotonic()
        self._core_seconds = state.core_seconds - time.process_time()

    def tell(self, state: TrainingState) -> None:
        """Bring the times of a run up to date."""
        state.seconds = self._seconds + time.monotonic()
        state.core_seconds = self._core_seconds + time.process_time()


class WeightAverage(Generic[_Net]):
    """Exponential moving average of a network's weights, warmed up from the first step.

    Parameters
    ----------
    net : torch.nn.Module
    decay : float
        In [0, 1); the decay used is smaller in the first steps, so that the start is forgotten.
    """

    def __init__(self, net: _Net, decay: float) -> None:
        self.net: _Net = copy.deepcopy(net).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, net: nn.Module, step: int) -> None:
        """Take in the weights after `step` steps."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for kept, new in zip(self.net.state_dict().values(), net.state_dict().values(), strict=True):
            if kept.is_floating_point():
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)


def save_checkpoint(
    path: Path,
    state: TrainingState,
    net: nn.Module,
    average: WeightAverage[Any],
    optimiser: Optimizer,
    best: Mapping[str, Tensor],
) -> None:
    """Write a resumable checkpoint; the old one stays until the new one is whole."""
    document: dict[str, Any] = {
        "state": asdict(state),
        "net": net.state_dict(),
        "average": average.net.state_dict(),
        "best": dict(best),
        "optimiser": optimiser.state_dict(),
        "torch_rng": torch.get_rng_state(),
    }
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as file:
        torch.save(document, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load_checkpoint(
    path: Path, net: nn.Module, average: WeightAverage[Any], optimiser: Optimizer
) -> tuple[TrainingState, dict[str, Tensor]]:
    """Restore networks and optimiser in place, and return how far the run had come, with its best weights.

    Raises
    ------
    WeightsError
        If the file is damaged or belongs to another network.
    """
    try:
        document = torch.load(path, map_location="cpu", weights_only=True)
        net.load_state_dict(document["net"])
        average.net.load_state_dict(document["average"])
        optimiser.load_state_dict(document["optimiser"])
        rng: Tensor = document["torch_rng"]
        torch.set_rng_state(rng)
        kept, best = document["state"], document["best"]
    except Exception as err:
        raise WeightsError(f"{path} is no checkpoint of this run ({err}); remove it to begin anew") from err
    points = [HistoryPoint(**point) for point in kept.pop("history")]
    return TrainingState(history=points, **kept), best
