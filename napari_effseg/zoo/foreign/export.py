"""A card and its weights -> a MONAI bundle, which MONAI's own tools load and run."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..._extras import require
from ...errors import CardError, ExportError
from ...types import PathLike
from ..card import Card
from ..card_file import card_to_toml
from ..registry import find_card
from ..weights import file_sha256, load_network
from .export_steps import inferer_of, is_of_pictures, parts_of_steps, steps_after, steps_before
from .monai_networks import MONAI_PREFIX
from .own_bundle import CARD_FILE, MODEL_FILE, OWN_NETWORK, SHA256_KEY

__all__ = ["Exported", "export_bundle"]


@dataclass(frozen=True)
class Exported:
    """A bundle that was written.

    Attributes
    ----------
    path : Path
        Its folder.
    notes : tuple of str
        Where its results may differ from those here.
    """

    path: Path
    notes: tuple[str, ...]


def export_bundle(model: str | PathLike | Card, folder: PathLike) -> Exported:
    """Write a model as a MONAI bundle.

    The bundle's network and sliding window are named by their place in this package, which must be installed
    where the bundle is run; its transforms are MONAI's. The card goes with it, for `add_model` to take back.

    Parameters
    ----------
    model : str, path or Card
    folder : path
        Must not exist.

    Raises
    ------
    CardError
        If the model is promptable, or one of nnU-Net's, whose way of preparing images MONAI has not.
    ExportError
        If the folder exists or cannot be written; then nothing is left behind.
    UnknownModel, WeightsError
        If there is no such model, or its weights are missing or damaged.
    """
    card, target = find_card(model), Path(folder)
    _check(card)
    if target.exists():
        raise ExportError(f"{target}: exists already; name a new folder")
    state = load_network(card).state_dict()
    torch = require("torch", "all", "effseg models export")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as err:
        raise ExportError(f"{target}: cannot be written: {err.strerror or err}") from err
    try:
        for part in ("configs", "models", "docs"):
            (work / part).mkdir()
        torch.save(state, work / MODEL_FILE)
        metadata = {**_metadata(card), SHA256_KEY: file_sha256(work / MODEL_FILE)}
        _write(work / "configs" / "metadata.json", json.dumps(metadata, indent=2) + "\n")
        _write(work / CARD_FILE, card_to_toml(card))
        _write(work / "configs" / "inference.json", json.dumps(_inference(card), indent=2) + "\n")
        _write(work / "docs" / "README.md", _readme(card))
        _write(work / "LICENSE", f"Weights: {card.weights.licence}\nCard and code: {card.licence}\n")
        work.chmod(0o755)
        os.replace(work, target)
    except OSError as err:
        raise ExportError(f"{target}: cannot be written: {err.strerror or err}") from err
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Exported(target, tuple(_notes(card)))


def _check(card: Card) -> None:
    if card.input.manner == "nnunet" or card.weights.members > 1:
        raise CardError(
            f"{card.name} prepares images in nnU-Net's way, which MONAI's transforms do not have; export its "
            "nnU-Net folder instead"
        )
    if card.task != "automatic":
        raise CardError(f"{card.name} waits for prompts, which workflows of MONAI do not give")
    if is_of_pictures(card) and card.input.spacing is not None:
        raise CardError(f"{card.name} resamples pictures, whose pixels have no size in MONAI")


def _notes(card: Card) -> list[str]:
    notes = []
    if card.postprocess.instances is not None:
        notes.append("the bundle gives the model's labels; objects are numbered here alone")
    if is_of_pictures(card):
        notes.append("the bundle takes pictures (.png), and no slices of volumes")
    elif card.dimensions == 2 and card.postprocess.fill_holes:
        notes.append("the bundle fills holes of volumes, and not those of each slice")
    if card.postprocess.fill_holes and len(card.labels) > 1:
        notes.append("the bundle also fills other structures that lie inside one")
    if card.input.manner == "own" and card.input.spacing is not None:
        notes.append(
            "images that have another spacing than the model's are interpolated by MONAI's transforms, "
            "linearly and not cubically; labels may differ at boundaries"
        )
    if card.field_of_view.locate != "anywhere":
        notes.append(
            f"the bundle takes images of at most {card.field_of_view.maximum_mm} mm around the structure, "
            "and does not look for it"
        )
    return notes


def _metadata(card: Card) -> dict[str, Any]:
    shape = list(card.window.size)
    channels = {str(index): channel.role for index, channel in enumerate(card.input.channels)}
    names = [label.name for label in card.labels]
    offset = int(card.output.activation == "softmax")
    outputs = {"0": "background"} if offset else {}
    outputs |= {str(index + offset): name for index, name in enumerate(names)}
    if card.output.activation == "regions":
        named = card.label_names
        outputs = {str(region.channel): named[region.label] for region in card.output.regions}
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/"
        "meta_schema_20240725.json",
        "version": "0.1.0",
        "changelog": {"0.1.0": "exported by napari-effseg"},
        "monai_version": "1.6.1",
        "pytorch_version": "2.8.0",
        "numpy_version": "1.26.0",
        "required_packages_version": {"napari-effseg": "0.1.0", "nibabel": "5.2.0"},
        "name": card.title,
        "task": card.summary,
        "description": card.summary,
        "authors": "see docs/README.md",
        "copyright": f"weights: {card.weights.licence}",
        "intended_use": card.intended_use,
        "data_source": card.training.dataset,
        "references": [text for text in (card.paper, card.training.citation) if text],
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "hounsfield" if card.input.modality == ("CT",) else "magnitude",
                    "modality": card.input.modality[0],
                    "num_channels": len(channels),
                    "spatial_shape": shape,
                    "dtype": "float32",
                    "value_range": [],
                    "is_patch_data": True,
                    "channel_def": channels,
                }
            },
            "outputs": {
                "pred": {
                    "type": "image",
                    "format": "segmentation",
                    "num_channels": len(outputs),
                    "spatial_shape": shape,
                    "dtype": "float32",
                    "value_range": [],
                    "is_patch_data": True,
                    "channel_def": outputs,
                }
            },
        },
    }


def _inference(card: Card) -> dict[str, Any]:
    files = "*.png" if is_of_pictures(card) else "*.nii.gz"
    return {
        "imports": ["$import glob", "$import os"],
        "bundle_root": ".",
        "image_key": "image",
        "dataset_dir": "images",
        "output_dir": "$@bundle_root + '/eval'",
        "datalist": f"$list(sorted(glob.glob(@dataset_dir + '/{files}')))",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network_def": _network_def(card),
        "network": "$@network_def.to(@device)",
        **parts_of_steps(card),
        "preprocessing": {"_target_": "Compose", "transforms": steps_before(card)},
        "dataset": {
            "_target_": "Dataset",
            "data": "$[{'image': i} for i in @datalist]",
            "transform": "@preprocessing",
        },
        "dataloader": {
            "_target_": "DataLoader",
            "dataset": "@dataset",
            "batch_size": 1,
            "shuffle": False,
            "num_workers": 0,
        },
        "inferer": inferer_of(card),
        "postprocessing": {"_target_": "Compose", "transforms": steps_after(card)},
        "weights": "$@bundle_root + '/models/model.pt'",
        "load": "$@network.load_state_dict(torch.load(@weights, map_location=@device, weights_only=True))",
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
        },
        "run": ["$@load", "$@evaluator.run()"],
    }


def _network_def(card: Card) -> dict[str, Any]:
    arguments = json.loads(json.dumps(card.constructor))
    if card.network.startswith(MONAI_PREFIX):
        return {"_target_": card.network.removeprefix(MONAI_PREFIX), **arguments}
    return {"_target_": OWN_NETWORK, "name": card.network, **arguments}


def _readme(card: Card) -> str:
    limits = "".join(f"- {limit}\n" for limit in card.limits)
    return (
        f"# {card.title}\n\n{card.summary}\n\n{card.intended_use}\n\n"
        f"## Limits\n\n{limits}\n## Data and licence\n\n"
        f"Trained on {card.training.dataset} ({card.training.licence}). {card.training.citation}\n\n"
        f"Weights: {card.weights.licence}; SHA-256 of the safetensors file they come from: "
        f"{card.weights.sha256}\n\nNeeds the package napari-effseg, which has the network and the inferer.\n"
    )


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
