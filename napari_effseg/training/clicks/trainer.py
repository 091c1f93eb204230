"""The loop of training promptable networks: draw examples, learn from them; resumable at any moment."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import Cancelled
from ...nets.click_unet import ClickUNet
from ...nets.solid_unet import SolidUNet
from ...types import CancelCheck, Progress
from ...zoo.card import Card
from ..config import TrainConfig
from ..loop import CHECKPOINT
from ..optimise import build_optimiser, learning_rate
from ..state import Clock, HistoryPoint, TrainingState, WeightAverage, load_checkpoint, save_checkpoint
from .lessons import Lesson

__all__ = ["ClickTrainer"]

_logger = logging.getLogger(__name__)


_LAYOUTS = {ClickUNet: torch.channels_last, SolidUNet: torch.channels_last_3d}
"""Where another order of the values in memory is quicker."""

_Example = TypeVar("_Example")
_Drawn = TypeVar("_Drawn", covariant=True)


class _Sampler(Protocol[_Drawn]):
    def example(self, number: int) -> _Drawn: ...


class ClickTrainer(Generic[_Example]):
    """One run: network, optimiser and how far it has come.

    Parameters
    ----------
    config : TrainConfig
        Its `clicks`, `optimiser` and `run` are used.
    card : Card
        The card being trained.
    network : Promptable
    lesson : Lesson
        What it learns.
    folder : Path
        Run folder, where the checkpoint goes.
    device : torch.device
    """

    def __init__(
        self,
        config: TrainConfig,
        card: Card,
        network: nn.Module,
        lesson: Lesson[_Example],
        folder: Path,
        device: torch.device,
    ) -> None:
        self.card, self.folder, self._lesson = card, folder, lesson
        self.net = network.to(device)
        layout = _LAYOUTS.get(type(network))
        if layout is not None:
            self.net.to(memory_format=layout)  # type: ignore[call-overload]  # in torch's hints
        self.average = WeightAverage(self.net, config.optimiser.average_decay)
        self.state, self.best = TrainingState(), dict[str, Tensor]()
        self._options, self._run = config.optimiser, config.run
        self._optimiser = build_optimiser(self.net, config.optimiser)

    @property
    def checkpoint(self) -> Path:
        """File of the resumable checkpoint."""
        return self.folder / CHECKPOINT

    def resume(self) -> None:
        """Go on from the checkpoint of the run folder."""
        self.state, self.best = load_checkpoint(self.checkpoint, self.net, self.average, self._optimiser)

    def run(
        self,
        sampler: _Sampler[_Example],
        validation: Mapping[str, Sequence[_Example]],
        progress: Progress | None = None,
        cancel: CancelCheck | None = None,
    ) -> None:
        """Train to the last step, or until cancelled; the checkpoint is up to date then.

        Raises
        ------
        Cancelled
            If `cancel` said so; `resume` goes on from there.
        """
        run, clock = self._run, Clock(self.state)
        losses: list[float] = []
        saved = time.monotonic()
        while self.state.step < run.steps:
            if cancel is not None and cancel():
                self._save(clock)
                raise Cancelled(f"stopped after {self.state.step} steps; go on with --resume")
            losses.append(self._step(sampler))
            if self.state.step % run.validate_every == 0 or self.state.step == run.steps:
                self._validate(validation, float(np.mean(losses)), clock)
                losses.clear()
                self._save(clock)
                saved = time.monotonic()
            elif time.monotonic() - saved > 60 * run.checkpoint_minutes:
                self._save(clock)
                saved = time.monotonic()
            if progress is not None:
                progress(self.state.step / run.steps, f"step {self.state.step} of {run.steps}")

    def _step(self, sampler: _Sampler[_Example]) -> float:
        """One optimiser step; returns its loss."""
        step, batch = self.state.step, self._run.batch_size
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(step, self._run.steps, self._options)
        examples = [sampler.example(step * batch + offset) for offset in range(batch)]
        random = np.random.default_rng((self._run.seed, 7, step))
        loss = self._lesson.loss(self.net, examples, random)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), self._options.clip_norm)
        if torch.isfinite(norm):
            self._optimiser.step()
        else:
            _logger.warning("step %d left out: its gradient is not finite", step)
        self.state.step += 1
        self.average.update(self.net, self.state.step)
        return float(loss.detach())

    def _validate(self, validation: Mapping[str, Sequence[_Example]], loss: float, clock: Clock) -> None:
        scores = self._lesson.scores(self.average.net, validation)
        mean = float(np.mean(list(scores.values())))
        state = self.state
        clock.tell(state)
        point = HistoryPoint(state.step, state.seconds, loss, scores, mean, state.core_seconds)
        state.history.append(point)
        _logger.info("step %d: loss %.4f, mean score %.4f %s", self.state.step, loss, mean, scores)
        if mean > self.state.best:
            self.state.best = mean
            self.best = {
                name: value.detach().cpu().clone() for name, value in self.average.net.state_dict().items()
            }

    def _save(self, clock: Clock) -> None:
        clock.tell(self.state)
        save_checkpoint(self.checkpoint, self.state, self.net, self.average, self._optimiser, self.best)
