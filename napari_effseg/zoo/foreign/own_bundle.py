"""A MONAI bundle that we exported: it carries its card, so that it comes back as it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ...errors import CardError, WeightsError
from .._checkpoint import read_state_dict
from ..card import Card
from ..card_file import read_card
from ._tables import read_json
from .bundle_config import read_config
from .draft import AddOptions, Draft
from .monai_networks import MONAI_NETWORKS, MONAI_PREFIX

__all__ = [
    "CARD_FILE",
    "MODEL_FILE",
    "OWN_INFERER",
    "OWN_NETWORK",
    "SHA256_KEY",
    "is_own_bundle",
    "network_of",
    "read_own_bundle",
]

CARD_FILE = "effseg_card.toml"
"""The card in the bundle's folder."""
MODEL_FILE = "models/model.pt"
SHA256_KEY = "effseg_model_sha256"
"""In the metadata: checksum of the weights as they were exported."""
OWN_NETWORK = "napari_effseg.nets.create"
OWN_INFERER = "napari_effseg.engine.inferer.WindowInferer"


def is_own_bundle(folder: Path) -> bool:
    """Whether a bundle carries one of our cards."""
    return (folder / CARD_FILE).is_file()


def network_of(target: str, arguments: Mapping[str, object]) -> str | None:
    """Return the network that a bundle names, as cards name it; None if it is on no list.

    Parameters
    ----------
    target : str
        The ``_target_`` of the bundle's network.
    arguments : mapping
        Its other entries; one of ours is named by ``name``.
    """
    from ... import nets

    if target == OWN_NETWORK:
        name = arguments.get("name")
        return name if isinstance(name, str) and name in nets.names() else None
    module, _, name = target.rpartition(".")
    if name in MONAI_NETWORKS and (not module or module.startswith("monai.networks.nets")):
        return f"{MONAI_PREFIX}{name}"
    return None


def read_own_bundle(folder: Path, options: AddOptions) -> Draft:
    """Read a bundle by the card in it.

    Measured accuracy stays on the card only if the weights are those that were exported.

    Parameters
    ----------
    folder : Path
    options : AddOptions
        Name and licence are used.

    Raises
    ------
    CardError
        If the card is broken, or the configuration has another network.
    WeightsError
        If the weights are missing, or hold more than weights.
    """
    card = replace(read_card(folder / CARD_FILE), path=None)
    _check_network(folder, card)
    notes = [f"the bundle carries the card of {card.name}, which says how it is applied"]
    if options.modality or options.orientation:
        notes.append("modality and orientation are those of the card; the ones given were not used")
    if not _is_as_exported(folder):
        card = replace(card, accuracy=(), performance=())
        notes.append("its weights are not those that were exported: measured accuracy and time were left out")
    licence = options.licence or card.weights.licence
    card = replace(card, name=options.name or card.name, weights=replace(card.weights, licence=licence))
    return Draft(card, read_state_dict(folder / MODEL_FILE), tuple(notes))


def _check_network(folder: Path, card: Card) -> None:
    config = read_config(folder / "configs" / "inference.json")
    part = config.read_all(config.part("network_def"), "network_def")
    arguments = dict(part) if isinstance(part, Mapping) else {}
    network = network_of(str(arguments.pop("_target_", "")), arguments)
    if not card.network.startswith(MONAI_PREFIX):
        arguments.pop("name", None)
    if network != card.network or arguments != json.loads(json.dumps(card.constructor)):
        raise CardError(
            f"{folder}: configs/inference.json has another network than {CARD_FILE}, which says "
            f"{card.network}; remove that file to have the bundle read without it"
        )


def _is_as_exported(folder: Path) -> bool:
    from ..weights import file_sha256

    stated = read_json(folder / "configs" / "metadata.json").values.get(SHA256_KEY)
    try:
        return stated == file_sha256(folder / MODEL_FILE)
    except OSError as err:
        raise WeightsError(f"{folder / MODEL_FILE}: cannot be read: {err.strerror or err}") from err
