"""What a foreign file becomes before it is stored: a card without weights, the weights, and what to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..card import Card, WeightsFile

if TYPE_CHECKING:
    import torch

__all__ = ["NOT_STATED", "UNKNOWN_WEIGHTS", "AddOptions", "Draft"]

NOT_STATED = "not stated"
UNKNOWN_WEIGHTS = WeightsFile("unknown.safetensors", "0" * 64, NOT_STATED, 1, "float32", 1)
"""Stands in a card until its weights are written."""


@dataclass(frozen=True)
class AddOptions:
    """What the user says where files do not tell.

    Attributes
    ----------
    name : str or None
        Of the new model.
    licence : str or None
        Of the weights.
    modality : tuple of str
        DICOM codes, such as "CT".
    orientation : str or None
        Axcodes of the (I, J, K) that training images had, such as "RAS".
    folds : tuple of str
        Folds of an nnU-Net model; empty: all that are there.
    checkpoint : str
        Name of the file in each fold.
    """

    name: str | None = None
    licence: str | None = None
    modality: tuple[str, ...] = ()
    orientation: str | None = None
    folds: tuple[str, ...] = ()
    checkpoint: str = "checkpoint_final.pth"


@dataclass(frozen=True, eq=False)
class Draft:
    """A model that was read and not yet stored.

    Attributes
    ----------
    card : Card
        Complete but for the section on weights.
    state : mapping of str to Tensor
        Of all members; of several, keys begin with the number.
    notes : tuple of str
        What was assumed, in sentences.
    """

    card: Card
    state: Mapping[str, torch.Tensor]
    notes: tuple[str, ...] = ()
