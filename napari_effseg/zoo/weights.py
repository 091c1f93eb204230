"""The weights of a card: find the file, check its SHA-256, and only then build the network with it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from ..errors import CardError, UnknownModel, WeightsError
from ..types import PathLike
from ._places import weights_candidates
from ._safetensors import check_container, read_metadata, read_tensors, write_tensors
from .card import Card, WeightsFile
from .foreign.monai_networks import MONAI_PREFIX, create_monai

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = [
    "build_network",
    "describe_weights",
    "file_sha256",
    "load_network",
    "read_metadata",
    "save_weights",
    "verify",
    "weights_path",
]

_BLOCK = 1 << 20
_NAMED_KEYS = 5
# How networks refuse arguments; the last two are torch's, of negative, absurd and too many channels.
_REFUSALS = (TypeError, ValueError, ArithmeticError, IndexError, RuntimeError, MemoryError)


def weights_path(card: Card) -> Path:
    """Return where the card's weights lie: beside the card, in the package, the checkout, or the cache.

    Raises
    ------
    WeightsError
        If the file is in none of these places; says how to fetch it, if the card knows.
    """
    candidates = weights_candidates(card)
    for path in candidates:
        if path.is_file():
            return path
    looked = ", ".join(str(path.parent) for path in candidates)
    fetch = ""
    if card.weights.url:
        fetch = f'; fetch it with: napari_effseg.zoo.fetch_weights("{card.name}")'
    raise WeightsError(f"card {card.name}: no file {card.weights.file} in {looked}{fetch}")


def file_sha256(path: PathLike) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits, reading it block by block."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def verify(path: PathLike, sha256: str, size_bytes: int | None = None) -> None:
    """Check that a file of weights is the one that a card means, without using any of it.

    Parameters
    ----------
    path : path
    sha256 : str
        Expected SHA-256, hexadecimal.
    size_bytes : int, optional
        Expected size; a file of another size is refused before it is read.

    Raises
    ------
    WeightsError
        If the file cannot be read, is a pickle, is shorter or longer, or differs; says which.
    """
    path = Path(path)
    check_container(path)
    try:
        size = path.stat().st_size
        if size_bytes is not None and size != size_bytes:
            kind = "truncated" if size < size_bytes else "not the file that the card names"
            raise WeightsError(f"{path}: {kind}: {size} bytes, expected {size_bytes}")
        actual = file_sha256(path)
    except OSError as err:
        raise WeightsError(f"{path}: cannot be read: {err.strerror or err}") from err
    if not hmac.compare_digest(actual, sha256):
        raise WeightsError(f"{path}: changed or damaged: its SHA-256 is {actual}, the card says {sha256}")


def build_network(card: Card) -> nn.Module:
    """Build the card's network with fresh weights.

    Raises
    ------
    CardError
        If no network has this name, or it refuses the constructor's arguments.
    MissingExtra
        If it is one of MONAI's networks and MONAI is not installed.
    """
    from .. import nets

    if card.network.startswith(MONAI_PREFIX):
        return create_monai(card.network.removeprefix(MONAI_PREFIX), card.constructor, f"card {card.name}")
    source = card.path or f"card {card.name}"
    try:
        return nets.create(card.network, **card.constructor)
    except UnknownModel as err:
        raise CardError(f"{source}: network: {err}") from err
    except _REFUSALS as err:
        raise CardError(f"{source}: constructor: {err}") from err


def load_network(card: Card, device: str | torch.device = "cpu") -> nn.Module:
    """Build the card's network and load its weights, which are verified first.

    Weights that are stored in half precision become float32.

    Parameters
    ----------
    card : Card
    device : str or torch.device

    Returns
    -------
    torch.nn.Module
        In evaluation mode, on `device`.

    Raises
    ------
    WeightsError
        If the weights are missing, differ from the card's SHA-256, or do not fit the network.
    CardError
        If the network cannot be built as the card says.
    """
    path = weights_path(card)
    verify(path, card.weights.sha256, card.weights.size_bytes)
    tensors = read_tensors(path)
    network = build_network(card)
    if card.weights.members > 1:
        network = _ensemble([network, *(build_network(card) for _ in range(card.weights.members - 1))])
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    check_state(tensors, expected, str(path))
    network.load_state_dict(tensors, strict=True)
    return network.eval().to(device)


def _ensemble(members: list[nn.Module]) -> nn.Module:
    from .foreign.ensemble import Ensemble

    return Ensemble(members)


def save_weights(
    state_dict: Mapping[str, torch.Tensor],
    path: PathLike,
    metadata: Mapping[str, object] | None = None,
    dtype: torch.dtype | None = None,
) -> Path:
    """Write a state dict as safetensors, as a whole or not at all; the same tensors give the same bytes.

    Parameters
    ----------
    state_dict : mapping of str to Tensor
    path : path
    metadata : mapping, optional
        Network, constructor and what else JSON can hold; `read_metadata` returns it.
    dtype : torch.dtype, optional
        Store floating tensors in this precision, such as ``torch.float16``, but for those whose numbers are
        too large for it; default: as they are.

    Raises
    ------
    ExportError
        If the folder or disk refuses; an older file of that name is untouched.
    """
    tensors = dict(state_dict)
    if dtype is not None:
        tensors = {key: _narrowed(value, dtype) for key, value in tensors.items()}
    write_tensors(tensors, Path(path), metadata)
    return Path(path)


def _narrowed(value: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    import torch

    if not value.is_floating_point():
        return value
    narrow = value.to(dtype)
    return narrow if torch.equal(narrow.isfinite(), value.isfinite()) else value


def describe_weights(path: PathLike, *, licence: str, parameters: int, url: str | None = None) -> WeightsFile:
    """Return a card's section on a file of weights: name, SHA-256, size and precision are read from the file.

    Raises
    ------
    WeightsError
        If it is no safetensors file, or its floating tensors are of several precisions, other than single
        precision where half precision cannot hold the numbers.
    """
    path = Path(path)
    kinds = {
        str(t.dtype).removeprefix("torch.") for t in read_tensors(path).values() if t.is_floating_point()
    }
    if kinds == {"float16", "float32"}:
        kinds = {"float16"}
    if len(kinds) != 1 or not kinds <= {"float32", "float16", "bfloat16"}:
        raise WeightsError(
            f"{path}: expected one precision of float32, float16, bfloat16; got {sorted(kinds)}"
        )
    precision = cast('Literal["float32", "float16", "bfloat16"]', kinds.pop())
    return WeightsFile(path.name, file_sha256(path), licence, path.stat().st_size, precision, parameters, url)


def check_state(
    tensors: Mapping[str, torch.Tensor], expected: Mapping[str, tuple[int, ...]], source: str
) -> None:
    """Check that a state dict has exactly the expected keys and shapes.

    Raises
    ------
    WeightsError
        Naming the first missing and unexpected keys, how many there are, and the first wrong shape.
    """
    missing = [key for key in expected if key not in tensors]
    unexpected = [key for key in tensors if key not in expected]
    if missing or unexpected:
        parts = [_count("missing", missing), _count("unexpected", unexpected)]
        raise WeightsError(f"{source}: does not fit the network: {'; '.join(filter(None, parts))}")
    for key, shape in expected.items():
        if tuple(tensors[key].shape) != shape:
            raise WeightsError(
                f"{source}: does not fit the network: {key} has shape {tuple(tensors[key].shape)}, "
                f"expected {shape}"
            )


def _count(kind: str, keys: list[str]) -> str:
    if not keys:
        return ""
    named = ", ".join(keys[:_NAMED_KEYS]) + (", ..." if len(keys) > _NAMED_KEYS else "")
    return f"{len(keys)} {kind} ({named})"
