"""Names -> networks with weights: cards, their registry, weights files, and conversion of checkpoints."""

from __future__ import annotations

from ._snomed import is_sctid
from ._toml import dump_toml
from .card import (
    Accuracy,
    Card,
    ChannelRole,
    CodeSpec,
    ConstructorValue,
    FieldOfView,
    InputSpec,
    Instances,
    IntensityRule,
    LabelSpec,
    OutputSpec,
    Performance,
    Postprocess,
    Region,
    TrainingData,
    WeightsFile,
    WindowSpec,
)
from .card_file import card_to_table, card_to_toml, parse_card, read_card, write_card
from .convert import Converted, convert_checkpoint
from .fetch import fetch_weights
from .location import LocatedBox, LocateSpec
from .registry import Registry, built_in_cards, cards, find_card, read_registry
from .weights import (
    build_network,
    describe_weights,
    file_sha256,
    load_network,
    read_metadata,
    save_weights,
    verify,
    weights_path,
)

__all__ = [
    "Accuracy",
    "Card",
    "ChannelRole",
    "CodeSpec",
    "ConstructorValue",
    "Converted",
    "FieldOfView",
    "InputSpec",
    "Instances",
    "IntensityRule",
    "LabelSpec",
    "LocateSpec",
    "LocatedBox",
    "OutputSpec",
    "Performance",
    "Postprocess",
    "Region",
    "Registry",
    "TrainingData",
    "WeightsFile",
    "WindowSpec",
    "build_network",
    "built_in_cards",
    "card_to_table",
    "card_to_toml",
    "cards",
    "convert_checkpoint",
    "describe_weights",
    "dump_toml",
    "fetch_weights",
    "file_sha256",
    "find_card",
    "is_sctid",
    "load_network",
    "parse_card",
    "read_card",
    "read_metadata",
    "read_registry",
    "save_weights",
    "verify",
    "weights_path",
    "write_card",
]
