import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_effseg.engine import intensity
from napari_effseg.engine.intensity import apply_rule, finite_float32, pool, statistics_of
from napari_effseg.errors import VolumeError
from napari_effseg.zoo import IntensityRule

ZSCORE = IntensityRule("zscore")
CLIPPED = IntensityRule("clip_zscore", percentiles=(5.0, 95.0))
VALUES = arrays(np.float32, (5, 4, 3), elements=st.floats(-2000, 3000, width=32))


def normalised(values, rule):
    found = statistics_of(values, rule)
    return apply_rule(finite_float32(values, found.minimum), rule, found)


@given(values=VALUES)
def test_statistics_are_those_of_numpy(values):
    found = statistics_of(values, ZSCORE)
    assert (found.minimum, found.maximum) == (values.min(), values.max())
    assert found.mean == pytest.approx(values.mean(dtype=np.float64), abs=1e-6)
    assert found.std == pytest.approx(values.std(dtype=np.float64), rel=1e-6, abs=1e-6)


def test_statistics_do_not_depend_on_how_much_is_read_at_once(monkeypatch):
    values = np.random.default_rng(0).normal(1000, 5, (40, 7, 9))
    whole = statistics_of(values, ZSCORE)
    monkeypatch.setattr(intensity, "CHUNK_VOXELS", 100)
    parts = statistics_of(values, ZSCORE)
    assert parts.mean == pytest.approx(whole.mean, rel=1e-12)
    assert parts.std == pytest.approx(whole.std, rel=1e-12)


def test_a_zscore_has_mean_zero_and_spread_one():
    values = normalised(np.random.default_rng(0).gamma(2, 100, (20, 20, 20)), ZSCORE)
    assert values.mean() == pytest.approx(0, abs=1e-5)
    assert values.std() == pytest.approx(1, abs=1e-5)


def test_outliers_are_clipped_before_the_zscore():
    values = np.arange(1000.0).reshape(10, 10, 10)
    values[0, 0, 0] = 1e9
    found = normalised(values, CLIPPED)
    assert found.max() < 2
    assert found.std() == pytest.approx(1, abs=1e-5)


def test_a_fixed_zscore_is_that_of_the_card():
    rule = IntensityRule("fixed_zscore", lower=-100.0, upper=300.0, mean=50.0, std=25.0)
    found = normalised(np.array([[[-1000, 50, 75, 4000]]], np.int16), rule)
    assert found.ravel().tolist() == [-6, 0, 1, 10]


def test_scale_brings_the_range_to_zero_and_one():
    rule = IntensityRule("scale", lower=0.0, upper=200.0)
    assert normalised(np.array([[[-5, 0, 50, 300]]]), rule).ravel().tolist() == [0, 0, 0.25, 1]


def test_none_changes_nothing():
    values = np.array([[[-5.5, 0, 50, 300]]], np.float32)
    assert np.array_equal(normalised(values, IntensityRule("none")), values)


@pytest.mark.parametrize("rule", [ZSCORE, CLIPPED], ids=lambda rule: rule.rule)
def test_a_constant_becomes_zero(rule):
    assert not normalised(np.full((4, 4, 4), 7, np.uint16), rule).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_not_finite_become_the_lowest_finite_one(bad):
    values = np.arange(24.0).reshape(2, 3, 4) - 3
    values[1, 1, 1] = bad
    found = statistics_of(values, ZSCORE)
    filled = values.copy()
    filled[1, 1, 1] = -3
    assert found.not_finite == 1
    assert found.mean == pytest.approx(filled.mean())
    assert found.std == pytest.approx(filled.std())
    assert finite_float32(values, found.minimum)[1, 1, 1] == -3


def test_an_image_without_a_finite_voxel_is_refused():
    with pytest.raises(VolumeError, match="no finite voxel"):
        statistics_of(np.full((2, 2, 2), np.nan), ZSCORE)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.uint64, np.float16, ">i2", ">f8"])
def test_every_real_dtype_is_taken(dtype):
    values = np.arange(60).reshape(3, 4, 5).astype(dtype)
    assert statistics_of(values, CLIPPED).maximum == 59
    assert finite_float32(values, 0).dtype == np.float32


def test_a_turned_view_has_the_same_bits():
    values = np.random.default_rng(1).normal(size=(30, 20, 10)).astype(np.float32)
    stored = np.asfortranarray(values.transpose(2, 0, 1)[:, ::-1])
    assert statistics_of(stored[:, ::-1].transpose(1, 2, 0), CLIPPED) == statistics_of(values, CLIPPED)


def test_channels_pooled_are_as_one_image():
    values = np.random.default_rng(1).normal([[[[3]]], [[[9]]]], 2, size=(2, 9, 8, 7))
    both = pool([statistics_of(channel, ZSCORE) for channel in values])
    assert both.mean == pytest.approx(values.mean())
    assert both.std == pytest.approx(values.std())


def test_reading_can_be_stopped():
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        statistics_of(np.zeros((4, 4, 4)), ZSCORE, stop)
