"""The card of a run: a draft to train by, and the finished one with its weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import CardError, ConfigError, WeightsError
from ..io.dataset import Dataset
from ..zoo.card import Card, TrainingData
from ..zoo.card_file import parse_card, write_card
from ..zoo.weights import describe_weights, save_weights
from .config import TrainConfig
from .losses import activation_of

__all__ = ["draft_card", "finished_card", "trained_on", "warm_start"]

NOT_STATED = "not stated"
"""Licence of a data set that names none."""
_FILLED_BY_TRAINING = ("weights", "training", "accuracy", "performance")


def draft_card(config: TrainConfig) -> Card:
    """Card that the configuration describes, with nothing known yet of weights and data.

    Raises
    ------
    ConfigError
        If the ``[card]`` table breaks a rule of cards, or fills in what training will.
    """
    for name in _FILLED_BY_TRAINING:
        if name in config.card:
            raise ConfigError(f"{config.path}: [card.{name}] is filled in by training; leave it out")
    table: dict[str, Any] = dict(config.card)
    unknown = "not known yet"
    table["weights"] = {
        "file": f"{table.get('name', 'unnamed')}.safetensors",
        "sha256": "0" * 64,
        "licence": unknown,
        "size_bytes": 1,
        "precision": "float32",
        "parameters": 1,
    }
    table["training"] = dict.fromkeys(("dataset", "licence", "citation", "split", "config"), unknown)
    try:
        card = parse_card(table, source=f"{config.path} [card]")
    except CardError as err:
        raise ConfigError(str(err)) from err
    activation_of(card)
    return card


def warm_start(net: nn.Module, path: Path) -> None:
    """Load weights to start from, every one of them.

    Raises
    ------
    WeightsError
        If the file is missing, no safetensors, or does not fit the network.
    """
    try:
        state = {name: value.float() for name, value in load_file(path).items()}
        net.load_state_dict(state, strict=True)
    except (OSError, safetensors.SafetensorError, RuntimeError) as err:
        raise WeightsError(f"cannot start from {path}: {err}") from err


def finished_card(
    draft: Card, network: nn.Module, best: Mapping[str, Tensor], licence: str, path: Path
) -> Card:
    """Write the best weights, and the card that describes them beside them.

    Parameters
    ----------
    draft : Card
        The finished card but for its weights.
    network : nn.Module
        The network, whose parameters are counted.
    best : mapping of str to Tensor
        Weights with the best validation score.
    licence : str
        Of the weights.
    path : Path
        The card's file; the weights get the card's name.

    Returns
    -------
    Card
        As written, with its path.
    """
    weights = path.with_name(f"{draft.name}.safetensors")
    save_weights(dict(best), weights, {"network": draft.network, "constructor": draft.constructor})
    parameters = sum(value.numel() for value in network.parameters())
    card = dataclasses.replace(
        draft, weights=describe_weights(weights, licence=licence, parameters=parameters), path=path
    )
    write_card(card, path)
    return card


def trained_on(dataset: Dataset, config: str) -> TrainingData:
    """Say what weights learned from that began at random.

    Parameters
    ----------
    dataset : Dataset
    config : str
        Name of the configuration.
    """
    counts = {name: len(cases) for name, cases in dataset.splits.items()}
    return TrainingData(
        dataset=dataset.name,
        licence=dataset.licence or NOT_STATED,
        citation=dataset.citation,
        split=f"{counts['training']} training, {counts['validation']} validation, {counts['test']} test "
        "cases, as fixed in the data set's dataset.json",
        config=config,
        redistributable=dataset.redistributable,
    )
