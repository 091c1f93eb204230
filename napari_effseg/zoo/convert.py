"""Turn an official checkpoint into safetensors, once, so that nothing else ever opens a pickle."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import CardError, UnknownModel, WeightsError, nearest_names
from ..types import PathLike
from ._checkpoint import read_state_dict
from ._layouts import Shapes, infer_constructor, refused_layout
from ._schema import Where, read_arguments
from .card import Card, ConstructorValue
from .registry import cards, find_card
from .weights import check_state, file_sha256, save_weights

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Converted", "convert_checkpoint"]

_LARGEST_CONFIG = 1 << 20  # bytes


@dataclass(frozen=True)
class Converted:
    """What `convert_checkpoint` wrote."""

    path: Path
    network: str
    constructor: dict[str, ConstructorValue]
    tensors: int
    values: int
    """Numbers in all tensors, buffers included."""
    sha256: str


def convert_checkpoint(
    checkpoint: PathLike,
    network: str | PathLike | Card,
    output: PathLike,
    *,
    config: PathLike | None = None,
) -> Converted:
    """Write the weights of a foreign checkpoint as safetensors.

    Parameters
    ----------
    checkpoint : path
        ``.pt`` or ``.pth`` (read with ``weights_only=True``; no code in it is run) or ``.safetensors``.
    network : str, path or Card
        A network's name, such as ``"lightm-unet"``, or a card (its name, file, or the card itself).
    output : path
        File to write; its name must end in ``.safetensors``.
    config : path, optional
        JSON or TOML file of the network's constructor arguments, alone or under ``constructor``.
        Without it they are the card's, or are read from the checkpoint's shapes where those tell.

    Returns
    -------
    Converted
        The file, with network and constructor as they also stand in its metadata.

    Raises
    ------
    WeightsError
        If the checkpoint cannot be read, holds more than weights, or does not fit the network.
    UnknownModel, CardError
        If `network` means no network or card, or the constructor's arguments are refused.
    ExportError
        If the output cannot be written. After any error there is no output, whole or partial.
    """
    checkpoint, output = Path(checkpoint), Path(output)
    if output.suffix.lower() != ".safetensors":
        raise WeightsError(f"{output}: expected an output whose name ends in .safetensors")
    name, constructor = _target(network)
    if config is not None:
        constructor = _read_config(Path(config))
    state = read_state_dict(checkpoint)
    shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}
    constructor = _settle_constructor(name, constructor, shapes, checkpoint)
    check_state(state, _expected_shapes(name, constructor, checkpoint), str(checkpoint))
    save_weights(state, output, {"network": name, "constructor": constructor})
    values = sum(tensor.numel() for tensor in state.values())
    return Converted(output, name, constructor, len(state), values, file_sha256(output))


def _target(network: str | PathLike | Card) -> tuple[str, dict[str, ConstructorValue] | None]:
    """Return the network that is meant, and its constructor if that is known from a card."""
    from .. import nets

    if isinstance(network, str) and network in nets.names():
        return network, None
    try:
        card = find_card(network)
    except UnknownModel as err:
        known = [*nets.names(), *cards()]
        raise UnknownModel(
            f"no network or model is called {network!r}.{nearest_names(str(network), known)} "
            f"Known: {', '.join(known)}"
        ) from err
    return card.network, dict(card.constructor)


def _settle_constructor(
    network: str, given: dict[str, ConstructorValue] | None, shapes: Shapes, checkpoint: Path
) -> dict[str, ConstructorValue]:
    refusal = refused_layout(network, shapes)
    if refusal:
        raise WeightsError(f"{checkpoint}: {refusal}")
    constructor = given if given is not None else infer_constructor(network, shapes)
    if constructor is None:
        raise WeightsError(
            f"{checkpoint}: its {len(shapes)} keys (such as {next(iter(shapes))}) do not tell how "
            f"{network} was built; give the constructor's arguments with --config, or another network"
        )
    return constructor


def _expected_shapes(network: str, constructor: Mapping[str, ConstructorValue], checkpoint: Path) -> Shapes:
    """Return key -> shape of the network's state dict, built without memory for its values."""
    import torch

    from .. import nets

    try:
        with torch.device("meta"):
            blank = nets.create(network, **constructor)
    except (TypeError, ValueError, RuntimeError) as err:
        raise CardError(f"{checkpoint}: {network} cannot be built with {dict(constructor)}: {err}") from err
    return {key: tuple(value.shape) for key, value in blank.state_dict().items()}


def _read_config(path: Path) -> dict[str, ConstructorValue]:
    """Read constructor arguments from a JSON or TOML file, alone or under ``constructor``."""
    try:
        if path.stat().st_size > _LARGEST_CONFIG:
            raise CardError(f"{path}: larger than {_LARGEST_CONFIG} bytes; expected constructor arguments")
        text = path.read_text(encoding="utf-8")
        table = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as err:
        raise CardError(f"{path}: cannot be read: {err.strerror or err}") from err
    except ValueError as err:  # neither UTF-8, nor JSON, nor TOML
        raise CardError(f"{path}: expected JSON (.json) or TOML: {err}") from err
    if isinstance(table, Mapping) and "constructor" in table:
        return read_arguments(table["constructor"], Where(str(path), "constructor"))
    return read_arguments(table, Where(str(path)))
