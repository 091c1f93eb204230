"""A guise taken off gives the case back; each one changes what it says and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from napari_effseg import ConfigError, LabelMap, Volume
from napari_effseg.evaluation.transforms import make_guise, transform_names
from napari_effseg.metrics import dice
from napari_effseg.volume import transform_points

ANGLE = np.deg2rad(15)
OBLIQUE = np.array(
    [
        [0.9 * np.cos(ANGLE), -1.2 * np.sin(ANGLE), 0, -20],
        [0.9 * np.sin(ANGLE), 1.2 * np.cos(ANGLE), 0, 5],
        [0, 0, 1.6, 40],
        [0, 0, 0, 1],
    ]
)


def ball() -> LabelMap:
    points = np.stack(np.indices((24, 20, 18)), axis=-1) - (14, 9, 8)
    inside = np.linalg.norm(points * (0.9, 1.2, 1.6), axis=-1) < 7
    return LabelMap(inside.astype(np.uint8), OBLIQUE, {1: "ball"})


def as_volume(labels: LabelMap) -> Volume:
    return Volume(labels.data.astype(np.float32), labels.affine)


def model(volume: Volume) -> LabelMap:
    """Find the bright voxels, wherever they are."""
    return LabelMap((volume.data > 0.5).astype(np.uint8), volume.affine, {1: "ball"})


@pytest.mark.parametrize("name", transform_names())
@pytest.mark.parametrize("case", ["a", "b", "c"])
def test_a_guise_taken_off_leaves_the_answer_where_it_was(name: str, case: str) -> None:
    truth = ball()
    guise = make_guise(name, truth.grid, case)
    found = guise.take_off(model(guise.put_on(as_volume(truth))))
    assert np.array_equal(found.affine, truth.affine)
    assert dice(truth.data, found.data) > (0.97 if name == "resample" else 0.9999)


def test_the_mirror_swaps_sides_and_keeps_the_affine() -> None:
    volume = as_volume(ball())
    mirrored = make_guise("mirror", volume.grid, "a").put_on(volume)
    assert np.array_equal(mirrored.affine, volume.affine)
    assert np.array_equal(mirrored.data, volume.data[::-1])


def test_the_mirror_finds_the_left_right_axis_of_a_turned_image() -> None:
    affine = OBLIQUE[:, [2, 1, 0, 3]]
    volume = Volume(np.random.default_rng(0).random((5, 6, 7)), affine)
    mirrored = make_guise("mirror", volume.grid, "a").put_on(volume)
    assert np.array_equal(mirrored.data, volume.data[:, :, ::-1])


def test_another_orientation_keeps_every_voxel_at_its_place() -> None:
    volume = as_volume(ball())
    turned = make_guise("reorient", volume.grid, "b").put_on(volume)
    centres = [transform_points(v.affine, np.argwhere(v.data > 0.5)).mean(axis=0) for v in (volume, turned)]
    assert turned.axcodes != volume.axcodes
    assert np.allclose(*centres)


def test_a_tilt_keeps_voxels_and_spacing() -> None:
    volume = as_volume(ball())
    tilted = make_guise("oblique", volume.grid, "a").put_on(volume)
    assert np.array_equal(tilted.data, volume.data)
    assert np.allclose(tilted.spacing, volume.spacing)
    assert not np.allclose(tilted.affine, volume.affine)


def test_the_same_case_and_seed_give_the_same_guise() -> None:
    volume = as_volume(ball())
    grids = [make_guise("resample", volume.grid, "a", seed).put_on(volume).grid for seed in (0, 0, 1)]
    assert np.array_equal(grids[0].affine, grids[1].affine)
    assert not np.array_equal(grids[0].affine, grids[2].affine)


def test_a_transform_that_does_not_exist_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean mirror"):
        make_guise("mirorr", ball().grid, "a")


def test_finer_voxels_show_the_same_image() -> None:
    volume = as_volume(ball())
    finer = make_guise("resample", volume.grid, "a").put_on(
        Volume(np.stack([volume.data] * 2), volume.affine)
    )
    centres = [
        np.average(transform_points(affine, np.argwhere(data > 0.5)), axis=0)
        for data, affine in ((volume.data, volume.affine), (finer.data[1], finer.affine))
    ]
    assert all(0.6 <= new / old <= 0.95 for new, old in zip(finer.spacing, volume.spacing, strict=True))
    assert np.allclose(*centres, atol=0.3)
