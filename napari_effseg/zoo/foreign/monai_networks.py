"""Networks of MONAI that cards may name: an allow-list, so that no file decides what is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..._extras import require
from ...errors import CardError, nearest_names

if TYPE_CHECKING:
    from torch import nn

__all__ = ["MONAI_NETWORKS", "MONAI_PREFIX", "create_monai"]

MONAI_PREFIX = "monai:"
"""What a card's network begins with where it is one of MONAI's."""
MONAI_NETWORKS = (
    "AttentionUnet",
    "BasicUNet",
    "DynUNet",
    "SegResNet",
    "SwinUNETR",
    "UNETR",
    "UNet",
    "VNet",
)


def create_monai(name: str, constructor: Mapping[str, object], source: str) -> nn.Module:
    """Build one of MONAI's networks.

    Parameters
    ----------
    name : str
        One of `MONAI_NETWORKS`.
    constructor : mapping
        Its keyword arguments, plain values.
    source : str
        What messages call the file that asks for it.

    Raises
    ------
    CardError
        If the network is not on the list, or refuses its arguments.
    MissingExtra
        If MONAI, or a package that this network needs, is not installed.
    """
    if name not in MONAI_NETWORKS:
        raise CardError(
            f"{source}: network: {name!r} is none of MONAI's networks that are supported."
            f"{nearest_names(name, MONAI_NETWORKS)} Supported: {', '.join(MONAI_NETWORKS)}"
        )
    from torch import nn

    kind = getattr(require("monai.networks.nets", "monai", f"the network {name} of {source}"), name)
    if name == "SwinUNETR":
        require("einops", "monai", f"the network {name} of {source}")
    try:
        network = kind(**{key: _listed(value) for key, value in constructor.items()})
    except Exception as err:  # MONAI checks few of its arguments: wrong ones can raise anything
        raise CardError(f"{source}: constructor: {type(err).__name__}: {err}") from err
    if not isinstance(network, nn.Module):
        raise CardError(f"{source}: network: {name} made no network")
    return network


def _listed(value: object) -> object:
    """Turn tuples into lists, as MONAI's own configurations have them, at every depth."""
    if isinstance(value, tuple | list):
        return [_listed(entry) for entry in value]
    if isinstance(value, Mapping):
        return {key: _listed(entry) for key, entry in value.items()}
    return value
