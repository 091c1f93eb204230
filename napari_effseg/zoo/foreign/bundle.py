"""A MONAI bundle -> a card and weights, applied here as MONAI's own workflow applies them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from ...errors import CardError, WeightsError
from .._checkpoint import read_state_dict
from ..card import (
    Card,
    ConstructorValue,
    FieldOfView,
    InputSpec,
    IntensityRule,
    LabelSpec,
    OutputSpec,
    TrainingData,
)
from ._tables import Table, index_of, read_json
from ._texts import channel_roles, label_spec, modalities_of, slug
from .bundle_config import Config, read_config
from .bundle_steps import After, Before, read_after, read_before, steps_of
from .bundle_window import window_of
from .draft import NOT_STATED, UNKNOWN_WEIGHTS, AddOptions, Draft
from .monai_networks import MONAI_NETWORKS, MONAI_PREFIX
from .own_bundle import OWN_NETWORK, network_of

if TYPE_CHECKING:
    import torch

__all__ = ["is_bundle", "read_bundle"]

_CONFIGS = ("inference.json", "inference.yaml", "inference.yml")
_WEIGHTS = (".safetensors", ".pt", ".pth")
_LARGEST_MM = 2000.0
_APACHE = "apache license"
_NO_LONGER_KNOWN = {f"{MONAI_PREFIX}SwinUNETR": ("img_size",)}
"""Arguments of older versions that change nothing in the network."""


def is_bundle(folder: Path) -> bool:
    """Whether a folder looks like a MONAI bundle."""
    return (folder / "configs" / "metadata.json").is_file()


def read_bundle(folder: Path, options: AddOptions) -> Draft:
    """Read a MONAI bundle.

    Parameters
    ----------
    folder : Path
        With ``configs/metadata.json``, ``configs/inference.json`` (or ``.yaml``) and ``models/``.
    options : AddOptions

    Raises
    ------
    CardError
        Naming the part that is not supported: a transform, an expression, a network, an inferer.
    WeightsError
        If the weights are TorchScript, hold more than weights, or there are none.
    MissingExtra
        If a package is missing that reads YAML.
    """
    metadata = read_json(folder / "configs" / "metadata.json")
    config = read_config(_config_file(folder))
    network, constructor = _network_of(config)
    before, after = read_before(steps_of(config, "preprocessing")), _after_of(config)
    notes = list(after.notes)
    window, slices_across = window_of(config, network, constructor)
    dims = len(window.size)
    labels, output = _labels_of(metadata, after, _outputs(metadata, network, constructor), notes)
    after.check(config, [label.id for label in labels])
    name = metadata.text("name", folder.name)
    card = Card(
        name=options.name or slug(name),
        title=name,
        summary=metadata.text("description", name).strip() or name,
        intended_use=metadata.text("intended_use", "As its authors say; nothing is known of it here."),
        limits=_limits(metadata),
        task="automatic",
        dimensions=2 if dims == 2 else 3,
        network=network,
        licence=options.licence or _licence(folder, metadata),
        paper=_first_reference(metadata),
        constructor=constructor,
        weights=UNKNOWN_WEIGHTS,
        training=_training_data(folder, metadata),
        input=_input_of(
            metadata, before, options, constructor.get("in_channels"), (dims, slices_across), notes
        ),
        field_of_view=FieldOfView(
            (0.0,) * 3, (_LARGEST_MM,) * 3, "anywhere", "Not stated; the bundle slides over whole images."
        ),
        window=window,
        output=output,
        labels=labels,
        postprocess=after.postprocess,
    )
    return Draft(card, _weights_of(folder, config), tuple(notes))


def _config_file(folder: Path) -> Path:
    found = [folder / "configs" / name for name in _CONFIGS if (folder / "configs" / name).is_file()]
    if not found:
        raise CardError(f"{folder / 'configs'}: no inference.json or inference.yaml")
    return found[0]


def _network_of(config: Config) -> tuple[str, dict[str, ConstructorValue]]:
    key = "network_def" if config.has("network_def") else "network"
    part = config.part(key)
    target = part.get("_target_") if isinstance(part, Mapping) else None
    if not isinstance(part, Mapping) or not isinstance(target, str):
        raise config.error(key, "expected a network with a _target_")
    name = network_of(target, part)
    if name is None:
        raise config.error(
            f"{key}._target_", f"{target} is not supported; these are: {', '.join(MONAI_NETWORKS)}"
        )
    dropped = ("name",) if target == OWN_NETWORK else _NO_LONGER_KNOWN.get(name, ())
    constructor: dict[str, ConstructorValue] = {}
    for argument, value in part.items():
        read = config.read_all(value, f"{key}.{argument}")
        if argument not in dropped and not argument.startswith("_") and read is not None:
            constructor[argument] = cast("ConstructorValue", _settled(read, config, f"{key}.{argument}"))
    return name, constructor


def _settled(value: object, config: Config, place: str) -> object:
    """Turn lists into tuples, refusing what a card cannot hold."""
    if isinstance(value, list):
        return tuple(_settled(entry, config, place) for entry in value)
    if isinstance(value, Mapping):
        return {key: _settled(entry, config, place) for key, entry in value.items()}
    if not isinstance(value, bool | int | float | str):
        raise config.error(place, f"expected a plain value, got {value!r}")
    return value


def _after_of(config: Config) -> After:
    if config.has("postprocessing"):
        return read_after(steps_of(config, "postprocessing"))
    return After()


def _labels_of(
    metadata: Table, after: After, channels: int, notes: list[str]
) -> tuple[tuple[LabelSpec, ...], OutputSpec]:
    """Return labels with the names that the metadata has, and how channels become these."""
    names = _channel_def(metadata, "outputs")

    def named(channel: int, label: int) -> LabelSpec:
        return label_spec(label, names.get(channel) or f"label {label}")

    if len(names) < channels:
        notes.append("the metadata does not name all output channels; the others are called by their number")
    bring_back = after.bring_back or "labels"
    if after.regions:
        if max(region.channel for region in after.regions) >= channels:
            raise CardError(f"{metadata.source}: a region's channel is not among the {channels}")
        labels = tuple(sorted((named(r.channel, r.label) for r in after.regions), key=lambda spec: spec.id))
        return labels, OutputSpec("regions", after.regions, bring_back=bring_back)
    if after.activation == "sigmoid":
        labels = tuple(named(channel, channel + 1) for channel in range(channels))
        if channels > 1:
            notes.append("channels overlap in the bundle; here each voxel gets the likeliest")
        return labels, OutputSpec("sigmoid", bring_back=bring_back)
    labels = tuple(named(channel, channel) for channel in range(1, channels))
    return labels, OutputSpec("softmax", bring_back=bring_back)


def _outputs(metadata: Table, network: str, constructor: Mapping[str, object]) -> int:
    """Return how many output channels there are: as the network is told; of ours, as the metadata says."""
    own = not network.startswith(MONAI_PREFIX)
    channels = constructor.get("out_channels", len(_channel_def(metadata, "outputs")) if own else 2)
    if not isinstance(channels, int):
        raise CardError(f"{metadata.source}: the network's out_channels are {channels!r}")
    return channels


def _channel_def(metadata: Table, side: Literal["inputs", "outputs"]) -> dict[int, str]:
    found: object = metadata.values.get("network_data_format")
    for key in (side, "image" if side == "inputs" else "pred", "channel_def"):
        found = found.get(key) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping):
        return {}
    named = ((index_of(key), str(name).replace("_", " ")) for key, name in found.items())
    return {index: name for index, name in named if index is not None}


def _input_of(
    metadata: Table,
    before: Before,
    options: AddOptions,
    taken: object,
    dims_and_slices: tuple[int, int],
    notes: list[str],
) -> InputSpec:
    dims, across = dims_and_slices
    names = _channel_def(metadata, "inputs")
    image = _image_of(metadata)
    count = next((n for n in (image.get("num_channels"), taken) if isinstance(n, int)), len(names) or 1)
    channels = [names.get(index, f"channel {index}") for index in range(count)]
    modality = options.modality or modalities_of(
        [str(image.get("modality", "")), str(image.get("format", "")), *channels]
    )
    if not modality:
        modality = ("OT",)
        notes.append("the metadata names no modality; name it with --modality CT (or MR, ...)")
    orientation = options.orientation or before.orientation
    if orientation is None:
        notes.append(
            "images are taken as they are stored, as the bundle does; if all training images had one "
            "orientation, name it (--orientation RAS), and others are turned to it"
        )
    axes = orientation or "IJK"
    plane: Literal["axial", "coronal", "sagittal"] | None = None
    if dims == 2:
        axes = axes[across] + axes.replace(axes[across], "")
        planes: dict[str, Literal["axial", "coronal", "sagittal"]] = {
            "S": "axial",
            "I": "axial",
            "A": "coronal",
            "P": "coronal",
            "R": "sagittal",
            "L": "sagittal",
        }
        plane = planes[axes[0]] if orientation else None
    rules = before.rules or [IntensityRule("none")]
    return InputSpec(
        modality=modality,
        channels=channel_roles(channels, [None] * len(channels)),
        orientation=axes,
        intensity=rules[0],
        spacing=before.spacing if before.spacing is None or dims == 3 else before.spacing[:2],
        plane=plane,
        manner="monai",
        then=tuple(rules[1:]),
    )


def _image_of(metadata: Table) -> Mapping[str, object]:
    found: object = metadata.values.get("network_data_format")
    for key in ("inputs", "image"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _limits(metadata: Table) -> tuple[str, ...]:
    said = metadata.values.get("eval_metrics")
    reported = ""
    if isinstance(said, Mapping) and said:
        reported = " Its authors report " + ", ".join(f"{key} {value}" for key, value in said.items()) + "."
    return (f"Added by its user; nobody has measured it here.{reported}",)


def _licence(folder: Path, metadata: Table) -> str:
    """Return the licence by its name if the bundle says it, else where its text is."""
    said = metadata.values.get("license") or metadata.values.get("licence")
    if isinstance(said, str) and said.strip():
        return said.strip()
    for path in (folder / "LICENSE", folder / "docs" / "license.txt", folder / "docs" / "data_license.txt"):
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")[:4000]
            return "Apache-2.0" if _APACHE in text.lower() else f"see {path.name} of the bundle"
    return NOT_STATED


def _training_data(folder: Path, metadata: Table) -> TrainingData:
    references = metadata.values.get("references")
    listed = references if isinstance(references, list) else []
    return TrainingData(
        dataset=metadata.text("data_source", NOT_STATED) or NOT_STATED,
        licence=NOT_STATED,
        citation="; ".join(str(entry) for entry in listed),
        split="as its authors divided it",
        config=f"MONAI bundle {folder.name}, version {metadata.values.get('version', 'not stated')}",
        redistributable=False,
    )


def _first_reference(metadata: Table) -> str:
    references = metadata.values.get("references")
    return str(references[0]) if isinstance(references, list) and references else ""


def _weights_of(folder: Path, config: Config) -> dict[str, torch.Tensor]:
    """Read the weights that the configuration names, or the only ones there."""
    models = folder / "models"
    found = [path for path in sorted(models.glob("*")) if path.suffix in _WEIGHTS]
    loader = config.values.get("checkpointloader")
    if len(found) > 1 and isinstance(loader, Mapping) and isinstance(loader.get("load_path"), str):
        named = config.read(loader["load_path"], "checkpointloader.load_path")
        wanted = models / (Path(str(named)).name or "?")
        found = [path for path in (wanted.with_suffix(".safetensors"), wanted) if path in found]
        if not found:
            raise WeightsError(f"{models}: several weights, and none of them is {wanted.name}")
    if not found and any(models.glob("*.ts")):
        raise WeightsError(
            f"{models}: only TorchScript (.ts), which is a program and is not run; the bundle needs weights "
            "as .safetensors or .pt"
        )
    if not found:
        raise WeightsError(f"{models}: no weights (.safetensors, .pt or .pth)")
    if len(found) > 1 and not loader:
        raise WeightsError(f"{models}: several weights, and the configuration names none of them")
    return read_state_dict(found[0])
