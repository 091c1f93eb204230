"""MONAI bundles in the layout of published ones, with small random networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

IMAGE = "@image_key"
NETWORKS: dict[str, dict[str, Any]] = {
    "spleen": {
        "_target_": "UNet",
        "spatial_dims": 3,
        "in_channels": 1,
        "out_channels": 3,
        "channels": [4, 8, 8],
        "strides": [2, 2],
        "num_res_units": 1,
        "norm": "batch",
    },
    "brain": {
        "_target_": "monai.networks.nets.SegResNet",
        "blocks_down": [1, 1],
        "blocks_up": [1],
        "init_filters": 8,
        "in_channels": 2,
        "out_channels": 3,
        "dropout_prob": 0.2,
    },
    "body": {
        "_target_": "SegResNet",
        "spatial_dims": 3,
        "in_channels": 1,
        "out_channels": 4,
        "init_filters": 8,
        "blocks_down": [1, 1],
        "blocks_up": [1],
    },
}


def step(name: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": f"{name}d", "keys": IMAGE, **arguments}


def result(name: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": f"{name}d", "keys": "pred", **arguments}


def invert(nearest: bool) -> dict[str, Any]:
    return result(
        "Invert", transform="@preprocessing", orig_keys=IMAGE, nearest_interp=nearest, to_tensor=True
    )


LOADING = [step("LoadImage"), step("EnsureChannelFirst")]
SAVING = result("SaveImage", output_dir="@output_dir")
BEFORE: dict[str, list[dict[str, Any]]] = {
    "spleen": [
        *LOADING,
        step("Orientation", axcodes="RAS"),
        step("Spacing", pixdim=[1.5, 1.5, 2.0], mode="bilinear"),
        step("ScaleIntensityRange", a_min=-57, a_max=164, b_min=0, b_max=1, clip=True),
        step("EnsureType"),
    ],
    "brain": [
        *LOADING,
        step("NormalizeIntensity", nonzero=True, channel_wise=True),
    ],
    "body": [
        *LOADING,
        step("Orientation", axcodes="LPS"),
        step("Spacing", pixdim="@pixdim", mode="bilinear"),
        step("NormalizeIntensity", nonzero=True),
        step("ScaleIntensity", minv=-1.0, maxv=1.0),
    ],
}
CHOICE = "$lambda x: torch.where(x[[2]] > 0, 4, torch.where(x[[0]] > 0, 1, torch.where(x[[1]] > 0, 2, 0)))"
AFTER: dict[str, list[dict[str, Any]]] = {
    "spleen": [result("Activations", softmax=True), invert(False), result("AsDiscrete", argmax=True), SAVING],
    "brain": [
        result("Activations", sigmoid=True),
        invert(False),
        result("AsDiscrete", threshold=0.5),
        result("Lambda", func=CHOICE),
        SAVING,
    ],
    "body": [result("Activations", softmax=True), result("AsDiscrete", argmax=True), invert(True), SAVING],
}
INFERERS: dict[str, dict[str, Any]] = {
    "spleen": {"roi_size": [16, 16, 16], "sw_batch_size": 4, "overlap": 0.5},
    "brain": {"roi_size": [24, 32, 16], "sw_batch_size": 1, "overlap": 0.5},
    "body": {
        "roi_size": [16, 16, 24],
        "overlap": "@displayable_configs#sw_overlap",
        "padding_mode": "replicate",
        "mode": "gaussian",
        "device": "$torch.device('cpu')",
    },
}
LABELS = {
    "spleen": {"0": "background", "1": "spleen", "2": "kidney_left"},
    "brain": {"0": "Tumor core", "1": "Whole tumor", "2": "Enhancing tumor"},
    "body": {"0": "background", "1": "liver", "2": "aorta", "3": "pancreas"},
}
CHANNELS = {"spleen": {"0": "image"}, "brain": {"0": "T1c", "1": "FLAIR"}, "body": {"0": "image"}}


def config_of(name: str) -> dict[str, Any]:
    """Return the configuration of a bundle, as it stands in its file."""
    return {
        "imports": ["$import glob", "$import os"],
        "displayable_configs": {"highres": True, "sw_overlap": 0.25},
        "bundle_root": ".",
        "image_key": "image",
        "output_dir": "$@bundle_root + '/eval'",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "pixdim": "$[1.6, 1.45, 1.75] if @displayable_configs#highres else [3.0, 3.0, 3.0]",
        "modelname": "$'model.pt' if @displayable_configs#highres else 'model_lowres.pt'",
        "network_def": NETWORKS[name],
        "network": "$@network_def.to(@device)",
        "preprocessing": {"_target_": "Compose", "transforms": BEFORE[name]},
        "inferer": {"_target_": "SlidingWindowInferer", **INFERERS[name]},
        "postprocessing": {"_target_": "Compose", "transforms": AFTER[name]},
        "checkpointloader": {
            "_target_": "CheckpointLoader",
            "load_path": "$@bundle_root + '/models/' + @modelname",
            "load_dict": {"model": "@network"},
        },
        "run": ["$@evaluator.run()"],
    }


def metadata_of(name: str) -> dict[str, Any]:
    """Return the metadata of a bundle."""
    count = len(CHANNELS[name])
    return {
        "version": "0.5.9",
        "monai_version": "1.4.0",
        "name": f"{name} segmentation",
        "task": name,
        "description": f"A network for the {name}.",
        "data_source": "made up",
        "eval_metrics": {"mean_dice": 0.5},
        "intended_use": "Tests only.",
        "references": ["Nobody, 2026."],
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "magnitude" if name == "brain" else "hounsfield",
                    "modality": "MR" if name == "brain" else "CT",
                    "num_channels": count,
                    "channel_def": CHANNELS[name],
                }
            },
            "outputs": {"pred": {"num_channels": len(LABELS[name]), "channel_def": LABELS[name]}},
        },
    }


def network_of(name: str) -> torch.nn.Module:
    """Return the bundle's network with random weights whose answers differ from voxel to voxel."""
    import monai.networks.nets as nets

    arguments = {key: value for key, value in NETWORKS[name].items() if key != "_target_"}
    torch.manual_seed(len(name))
    network: torch.nn.Module = getattr(nets, NETWORKS[name]["_target_"].rpartition(".")[2])(**arguments)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network.eval()


def write_bundle(folder: Path, name: str, changes: dict[str, Any] | None = None) -> Path:
    """Write a bundle into a folder; `changes` replace parts of its configuration."""
    bundle = folder / f"{name}_bundle"
    for part in ("configs", "models", "docs"):
        (bundle / part).mkdir(parents=True)
    (bundle / "configs" / "metadata.json").write_text(json.dumps(metadata_of(name)))
    (bundle / "configs" / "inference.json").write_text(json.dumps({**config_of(name), **(changes or {})}))
    (bundle / "LICENSE").write_text("Apache License\nVersion 2.0, January 2004\n")
    torch.save({"model": network_of(name).state_dict()}, bundle / "models" / "model.pt")
    return bundle
