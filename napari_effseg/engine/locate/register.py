"""Register a template to an image from a starting pose: affine, mutual information, by SimpleITK.

ITK is given world positions in RAS and gives them back; it does not care about the names of axes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...types import Affine
from ...volume import Grid
from .coarse import CoarseImage
from .template import Template

if TYPE_CHECKING:
    import SimpleITK

__all__ = ["register"]

_BINS = 24
_SHARE_OF_VOXELS = 0.25  # on a regular lattice, whose points ITK moves a little at random
_SEED = 1  # not 0, which means the clock
_FIRST_STEP_MM, _LAST_STEP_MM = 2.0, 0.02
_RELAXATION = 0.6
_ONE_AT_A_TIME = threading.Lock()  # while ITK's number of threads, which is the whole program's, is one


def register(
    template: Template,
    image: CoarseImage,
    start: Affine,
    iterations: int,
    go_on: Callable[[], bool] = lambda: True,
) -> Affine:
    """Improve an affine transformation.

    One thread and one seed, so that the same image gives the same numbers; about a second.

    Parameters
    ----------
    template : Template
        Compared where its rim is.
    image : CoarseImage
    start : (4, 4)
        Template RAS mm -> image RAS mm.
    iterations : int
        At most.
    go_on : callable
        Asked after each iteration; False stops early.

    Returns
    -------
    (4, 4)
        Of the last iteration; `start` if template and image do not overlap enough to begin.
    """
    import SimpleITK as sitk

    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricFixedMask(_to_itk(template.rim.astype(np.uint8), template.grid))
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(_SHARE_OF_VOXELS, _SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        _FIRST_STEP_MM, _LAST_STEP_MM, iterations, relaxationFactor=_RELAXATION
    )
    method.SetOptimizerScalesFromPhysicalShift()
    moved = _to_itk_transform(start, template.centre)
    method.SetInitialTransform(moved, inPlace=True)
    method.AddCommand(sitk.sitkIterationEvent, lambda: None if go_on() else method.StopRegistration())
    try:
        with _one_thread():
            method.Execute(_to_itk(template.image, template.grid), _to_itk(image.values, image.grid))
    except RuntimeError:  # ITK's only error: too few points inside the image, at the start or on the way
        return start
    return _from_itk_transform(moved)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let ITK use one thread: several add up the metric in the order in which they happen to end.

    The metric takes the program's default when `Execute` makes it; the number of the method itself
    does not reach it.
    """
    import SimpleITK as sitk

    with _ONE_AT_A_TIME:
        before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
        try:
            yield
        finally:
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def _to_itk(values: NDArray[Any], grid: Grid) -> SimpleITK.Image:
    """Image with this grid; ITK's arrays are (K, J, I)."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(values.transpose(2, 1, 0)))
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction.ravel().tolist())
    return image


def _to_itk_transform(affine: Affine, centre: NDArray[np.float64]) -> SimpleITK.AffineTransform:
    import SimpleITK as sitk

    transform = sitk.AffineTransform(3)
    transform.SetCenter(centre.tolist())
    transform.SetMatrix(affine[:3, :3].ravel().tolist())
    transform.SetTranslation((affine[:3, :3] @ centre + affine[:3, 3] - centre).tolist())
    return transform


def _from_itk_transform(transform: SimpleITK.AffineTransform) -> Affine:
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(transform.GetMatrix(), (3, 3))
    centre = np.asarray(transform.GetCenter())
    affine[:3, 3] = centre + np.asarray(transform.GetTranslation()) - affine[:3, :3] @ centre
    return affine
