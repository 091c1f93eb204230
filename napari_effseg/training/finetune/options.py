"""What a finetuning may be told, and the training configuration that follows from it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import ConfigError
from ...zoo import dump_toml
from ...zoo.card import Card
from ...zoo.card_file import card_to_table
from ..config import AugmentConfig, DataConfig, OptimiserConfig, RunConfig, TrainConfig
from .card import is_sided
from .division import Division
from .schedule import Schedule
from .transfer import FREEZES, Freeze

__all__ = ["FinetuneOptions", "config_text", "train_config"]

_PATIENCE = 5
"""Validations without a better one before a run ends early."""
_WARMUP_STEPS = 20
_CLIP_NORM = 1.0


@dataclass(frozen=True)
class FinetuneOptions:
    """How to finetune.

    Attributes
    ----------
    output : Path or None
        Run folder; None: ``runs/<name>`` in the working directory.
    name : str or None
        Name of the new card; None: ``<model>-finetuned``.
    steps : int
        Most steps of one patch each; fewer, when validation stops getting better.
    minutes : float or None
        How long all of it may take on this machine, instead of `steps`: as many as fit are planned, and the
        time also ends the run.
    freeze : {"none", "encoder", "all-but-head"}
        What keeps the weights it has.
    learning_rate : float
    held_back : float or None
        Share of the cases that only measures; None: the data set's validation list, else 0.2 of its cases.
    names : mapping of int to str
        Names of the data set's labels, before those that it tells itself.
    new_labels : bool
        Whether names near the model's mean other structures.
    device : str
        "auto", "cpu", "cuda[:n]" or "mps".
    seed : int
    resume : bool
        Go on with the run in the folder, if there is one.

    Raises
    ------
    ConfigError
        If a value is out of its range.
    """

    output: Path | None = None
    name: str | None = None
    steps: int = 300
    minutes: float | None = None
    freeze: Freeze = "none"
    learning_rate: float = 1e-3
    held_back: float | None = None
    names: Mapping[int, str] = field(default_factory=dict)
    new_labels: bool = False
    device: str = "auto"
    seed: int = 0
    resume: bool = False

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError(f"{self.steps} steps were asked for; expected at least 1")
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise ConfigError(f"{self.minutes} minutes were asked for; expected more than 0")
        if not 0 < self.learning_rate < math.inf:
            raise ConfigError(f"the learning rate is {self.learning_rate}; expected more than 0")
        if self.freeze not in FREEZES:
            raise ConfigError(f"freeze is {self.freeze!r}; expected one of {', '.join(FREEZES)}")


def train_config(
    options: FinetuneOptions, schedule: Schedule, draft: Card, division: Division
) -> TrainConfig:
    """Return the configuration of the run; mirrored anatomy is left out where sides have names."""
    return TrainConfig(
        card={},
        data=DataConfig(folder=division.dataset.folder.resolve().as_posix(), patch=draft.window.size),
        augment=AugmentConfig(mirror=() if is_sided(draft) else ("LR",)),
        optimiser=OptimiserConfig(
            learning_rate=options.learning_rate,
            warmup_steps=min(_WARMUP_STEPS, schedule.steps // 10),
            clip_norm=_CLIP_NORM,
        ),
        run=RunConfig(
            steps=schedule.steps,
            minutes=schedule.minutes,
            batch_size=1,
            validate_every=schedule.validate_every,
            patience=_PATIENCE,
            seed=options.seed,
        ),
    )


def config_text(config: TrainConfig, draft: Card, about: Mapping[str, object]) -> bytes:
    """Return all that decides the run as TOML: the same text, the same run.

    Parameters
    ----------
    config : TrainConfig
    draft : Card
    about : mapping
        What finetuning adds: the base and its checksum, the cases of each part, the labels, what is frozen.
    """
    card = {key: value for key, value in card_to_table(draft).items() if key not in ("weights", "training")}
    tables = {
        "finetune": about,
        **{
            name: dataclasses.asdict(getattr(config, name))
            for name in ("data", "augment", "optimiser", "run")
        },
        "card": card,
    }
    return dump_toml(tables).encode("utf-8")
