"""How well a template fits an image at a pose: mutual information at a few thousand points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .coarse import CoarseImage
from .pose import Pose, pose_matrix
from .template import Template

__all__ = ["PoseScore"]

_STEP_MM = 10.0  # between points: three thousand in a brain, a few tenths of a millisecond a pose
_BLUR = 0.4  # of the step; smoother images guide a coarse search from further away
_TEMPLATE_LEVELS, _IMAGE_LEVELS = 12, 16
_LEAST_INSIDE = 0.5
"""A pose that puts less of the template into the image says nothing."""


class PoseScore:
    """Mutual information of template and image, in nats, times the share of the template inside the image.

    Parameters
    ----------
    template : Template
    image : CoarseImage
    """

    def __init__(self, template: Template, image: CoarseImage) -> None:
        points, values = _template_points(template)
        self._points = (points - template.centre).T.astype(np.float32)
        self._rows = _levels(values, _TEMPLATE_LEVELS) * (_IMAGE_LEVELS + 1)
        self._from_world = np.linalg.inv(image.grid.affine)
        levels = _levels(_blurred(image.values, image.grid.spacing), _IMAGE_LEVELS)
        framed = np.pad(levels, 1, constant_values=_IMAGE_LEVELS)  # a level of its own for "outside"
        self._flat = framed.ravel()
        self._last = np.array(framed.shape, dtype=np.float32)[:, None] - 1
        self._strides = np.array([framed.shape[1] * framed.shape[2], framed.shape[2], 1])

    def __call__(self, pose: Pose) -> float:
        """Score of a pose, 0 where half of the template lies outside the image."""
        place = self._indices(pose)
        counts = np.bincount(
            self._rows + self._flat[self._strides @ place],
            minlength=_TEMPLATE_LEVELS * (_IMAGE_LEVELS + 1),
        ).reshape(_TEMPLATE_LEVELS, _IMAGE_LEVELS + 1)
        joint = counts[:, :_IMAGE_LEVELS]
        inside = float(joint.sum() / counts.sum())
        return mutual_information(joint) * inside if inside >= _LEAST_INSIDE else 0.0

    def _indices(self, pose: Pose) -> NDArray[np.intp]:
        """Voxels of the framed image that the template's points fall on, (3, N)."""
        to_image = (self._from_world[:3, :3] @ pose_matrix(pose)).astype(np.float32)
        start = self._from_world[:3, :3] @ pose[:3] + self._from_world[:3, 3] + 1
        place = to_image @ self._points + start[:, None].astype(np.float32)
        np.rint(place, out=place)
        np.clip(place, 0, self._last, out=place)
        indices: NDArray[np.intp] = place.astype(np.intp)
        return indices


def mutual_information(joint: NDArray[np.intp]) -> float:
    """Mutual information, in nats, of the two quantities whose joint histogram is given."""
    total = joint.sum()
    return float(_entropy(joint.sum(0) / total) + _entropy(joint.sum(1) / total) - _entropy(joint / total))


def _entropy(shares: NDArray[np.float64]) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log(some)).sum())


def _template_points(template: Template) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Points (N, 3) of the template's space around the brain, RAS mm, and the template there."""
    from scipy.ndimage import map_coordinates

    step = [_STEP_MM / side for side in template.grid.spacing]
    axes = [np.arange((by - 1) / 2, side, by) for by, side in zip(step, template.grid.shape, strict=True)]
    places = np.stack(np.meshgrid(*axes, indexing="ij")).reshape(3, -1)
    near = map_coordinates(template.rim.astype(np.float32), places, order=1) > 0.5
    blurred = _blurred(template.image, template.grid.spacing)
    values = map_coordinates(blurred, places[:, near], order=1)
    affine = template.grid.affine
    return places[:, near].T @ affine[:3, :3].T + affine[:3, 3], values


def _blurred(image: NDArray[np.float32], spacing: tuple[float, float, float]) -> NDArray[np.float32]:
    from scipy.ndimage import gaussian_filter

    blurred: NDArray[np.float32] = gaussian_filter(image, [_BLUR * _STEP_MM / side for side in spacing])
    return blurred


def _levels(values: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Cut values from 0 to their highest into `count` levels of equal width."""
    highest = float(values.max())
    if highest <= 0:
        return np.zeros(values.shape, np.intp)
    levels: NDArray[np.intp] = np.minimum(values * (count / highest), count - 1).astype(np.intp)
    return levels
