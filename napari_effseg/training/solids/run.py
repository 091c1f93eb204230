"""A run on objects of volumes: data sets in, weights and card out."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from ...engine.session.blocks import CHANNELS, Block
from ...engine.session.solid import AROUND
from ...errors import Cancelled, ConfigError
from ...io import load, load_labels
from ...io.dataset import SPLITS, CaseFiles, Dataset, read_dataset
from ...types import CancelCheck, Progress
from ...zoo.card import Card, TrainingData
from ...zoo.weights import build_network
from ..bytes import as_bytes
from ..clicks.trainer import ClickTrainer
from ..config import TrainConfig
from ..folder import drawing
from ..release import Credit, finished_card, trained_on, warm_start
from .config import SolidConfig
from .lesson import SolidLesson
from .sampler import SolidCase, SolidExample, SolidSampler, example_of, planes_of

__all__ = ["choice_examples", "learned_from", "run_solid_training"]

_logger = logging.getLogger(__name__)

_LEAST_VOXELS = 200
_CHOICE = 12
"""Cases of each set by which weights are chosen, at most."""
_KNOWN = (1, 3)


def run_solid_training(
    config: TrainConfig,
    card: Card,
    datasets: Sequence[Dataset],
    folder: Path,
    resume: bool,
    device: torch.device,
    progress: Progress | None,
    cancel: CancelCheck | None,
) -> None:
    """Train a network of blocks, and write its best weights with their card.

    Raises
    ------
    ConfigError
        If the card's network does not take what such a network sees, or there are no objects.
    Cancelled
        If `cancel` said so; the checkpoint is up to date.
    """
    options = config.solids
    assert options is not None
    if len(card.input.channels) != 1 or card.dimensions != 3:
        raise ConfigError(f"{config.path}: a network of blocks needs a card of volumes with one channel")
    torch.manual_seed(config.run.seed)
    network = build_network(card)
    _check(network, config, options)
    if config.run.initial_weights:
        warm_start(network, config.resolve(config.run.initial_weights))
    trainer = ClickTrainer(config, card, network, SolidLesson(), folder, device)
    if resume and trainer.checkpoint.is_file():
        trainer.resume()
    tested = [read_dataset(config.resolve(name)) for name in options.test_folders]
    sets = [_cases(data, data.split("training"), options, cancel) for data in datasets]
    sets += [_cases(data, data.split("test"), options, cancel) for data in tested]
    _logger.info("%d volumes of %d data sets", sum(map(len, sets)), len(sets))
    sampler = SolidSampler(sets, options, config.run.seed, _unlabelled(config, options))
    trainer.run(sampler, _choice(config, options, cancel), drawing(trainer, progress), cancel)
    card = dataclasses.replace(
        card, training=learned_from([*datasets, *tested], f"{card.name}.toml", options)
    )
    finished_card(card, network, trainer.best, card.training.licence, folder / card.training.config)


def learned_from(datasets: Sequence[Dataset], config: str, options: SolidConfig) -> TrainingData:
    """Say what weights learned from: data sets, but for what was left out, and volumes without labels."""
    stated = (options.unlabelled_files, options.unlabelled_licences, options.unlabelled_citations)
    files = [
        Credit(Path(name).name, licence, citation) for name, licence, citation in zip(*stated, strict=True)
    ]
    return trained_on(datasets, config, files, options.left_out)


def _check(network: torch.nn.Module, config: TrainConfig, options: SolidConfig) -> None:
    seen = torch.zeros(1, len(CHANNELS), *(options.size,) * 3)
    try:
        with torch.inference_mode():
            answer = network.eval()(seen)
    except (RuntimeError, ValueError) as err:
        raise ConfigError(
            f"{config.path}: the network does not take {len(CHANNELS)} channels of {options.size} voxels a "
            f"side: {err}"
        ) from err
    if answer.shape != (1, 1, *seen.shape[2:]):
        raise ConfigError(f"{config.path}: the network answers {tuple(answer.shape)}; expected one channel")


def _cases(
    data: Dataset, files: Sequence[CaseFiles], options: SolidConfig, cancel: CancelCheck | None
) -> list[SolidCase]:
    found = []
    for entry in files:
        if cancel is not None and cancel():
            raise Cancelled("stopped while the volumes were being loaded")
        if entry.label is None or entry.name in options.left_out:
            continue
        volume, labels = load(entry.images[0]), load_labels(entry.label)
        image = np.asarray(volume.data)
        image = image if image.ndim == 3 else image[0]
        if min(image.shape) > 1:
            found.append(
                SolidCase(entry.name, volume.grid, as_bytes(image, volume.modality), np.asarray(labels.data))
            )
    if not found:
        raise ConfigError(f"{data.folder} has no volumes with objects")
    return found


def _unlabelled(config: TrainConfig, options: SolidConfig) -> list[SolidCase]:
    found = []
    for name in options.unlabelled_files:
        volume = load(config.resolve(name))
        image = np.asarray(volume.data)
        image = as_bytes(image if image.ndim == 3 else image[0], volume.modality)
        found.append(SolidCase(name, volume.grid, image, np.zeros(volume.shape, np.uint8)))
    return found


def _choice(
    config: TrainConfig, options: SolidConfig, cancel: CancelCheck | None
) -> dict[str, list[SolidExample]]:
    """Objects of the sets by which weights are chosen, always the same, with one and with three slices."""
    found: dict[str, list[SolidExample]] = {}
    for name in options.choice_folders:
        data = read_dataset(config.resolve(name))
        files = [entry for split in SPLITS for entry in data.splits.get(split, ())]
        spread = [files[len(files) * n // _CHOICE] for n in range(_CHOICE)] if len(files) > _CHOICE else files
        for case in _cases(data, spread, options, cancel):
            for count in _KNOWN:
                words = f"{data.folder.name}, {count} slice{'s' * (count > 1)}"
                found.setdefault(words, []).extend(choice_examples(case, count, options.size))
    if not found:
        raise ConfigError(f"{config.path}: solids.choice_folders names no data set with objects")
    return found


def choice_examples(case: SolidCase, count: int, size: int) -> list[SolidExample]:
    """Ask for the largest piece of each class of a case, from slices across its longest voxels."""
    found = []
    axis = int(np.argmax(case.grid.spacing))
    for label in np.unique(case.labels[case.labels > 0]).tolist():
        pieces, _ = ndimage.label(case.labels == label, structure=np.ones((3, 3, 3)))
        mask = pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax())
        if mask.sum() < _LEAST_VOXELS:
            continue
        places = np.argwhere(mask)
        low, high = places.min(axis=0), places.max(axis=0) + 1
        sides = AROUND * (high - low) * case.grid.spacing  # as in use
        block = Block.around(case.grid, (low + high - 1) / 2, sides, size)
        random = np.random.default_rng((label, count))
        image, inside, target = block.show(case.image) / 255, block.inside(), block.show(mask) > 0.5
        example = example_of(
            image, inside, target, None, block.axis_of(axis), count, planes_of(block), random
        )
        if example is not None:
            found.append(example)
    return found
