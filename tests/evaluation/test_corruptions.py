"""A corruption keeps grid and channels, does what it says, and is the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from napari_effseg import ConfigError, Volume
from napari_effseg.evaluation.corruptions import corrupt, corruption_names

NAMES = corruption_names()[1:]
AFFINE = np.array([[0.8, 0, 0, 3], [0, 0.9, 0.4, -5], [0, -0.4, 2.5, 1], [0, 0, 0, 1.0]])


def ball(shape: tuple[int, ...] = (24, 22, 12), channels: int = 1) -> Volume:
    spatial = np.indices(shape) - np.reshape(np.array(shape) / 2, (3, 1, 1, 1))
    inside = np.sqrt((spatial**2).sum(0)) < min(side for side in shape if side > 1) / 3
    data = (100 + 80 * inside).astype(np.int16)
    return Volume(data if channels == 1 else np.stack([data + 5 * c for c in range(channels)]), AFFINE)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "volume", [ball(), ball((20, 30, 1)), ball(channels=3)], ids=["3D", "2D", "channels"]
)
def test_a_corruption_keeps_the_grid_and_is_the_same_every_time(name: str, volume: Volume) -> None:
    worse = corrupt(volume, name, "case")
    assert worse.data.shape == volume.data.shape
    assert np.array_equal(worse.affine, volume.affine)
    assert np.isfinite(worse.data).all()
    assert not np.array_equal(worse.data, volume.data)
    assert np.array_equal(worse.data, corrupt(volume, name, "case").data)


@pytest.mark.parametrize("kind", sorted({name.rpartition("-")[0] for name in NAMES}))
@pytest.mark.parametrize("case", ["a", "b", "c"])
def test_strong_is_worse_than_mild(kind: str, case: str) -> None:
    volume = ball()
    mild, strong = (
        np.abs(corrupt(volume, f"{kind}-{level}", case).data - volume.data).mean()
        for level in ("mild", "strong")
    )
    assert 0 < mild < strong


def test_none_gives_the_very_volume_back() -> None:
    volume = ball()
    assert corrupt(volume, "none", "case") is volume


def test_an_unknown_corruption_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="noise-mild"):
        corrupt(ball(), "noise-mlid", "case")


def test_noise_draws_anew_for_each_case_and_channel() -> None:
    volume = ball(channels=2)
    first, other = corrupt(volume, "noise-mild", "a"), corrupt(volume, "noise-mild", "b")
    assert not np.array_equal(first.data, other.data)
    drawn = first.data - volume.data
    assert abs(np.corrcoef(drawn[0].ravel(), drawn[1].ravel())[0, 1]) < 0.1


def test_a_bias_field_lights_all_channels_alike() -> None:
    volume = ball(channels=2)
    volume = Volume(np.stack([volume.data[0], volume.data[0]]), AFFINE)
    worse = corrupt(volume, "bias-field-strong", "a")
    assert np.array_equal(worse.data[0], worse.data[1])


def test_blur_is_equal_in_mm_along_every_axis() -> None:
    """A bright voxel spreads over as many mm along the coarse axis as along the fine one."""
    data = np.zeros((41, 41, 41), np.float32)
    data[20, 20, 20] = 1
    worse = corrupt(Volume(data, np.diag([1.0, 1.0, 2.0, 1.0])), "blur-strong", "a").data
    spread = [
        np.sqrt((worse.sum(tuple({0, 1, 2} - {axis})) * (mm * (np.arange(41) - 20)) ** 2).sum())
        for axis, mm in enumerate((1.0, 1.0, 2.0))
    ]
    assert spread == pytest.approx([2.0, 2.0, 2.0], rel=0.05)


def test_low_resolution_blurs_the_coarsest_axis_alone() -> None:
    volume = ball()
    ramp = Volume(np.broadcast_to(np.arange(24.0)[:, None, None], (24, 22, 12)).astype(np.float32), AFFINE)
    assert np.allclose(corrupt(ramp, "low-resolution-strong", "a").data, ramp.data)
    worse = corrupt(volume, "low-resolution-strong", "a").data
    assert np.abs(np.diff(worse, axis=2)).max() < np.abs(np.diff(volume.data.astype(float), axis=2)).max()
