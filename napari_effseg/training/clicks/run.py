"""A run of click training: data sets in, weights and card out."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from ...errors import Cancelled, ConfigError
from ...io.dataset import Dataset, read_dataset
from ...nets.click_unet import ClickUNet
from ...nets.hrmedseg import HRMedSeg
from ...nets.sam import SAM
from ...types import CancelCheck, Progress
from ...zoo import find_card
from ...zoo.card import Card
from ...zoo.weights import build_network, load_network, read_metadata
from ..config import TrainConfig
from ..folder import drawing
from ..release import finished_card, trained_on, warm_start
from .asking import side_of
from .cases import ObjectCase, objects_of
from .config import ClickConfig
from .lessons import ClickLesson, FeatureLesson, Lesson
from .sampler import Example, ExampleSampler
from .trainer import ClickTrainer
from .whole import whole_examples

__all__ = ["run_click_training"]

_logger = logging.getLogger(__name__)

_CHOICE = 24
"""Images of each set by which weights are chosen, at most."""


def run_click_training(
    config: TrainConfig,
    card: Card,
    datasets: Sequence[Dataset],
    folder: Path,
    resume: bool,
    device: torch.device,
    progress: Progress | None,
    cancel: CancelCheck | None,
) -> None:
    """Train a promptable network, and write its best weights with their card.

    Raises
    ------
    ConfigError
        If the card's network takes no clicks, or images of another size than ``clicks.size``.
    UnknownModel, CardError, WeightsError
        If a teacher is named that is not there, or answers no clicks.
    Cancelled
        If `cancel` said so; the checkpoint is up to date.
    """
    torch.manual_seed(config.run.seed)
    network = build_network(card)
    _check(network, config, card)
    if config.run.initial_weights:
        _begin(network, config)
    trainer = ClickTrainer(config, card, network, _lesson(config, device), folder, device)
    if resume and trainer.checkpoint.is_file():
        trainer.resume()
    tested = [read_dataset(config.resolve(name)) for name in _clicks(config).test_folders]
    sets = [_objects(data, "training", config, cancel) for data in datasets]
    sets += [_objects(data, "test", config, cancel) for data in tested]
    _logger.info("%d objects' images of %d data sets", sum(map(len, sets)), len(sets))
    sampler = ExampleSampler(sets, _clicks(config), config.run.seed)
    trainer.run(sampler, _choice(config, cancel), drawing(trainer, progress), cancel)
    card = dataclasses.replace(card, training=trained_on([*datasets, *tested], f"{card.name}.toml"))
    finished_card(card, network, trainer.best, card.training.licence, folder / card.training.config)


def _begin(network: nn.Module, config: TrainConfig) -> None:
    """Load the weights to start from; of two networks in one file that which answers the same prompts."""
    path = config.resolve(config.run.initial_weights)
    if not isinstance(network, ClickUNet) or network.further is not None or not _holds_two(path):
        warm_start(network, path)
        return
    both = ClickUNet(dataclasses.replace(network.config, further=True))
    warm_start(both, path)
    begun, both.further = both.further if _clicks(config).first else both, None
    assert begun is not None
    network.load_state_dict(begun.state_dict())


def _holds_two(path: Path) -> bool:
    """Whether a file holds a `ClickUNet` with another one for further prompts."""
    constructor = read_metadata(path).get("constructor") if path.is_file() else None
    return isinstance(constructor, dict) and bool(constructor.get("further"))


def _check(network: nn.Module, config: TrainConfig, card: Card) -> None:
    if not isinstance(network, ClickUNet | HRMedSeg | SAM):
        raise ConfigError(f"{config.path}: the network {card.network} takes no clicks")
    side = side_of(network)
    if side not in (None, _clicks(config).size):
        raise ConfigError(
            f"{config.path}: clicks.size is {_clicks(config).size}, but {card.network} sees {side}"
        )


def _lesson(config: TrainConfig, device: torch.device) -> Lesson[Example]:
    """Return what is learned: from objects alone, or from a teacher as well."""
    distill, clicks = config.distill, _clicks(config)
    first = _other(config, "clicks.first", clicks.first, device)[0] if clicks.first else None
    if distill is None:
        return ClickLesson(clicks, first=first)
    teacher, card = _other(config, "distill.teacher", distill.teacher, device)
    if distill.learns == "features":
        if not isinstance(teacher, HRMedSeg | SAM):
            raise ConfigError(
                f"{config.path}: distill.learns is 'features', but {card.name} embeds no images"
            )
        return FeatureLesson(teacher)
    return ClickLesson(clicks, teacher, card.window.size[0], distill.weight, first)


def _other(config: TrainConfig, option: str, name: str, device: torch.device) -> tuple[nn.Module, Card]:
    """Load another promptable network that a configuration names."""
    named = config.resolve(name)
    card = find_card(named if named.is_file() else name)
    if card.task != "promptable":
        raise ConfigError(f"{config.path}: {option} is {card.name}, which answers no clicks")
    return load_network(card, str(device)).eval(), card


def _clicks(config: TrainConfig) -> ClickConfig:
    assert config.clicks is not None
    return config.clicks


def _objects(
    data: Dataset, split: str, config: TrainConfig, cancel: CancelCheck | None, ends: bool = True
) -> list[ObjectCase]:
    clicks = _clicks(config)
    files = data.split(split)[: config.data.limit_cases or None]
    found: list[ObjectCase] = []
    for number, entry in enumerate(files):
        if cancel is not None and cancel():
            raise Cancelled("stopped while the images were being loaded")
        case = objects_of(data, entry, clicks.image_side, clicks.slices, config.run.seed, ends)
        if len(case) > 1 and number >= clicks.whole_volumes:
            break
        found += case
    return found


def _choice(config: TrainConfig, cancel: CancelCheck | None) -> dict[str, list[Example]]:
    """Whole images of the sets by which weights are chosen, an object of each, always the same."""
    found = {}
    for name in _clicks(config).choice_folders:
        data = read_dataset(config.resolve(name))
        examples = whole_examples(
            _objects(data, "training", config, cancel, ends=False), _clicks(config), _CHOICE
        )
        if examples:
            found[data.name] = examples
    if not found:
        raise ConfigError(f"{config.path}: clicks.choice_folders names no data set with objects")
    return found
