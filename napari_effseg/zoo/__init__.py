"""Names -> networks with weights: cards, their registry, weights files, and conversion of checkpoints."""

from __future__ import annotations

from .card import (
    Accuracy,
    Card,
    ChannelRole,
    CodeSpec,
    ConstructorValue,
    FieldOfView,
    InputSpec,
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
from .card_file import card_to_toml, parse_card, read_card, write_card

__all__ = [
    "Accuracy",
    "Card",
    "ChannelRole",
    "CodeSpec",
    "ConstructorValue",
    "FieldOfView",
    "InputSpec",
    "IntensityRule",
    "LabelSpec",
    "OutputSpec",
    "Performance",
    "Postprocess",
    "Region",
    "TrainingData",
    "WeightsFile",
    "WindowSpec",
    "card_to_toml",
    "parse_card",
    "read_card",
    "write_card",
]
