"""Add a foreign model to the user's own: read it once, check it, store safetensors and a card."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import CardError, UnknownModel, WeightsError
from ...types import CancelCheck, PathLike, Progress
from .._places import models_folder
from ..card import Card
from ..card_file import card_to_toml, read_card, write_card
from ..fetch import Opener
from ..registry import cards
from ..weights import build_network, check_state, describe_weights, save_weights
from .bundle import is_bundle, read_bundle
from .draft import NOT_STATED, AddOptions, Draft
from .nnunet import is_nnunet, read_nnunet
from .own_bundle import is_own_bundle, read_own_bundle
from .sam_checkpoint import is_checkpoint, read_sam
from .sources import Download, check_sha256, model_folder

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["Added", "add_model", "remove_model"]

_NNUNET_DEPTH = ("*", "*/*")


@dataclass(frozen=True)
class Added:
    """A model that was added.

    Attributes
    ----------
    card : Card
        As read back.
    notes : tuple of str
        What was assumed, in sentences.
    """

    card: Card
    notes: tuple[str, ...]


def add_model(
    source: PathLike,
    options: AddOptions | None = None,
    *,
    sha256: str | None = None,
    folder: PathLike | None = None,
    progress: Progress | None = None,
    cancel: CancelCheck | None = None,
    opener: Opener | None = None,
) -> Added:
    """Read a foreign model once and store it as safetensors and a card.

    No code of the model is run: checkpoints are read with ``weights_only=True``, configurations as tables.

    Parameters
    ----------
    source : path or str
        A MONAI bundle or an nnU-Net v2 model folder, a zip file of one, or its https address; or a checkpoint
        of SAM, MobileSAM, MedSAM or HRMedSegSAM.
    options : AddOptions, optional
        What the files do not tell.
    sha256 : str, optional
        Of the file; needed for an address.
    folder : path, optional
        Where it is stored; default: the user's models, which are found by name.
    progress, cancel : callables, optional
        See `napari_effseg.types`.
    opener : callable, optional
        Opens an address at a byte.

    Raises
    ------
    CardError
        If a part is not supported, which is named, or the name is taken.
    WeightsError
        If the weights are missing, hold more than weights, or do not fit the network.
    MissingExtra
        If a package is missing. After any error nothing is stored.
    """
    options = options or AddOptions()
    target = Path(folder) if folder is not None else models_folder()
    if is_checkpoint(str(source)):
        path = Path(source).expanduser()
        if sha256 is not None:
            check_sha256(path, sha256, str(path))
        return _kept(read_sam(path, options), options, target)
    with model_folder(str(source), Download(sha256, progress, cancel, opener)) as place:
        return _kept(_read(place, options), options, target)


def _kept(draft: Draft, options: AddOptions, folder: Path) -> Added:
    _check_name(draft.card.name, folder)
    parameters = _check_fit(draft)
    return Added(_store(draft, options, folder, parameters), draft.notes)


def remove_model(name: str) -> Path:
    """Remove a model that was added, card and weights.

    Raises
    ------
    UnknownModel
        If no model of this name was added by the user.
    """
    path = models_folder() / f"{name}.toml"
    if Path(name).name != name or not path.is_file():
        added = ", ".join(sorted(found.stem for found in models_folder().glob("*.toml"))) or "none"
        raise UnknownModel(f"no model called {name!r} was added. Added: {added}")
    weights = path.parent / f"{name}.safetensors"
    path.unlink()
    weights.unlink(missing_ok=True)
    return path


def _read(folder: Path, options: AddOptions) -> Draft:
    if is_bundle(folder):
        return (read_own_bundle if is_own_bundle(folder) else read_bundle)(folder, options)
    if is_nnunet(folder):
        return read_nnunet(folder, options)
    below = [path for depth in _NNUNET_DEPTH for path in sorted(folder.glob(depth)) if is_nnunet(path)]
    if len(below) == 1:
        return read_nnunet(below[0], options)
    if below:
        raise CardError(
            f"{folder}: several nnU-Net models; name one of these folders: {', '.join(map(str, below))}"
        )
    raise CardError(
        f"{folder}: neither a MONAI bundle (configs/metadata.json) nor an nnU-Net v2 model (plans.json and "
        "dataset.json)"
    )


def _check_name(name: str, folder: Path) -> None:
    taken = cards().get(name)
    if taken is not None or (folder / f"{name}.toml").exists():
        where = taken.path if taken is not None else folder
        raise CardError(f"the name {name} is taken ({where}); give the new model another with --name")


def _check_fit(draft: Draft) -> int:
    """Check that the weights are those of the network, of every member; return their number of parameters."""
    card = draft.card
    card_to_toml(card)  # every rule of a card
    network = _outline(card)
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    members = card.weights.members
    if members > 1:
        expected = {f"{n}.{key}": shape for n in range(members) for key, shape in expected.items()}
    check_state(draft.state, expected, f"the weights of {card.title}")
    broken = [key for key, value in draft.state.items() if value.isnan().any()]
    if broken:
        raise WeightsError(f"the weights of {card.title}: {broken[0]} has values that are no numbers (NaN)")
    return members * sum(parameter.numel() for parameter in network.parameters())


def _outline(card: Card) -> nn.Module:
    """Build a card's network; without its memory, where it can be built so."""
    import torch

    try:
        with torch.device("meta"):
            return build_network(card)
    except CardError:
        return build_network(card)


def _store(draft: Draft, options: AddOptions, folder: Path, parameters: int) -> Card:
    folder.mkdir(parents=True, exist_ok=True)
    card = draft.card
    file = folder / f"{card.name}.safetensors"
    path = folder / f"{card.name}.toml"
    try:
        save_weights(_one_precision(draft.state), file, {"network": card.network, "card": card.name})
        known = describe_weights(file, licence=_licence_of(card, options), parameters=parameters)
        weights = replace(known, members=card.weights.members)
        return read_card(write_card(replace(card, weights=weights), path))
    except BaseException:
        for made in (path, file):
            with contextlib.suppress(OSError):  # the first error is the one to report
                made.unlink(missing_ok=True)
        raise


def _licence_of(card: Card, options: AddOptions) -> str:
    """Return the licence of the weights: as it is told, known, or that of the card."""
    known = card.weights.licence if card.weights.licence != NOT_STATED else card.licence
    return options.licence or known or NOT_STATED


def _one_precision(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the state dict in float32 where its tensors have several precisions, or one too wide."""
    import torch

    tensors: dict[str, torch.Tensor] = dict(state)
    kinds = {value.dtype for value in tensors.values() if value.is_floating_point()}
    if len(kinds) == 1 and kinds <= {torch.float32, torch.float16, torch.bfloat16}:
        return tensors
    return {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}
