"""The run itself: scores before, the loop of any training, scores after, and a card if they are better."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ...engine.ladder import is_memory_error
from ...errors import EffsegError, OutOfMemory
from ...types import CancelCheck, Progress
from ...zoo.card import Card
from ..config import TrainConfig
from ..data import PatchSampler, TrainingCase
from ..folder import Seen, drawing, log_to, open_run_folder
from ..loop import Trainer
from ..release import finished_card
from ..validate import validation_dice
from .card import Outcome, finished
from .division import Division
from .held_back import Scores, fitted_temperature, score, score_of_nothing, share_of
from .labels import LabelMatch
from .options import FinetuneOptions, config_text
from .plan import FinetunePlan

__all__ = ["CARD_FILE", "FinetuneResult", "Finetuning", "Material"]

_logger = logging.getLogger(__name__)

CARD_FILE = "card.toml"
_BEFORE, _AFTER = 0.05, 0.93
"""Fractions of a run at which its steps begin and end."""
_SMALL_CHANGE = 0.01  # of mean Dice; a few cases cannot tell it from chance


@dataclass(frozen=True, eq=False)
class Material:
    """What a finetuning works on, all of it in memory.

    Attributes
    ----------
    base, draft : Card
        The card whose weights it begins with, and the one to be.
    division : Division
    names : dict of int to str
        The data set's own numbers and names of its labels.
    match : LabelMatch
    config : TrainConfig
    base_network, network : torch.nn.Module
        The base's, and the one to learn, with what is frozen.
    sampler : PatchSampler
        Over the cases to learn from alone.
    held_back : list of TrainingCase
    """

    base: Card
    draft: Card
    division: Division
    names: Mapping[int, str]
    match: LabelMatch
    config: TrainConfig
    base_network: nn.Module
    network: nn.Module
    sampler: PatchSampler
    held_back: list[TrainingCase]


@dataclass(frozen=True)
class FinetuneResult:
    """What came out.

    Attributes
    ----------
    folder : Path
        The run folder.
    card : Card or None
        The new card, with its path; None if the new weights are not better, and nothing was kept.
    before, after : Scores
        Of the held-back cases; `after` is None if no step was better than the start.
    steps : int
        Steps that were done.
    seconds : float
        Time they took, with validations.
    warnings : tuple of str
        What to know before the new card is used.
    """

    folder: Path
    card: Card | None
    before: Scores
    after: Scores | None
    steps: int
    seconds: float
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Finetuning:
    """A finetuning that is ready to run; made by `prepare_finetuning`.

    Attributes
    ----------
    material : Material
    plan : FinetunePlan
        What to say before.
    folder : Path
        Run folder.
    options : FinetuneOptions
    """

    material: Material
    plan: FinetunePlan
    folder: Path
    options: FinetuneOptions

    def run(
        self,
        progress: Progress | None = None,
        cancel: CancelCheck | None = None,
        seen: Seen | None = None,
    ) -> FinetuneResult:
        """Finetune, and keep the new weights if they are better on the held-back cases.

        Parameters
        ----------
        progress, cancel : callable, optional
        seen : callable, optional
            ``seen(points, before)`` after each validation: all of them so far, and the Dice of each label
            before the first step.

        Returns
        -------
        FinetuneResult
            The folder has ``config.toml``, ``log.txt``, ``history.json``, ``curves.png``, ``checkpoint.pt``,
            and, if the new weights are better, ``card.toml`` with ``<name>.safetensors``.

        Raises
        ------
        ConfigError
            If the folder holds another run.
        OutOfMemory
            If memory runs out.
        Cancelled
            If `cancel` said so; ``resume`` goes on from the checkpoint.
        """
        text = config_text(self.material.config, self.material.draft, self._about())
        open_run_folder(self.folder, text, self.options.resume, "what was asked for now")
        with log_to(self.folder / "log.txt"):
            for line in self.plan.describe():
                _logger.info("%s", line)
            try:
                return self._run(progress, cancel, seen)
            except (MemoryError, RuntimeError) as err:
                if isinstance(err, EffsegError) or not is_memory_error(err):
                    raise
                raise OutOfMemory(
                    "memory ran out while finetuning; with the encoder frozen (--freeze encoder) it needs "
                    f"less, and closing other programs helps too ({err})"
                ) from err

    def _run(
        self, progress: Progress | None, cancel: CancelCheck | None, seen: Seen | None
    ) -> FinetuneResult:
        before = self._score_before(share_of(progress, 0.0, _BEFORE), cancel)
        _logger.info("before: mean Dice %.4f %s", before.mean, before.by_label)
        trainer = self._trained(share_of(progress, _BEFORE, _AFTER), cancel, seen)
        after = None
        if trainer.best:
            after = self._score_after(trainer, share_of(progress, _AFTER, 1.0), cancel)
            _logger.info("after: mean Dice %.4f %s", after.mean, after.by_label)
        card = None
        if after is not None and after.mean > before.mean:
            card = self._publish(trainer, after)
        else:
            _logger.info("the new weights are not better on the held-back cases; no card was written")
        state = trainer.state
        warnings = _doubts(before, after) if card is not None else ()
        return FinetuneResult(self.folder, card, before, after, state.step, state.seconds, warnings)

    def _score_before(self, progress: Progress, cancel: CancelCheck | None) -> Scores:
        """Score the base as it is; a structure that it does not know is one that it does not find."""
        made = self.material
        wanted = {name: (label, made.match.kept.get(label)) for label, name in made.match.names.items()}
        if not made.match.kept:
            return score_of_nothing(made.held_back, wanted)
        return score(
            made.base_network, made.base, made.held_back, wanted, self.plan.device.name, progress, cancel
        )

    def _score_after(self, trainer: Trainer, progress: Progress, cancel: CancelCheck | None) -> Scores:
        made = self.material
        wanted = {name: (label, label) for label, name in made.match.names.items()}
        return score(
            self._best(trainer), made.draft, made.held_back, wanted, self.plan.device.name, progress, cancel
        )

    def _trained(self, progress: Progress, cancel: CancelCheck | None, seen: Seen | None) -> Trainer:
        """Run the training loop from the checkpoint, or from the start, which is what must be beaten."""
        made = self.material
        device = torch.device(self.plan.device.name)
        torch.manual_seed(made.config.run.seed)
        trainer = Trainer(made.config, made.draft, copy.deepcopy(made.network), self.folder, device)
        start = validation_dice(trainer.average.net, made.held_back, made.draft, device)
        if self.options.resume and trainer.checkpoint.is_file():
            trainer.resume()
        else:
            trainer.must_beat(sum(start.values()) / len(start))
        trainer.run(made.sampler, made.held_back, drawing(trainer, progress, start, seen), cancel)
        return trainer

    def _publish(self, trainer: Trainer, after: Scores) -> Card:
        """Write the best weights and their card."""
        made, dataset = self.material, self.material.division.dataset
        command = made.division.evaluate_command(CARD_FILE, made.names)
        outcome = Outcome(
            dataset,
            made.division.rule,
            after.as_accuracy(dataset.name, command),
            fitted_temperature(
                self._best(trainer), made.draft, made.held_back, torch.device(self.plan.device.name)
            ),
        )
        card = finished(made.draft, made.base, outcome)
        return finished_card(
            card, trainer.net, trainer.best, made.base.weights.licence, self.folder / CARD_FILE
        )

    def _best(self, trainer: Trainer) -> nn.Module:
        network = copy.deepcopy(self.material.network)
        network.load_state_dict(trainer.best)
        return network.eval().to(self.plan.device.name)

    def _about(self) -> dict[str, object]:
        """Say what decides the run beside the training configuration."""
        made = self.material
        return {
            "model": made.base.name,
            "weights_sha256": made.base.weights.sha256,
            "freeze": self.options.freeze,
            "rule": made.division.rule,
            "training": [case.name for case in made.division.training],
            "held_back": [case.name for case in made.division.held_back],
            "labels": {str(number): name for number, name in made.names.items()},
        }


def _doubts(before: Scores, after: Scores | None) -> tuple[str, ...]:
    """Say what a better mean hides."""
    if after is None:
        return ()
    doubts = [
        f"{name} came out worse: Dice {before.by_label[name]:.3f} before, {found:.3f} after"
        for name, found in after.by_label.items()
        if found < before.by_label[name] - _SMALL_CHANGE
    ]
    if after.mean - before.mean < _SMALL_CHANGE:
        doubts.append(f"the change is small; {len(after.dice)} held-back cases cannot tell it from chance")
    return (*doubts, *after.warnings)
