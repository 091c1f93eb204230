"""From a configuration to a run folder: log, curves, checkpoint, weights and card."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch

from ..engine.device import resolve_device
from ..engine.frame import window_shape
from ..errors import ConfigError
from ..io.dataset import Dataset, read_dataset
from ..types import CancelCheck, Progress
from ..zoo.card import Card
from ..zoo.weights import build_network
from .augment import Augmenter, axcodes_of
from .clicks.run import run_click_training
from .config import TrainConfig, read_config
from .data import PatchSampler, TrainingCase, load_cases
from .datasets import cases_of, refuse_other_numbers
from .folder import drawing, log_to, open_run_folder
from .loop import Trainer
from .ranks import Ranks, joined
from .release import draft_card, finished_card, trained_on, warm_start
from .solids.run import run_solid_training

__all__ = ["run_training"]

_logger = logging.getLogger(__name__)


def run_training(
    config_path: Path,
    *,
    output: Path | None = None,
    resume: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
    cancel: CancelCheck | None = None,
) -> Path:
    """Train a network as a configuration says.

    Started by ``torchrun`` in several processes, these share each batch, and the first one writes.

    Parameters
    ----------
    config_path : Path
        See `napari_effseg.training.config`.
    output : Path, optional
        Run folder; ``runs/<card name>`` in the working directory without it.
    resume : bool
        Go on from the checkpoint in the run folder, if there is one.
    device : str
        "auto", "cpu", "cuda[:n]" or "mps".
    progress, cancel : callable, optional

    Returns
    -------
    Path
        The run folder: ``config.toml``, ``log.txt``, ``history.json``, ``curves.png``, ``checkpoint.pt``,
        and at the end ``<card name>.safetensors`` with ``<card name>.toml``, which ``effseg segment -m``
        takes.

    Raises
    ------
    ConfigError
        If the configuration breaks a rule, or the run folder holds another run.
    Cancelled
        If `cancel` said so; the checkpoint is up to date.
    """
    with joined(device) as ranks:
        return _run(config_path, ranks, output, resume, device, progress, cancel)


def _run(
    config_path: Path,
    ranks: Ranks,
    output: Path | None,
    resume: bool,
    device: str,
    progress: Progress | None,
    cancel: CancelCheck | None,
) -> Path:
    config = read_config(config_path)
    _refuse_clicks_together(config, ranks)
    card = draft_card(config)
    datasets = _datasets(config)
    where, kept = output or Path("runs") / card.name, config.path.read_bytes()
    folder = ranks.by_first(lambda: open_run_folder(where, kept, resume, str(config.path)))
    target = torch.device(resolve_device(ranks.device(device)).name)
    progress = progress if ranks.is_first else None
    with log_to(folder / "log.txt") if ranks.is_first else nullcontext():
        if config.clicks is not None:
            run_click_training(config, card, datasets, folder, resume, target, progress, cancel)
            return folder
        if config.solids is not None:
            run_solid_training(config, card, datasets, folder, resume, target, progress, cancel)
            return folder
        trainer = _trainer(config, card, folder, target, ranks)
        if resume and trainer.checkpoint.is_file():
            trainer.resume()
        sampler, validation = _cases(config, card, datasets, progress, cancel)
        trainer.run(sampler, validation, drawing(trainer, progress) if ranks.is_first else None, cancel)
        if ranks.is_first:
            _finish(trainer, datasets)
    return folder


def _is_promptable(config: TrainConfig) -> bool:
    return config.clicks is not None or config.solids is not None


def _refuse_clicks_together(config: TrainConfig, ranks: Ranks) -> None:
    if _is_promptable(config) and ranks.count > 1:
        raise ConfigError(
            f"{config.path} trains on clicks, which one process does; start it without torchrun"
        )


def _datasets(config: TrainConfig) -> list[Dataset]:
    folders = (config.data.folder, *config.data.more_folders)
    datasets = [read_dataset(config.resolve(folder)) for folder in folders]
    if not _is_promptable(config):  # clicks ask for objects, whatever their numbers mean
        refuse_other_numbers(datasets)
    return datasets


def _trainer(config: TrainConfig, card: Card, folder: Path, device: torch.device, ranks: Ranks) -> Trainer:
    torch.manual_seed(config.run.seed)
    net = build_network(card)
    if config.run.initial_weights:
        warm_start(net, config.resolve(config.run.initial_weights))
    return Trainer(config, card, net, folder, device, ranks)


def _cases(
    config: TrainConfig,
    card: Card,
    datasets: Sequence[Dataset],
    progress: Progress | None,
    cancel: CancelCheck | None,
) -> tuple[PatchSampler, list[TrainingCase]]:
    limit = config.data.limit_cases or None
    training = load_cases(cases_of(datasets, "training", limit), card, progress, cancel)
    validation = load_cases(cases_of(datasets, "validation", limit), card, progress, cancel)
    _logger.info("%d training and %d validation cases", len(training), len(validation))
    augmenter = Augmenter(config.augment, axcodes_of(card))
    size = window_shape(card, config.data.patch or None)
    sampler = PatchSampler(training, size, config.data, augmenter, config.run.seed)
    return sampler, validation


def _finish(trainer: Trainer, datasets: Sequence[Dataset]) -> None:
    """Write the best weights and their card."""
    state = trainer.state
    card = dataclasses.replace(trainer.card, training=trained_on(datasets, f"{trainer.card.name}.toml"))
    finished_card(
        card, trainer.net, trainer.best, card.training.licence, trainer.folder / card.training.config
    )
    best = max((point.mean_dice for point in state.history), default=np.nan)
    _logger.info(
        "done: best validation Dice %.4f after %.0f s; estimated %.4f kWh, %.4f kg CO2",
        best,
        state.seconds,
        state.energy_kwh,
        state.co2_kg,
    )
