"""Random changes of training patches, by MONAI's transforms.

Two kinds of flips must not be confused. *Anatomical mirroring* flips the voxels and leaves the affine: a
left hippocampus becomes a right one, new anatomy to learn from. An *array flip whose affine follows* is the
same anatomy stored differently; preprocessing turns every case to the card's orientation, so both
storages reach the network as the same numbers, and there is nothing to augment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._extras import require
from ..zoo.card import Card
from .config import AugmentConfig

__all__ = ["Augmenter", "axcodes_of"]

_AXIS_OF = {"L": "LR", "R": "LR", "A": "AP", "P": "AP", "S": "SI", "I": "SI"}


class Augmenter:
    """Change an image and its labels at random, alike in space; deterministic in the seed given.

    Parameters
    ----------
    config : AugmentConfig
    axcodes : sequence of str
        World direction of each spatial axis of the tensors, such as "RAS": what mirroring needs. Of slices
        and pictures two, "LP": the tensors' first spatial axis is then 1 and stays as it is.

    Raises
    ------
    MissingExtra
        If MONAI is not installed.
    """

    def __init__(self, config: AugmentConfig, axcodes: Sequence[str]) -> None:
        transforms = require("monai.transforms", "train", "augmentation")
        mirrored = [axis for axis, code in enumerate(axcodes) if _AXIS_OF[code] in config.mirror]
        steps = [
            *_mirrors(transforms, mirrored),
            *_spatial(transforms, config, len(axcodes)),
            *_intensity(transforms, config, len(axcodes)),
        ]
        self._compose = transforms.Compose(steps)
        self._of_slices, self._turns = len(axcodes) == 2, config.quarter_turns

    def __call__(self, image: Tensor, labels: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Change one patch.

        Parameters
        ----------
        image : Tensor, shape (C, *S), float32
        labels : Tensor, shape (1, *S), integer
        seed : int
            The same seed makes the same change.

        Returns
        -------
        image, labels : Tensor
            Of the shapes and types given.
        """
        self._compose.set_random_state(seed=seed % 2**32)
        if self._turns:
            step = 1 if image.shape[-1] == image.shape[-2] else 2
            quarters = step * int(np.random.default_rng(seed).integers(4 // step))
            image, labels = image.rot90(quarters, (-2, -1)), labels.rot90(quarters, (-2, -1))
        given = {"image": image, "labels": labels}
        if self._of_slices:
            given = {name: tensor.squeeze(1) for name, tensor in given.items()}
        changed: Mapping[str, Any] = self._compose(given)
        new_image = _plain(changed["image"]).float().reshape(image.shape)
        return new_image, _plain(changed["labels"]).round().to(labels.dtype).reshape(labels.shape)


def axcodes_of(card: Card) -> str:
    """Return the world direction of each spatial axis of a card's training tensors; two for slices."""
    if card.dimensions == 3:
        return card.input.orientation
    across = {"axial": "SI", "coronal": "AP", "sagittal": "LR"}
    # A picture's third axis is the one across it.
    away = across[card.input.plane] if card.input.plane else card.input.orientation[2]
    return "".join(code for code in card.input.orientation if code not in away)


def _plain(tensor: Any) -> Tensor:
    """Strip MONAI's MetaTensor."""
    return tensor.as_tensor() if hasattr(tensor, "as_tensor") else torch.as_tensor(tensor)


def _mirrors(transforms: Any, axes: list[int]) -> list[Any]:
    return [transforms.RandFlipd(["image", "labels"], prob=0.5, spatial_axis=axis) for axis in axes]


def _spatial(transforms: Any, config: AugmentConfig, axes: int) -> list[Any]:
    both, kinds = ["image", "labels"], ("bilinear", "nearest")
    steps = []
    if config.rotate_degrees or config.scale or config.translate_voxels:
        steps.append(
            transforms.RandAffined(
                both,
                prob=min(1.0, 2 * config.probability),
                rotate_range=[np.deg2rad(config.rotate_degrees)] * (3 if axes == 3 else 1),
                scale_range=[config.scale] * axes,
                translate_range=[config.translate_voxels] * axes,
                mode=kinds,
                padding_mode=("border", "zeros"),
            )
        )
    if config.elastic_voxels:
        steps.append(_elastic(transforms, config, axes))
    return steps


def _elastic(transforms: Any, config: AugmentConfig, axes: int) -> Any:
    """Make a smooth random deformation of volumes or of slices."""
    common = {
        "keys": ["image", "labels"],
        "prob": config.probability,
        "mode": ("bilinear", "nearest"),
        "padding_mode": ("border", "zeros"),
    }
    if axes == 2:
        reach = (0, config.elastic_voxels)
        return transforms.Rand2DElasticd(spacing=(24, 24), magnitude_range=reach, **common)
    reach = (0, 40 * config.elastic_voxels)
    return transforms.Rand3DElasticd(sigma_range=(4, 6), magnitude_range=reach, **common)


def _intensity(transforms: Any, config: AugmentConfig, axes: int) -> list[Any]:
    key, chance = ["image"], config.probability
    steps = []
    if config.blur_voxels:
        sigma = {f"sigma_{axis}": (0.3, config.blur_voxels + 0.3) for axis in "xyz"}
        steps.append(transforms.RandGaussianSmoothd(key, prob=chance / 2, **sigma))
    if config.low_resolution:
        steps.append(
            transforms.RandSimulateLowResolutiond(
                key,
                prob=chance / 2,
                upsample_mode="trilinear" if axes == 3 else "bilinear",
                zoom_range=(config.low_resolution, 1.0),
            )
        )
    if config.bias_field:
        strength = (-config.bias_field, config.bias_field)
        steps.append(transforms.RandBiasFieldd(key, prob=chance / 2, degree=2, coeff_range=strength))
    if config.gamma > 1:
        steps.append(
            transforms.RandAdjustContrastd(
                key, prob=chance, gamma=(1 / config.gamma, config.gamma), retain_stats=True
            )
        )
    if config.contrast:
        steps.append(transforms.RandScaleIntensityd(key, prob=chance, factors=config.contrast))
        steps.append(transforms.RandShiftIntensityd(key, prob=chance, offsets=config.contrast))
    if config.noise:
        steps.append(transforms.RandGaussianNoised(key, prob=chance, std=config.noise))
    return steps
