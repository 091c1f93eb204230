"""Labels on an oblique, anisotropic grid, with names that a careless writer would lose."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import SimpleITK as sitk

from napari_effseg.volume import Code, LabelMap, Volume, lps_to_ras, transform_points

ALL_AXCODES = [
    "".join(letters)
    for signs in itertools.product("LR", "PA", "IS")
    for letters in itertools.permutations(signs)
]
LABEL_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".seg.nrrd", ".mha")


def oblique(spacing=(0.8, 1.3, 3.1), origin=(-87.25, 120.5, -512.75), degrees=(20, -12)) -> np.ndarray:
    turn, tilt = np.deg2rad(degrees)
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    matrix = np.eye(4)
    matrix[:3, :3] = about_z @ about_x @ np.diag(spacing)
    matrix[:3, 3] = origin
    return matrix


def centroids(data: np.ndarray, affine: np.ndarray) -> dict[int, np.ndarray]:
    """Mean world position of each label, RAS mm."""
    return {
        label: transform_points(affine, np.argwhere(data == label).mean(axis=0))
        for label in np.unique(data).tolist()
        if label
    }


def read_with_itk(path) -> tuple[np.ndarray, np.ndarray]:
    """(I, J, K) voxels and affine to RAS of a file, through SimpleITK."""
    image = sitk.ReadImage(str(path))
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    lps[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image).T, lps_to_ras(lps)


@pytest.fixture
def labels() -> LabelMap:
    data = np.zeros((9, 11, 7), dtype=np.int32)
    data[1:4, 2:5, 1:3] = 1
    data[5:8, 6:10, 3:6] = 2
    data[0, 0, 0] = 300
    return LabelMap(
        data,
        oblique(),
        {1: "Left hippocampus", 2: 'Größe: "2" := \\n', 300: "ilot"},
        {1: (255, 10, 3), 2: (1, 128, 127)},
        {
            1: Code("SCT", "4421005", "Hippocampus", "left"),
            2: Code("SCT", "4421005", "Hippocampus: whole", "right"),
            300: Code("SCT", "123037004", "Anatomical Structure"),
        },
    )


@pytest.fixture
def image() -> Volume:
    values = np.random.default_rng(0).normal(size=(8, 9, 10)).astype(np.float32)
    return Volume(values, oblique())
