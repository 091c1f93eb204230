"""Small volumes that show swapped axes: anisotropic and oblique."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from napari_effseg.volume import LabelMap, Volume

ALL_AXCODES = [
    "".join(letters)
    for signs in itertools.product("LR", "PA", "IS")
    for letters in itertools.permutations(signs)
]


@pytest.fixture(scope="session")
def affine() -> np.ndarray:
    turn, tilt = np.deg2rad(20), np.deg2rad(-12)
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    matrix = np.eye(4)
    matrix[:3, :3] = about_z @ about_x @ np.diag([0.8, 1.3, 3.1])
    matrix[:3, 3] = (-87.25, 120.5, -512.75)
    return matrix


@pytest.fixture
def volume(affine: np.ndarray) -> Volume:
    values = np.random.default_rng(0).normal(size=(8, 9, 10)).astype(np.float32)
    return Volume(values, affine)


@pytest.fixture
def labels(affine: np.ndarray) -> LabelMap:
    data = np.zeros((8, 9, 10), dtype=np.uint8)
    data[1:4, 2:5, 1:3] = 1
    data[5:8, 6:9, 3:7] = 2
    return LabelMap(data, affine, {1: "front", 2: "back"}, {1: (255, 0, 0), 2: (0, 9, 255)})
