"""Make the nnU-Net model folders of the tests: planned, trained for two steps and applied by nnunetv2 itself.

Run by hand, in an environment that has nnunetv2 (made with 2.8.1), from the repository's folder:
``python tests/zoo/foreign/_make_nnunet_fixture.py``. The tests need none of it: they read what is written
into ``nnunet_folders/``.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from scipy import ndimage

HERE = Path(__file__).parent / "nnunet_folders"
ITERATIONS = 3


@dataclass(frozen=True)
class Recipe:
    """One made-up data set, and which of its configurations are trained in how many folds."""

    number: int
    name: str
    planner: str
    dataset: dict[str, object]
    spacing: tuple[float, float, float]
    shape: tuple[int, int, int]
    configurations: dict[str, int]
    make: Callable[[np.random.Generator, tuple[int, int, int]], tuple[list[np.ndarray], np.ndarray]]


def slabs(rng: np.random.Generator, shape: tuple[int, int, int]) -> tuple[list[np.ndarray], np.ndarray]:
    """CT-like noise with two balls, on thick slices."""
    labels = balls(rng, shape)
    smooth = ndimage.gaussian_filter(rng.normal(0, 300, shape), 1.0)
    values = smooth + np.choose(labels, [-200, 150, 400])
    return [(values // 8 * 8).astype(np.int16)], labels  # coarse steps, so that files stay small


def brains(rng: np.random.Generator, shape: tuple[int, int, int]) -> tuple[list[np.ndarray], np.ndarray]:
    """Two channels of noise inside an ellipsoid, zero around it; region 2 lies inside region 1."""
    grid = np.stack(np.meshgrid(*[np.linspace(-1.3, 1.1, side) for side in shape], indexing="ij"))
    inside = (grid**2).sum(0) < 0.7
    labels = balls(rng, shape) * inside
    first = (400 + 80 * ndimage.gaussian_filter(rng.normal(0, 3, shape), 1) + 90 * labels) * inside
    second = (900 + 200 * rng.normal(0, 1, shape) - 150 * labels) * inside
    return [first.round().astype(np.int16), second.round().astype(np.int16)], labels


def balls(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """Label 1 in a ball around a random centre, label 2 in a smaller one."""
    centre = [side * rng.uniform(0.4, 0.6) for side in shape]
    grid = np.stack(np.meshgrid(*[np.arange(side) for side in shape], indexing="ij"))
    radius = sum(((axis - at) / side) ** 2 for axis, at, side in zip(grid, centre, shape, strict=True)) ** 0.5
    return (radius < 0.25).astype(np.uint8) + (radius < 0.13).astype(np.uint8)


RECIPES = (
    Recipe(
        901,
        "slabs",
        "ExperimentPlanner",
        {"channel_names": {"0": "CT"}, "labels": {"background": 0, "outer ball": 1, "inner ball": 2}},
        (0.8, 0.9, 4.0),  # thick slices: nnU-Net resamples within and across slices apart from each other
        (44, 40, 14),
        {"3d_fullres": 2, "2d": 1},
        slabs,
    ),
    Recipe(
        902,
        "brains",
        "nnUNetPlannerResEncM",
        {
            "channel_names": {"0": "T1", "1": "FLAIR"},
            "labels": {"background": 0, "whole": [1, 2], "core": 2},
            "regions_class_order": [1, 2],
        },
        (1.6, 1.0, 1.2),  # the coarsest axis is the last of nnU-Net's, so that it transposes
        (26, 34, 30),
        {"3d_fullres": 1},
        brains,
    ),
)


def main(names: list[str]) -> None:
    """Make the folders of these data sets anew, or all."""
    with tempfile.TemporaryDirectory() as work:
        for name in ("raw", "preprocessed", "results"):
            os.environ[f"nnUNet_{name}"] = str(Path(work) / name)
            (Path(work) / name).mkdir()
        for recipe in RECIPES:
            if not names or recipe.name in names:
                build(recipe, Path(work))


def build(recipe: Recipe, work: Path) -> None:
    """Plan, train, predict, and keep what a test needs."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, preprocess_dataset

    dataset = f"Dataset{recipe.number}_{recipe.name}"
    write_dataset(recipe, work / "raw" / dataset)
    extract_fingerprints([recipe.number], num_processes=1)
    plans = plan(recipe, work / "preprocessed" / dataset)
    preprocess_dataset(recipe.number, plans["plans_name"], tuple(recipe.configurations), num_processes=[1])
    for configuration, folds in recipe.configurations.items():
        for fold in range(folds):
            train(plans, configuration, fold, work / "preprocessed" / dataset)
        folder = next((work / "results" / dataset).glob(f"*__{configuration}"))
        keep(recipe, folder, HERE / f"{recipe.name}_{configuration}", folds)


def write_dataset(recipe: Recipe, folder: Path) -> None:
    """Write four cases of slightly different sizes."""
    rng = np.random.default_rng(recipe.number)
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    for case in range(5):
        shape = tuple(side + int(rng.integers(-2, 3)) for side in recipe.shape)
        images, labels = recipe.make(rng, shape)
        affine = np.diag([-recipe.spacing[0], -recipe.spacing[1], recipe.spacing[2], 1.0])
        for channel, image in enumerate(images):
            nib.save(nib.Nifti1Image(image, affine), folder / "imagesTr" / f"case{case}_{channel:04d}.nii.gz")
        nib.save(nib.Nifti1Image(labels, affine), folder / "labelsTr" / f"case{case}.nii.gz")
    table = {**recipe.dataset, "numTraining": 5, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(table))


def plan(recipe: Recipe, folder: Path) -> dict[str, object]:
    """Let nnU-Net plan, with few features so that the checkpoints stay small."""
    import nnunetv2.experiment_planning.experiment_planners.default_experiment_planner as default
    from nnunetv2.experiment_planning.experiment_planners.residual_unets import residual_encoder_unet_planners

    kind = getattr(default, recipe.planner, None) or getattr(residual_encoder_unet_planners, recipe.planner)
    planner = kind(recipe.number)
    planner.UNet_base_num_features = 4
    planner.UNet_max_features_2d = planner.UNet_max_features_3d = 8
    os.environ["nnUNet_n_proc_DA"] = "1"  # noqa: SIM112 - its own name
    planner.plan_experiment()
    return json.loads((folder / f"{planner.plans_identifier}.json").read_text())


def train(plans: dict[str, object], configuration: str, fold: int, folder: Path) -> None:
    """Train with nnU-Net's own trainer for one short epoch."""
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    torch.manual_seed(fold)
    os.environ["nnUNet_n_proc_DA"] = "0"  # noqa: SIM112 - its own name; no process beside this one
    dataset = json.loads((folder / "dataset.json").read_text())
    trainer = nnUNetTrainer(
        {**plans, "continue_training": False}, configuration, fold, dataset, torch.device("cpu")
    )
    trainer.num_epochs, trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch = (
        1,
        ITERATIONS,
        1,
    )
    trainer.initial_lr = 0.05
    trainer.run_training()


def keep(recipe: Recipe, trained: Path, folder: Path, folds: int) -> None:
    """Copy what makes a model folder, and predict a case of another grid than the training's."""
    from nnunetv2.imageio.nibabel_reader_writer import NibabelIO
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    shutil.rmtree(folder, ignore_errors=True)
    for fold in range(folds):
        (folder / f"fold_{fold}").mkdir(parents=True)
        path = trained / f"fold_{fold}" / "checkpoint_final.pth"
        checkpoint = torch.load(path, weights_only=False)
        checkpoint["optimizer_state"] = {}  # as large as the weights, and not needed to predict
        checkpoint["logging"] = {}
        torch.save(checkpoint, folder / f"fold_{fold}" / "checkpoint_final.pth")
    for name in ("plans.json", "dataset.json"):
        shutil.copy(trained / name, folder / name)
    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(folder), tuple(range(folds)))
    rng = np.random.default_rng(7)
    shape = tuple(int(side * factor) for side, factor in zip(recipe.shape, (1.5, 1.3, 0.9), strict=True))
    images, _ = recipe.make(rng, shape)  # larger than a window in two axes
    spacing = (recipe.spacing[0] * 1.25, recipe.spacing[1] * 0.9, recipe.spacing[2] * 1.1)
    files = []
    for channel, image in enumerate(images):
        files.append(str(folder / f"case_{channel:04d}.nii.gz"))
        nib.save(nib.Nifti1Image(image, np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])), files[-1])
    data, properties = NibabelIO().read_images(files)
    labels, probabilities = predictor.predict_single_npy_array(data, properties, None, None, True)
    np.savez_compressed(
        folder / "expected.npz",
        labels=labels.transpose(2, 1, 0).astype(np.uint8),
        # of every second row and column, so that files stay small
        probabilities=probabilities.transpose(0, 3, 2, 1)[:, ::2, ::2].astype(np.float16),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
