from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_effseg.errors import VolumeError
from napari_effseg.volume import Code, LabelMap, Volume, find_window


def test_a_volume_keeps_dtype_and_memory(affine):
    data = np.zeros((3, 4, 5), dtype=np.int16)
    volume = Volume(data, affine)
    assert volume.data.dtype == np.int16
    assert np.shares_memory(volume.data, data)


def test_channels_come_first(affine):
    volume = Volume(np.zeros((2, 3, 4, 5)), affine, channel_names=("t1", "t2"))
    assert (volume.channels, volume.shape) == (2, (3, 4, 5))


def test_foreign_byte_order_becomes_native(affine):
    data = np.arange(60, dtype=">i2").reshape(3, 4, 5)
    volume = Volume(data, affine)
    assert volume.data.dtype.isnative
    np.testing.assert_array_equal(volume.data, data)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 0), (1, 2, 3, 4, 5)])
def test_arrays_of_another_shape_are_refused(affine, shape):
    with pytest.raises(VolumeError, match="expected"):
        Volume(np.zeros(shape), affine)


@pytest.mark.parametrize("dtype", [np.complex64, object, "U3"])
def test_voxels_that_are_no_real_numbers_are_refused(affine, dtype):
    with pytest.raises(VolumeError, match="real numbers"):
        Volume(np.zeros((2, 2, 2), dtype=dtype), affine)


def test_as_many_channel_names_as_channels(affine):
    with pytest.raises(VolumeError, match="2 channel names"):
        Volume(np.zeros((3, 4, 5)), affine, channel_names=("a", "b"))


def test_flatness_is_seen(affine):
    assert Volume(np.zeros((3, 1, 5)), affine).is_flat
    assert not Volume(np.zeros((3, 2, 5)), affine).is_flat


def test_labels_are_integers(affine):
    with pytest.raises(VolumeError, match="integers"):
        LabelMap(np.zeros((2, 2, 2)), affine)
    assert LabelMap(np.ones((2, 2, 2), dtype=bool), affine).data.dtype == np.uint8


@pytest.mark.parametrize(
    "tables",
    [
        {"names": {0: "background"}},
        {"names": {1: ""}},
        {"names": {1: "two\nlines"}},
        {"names": {"1": "a"}},
        {"colours": {1: (0, 0, 256)}},
        {"colours": {1: (0, 0)}},
    ],
)
def test_tables_with_wrong_keys_or_values_are_refused(affine, tables):
    with pytest.raises(VolumeError):
        LabelMap(np.zeros((2, 2, 2), dtype=np.uint8), affine, **tables)


def test_no_tables_is_empty_tables(affine):
    labels = LabelMap(np.zeros((2, 2, 2), dtype=np.uint8), affine, None, None, None)
    assert (labels.names, labels.colours, labels.codes) == ({}, {}, {})


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64])
def test_volumes_count_voxels_in_ml(labels, order, dtype):
    same = LabelMap(labels.data.astype(dtype, order=order), labels.affine, {**labels.names, 7: "absent"})
    voxel_ml = 0.8 * 1.3 * 3.1 / 1000
    assert same.counts() == {1: 18, 2: 36}
    assert same.volumes_ml() == pytest.approx({1: 18 * voxel_ml, 2: 36 * voxel_ml, 7: 0.0})


@pytest.mark.parametrize("parts", [("SCT", "1", ""), ("SCT", "1^2", "a"), ("SCT", "1", "a", "both")])
def test_codes_that_no_file_could_hold_are_refused(parts):
    with pytest.raises(VolumeError):
        Code(*parts)


def test_a_window_scales_its_range_to_one():
    lung = find_window("lung")
    scaled = lung.apply(np.array([-3000, lung.lower, lung.level, lung.upper, 3000]))
    np.testing.assert_allclose(scaled, [0, 0, 0.5, 1, 1])
    assert scaled.dtype == np.float32


def test_an_unknown_window_suggests_the_nearest():
    with pytest.raises(VolumeError, match="Did you mean lung"):
        find_window("lungs")


def test_the_window_of_a_file_goes_along_when_a_volume_is_changed():
    volume = Volume(np.zeros((2, 3, 4)), np.eye(4), window=(40, 400))
    assert dataclasses.replace(volume, modality="CT").window == (40.0, 400.0)
    assert Volume(np.zeros((2, 3, 4)), np.eye(4)).window is None


@pytest.mark.parametrize("window", [(40, 0), (float("nan"), 400), (40, float("inf"))])
def test_a_window_without_a_range_is_refused(window):
    with pytest.raises(VolumeError, match="window"):
        Volume(np.zeros((2, 3, 4)), np.eye(4), window=window)
