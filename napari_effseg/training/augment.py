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
from .config import AugmentConfig

__all__ = ["Augmenter"]

_AXIS_OF = {"L": "LR", "R": "LR", "A": "AP", "P": "AP", "S": "SI", "I": "SI"}


class Augmenter:
    """Change an image and its labels at random, alike in space; deterministic in the seed given.

    Parameters
    ----------
    config : AugmentConfig
    axcodes : sequence of str
        World direction of each spatial axis of the tensors, such as "RAS": what mirroring needs.

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
            *_spatial(transforms, config),
            *_intensity(transforms, config),
        ]
        self._compose = transforms.Compose(steps)

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
        changed: Mapping[str, Any] = self._compose({"image": image, "labels": labels})
        return _plain(changed["image"]).float(), _plain(changed["labels"]).round().to(labels.dtype)


def _plain(tensor: Any) -> Tensor:
    """Strip MONAI's MetaTensor."""
    return tensor.as_tensor() if hasattr(tensor, "as_tensor") else torch.as_tensor(tensor)


def _mirrors(transforms: Any, axes: list[int]) -> list[Any]:
    return [transforms.RandFlipd(["image", "labels"], prob=0.5, spatial_axis=axis) for axis in axes]


def _spatial(transforms: Any, config: AugmentConfig) -> list[Any]:
    both, kinds = ["image", "labels"], ("bilinear", "nearest")
    steps = []
    if config.rotate_degrees or config.scale or config.translate_voxels:
        steps.append(
            transforms.RandAffined(
                both,
                prob=min(1.0, 2 * config.probability),
                rotate_range=[np.deg2rad(config.rotate_degrees)] * 3,
                scale_range=[config.scale] * 3,
                translate_range=[config.translate_voxels] * 3,
                mode=kinds,
                padding_mode=("border", "zeros"),
            )
        )
    if config.elastic_voxels:
        steps.append(
            transforms.Rand3DElasticd(
                both,
                prob=config.probability,
                sigma_range=(4, 6),
                magnitude_range=(0, 40 * config.elastic_voxels),
                mode=kinds,
                padding_mode=("border", "zeros"),
            )
        )
    return steps


def _intensity(transforms: Any, config: AugmentConfig) -> list[Any]:
    key, chance = ["image"], config.probability
    steps = []
    if config.blur_voxels:
        sigma = {f"sigma_{axis}": (0.3, config.blur_voxels + 0.3) for axis in "xyz"}
        steps.append(transforms.RandGaussianSmoothd(key, prob=chance / 2, **sigma))
    if config.low_resolution:
        steps.append(
            transforms.RandSimulateLowResolutiond(
                key, prob=chance / 2, zoom_range=(config.low_resolution, 1.0)
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
