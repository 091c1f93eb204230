"""What a promptable network learns in a step: a simulated user's objects, a teacher's answers or features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...nets.hrmedseg import HRMedSeg
from ...nets.sam import SAM
from .asking import ask, embed, embeds, side_of
from .config import ClickConfig
from .loss import hypotheses_loss, imitation_loss
from .others import correct_others, other_objects
from .rounds import Rounds
from .sampler import Example
from .validate import click_dice

__all__ = ["ClickLesson", "FeatureLesson", "Lesson"]

_BATCH = 8
_NO_CORRECTION = 0.5
"""Chance that what was carried on from the slice before is not corrected."""


_Example = TypeVar("_Example", contravariant=True)


class Lesson(Protocol[_Example]):
    """A loss for examples, and a score by which weights are chosen."""

    def loss(self, network: nn.Module, examples: Sequence[_Example], random: np.random.Generator) -> Tensor:
        """Return the loss of a step; the network is left in training mode."""
        ...

    def scores(self, network: nn.Module, sets: Mapping[str, Sequence[_Example]]) -> dict[str, float]:
        """Return scores on examples that are not learned from; their mean chooses the weights."""
        ...


class ClickLesson:
    """Objects that a simulated user asks for; with a teacher, its answers to the same prompts as well.

    Parameters
    ----------
    config : ClickConfig
    teacher : Module or None
        A promptable network, on the student's device.
    teacher_side : int
        Side of the images that the teacher learned from.
    teacher_weight : float
        Share of the teacher in the loss.
    first : Module or None
        What answers first clicks, on the student's device; None: the student.
    """

    def __init__(
        self,
        config: ClickConfig,
        teacher: nn.Module | None = None,
        teacher_side: int = 0,
        teacher_weight: float = 0.0,
        first: nn.Module | None = None,
    ) -> None:
        self._clicks, self._teacher, self._first = config, teacher, first
        self._side, self._weight = teacher_side, teacher_weight

    def loss(self, network: nn.Module, examples: Sequence[Example], random: np.random.Generator) -> Tensor:
        """Prompt without gradients, then one answer with them."""
        rounds = self._prompted(network, examples, random)
        self._set_to_learn(network)
        embedding = embed(network, rounds, range(len(examples))) if embeds(network) else None
        logits, loss = _asked(network, rounds, embedding)
        if embedding is not None and self._clicks.others:
            clicks = self._clicks
            found = other_objects(examples, clicks.others, clicks.pseudo_weight, clicks.box, random)
            if found is not None:
                others, images = found
                correct_others(network, others, embedding[images], random)
                self._set_to_learn(network)
                loss = loss + _asked(network, others, embedding[images])[1]
        if self._teacher is None:
            return loss
        taught = rounds.at(self._side).answers(self._teacher)
        size = (logits.shape[-1], logits.shape[-1])
        wanted = F.interpolate(taught[:, None], size, mode="bilinear", align_corners=False)[:, 0]
        imitated = imitation_loss(logits[:, 0], wanted.clone().to(logits.device))
        return (1 - self._weight) * loss + self._weight * imitated

    def _set_to_learn(self, network: nn.Module) -> None:
        network.train()
        if self._clicks.stored_statistics:
            _use_stored_statistics(network)

    def scores(self, network: nn.Module, sets: Mapping[str, Sequence[Example]]) -> dict[str, float]:
        """Mean Dice after 1, 3 and 5 clicks; where another model answers first clicks, also after a box."""
        return click_dice(network, sets, self._first)

    def _prompted(
        self, network: nn.Module, examples: Sequence[Example], random: np.random.Generator
    ) -> Rounds:
        """Give each example a first prompt, and most of them corrections of the network's own answers."""
        rounds = Rounds(examples, random)
        wanted = [self._number_of_prompts(random) for _ in examples]
        for which, example in enumerate(examples):
            if example.before is None:
                self._first_prompt(rounds, which, random)
                if (example.composed or self._first is not None) and rounds.is_first_click(which):
                    wanted[which] = max(2, wanted[which])
            elif wanted[which] == 1 or random.random() < _NO_CORRECTION:
                wanted[which] = 0
        # A user's early clicks come one answer at a time; more at once stand in for the later ones.
        for number in range(2 if max(wanted) > 1 else 0):
            behind = [which for which, count in enumerate(wanted) if rounds.prompts[which] < count]
            if behind:
                network.eval()
                self._correct(network, rounds, behind, wanted, random, last=number == 1)
        return rounds

    def _first_prompt(self, rounds: Rounds, which: int, random: np.random.Generator) -> None:
        draw = random.random() - self._clicks.box
        if draw < 0:
            rounds.draw_box(which)
        elif draw < self._clicks.lasso:
            rounds.draw_lasso(which)
        elif draw < self._clicks.lasso + self._clicks.given:
            rounds.correct_bent(which, random)
        else:
            rounds.click(which, None, scribble=bool(random.random() < self._clicks.scribble))

    def _number_of_prompts(self, random: np.random.Generator) -> int:
        most = self._clicks.rounds
        return 1 if most == 1 or random.random() < 0.4 else int(random.integers(2, most + 1))

    def _correct(
        self,
        network: nn.Module,
        rounds: Rounds,
        behind: Sequence[int],
        wanted: Sequence[int],
        random: np.random.Generator,
        last: bool,
    ) -> None:
        answers = rounds.answers(network, behind)
        if self._first is not None:
            begun = [place for place, which in enumerate(behind) if rounds.is_first_click(which)]
            if begun:
                answers = answers.clone()  # what was inferred is not written to
                answers[begun] = rounds.answers(self._first, [behind[place] for place in begun])
        for which, answer in zip(behind, answers, strict=True):
            left = wanted[which] - int(rounds.prompts[which])
            mask = answer > 0.5
            for _ in range(left if last else (left + 1) // 2):
                if not rounds.click(which, mask, scribble=bool(random.random() < self._clicks.scribble)):
                    break
            rounds.remember(which, answer)


def _asked(network: nn.Module, rounds: Rounds, embedding: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the answers to all prompts, and their loss."""
    logits, scores = ask(network, rounds, range(len(rounds.asked)), embedding)
    told = (rounds.targets, torch.from_numpy(rounds.prompts == 1), rounds.weights, rounds.hidden)
    targets, first, weights, hidden = (part.to(logits.device) for part in told)
    return logits, hypotheses_loss(logits, scores, targets, first, weights, hidden)


class FeatureLesson:
    """The embedding of a teacher's encoder, which the student's is to equal.

    Parameters
    ----------
    teacher : HRMedSeg or SAM
        On the student's device.

    References
    ----------
    Mean squared error of embeddings: Xu et al., HRMedSeg, arXiv:2504.06205.
    """

    def __init__(self, teacher: HRMedSeg | SAM) -> None:
        self._teacher = teacher.eval().requires_grad_(False)

    def loss(self, network: nn.Module, examples: Sequence[Example], random: np.random.Generator) -> Tensor:
        """Mean squared error of the two embeddings."""
        network.train()
        found, wanted = self._both(network, examples)
        return F.mse_loss(found, wanted)

    def scores(self, network: nn.Module, sets: Mapping[str, Sequence[Example]]) -> dict[str, float]:
        """Mean cosine similarity of the two embeddings at each place."""
        network.eval()
        found = {}
        for name, examples in sets.items():
            cosines = []
            for start in range(0, len(examples), _BATCH):
                with torch.inference_mode():
                    ours, theirs = self._both(network, examples[start : start + _BATCH])
                cosines.append(F.cosine_similarity(ours, theirs).mean(dim=(1, 2)))
            found[name] = float(torch.cat(cosines).mean())
        return found

    def _both(self, network: nn.Module, examples: Sequence[Example]) -> tuple[Tensor, Tensor]:
        """Embeddings of student and teacher, on the student's grid."""
        assert isinstance(network, HRMedSeg | SAM)
        rounds, every = Rounds(examples, None), range(len(examples))
        found = embed(network, rounds, every)
        side = side_of(self._teacher)
        assert side is not None
        with torch.no_grad():
            wanted = embed(self._teacher, rounds.at(side), every)
        return found, F.adaptive_avg_pool2d(wanted, found.shape[-1]).to(found.dtype)


def _use_stored_statistics(network: nn.Module) -> None:
    """Let batch normalisation do in training what it does in use.

    Prompts come in kinds (one click, a box, corrections) whose statistics differ: those of a mixed batch are
    those of none of them.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
