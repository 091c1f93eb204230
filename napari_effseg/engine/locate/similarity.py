"""How alike template and image are once they are registered; pure functions.

Mutual information has no scale that means the same for every image. The squared local correlation has: 0 for
images that have nothing in common, 1 where each small neighbourhood of one is the other's, but for brightness
and contrast, inverted contrast included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...types import Affine
from .coarse import CoarseImage
from .template import Template

__all__ = ["Similarity", "similarity_of"]

_NEIGHBOURHOOD = 5  # voxels of the template a side, 20 mm
_RIND = 4  # voxels, 16 mm: dark around bright is what all brains have, whatever the contrast inside
_NO_CONTRAST = 1e-4  # added to variances of images in [0, 1]: noise of 1 % in a flat region is no structure


@dataclass(frozen=True)
class Similarity:
    """Local correlation of template and image.

    Attributes
    ----------
    brain : float
        Mean of its square over the part of the template's brain that lies in the image, in [0, 1].
    inside : float
        How much of the brain that is, in [0, 1].
    contrast : float
        Mean over the depth of that part, in [-1, 1]: below 0 where the image is dark and the template bright.
    """

    brain: float
    inside: float
    contrast: float


def similarity_of(template: Template, image: CoarseImage, to_image: Affine) -> Similarity:
    """Compare a template with an image.

    Parameters
    ----------
    template : Template
    image : CoarseImage
    to_image : (4, 4)
        Template RAS mm -> image RAS mm.
    """
    from scipy.ndimage import binary_erosion

    values, inside = _in_template_space(template, image, to_image)
    seen = inside & template.brain
    if not seen.any():
        return Similarity(0.0, 0.0, 0.0)
    alike = _correlation(template.image, values, template.rim & inside)
    depth = inside & binary_erosion(template.brain, iterations=_RIND)
    return Similarity(
        brain=float((alike[seen] ** 2).mean()),
        inside=float(seen.sum() / template.brain.sum()),
        contrast=float(alike[depth].mean()) if depth.any() else 0.0,
    )


def _in_template_space(
    template: Template, image: CoarseImage, to_image: Affine
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Values of the image at the template's voxels, and which of these lie in the image."""
    from scipy.ndimage import affine_transform

    way = np.linalg.inv(image.grid.affine) @ to_image @ template.grid.affine

    def sampled(values: NDArray[np.float32]) -> NDArray[np.float64]:
        shape = template.grid.shape
        out = np.empty(shape)
        affine_transform(values, way[:3, :3], way[:3, 3], shape, output=out, order=1)
        return out

    return sampled(image.values), sampled(np.ones_like(image.values)) > 0


def _correlation(
    one: NDArray[np.float32], other: NDArray[np.float64], where: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Correlation in the neighbourhood of each voxel, of the voxels `where` alone, in [-1, 1]."""
    from scipy.ndimage import uniform_filter

    def local_sum(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(uniform_filter(values * where, _NEIGHBOURHOOD, mode="constant"))

    count = np.maximum(local_sum(np.ones(where.shape)), np.finfo(np.float32).tiny)
    a, b = one.astype(np.float64), other
    mean_a, mean_b = local_sum(a) / count, local_sum(b) / count
    covariance = local_sum(a * b) / count - mean_a * mean_b
    variance_a = np.maximum(local_sum(a * a) / count - mean_a**2, 0) + _NO_CONTRAST
    variance_b = np.maximum(local_sum(b * b) / count - mean_b**2, 0) + _NO_CONTRAST
    correlation: NDArray[np.float64] = covariance / np.sqrt(variance_a * variance_b)
    return correlation.clip(-1, 1)
