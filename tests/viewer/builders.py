"""Small volumes and layers, anisotropic and oblique, for the tests of the viewer."""

import itertools

import numpy as np

from napari_effseg.volume import Code, LabelMap, Volume

SHAPE = (6, 7, 5)
SPACING = (1.0, 1.25, 3.0)
ORIENTATIONS = [
    "".join(letters)
    for pairs in itertools.permutations(("LR", "PA", "IS"))
    for letters in itertools.product(*pairs)
]


def rotation(degrees, axis):
    angle = np.deg2rad(degrees)
    first, second = (other for other in range(3) if other != axis)
    turned = np.eye(3)
    turned[first, first] = turned[second, second] = np.cos(angle)
    turned[first, second], turned[second, first] = -np.sin(angle), np.sin(angle)
    return turned


def affine_of(axcodes="RAS", tilt=0.0, spacing=SPACING, origin=(-12.0, 30.0, 7.0)):
    """Affine whose axes grow towards `axcodes`; `tilt` in degrees makes it oblique."""
    affine = np.eye(4)
    for axis, letter in enumerate(axcodes):
        world = next(row for row, pair in enumerate(("LR", "PA", "IS")) if letter in pair)
        affine[:3, axis] = 0
        affine[world, axis] = spacing[axis] * (1 if letter in "RAS" else -1)
    affine[:3, :3] = rotation(tilt, 0) @ rotation(tilt / 2, 2) @ affine[:3, :3]
    affine[:3, 3] = origin
    return affine


def volume_of(axcodes="RAS", tilt=0.0, shape=SHAPE, **keywords):
    data = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    return Volume(data, affine_of(axcodes, tilt), **keywords)


def labels_like(volume):
    data = np.zeros(volume.shape, dtype=np.uint8)
    data[1:3, 2:5, 1:4], data[4:, :2, 3:] = 1, 3
    return LabelMap(
        data,
        volume.affine,
        names={1: "left thing", 3: "other thing"},
        colours={1: (230, 159, 0), 3: (86, 180, 233)},
        codes={1: Code("SCT", "5366008", "Hippocampus", "left")},
    )
