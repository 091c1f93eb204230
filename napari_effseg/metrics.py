"""Agreement of two segmentations: overlap, and distances between surfaces in millimetres.

A surface voxel is a voxel of the structure with a face neighbour outside it; the edge of the image counts
as outside. Axes with one voxel (a picture, a single slice) have no surface of their own and are left out.

Empty structures have stated scores, so that nothing is ever dropped from a mean:

==================  ====  ===========================  ===
structure           Dice  HD95                         NSD
==================  ====  ===========================  ===
empty in both       1     0 mm                         1
empty in one        0     diagonal of the image in mm  0
==================  ====  ===========================  ===

Numbered objects are compared one by one: see `object_score`.

References
----------
Taha and Hanbury, Metrics for evaluating 3D medical image segmentation, BMC Medical Imaging 15:29 (2015).
Caicedo et al., Nucleus segmentation across imaging experiments, Nature Methods 16:1247-1253 (2019).
Nikolov et al., Clinically applicable segmentation of head and neck anatomy, JMIR 23(7):e26151 (2021).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import VolumeError
from .types import BoolArray
from .volume import LabelMap, same_grid

__all__ = [
    "LabelScore",
    "ObjectScore",
    "dice",
    "hausdorff95",
    "image_diagonal_mm",
    "label_scores",
    "object_score",
    "surface_dice",
]

_PERCENTILE = 95.0
_IOU = 0.5  # above it an object matches one other at most


@dataclass(frozen=True)
class LabelScore:
    """Scores of one structure in one case.

    Attributes
    ----------
    label : int
        The structure's number in the reference.
    name : str
        Its name, "label N" where nobody named it.
    dice : float
        In [0, 1].
    hausdorff95_mm : float
        95 % Hausdorff distance in mm.
    surface_dice : float
        Normalised surface Dice in [0, 1] at `tolerance_mm`.
    tolerance_mm : float
        Distance in mm within which two surfaces agree.
    truth_ml, result_ml : float
        Volumes in mL.
    """

    label: int
    name: str
    dice: float
    hausdorff95_mm: float
    surface_dice: float
    tolerance_mm: float
    truth_ml: float
    result_ml: float

    @property
    def missed(self) -> bool:
        """Whether the reference has the structure and the result has none of it."""
        return self.truth_ml > 0 and self.result_ml == 0


@dataclass(frozen=True)
class ObjectScore:
    """How many objects of one image were found.

    Attributes
    ----------
    matched : int
        Objects that overlap one of the reference with an intersection over union above 0.5.
    missed : int
        Other objects of the reference.
    extra : int
        Other objects of the result.
    """

    matched: int
    missed: int
    extra: int

    @property
    def ap50(self) -> float:
        """Matched objects by all there are in either, in [0, 1]; 1 of an image that has none in both."""
        every = self.matched + self.missed + self.extra
        return self.matched / every if every else 1.0


def dice(a: ArrayLike, b: ArrayLike) -> float:
    """Return the Dice coefficient of two masks, 2 |A and B| / (|A| + |B|).

    Parameters
    ----------
    a, b : bool (I, J, K)
        Masks of one shape, any number of axes.

    Raises
    ------
    VolumeError
        If the shapes differ.

    Examples
    --------
    >>> dice([1, 1, 0, 0], [0, 1, 1, 0])
    0.5
    """
    first, second = _pair(a, b)
    total = _voxels(first) + _voxels(second)
    return 1.0 if total == 0 else 2.0 * _voxels(first & second) / total


def hausdorff95(a: ArrayLike, b: ArrayLike, spacing: Sequence[float]) -> float:
    """Return the 95 % Hausdorff distance of two masks in mm.

    It is the larger of two 95th percentiles: of the distances from each surface voxel of `a` to the nearest
    surface voxel of `b`, and of the distances the other way.

    Parameters
    ----------
    a, b : bool (I, J, K)
        Masks of one shape, two or three axes.
    spacing : (mm, mm, mm)
        Millimetres a voxel along each axis.

    Returns
    -------
    float
        Millimetres; 0 if both are empty, the diagonal of the image if one is.

    Raises
    ------
    VolumeError
        If shapes or the number of spacings differ.
    """
    first, second = _pair(a, b)
    step = _checked_spacing(spacing, first.ndim)
    if not first.any() or not second.any():
        return 0.0 if first.any() == second.any() else image_diagonal_mm(first.shape, step)
    return _hausdorff95_of(*_surface_distances(first, second, step))


def surface_dice(a: ArrayLike, b: ArrayLike, spacing: Sequence[float], tolerance_mm: float = 1.0) -> float:
    """Return the normalised surface Dice: the share of both surfaces within a tolerance of the other.

    Parameters
    ----------
    a, b : bool (I, J, K)
        Masks of one shape, two or three axes.
    spacing : (mm, mm, mm)
        Millimetres a voxel along each axis.
    tolerance_mm : float
        Largest distance in mm at which two surfaces agree.

    Returns
    -------
    float
        In [0, 1]; 1 if both are empty, 0 if one is.

    Raises
    ------
    VolumeError
        If shapes or the number of spacings differ, or the tolerance is negative.
    """
    first, second = _pair(a, b)
    step = _checked_spacing(spacing, first.ndim)
    _check_tolerance(tolerance_mm)
    if not first.any() or not second.any():
        return float(first.any() == second.any())
    return _surface_dice_of(*_surface_distances(first, second, step), tolerance_mm)


def label_scores(
    truth: LabelMap,
    result: LabelMap,
    tolerance_mm: float = 1.0,
    labels: Iterable[int] | None = None,
) -> tuple[LabelScore, ...]:
    """Score each structure of `result` against the reference `truth`.

    Parameters
    ----------
    truth, result : LabelMap
        Label maps on one grid, numbered alike.
    tolerance_mm : float
        Tolerance of the surface Dice in mm.
    labels : iterable of int, optional
        Structures to score; default is all that either map names or holds.

    Returns
    -------
    tuple of LabelScore
        By rising label; a structure that one map lacks is scored as the module says, never left out.

    Raises
    ------
    VolumeError
        If the two are not on one grid.
    """
    if not same_grid(truth.grid, result.grid):
        raise VolumeError(
            f"the two label maps lie on different grids: {truth.shape} and {result.shape} voxels; "
            "resample one onto the other's grid first"
        )
    _check_tolerance(tolerance_mm)
    chosen = _labels_of(truth, result) if labels is None else sorted(set(labels))
    return tuple(_score(truth, result, label, tolerance_mm) for label in chosen)


def object_score(truth: ArrayLike, result: ArrayLike) -> ObjectScore:
    """Compare numbered objects by the overlap of each pair.

    Parameters
    ----------
    truth, result : (I, J, K), integer
        0 for the background, any other number for the voxels of one object. Numbers need not agree.

    Raises
    ------
    VolumeError
        If the shapes differ.

    References
    ----------
    Caicedo et al. (2019): the score of the 2018 Data Science Bowl, at its threshold of 0.5.

    Examples
    --------
    >>> object_score([1, 1, 1, 0, 2, 2], [7, 7, 0, 9, 0, 0])
    ObjectScore(matched=1, missed=1, extra=1)
    """
    first, second = np.asarray(truth), np.asarray(result)
    if first.shape != second.shape:
        raise VolumeError(f"two maps of one shape were expected, got {first.shape} and {second.shape}")
    (numbers, a), (others, b) = (np.unique(array, return_inverse=True) for array in (first, second))
    pairs, overlap = np.unique(a.ravel() * len(others) + b.ravel(), return_counts=True)
    one, other = np.divmod(pairs, len(others))
    union = np.bincount(a.ravel())[one] + np.bincount(b.ravel())[other] - overlap
    are_objects = (numbers[one] != 0) & (others[other] != 0)
    matched = int(np.count_nonzero(are_objects & (overlap > _IOU * union)))
    missed, extra = (int(np.count_nonzero(found)) - matched for found in (numbers, others))
    return ObjectScore(matched, missed, extra)


def image_diagonal_mm(shape: Sequence[int], spacing: Sequence[float]) -> float:
    """Return the length in mm from corner to corner of an image: the HD95 of a missed structure."""
    return float(np.linalg.norm(np.asarray(shape, float) * np.asarray(spacing, float)))


def _score(truth: LabelMap, result: LabelMap, label: int, tolerance_mm: float) -> LabelScore:
    first, second = truth.data == label, result.data == label
    distance, agreement = 0.0, 1.0
    if first.any() and second.any():
        to_second, to_first = _surface_distances(first, second, truth.spacing)
        distance = _hausdorff95_of(to_second, to_first)
        agreement = _surface_dice_of(to_second, to_first, tolerance_mm)
    elif first.any() or second.any():
        distance, agreement = image_diagonal_mm(truth.shape, truth.spacing), 0.0
    voxel_ml = truth.grid.voxel_mm3 / 1000.0
    return LabelScore(
        label=label,
        name=truth.names.get(label) or result.names.get(label) or f"label {label}",
        dice=dice(first, second),
        hausdorff95_mm=distance,
        surface_dice=agreement,
        tolerance_mm=tolerance_mm,
        truth_ml=_voxels(first) * voxel_ml,
        result_ml=_voxels(second) * voxel_ml,
    )


def _voxels(mask: BoolArray) -> int:
    return int(np.count_nonzero(mask))  # newer numpy gives its own integer, which JSON does not take


def _labels_of(truth: LabelMap, result: LabelMap) -> list[int]:
    found = {*truth.names, *result.names}
    found |= {int(label) for array in (truth.data, result.data) for label in np.unique(array)}
    return sorted(found - {0})


def _pair(a: ArrayLike, b: ArrayLike) -> tuple[BoolArray, BoolArray]:
    first, second = np.asarray(a).astype(bool, copy=False), np.asarray(b).astype(bool, copy=False)
    if first.shape != second.shape:
        raise VolumeError(f"two masks of one shape were expected, got {first.shape} and {second.shape}")
    return first, second


def _checked_spacing(spacing: Sequence[float], axes: int) -> tuple[float, ...]:
    step = tuple(float(mm) for mm in spacing)
    if len(step) != axes or not all(mm > 0 for mm in step):
        raise VolumeError(f"a spacing of {axes} positive numbers in mm was expected, got {tuple(spacing)}")
    return step


def _check_tolerance(tolerance_mm: float) -> None:
    if not tolerance_mm >= 0:
        raise VolumeError(f"the tolerance must be 0 mm or more, got {tolerance_mm}")


def _surface_distances(
    a: BoolArray, b: BoolArray, spacing: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the distances in mm from a's surface voxels to b's surface, and from b's to a's.

    Both masks hold something. Beyond the box around both there is no surface, so only the box is computed.
    """
    from scipy.ndimage import distance_transform_edt

    box = _bounding_box(a | b)
    thick = [axis for axis, size in enumerate(a.shape) if size > 1]
    flat = tuple(axis for axis, size in enumerate(a.shape) if size == 1)
    surface_a, surface_b = (_surface(np.squeeze(mask[box], axis=flat)) for mask in (a, b))
    step = [spacing[axis] for axis in thick]
    to_b = distance_transform_edt(~surface_b, sampling=step)[surface_a]
    to_a = distance_transform_edt(~surface_a, sampling=step)[surface_b]
    return np.asarray(to_b, np.float64), np.asarray(to_a, np.float64)


def _surface(mask: BoolArray) -> BoolArray:
    from scipy.ndimage import binary_erosion

    inside: BoolArray = binary_erosion(mask)
    return mask & ~inside


def _bounding_box(mask: BoolArray) -> tuple[slice, ...]:
    box = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        filled = np.flatnonzero(mask.any(axis=others))
        box.append(slice(int(filled[0]), int(filled[-1]) + 1))
    return tuple(box)


def _hausdorff95_of(to_b: NDArray[np.float64], to_a: NDArray[np.float64]) -> float:
    return float(max(np.percentile(to_b, _PERCENTILE), np.percentile(to_a, _PERCENTILE)))


def _surface_dice_of(to_b: NDArray[np.float64], to_a: NDArray[np.float64], tolerance_mm: float) -> float:
    agreeing = np.count_nonzero(to_b <= tolerance_mm) + np.count_nonzero(to_a <= tolerance_mm)
    return float(agreeing / (to_b.size + to_a.size))
