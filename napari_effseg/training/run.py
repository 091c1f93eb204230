"""From a configuration to a run folder: log, curves, checkpoint, weights and card."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .. import nets
from ..engine.device import resolve_device
from ..errors import ConfigError
from ..io.dataset import Dataset, read_dataset
from ..types import CancelCheck, Progress
from ..zoo.card import Card
from .augment import Augmenter
from .config import TrainConfig, read_config
from .curves import draw_curves
from .data import PatchSampler, TrainingCase, load_cases
from .loop import Trainer
from .release import draft_card, finished_card, warm_start

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
    config = read_config(config_path)
    card = draft_card(config)
    dataset = read_dataset(config.resolve(config.data.folder))
    folder = _run_folder(output or Path("runs") / card.name, config, resume)
    target = torch.device(resolve_device(device).name)
    with _log_to(folder / "log.txt"):
        trainer = _trainer(config, card, folder, target)
        if resume and trainer.checkpoint.is_file():
            trainer.resume()
        sampler, validation = _cases(config, card, dataset, progress, cancel)
        trainer.run(sampler, validation, _drawing(trainer, progress), cancel)
        _finish(trainer, dataset)
    return folder


def _trainer(config: TrainConfig, card: Card, folder: Path, device: torch.device) -> Trainer:
    torch.manual_seed(config.run.seed)
    net: nn.Module = nets.create(card.network, **card.constructor)
    if config.run.initial_weights:
        warm_start(net, config.resolve(config.run.initial_weights))
    return Trainer(config, card, net, folder, device)


def _cases(
    config: TrainConfig,
    card: Card,
    dataset: Dataset,
    progress: Progress | None,
    cancel: CancelCheck | None,
) -> tuple[PatchSampler, list[TrainingCase]]:
    limit = config.data.limit_cases or None
    training = load_cases(dataset.split("training")[:limit], card, progress, cancel)
    validation = load_cases(dataset.split("validation")[:limit], card, progress, cancel)
    _logger.info("%d training and %d validation cases", len(training), len(validation))
    augmenter = Augmenter(config.augment, card.input.orientation)
    sampler = PatchSampler(
        training, config.data.patch or card.window.size, config.data, augmenter, config.run.seed
    )
    return sampler, validation


def _run_folder(folder: Path, config: TrainConfig, resume: bool) -> Path:
    """Make the run folder; a folder with another run in it is refused."""
    kept = folder / "config.toml"
    if kept.is_file() and not resume:
        raise ConfigError(f"{folder} already holds a run; name another folder with --output, or add --resume")
    if kept.is_file() and kept.read_bytes() != config.path.read_bytes():
        raise ConfigError(
            f"{kept} differs from {config.path}; a run goes on with the configuration it began with"
        )
    folder.mkdir(parents=True, exist_ok=True)
    if not kept.is_file():
        shutil.copyfile(config.path, kept)
    return folder


def _drawing(trainer: Trainer, progress: Progress | None) -> Progress:
    """Report progress, and draw the curves again after each validation."""
    drawn = 0

    def report(fraction: float, message: str) -> None:
        nonlocal drawn
        if len(trainer.state.history) > drawn:
            drawn = len(trainer.state.history)
            _write_history(trainer)
        if progress is not None:
            progress(fraction, message)

    return report


def _write_history(trainer: Trainer) -> None:
    points = [dataclasses.asdict(point) for point in trainer.state.history]
    text = json.dumps(points, indent=1)
    (trainer.folder / "history.json").write_text(text, encoding="utf-8")
    draw_curves(trainer.state.history, trainer.folder / "curves.png", trainer.card.title)


def _finish(trainer: Trainer, dataset: Dataset) -> None:
    """Write the best weights and their card."""
    state = trainer.state
    finished_card(trainer.card, trainer.best, dataset, trainer.folder)
    best = max((point.mean_dice for point in state.history), default=np.nan)
    _logger.info(
        "done: best validation Dice %.4f after %.0f s; estimated %.4f kWh, %.4f kg CO2",
        best,
        state.seconds,
        state.energy_kwh,
        state.co2_kg,
    )


@contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Write this package's log to a file as well, while the context is open."""
    logger = logging.getLogger("napari_effseg")
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(min(logging.INFO, level or logging.INFO))
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()
