"""An nnU-Net v2 model folder -> a card and weights, applied here as nnU-Net applies them itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ...errors import CardError, WeightsError
from .._checkpoint import read_checkpoint
from ..card import (
    Card,
    FieldOfView,
    InputSpec,
    LabelSpec,
    OutputSpec,
    Region,
    TrainingData,
    WindowSpec,
)
from ._tables import Table, index_of, read_json
from ._texts import channel_roles, label_spec, modalities_of, slug
from .draft import NOT_STATED, UNKNOWN_WEIGHTS, AddOptions, Draft
from .nnunet_network import NetworkPlan, network_of
from .nnunet_plans import Configuration, configuration_of, intensity_rules

if TYPE_CHECKING:
    import torch

__all__ = ["is_nnunet", "read_nnunet"]

_ACROSS: dict[str, Literal["axial", "coronal", "sagittal"]] = {
    "S": "axial",
    "I": "axial",
    "A": "coronal",
    "P": "coronal",
    "R": "sagittal",
    "L": "sagittal",
}
_LARGEST_MM = 2000.0
_TURNED = "NibabelIOWithReorient"
_PICTURES = ("NaturalImage2DIO",)
_STORED = ("SimpleITKIO", "SimpleITKIOWithReorient", "NibabelIO", "Tiff3DIO", *_PICTURES)


@dataclass(frozen=True, eq=False)
class _Fold:
    name: str
    state: dict[str, torch.Tensor]
    content: Mapping[str, object]


def is_nnunet(folder: Path) -> bool:
    """Whether a folder looks like an nnU-Net v2 model."""
    return (folder / "plans.json").is_file() and (folder / "dataset.json").is_file()


def read_nnunet(folder: Path, options: AddOptions) -> Draft:
    """Read an nnU-Net v2 model folder.

    Parameters
    ----------
    folder : Path
        With ``plans.json``, ``dataset.json`` and ``fold_*/checkpoint_final.pth``.
    options : AddOptions

    Raises
    ------
    CardError
        Naming the part that is not supported: a cascade, another preprocessor, resampling or network.
    WeightsError
        If a checkpoint cannot be read, holds more than weights, or does not fit the others.
    """
    plans, dataset = read_json(folder / "plans.json"), read_json(folder / "dataset.json")
    folds = [_read_fold(path, options.checkpoint) for path in _fold_folders(folder, options)]
    configuration = configuration_of(plans, _configuration_name(folds[0], folder))
    trainer = _text_of(folds[0].content, "trainer_name") or folder.name.partition("__")[0]
    labels, output = _labels_of(dataset)
    channels = _channel_names(dataset)
    heads = len(output.regions) if output.activation == "regions" else len(labels) + 1
    network = network_of(configuration, trainer, len(channels), heads, folds[0].state)
    notes: list[str] = []
    card = Card(
        name=options.name or slug(f"{_dataset_name(plans, dataset)} {configuration.name}"),
        title=f"{_dataset_name(plans, dataset)}, nnU-Net {configuration.name}",
        summary=_text_of(dataset.values, "description")
        or f"An nnU-Net v2 model of {', '.join(label.name for label in labels[:8])}.",
        intended_use="As its authors say; nothing is known of it here.",
        limits=("Added by its user; nobody has measured it here.",),
        task="automatic",
        dimensions=3 if len(configuration.patch) == 3 else 2,
        network=network.name,
        licence=options.licence or _licence(dataset),
        constructor=network.constructor,
        weights=UNKNOWN_WEIGHTS,
        training=_training_data(plans, dataset, configuration, trainer, folds),
        input=_input_of(plans, configuration, channels, options, notes),
        field_of_view=FieldOfView(
            (0.0,) * 3, (_LARGEST_MM,) * 3, "anywhere", "Not stated; nnU-Net slides over whole images."
        ),
        window=_window_of(configuration, network, folds[0].content),
        output=output,
        labels=labels,
    )
    card = replace(card, weights=replace(card.weights, members=len(folds)))
    return Draft(card, _joined(folds, network), tuple(notes))


def _fold_folders(folder: Path, options: AddOptions) -> list[Path]:
    """Return the folders of the folds asked for, or of all; ``fold_all`` only if there is no other."""
    found = [path for path in sorted(folder.glob("fold_*")) if (path / options.checkpoint).is_file()]
    if options.folds:
        wanted = [folder / f"fold_{fold}" for fold in options.folds]
        missing = [path.name for path in wanted if path not in found]
        if missing:
            have = ", ".join(path.name for path in found) or "none"
            raise CardError(f"{folder}: no {options.checkpoint} in {', '.join(missing)}; there is: {have}")
        return wanted
    numbered = [path for path in found if path.name != "fold_all"]
    if not found:
        raise CardError(
            f"{folder}: no fold_*/{options.checkpoint}; name another file of the folds with --checkpoint"
        )
    return numbered or found


def _read_fold(folder: Path, checkpoint: str) -> _Fold:
    state, content = read_checkpoint(folder / checkpoint)
    return _Fold(folder.name, state, content)


def _configuration_name(fold: _Fold, folder: Path) -> str:
    """Return what the checkpoint says of itself, else what the folder's name says."""
    arguments = fold.content.get("init_args")
    name = _text_of(arguments, "configuration") if isinstance(arguments, Mapping) else ""
    name = name or folder.name.rpartition("__")[2]
    if not name:
        raise CardError(f"{folder}: neither checkpoint nor folder name tells the configuration")
    return name


def _dataset_name(plans: Table, dataset: Table) -> str:
    return _text_of(dataset.values, "name") or re.sub(
        r"^Dataset\d+_", "", plans.text("dataset_name", "model")
    )


def _text_of(values: Mapping[str, object], key: str) -> str:
    found = values.get(key)
    return found.strip() if isinstance(found, str) else ""


def _licence(dataset: Table) -> str:
    return _text_of(dataset.values, "licence") or _text_of(dataset.values, "license") or NOT_STATED


def _channel_names(dataset: Table) -> list[str]:
    key = "channel_names" if "channel_names" in dataset.values else "modality"
    names = dataset.table(key).values
    ordered = sorted(names.items(), key=lambda item: index_of(item[0]) or 0)
    return [str(name) for _, name in ordered]


def _labels_of(dataset: Table) -> tuple[tuple[LabelSpec, ...], OutputSpec]:
    """Return labels and how channels become these: one each, or regions that overwrite each other."""
    given = dict(dataset.table("labels").values)
    given.pop("ignore", None)
    if given.pop("background", None) != 0:
        raise dataset.error("labels", 'expected "background": 0')
    if any(isinstance(value, list) and len(value) > 1 for value in given.values()):
        order = dataset.wholes("regions_class_order")
        if len(order) != len(given) or len(set(order)) != len(order):
            raise dataset.error("regions_class_order", f"expected {len(given)} different labels, got {order}")
        regions = tuple(Region(channel, label) for channel, label in enumerate(order))
        named = sorted(zip(order, given, strict=True))
        return tuple(label_spec(label, name) for label, name in named), OutputSpec("regions", regions)
    numbered = sorted((_only(value, name, dataset), name) for name, value in given.items())
    if [number for number, _ in numbered] != list(range(1, len(numbered) + 1)):
        raise dataset.error("labels", f"expected the numbers 1, 2, ... without gaps, got {numbered}")
    return tuple(label_spec(number, name) for number, name in numbered), OutputSpec("softmax")


def _only(value: object, name: str, dataset: Table) -> int:
    found = value[0] if isinstance(value, list) and len(value) == 1 else value
    if isinstance(found, bool) or not isinstance(found, int):
        raise dataset.error(f"labels.{name}", f"expected a whole number, got {value!r}")
    return found


def _input_of(
    plans: Table, configuration: Configuration, channels: list[str], options: AddOptions, notes: list[str]
) -> InputSpec:
    reader = plans.text("image_reader_writer", "SimpleITKIO")
    orientation, is_turned = _orientation(plans, reader, options, notes)
    rules = intensity_rules(plans, configuration, len(channels))
    same = all(rule == rules[0] for rule in rules)
    modality = options.modality or modalities_of(channels)
    if not modality:
        modality = ("OT",)
        notes.append("the channels' names tell no modality; name it with --modality CT (or MR, ...)")
    flat = len(configuration.patch) == 2
    spacing = configuration.spacing
    if reader in _PICTURES and set(spacing or ()) == {1.0}:
        spacing = None  # pictures have no millimetres there
    return InputSpec(
        modality=modality,
        channels=channel_roles(channels, [None if same else rule for rule in rules]),
        orientation=orientation,
        intensity=rules[0],
        spacing=spacing,
        plane=_ACROSS[orientation[0]] if flat and is_turned else None,
        manner="nnunet",
    )


def _orientation(plans: Table, reader: str, options: AddOptions, notes: list[str]) -> tuple[str, bool]:
    """Return the axes of nnU-Net's arrays, and whether these are the patient's or the stored ones."""
    order = plans.wholes("transpose_forward")
    if sorted(order) != [0, 1, 2]:
        raise plans.error("transpose_forward", f"expected an order of 0, 1, 2, got {order}")
    named = options.orientation or ("RAS" if reader == _TURNED else None)
    if named is None:
        if reader not in _STORED:
            raise plans.error("image_reader_writer", f"{reader} is not supported")
        notes.append(
            f"images are taken as they are stored, as {reader} does; if all training images had one "
            "orientation, name it (--orientation RAS), and others are turned to it"
        )
    reversed_axes = (named or "IJK")[::-1]  # nnU-Net's arrays are (K, J, I)
    return "".join(reversed_axes[axis] for axis in order), named is not None


def _window_of(
    configuration: Configuration, network: NetworkPlan, content: Mapping[str, object]
) -> WindowSpec:
    allowed = content.get("inference_allowed_mirroring_axes")
    checkpoint = Table({"inference_allowed_mirroring_axes": allowed or ()}, "checkpoint")
    mirror = checkpoint.wholes("inference_allowed_mirroring_axes")
    units = network.multiples
    return WindowSpec(
        size=configuration.patch,
        overlap=0.5,
        multiple_of=max(units),
        multiples=units if len(set(units)) > 1 else (),
        weights="gaussian_nnunet",
        mirror=mirror,
    )


def _training_data(
    plans: Table, dataset: Table, configuration: Configuration, trainer: str, folds: list[_Fold]
) -> TrainingData:
    names = ", ".join(fold.name for fold in folds)
    return TrainingData(
        dataset=_dataset_name(plans, dataset),
        licence=_licence(dataset),
        citation=_text_of(dataset.values, "reference"),
        split=f"by nnU-Net: {names}",
        config=f"nnU-Net v2, {plans.text('plans_name', 'plans')}, {configuration.name}, {trainer}",
        redistributable=False,
    )


def _joined(folds: list[_Fold], network: NetworkPlan) -> dict[str, torch.Tensor]:
    """Return the state dicts of all folds in one, numbered if there are several."""
    states = [network.own_names(fold.state) for fold in folds]
    for fold, state in zip(folds[1:], states[1:], strict=True):
        if {key: value.shape for key, value in state.items()} != {
            key: value.shape for key, value in states[0].items()
        }:
            raise WeightsError(f"{fold.name} has another network than {folds[0].name}")
    if len(states) == 1:
        return states[0]
    return {f"{number}.{key}": value for number, state in enumerate(states) for key, value in state.items()}
