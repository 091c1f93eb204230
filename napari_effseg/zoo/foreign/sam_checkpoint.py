"""Official checkpoints of SAM's layout: SAM, MobileSAM, MedSAM, HRMedSegSAM. They become models for clicks.

A checkpoint is one file of weights and says neither its name nor its sizes; both are read from its shapes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...errors import CardError, WeightsError
from .._checkpoint import read_state_dict
from ..card import (
    Card,
    ChannelRole,
    CodeSpec,
    ConstructorValue,
    FieldOfView,
    InputSpec,
    IntensityRule,
    LabelSpec,
    OutputSpec,
    TrainingData,
    WindowSpec,
)
from ._texts import slug
from .draft import NOT_STATED, UNKNOWN_WEIGHTS, AddOptions, Draft

__all__ = ["is_checkpoint", "read_sam"]

Shapes = Mapping[str, tuple[int, ...]]
_SUFFIXES = (".pt", ".pth", ".safetensors")
_PATCH = 16
_SIDES = (1024, 512, 256, 768, 384, 320, 128, 64)
"""Sides of HRMedSegSAM's pictures; those of SAM are read from its table of places."""
_LARGEST_MM = 1e5
_TITLES = {"sam": "Segment Anything", "hrmedsegsam": "HRMedSegSAM"}


def is_checkpoint(source: str) -> bool:
    """Whether a source is one file of weights; newer ones are zip archives, too."""
    path = Path(source).expanduser()
    return path.suffix.lower() in _SUFFIXES and path.is_file()


def read_sam(path: Path, options: AddOptions) -> Draft:
    """Read a checkpoint of SAM's layout.

    Parameters
    ----------
    path : Path
        Read with ``weights_only=True``.
    options : AddOptions
        Name, licence and modality are used.

    Raises
    ------
    CardError
        If its keys and shapes are of no network of that layout.
    WeightsError
        If it cannot be read, or holds more than weights.
    """
    state = read_state_dict(path)
    if not any(key.startswith("prompt_encoder.") for key in state):
        raise CardError(
            f"{path}: no checkpoint of a network that answers clicks (no prompt_encoder.*); "
            "for other networks write a card, and convert the weights with effseg convert"
        )
    network, constructor, side = _network_of({key: tuple(value.shape) for key, value in state.items()}, path)
    return Draft(_card(path, network, constructor, side, options), state, _notes(network))


def _network_of(shapes: Shapes, path: Path) -> tuple[str, dict[str, ConstructorValue], int]:
    """Return the network whose keys and shapes these are, its arguments, and the side of its pictures."""
    found = "image_encoder.pos_embed" in shapes or "image_encoder.patch_embed.seq.0.c.weight" in shapes
    candidates = _sams(shapes) if found else _hrmedsegs(shapes)
    for network, constructor in candidates:
        if _shapes_of(network, constructor) == dict(shapes):
            side = constructor.get("img_size", 1024)
            assert isinstance(side, int)
            return network, constructor, side
    raise WeightsError(
        f"{path}: keys or shapes are neither those of SAM or MobileSAM nor those of HRMedSegSAM; "
        "variants with adapters or other sizes are not supported"
    )


def _sams(shapes: Shapes) -> Iterator[tuple[str, dict[str, ConstructorValue]]]:
    """Return SAM with the sizes that the shapes tell, or MobileSAM."""
    places = shapes.get("image_encoder.pos_embed")
    if places is None:
        yield "sam", {"encoder": "tiny-vit"}
        return
    side = places[1] * _PATCH
    depth = 1 + max(int(key.split(".")[2]) for key in shapes if key.startswith("image_encoder.blocks."))
    for encoder in ("vit-b", "vit-l", "vit-h"):
        yield "sam", {"encoder": encoder, **({} if side == 1024 else {"img_size": side})}
    head = shapes.get("image_encoder.blocks.0.attn.rel_pos_h", (0, 1))[-1]
    sizes: dict[str, ConstructorValue] = {"encoder_dim": places[-1], "encoder_depth": depth}
    yield "sam", {"img_size": side, **sizes, "encoder_heads": max(1, places[-1] // max(1, head))}


def _hrmedsegs(shapes: Shapes) -> Iterator[tuple[str, dict[str, ConstructorValue]]]:
    """Return HRMedSegSAM with each decoder and size of picture."""
    neck = shapes.get("neck.0.weight")
    if neck is None or len(neck) != 4:
        return
    width: dict[str, ConstructorValue] = {} if neck[1] == 96 else {"dim": neck[1]}
    for decoder, side, several in itertools.product(("ecm", "sam"), _SIDES, (False, True)):
        chosen: dict[str, ConstructorValue] = {**width, "decoder": decoder, "img_size": side}
        yield "hrmedsegsam", {**chosen, "multiscale": True} if several else chosen


def _shapes_of(network: str, constructor: Mapping[str, ConstructorValue]) -> dict[str, tuple[int, ...]]:
    import torch

    from ... import nets

    try:
        with torch.device("meta"):
            net = nets.create(network, **constructor)
    except ValueError:
        return {}
    return {key: tuple(value.shape) for key, value in net.state_dict().items()}


def _notes(network: str) -> tuple[str, ...]:
    note = "nobody has measured these weights here: effseg evaluate MODEL DATASET does"
    if network == "hrmedsegsam":
        return (note, "the size of its pictures is a guess where the weights do not tell it")
    return (note,)


def _card(
    path: Path, network: str, constructor: dict[str, ConstructorValue], side: int, options: AddOptions
) -> Card:
    return Card(
        name=options.name or slug(path.stem),
        title=f"{_TITLES[network]}, from {path.name}",
        summary="Answers points and boxes on pictures and slices, one structure at a time.",
        intended_use="As its authors say; nothing is known of it here.",
        limits=("Added by its user; nobody has measured it here.",),
        task="promptable",
        dimensions=2,
        network=network,
        licence=options.licence or NOT_STATED,
        constructor=constructor,
        weights=UNKNOWN_WEIGHTS,
        training=TrainingData(
            NOT_STATED, NOT_STATED, NOT_STATED, NOT_STATED, f"weights of {path.name}", redistributable=False
        ),
        input=InputSpec(
            modality=options.modality or ("OT",),
            channels=tuple(
                ChannelRole(role, f"{role} of a picture; a grey one is taken three times")
                for role in ("red", "green", "blue")
            ),
            orientation="LPS",
            intensity=IntensityRule("zscore"),
        ),
        field_of_view=FieldOfView((0.0,) * 3, (_LARGEST_MM,) * 3, "anywhere", "Whole pictures and slices."),
        window=WindowSpec((side, side), 0.0, side),
        output=OutputSpec("sigmoid"),
        labels=(
            LabelSpec(
                1, "object", (230, 159, 0), CodeSpec("99EFFSEG", "object", "Object that was pointed at")
            ),
        ),
    )
