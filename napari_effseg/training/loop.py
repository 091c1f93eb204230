"""The training loop: resumable at any moment, reproducible from its seed, honest about its cost."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..engine.network import on_windows
from ..errors import Cancelled
from ..types import CancelCheck, Progress
from ..zoo.card import Card
from .config import TrainConfig
from .data import PatchSampler, TrainingCase
from .energy import EnergyMeter
from .losses import Loss, activation_of, segmentation_loss
from .optimise import build_optimiser, learning_rate
from .ranks import ALONE, Ranks
from .state import Clock, HistoryPoint, TrainingState, WeightAverage, load_checkpoint, save_checkpoint
from .validate import validation_dice

__all__ = ["Trainer"]

_logger = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"


class Trainer:
    """One run: networks, optimiser and how far it has come.

    Parameters
    ----------
    config : TrainConfig
    card : Card
        The card being trained; its window size is the patch size.
    net : torch.nn.Module
        Freshly built or warm-started. Parameters without ``requires_grad`` are frozen: they stay as they are
        to the last bit, and so do the running statistics of layers whose parameters are all frozen.
    folder : Path
        Run folder, where checkpoints go.
    device : torch.device
    ranks : Ranks
        The processes that train it together; each calls the same methods.
    """

    def __init__(
        self,
        config: TrainConfig,
        card: Card,
        net: nn.Module,
        folder: Path,
        device: torch.device,
        ranks: Ranks = ALONE,
    ) -> None:
        self.config, self.card, self.folder, self.device = config, card, folder, device
        self.net = net.to(device)
        self._ranks = ranks
        self._share = ranks.share(config.run.batch_size)
        self._apply = on_windows(ranks.wrapped(self.net), card)
        self.average = WeightAverage(self.net, config.optimiser.average_decay)
        self.best: dict[str, Tensor] = {}
        self.state = TrainingState()
        self._optimiser = build_optimiser(self.net, config.optimiser)
        mixed = config.run.mixed_precision and device.type == "cuda"
        self._autocast = torch.autocast(device.type, dtype=torch.bfloat16, enabled=mixed)

    @property
    def checkpoint(self) -> Path:
        """File of the resumable checkpoint."""
        return self.folder / CHECKPOINT

    @property
    def is_finished(self) -> bool:
        """Whether the last step or minute is over, or so many validations brought nothing better."""
        return self._is_over or 0 < self.config.run.patience <= self._without_progress()

    @property
    def elapsed(self) -> float:
        """Which fraction of the run's minutes is over, in [0, 1]; 0 where it has no such end."""
        minutes = self.config.run.minutes
        return min(self.state.seconds / (60 * minutes), 1.0) if minutes else 0.0

    @property
    def _is_over(self) -> bool:
        return self.state.step >= self.config.run.steps or self.elapsed >= 1

    def must_beat(self, mean_dice: float) -> None:
        """Keep only weights whose validation Dice is better than this: that of the weights it begins with."""
        self.state.best = mean_dice

    def resume(self) -> None:
        """Go on from the checkpoint of the run folder.

        Raises
        ------
        WeightsError
            If the checkpoint is damaged or of another network.
        """
        self.state, self.best = load_checkpoint(self.checkpoint, self.net, self.average, self._optimiser)

    def run(
        self,
        sampler: PatchSampler,
        validation: list[TrainingCase],
        progress: Progress | None = None,
        cancel: CancelCheck | None = None,
    ) -> None:
        """Train to the last step or minute, the end of patience, or until cancelled.

        The checkpoint is up to date then.

        Raises
        ------
        Cancelled
            If `cancel` said so; `resume` goes on from there.
        """
        run, clock = self.config.run, Clock(self.state)
        loss_of = segmentation_loss(self.config.optimiser, activation_of(self.card))
        losses: list[float] = []
        saved = time.monotonic()
        with EnergyMeter(run.country, self.folder) as meter:
            while not self.is_finished:
                if self._ranks.total(cancel is not None and cancel()):
                    self._save(clock, meter)
                    raise Cancelled(f"stopped after {self.state.step} steps; it can go on (--resume)")
                losses.append(self._step(sampler, loss_of))
                self._tell(clock)
                if self.state.step % run.validate_every == 0 or self._is_over:
                    self._validate(validation, float(np.mean(losses)), clock)
                    losses.clear()
                    saved = self._save(clock, meter)
                elif self._ranks.of_first(time.monotonic() - saved) > 60 * run.checkpoint_minutes:
                    saved = self._save(clock, meter)
                if progress is not None:
                    progress(max(self.state.step / run.steps, self.elapsed), self._message())

    def _step(self, sampler: PatchSampler, loss_of: Loss) -> float:
        """One optimiser step; returns its loss."""
        options = self.config.optimiser
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(self.state.step, self.config.run.steps, options, self.elapsed)
        share = self.state.step * self._ranks.count + self._ranks.number
        images, targets = sampler.batch(share, self._share)
        self._train_mode()
        with self._autocast:
            logits = self._apply(images.to(self.device))
            loss = self._ranks.joint_loss(loss_of, logits, targets.to(self.device))
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), options.clip_norm)
        if torch.isfinite(norm):
            self._optimiser.step()
        else:
            _logger.warning("step %d left out: its gradient is not finite", self.state.step)
        self.state.step += 1
        self.average.update(self.net, self.state.step)
        return float(loss.detach())

    def _tell(self, clock: Clock) -> None:
        """Bring the times up to date; those of the first process, so that all end with the same step."""
        clock.tell(self.state)
        self.state.seconds = self._ranks.of_first(self.state.seconds)

    def _train_mode(self) -> None:
        self.net.train()
        for module in self.net.modules():
            own = list(module.parameters(recurse=False))
            if own and not any(parameter.requires_grad for parameter in own):
                module.eval()

    def _without_progress(self) -> int:
        """Count the validations since the best one; all of them, if none was better than the start."""
        scores = [point.mean_dice for point in self.state.history]
        return len(scores) - 1 - scores.index(self.state.best) if self.state.best in scores else len(scores)

    def _validate(self, cases: list[TrainingCase], loss: float, clock: Clock) -> None:
        scores: Mapping[str, float] = self._ranks.by_first(
            lambda: validation_dice(self.average.net, cases, self.card, self.device)
        )
        mean = float(np.mean(list(scores.values())))
        self._tell(clock)
        point = HistoryPoint(
            self.state.step, self.state.seconds, loss, dict(scores), mean, self.state.core_seconds
        )
        self.state.history.append(point)
        _logger.info("step %d: loss %.4f, validation Dice %.4f %s", point.step, loss, mean, dict(scores))
        if mean > self.state.best:
            self.state.best = mean
            self.best = {
                name: value.detach().cpu().clone() for name, value in self.average.net.state_dict().items()
            }

    def _save(self, clock: Clock, meter: EnergyMeter) -> float:
        """Write the checkpoint and return when."""
        self._tell(clock)
        spent = meter.take()
        self.state.energy_kwh += self._ranks.total(spent.energy_kwh)
        self.state.co2_kg += self._ranks.total(spent.co2_kg)
        if self._ranks.is_first:
            save_checkpoint(self.checkpoint, self.state, self.net, self.average, self._optimiser, self.best)
        return time.monotonic()

    def _message(self) -> str:
        best = f", best validation Dice {self.state.best:.4f}" if self.state.history else ""
        minutes = self.config.run.minutes
        time_spent = f", minute {self.state.seconds / 60:.1f} of {minutes:g}" if minutes else ""
        return f"step {self.state.step} of {self.config.run.steps}{time_spent}{best}"
