"""The same case in another guise, and its result brought back, to see what the answer depends on.

=============  ==============================================================================================
``none``       the case as it is
``mirror``     left and right swapped, the affine unchanged: the other side of the body
``reorient``   array axes permuted and flipped at random, the affine following: the same place in the world
``oblique``    the affine turned by up to 20 degrees about a random axis: a tilted slice block, same voxels
``resample``   finer voxels by cubic splines, 0.6 to 0.95 times the old spacing on each axis (coarser voxels
               and linear interpolation lose detail that no model could bring back); in the result each voxel
               gets the label with the largest share in it
=============  ==============================================================================================
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..errors import ConfigError, nearest_names
from ..volume import Grid, LabelMap, Volume, grid_with_spacing, reorient, resample_array

__all__ = ["Guise", "make_guise", "transform_names"]

_LARGEST_ANGLE = np.deg2rad(20)
_SPACING_RATIOS = (0.6, 0.95)


@dataclass(frozen=True)
class Guise:
    """One way to present a case.

    Attributes
    ----------
    put_on : callable
        Volume -> Volume as the model is given it.
    take_off : callable
        The model's LabelMap on that volume's grid -> LabelMap on the original grid.
    """

    put_on: Callable[[Volume], Volume]
    take_off: Callable[[LabelMap], LabelMap]


def transform_names() -> tuple[str, ...]:
    """Return the names that `make_guise` knows."""
    return tuple(_GUISES)


def make_guise(name: str, grid: Grid, case: str, seed: int = 0) -> Guise:
    """Build the guise of one case; the same name, case and seed give the same one.

    Parameters
    ----------
    name : str
        One of `transform_names()`.
    grid : Grid
        The case's grid, to which results come back.
    case : str
        The case's name: each case draws its own numbers.
    seed : int

    Raises
    ------
    ConfigError
        If the name is unknown.
    """
    if name not in _GUISES:
        known = transform_names()
        raise ConfigError(
            f"no transform is called {name!r}.{nearest_names(name, known)} Known: {', '.join(known)}"
        )
    return _GUISES[name](grid, np.random.default_rng((seed, zlib.crc32(case.encode()))))


def _none(grid: Grid, random: np.random.Generator) -> Guise:
    return Guise(lambda volume: volume, lambda labels: labels)


def _mirror(grid: Grid, random: np.random.Generator) -> Guise:
    axis = int(np.argmax(np.abs(grid.affine[0, :3]) / np.linalg.norm(grid.affine[:3, :3], axis=0))) - 3
    return Guise(
        lambda volume: replace(volume, data=np.flip(np.asarray(volume.data), axis)),
        lambda labels: replace(labels, data=np.flip(labels.data, axis)),
    )


def _reorient(grid: Grid, random: np.random.Generator) -> Guise:
    orders = list(itertools.permutations(("RL", "AP", "SI")))
    order = orders[random.integers(len(orders))]
    first, second, third = (pair[random.integers(2)] for pair in order)
    return Guise(
        lambda volume: reorient(volume, (first, second, third)),
        # Same voxels at the same places; the affine is put back to the last bit.
        lambda labels: replace(reorient(labels, grid.axcodes), affine=grid.affine),
    )


def _oblique(grid: Grid, random: np.random.Generator) -> Guise:
    from scipy.spatial.transform import Rotation

    direction = random.normal(size=3)
    angle = random.uniform(0.25, 1.0) * _LARGEST_ANGLE
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_rotvec(angle * direction / np.linalg.norm(direction)).as_matrix()
    return Guise(
        lambda volume: replace(volume, affine=turn @ volume.affine),
        lambda labels: replace(labels, affine=grid.affine),
    )


def _resample(grid: Grid, random: np.random.Generator) -> Guise:
    low, high = np.log(_SPACING_RATIOS).tolist()
    ratios = np.exp(random.uniform(low, high, size=3))
    thick = np.asarray(grid.shape) > 1
    first, second, third = (float(mm) for mm in np.asarray(grid.spacing) * np.where(thick, ratios, 1.0))
    other = grid_with_spacing(grid, (first, second, third))
    return Guise(lambda volume: _by_splines(volume, other), lambda labels: _by_largest_share(labels, grid))


def _by_splines(volume: Volume, grid: Grid) -> Volume:
    """Bring a volume to another grid by cubic splines; beyond the outer voxels the edge goes on."""
    from scipy.ndimage import affine_transform

    to_source = np.linalg.inv(volume.affine) @ grid.affine
    channels = np.asarray(volume.data).reshape(-1, *volume.shape).astype(np.float32)
    found = [
        affine_transform(channel, to_source, output_shape=grid.shape, order=3, mode="nearest")
        for channel in channels
    ]
    data = np.stack(found).reshape(*volume.data.shape[:-3], *grid.shape)
    return replace(volume, data=data, affine=grid.affine)


def _by_largest_share(labels: LabelMap, grid: Grid) -> LabelMap:
    """Bring labels to another grid, where each voxel gets the label (or background) that fills most of it.

    Taking the nearest voxel instead loses a few per cent of Dice on thin structures, whatever the model.
    """
    shares = {
        label: resample_array((labels.data == label).astype(np.float32), labels.grid, grid)
        for label in labels.counts()
    }
    largest = 1 - sum(shares.values(), start=np.zeros(grid.shape, np.float32))
    found = np.zeros(grid.shape, labels.data.dtype)
    for label, share in shares.items():
        more = share > largest
        found[more], largest[more] = label, share[more]
    return replace(labels, data=found, affine=grid.affine)


_GUISES: dict[str, Callable[[Grid, np.random.Generator], Guise]] = {
    "none": _none,
    "mirror": _mirror,
    "reorient": _reorient,
    "oblique": _oblique,
    "resample": _resample,
}
