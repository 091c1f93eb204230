"""Volume nodes in every orientation, with a thing to find in them."""

from __future__ import annotations

import itertools

import numpy as np

SHAPE = (14, 12, 9)
SPACING = (0.8, 1.3, 2.6)
ORIENTATIONS = [
    (order, signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


def names(orientation):
    """Name of an orientation, such as "RAS"."""
    order, signs = orientation
    pairs = ("LR", "PA", "IS")
    return "".join(pairs[world][(sign + 1) // 2] for world, sign in zip(order, signs, strict=True))


def affine(orientation=((0, 1, 2), (1, 1, 1)), spacing=SPACING, tilt=0.0):
    """Affine whose array axes run along world axes, turned by an angle about an odd axis."""
    order, signs = orientation
    matrix = np.eye(4)
    matrix[:3, :3] = 0
    for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        matrix[world, axis] = sign * spacing[axis]
    matrix[:3, :3] = turned(tilt) @ matrix[:3, :3]
    matrix[:3, 3] = (12.5, -31.25, 7.75)
    return matrix


def turned(angle):
    """Rotation about an axis that is none of the world's."""
    x, y, z = np.array([1.0, 2.0, 3.0]) / np.sqrt(14)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def grey(seed=0):
    """A bright bar with a brighter end, off the middle, on a dim ground; int16."""
    data = np.random.default_rng(seed).integers(0, 60, SHAPE).astype(np.int16)
    data[3:9, 2:6, 4:8] = 150
    data[3:5, 2:6, 4:8] = 250
    return data


def add_volume(scene, matrix=None, data=None, name="case"):
    """Add a volume node of an array (I, J, K)."""
    import slicer

    data = grey() if data is None else data
    given = affine() if matrix is None else matrix
    return slicer.util.addVolumeFromArray(
        np.ascontiguousarray(data.transpose(2, 1, 0)), ijkToRAS=given, name=name
    )


def add_transform(scene, matrix):
    """Add a linear transform node."""
    import slicer

    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    slicer.util.updateTransformMatrixFromArray(node, matrix)
    return node


def moved(angle=0.4):
    """Rigid motion."""
    matrix = np.eye(4)
    matrix[:3, :3] = turned(angle)
    matrix[:3, 3] = (5.0, -3.0, 11.0)
    return matrix
