"""The card of a run: a draft to train by, and the finished one with its weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import CardError, ConfigError, WeightsError
from ..io.dataset import SPLITS, Dataset
from ..zoo.card import Card, TrainingData
from ..zoo.card_file import parse_card, write_card
from ..zoo.weights import describe_weights, save_weights
from .config import TrainConfig
from .losses import activation_of

__all__ = ["Credit", "draft_card", "finished_card", "trained_on", "warm_start"]

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


@dataclass(frozen=True)
class Credit:
    """What a file that belongs to no data set must be credited with.

    Attributes
    ----------
    name, licence, citation : str
    """

    name: str
    licence: str
    citation: str


def trained_on(
    datasets: Sequence[Dataset], config: str, files: Sequence[Credit] = (), left_out: Sequence[str] = ()
) -> TrainingData:
    """Say what weights learned from that began at random.

    Parameters
    ----------
    datasets : sequence of Dataset
        At least one; weights may be passed on only if all of them allow it.
    config : str
        Name of the configuration.
    files : sequence of Credit
        Images beside the data sets, whose licences allow it, too.
    left_out : sequence of str
        Cases of the data sets that were not learned from.
    """
    citations = [dataset.citation for dataset in datasets if dataset.citation]
    return TrainingData(
        dataset=" + ".join([*(dataset.name for dataset in datasets), *(file.name for file in files)]),
        licence="; ".join([_licence_of(datasets), *(f"{file.licence} ({file.name})" for file in files)]),
        citation=" ".join(dict.fromkeys([*citations, *(file.citation for file in files)])),
        split="; ".join([_split_of(datasets), *([f"left out: {', '.join(left_out)}"] if left_out else [])]),
        config=config,
        redistributable=all(dataset.redistributable for dataset in datasets),
    )


def _licence_of(datasets: Sequence[Dataset]) -> str:
    """Return the licence of all, or each with the data it is of."""
    licences = [dataset.licence or NOT_STATED for dataset in datasets]
    if len(set(licences)) == 1:
        return licences[0]
    return "; ".join(
        f"{licence} ({dataset.name})" for licence, dataset in zip(licences, datasets, strict=True)
    )


def _split_of(datasets: Sequence[Dataset]) -> str:
    """Say how many cases each split has, and of which data where there are several."""
    if len(datasets) == 1:
        return f"{_counts(datasets[0])}, as fixed in the data set's dataset.json"
    parts = (f"{dataset.name}: {_counts(dataset)}" for dataset in datasets)
    return f"{'; '.join(parts)}; as fixed in each data set's dataset.json"


def _counts(dataset: Dataset) -> str:
    counts = (f"{len(dataset.splits.get(name, ()))} {name}" for name in SPLITS)
    return f"{', '.join(counts)} cases"
