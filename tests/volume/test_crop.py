from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_effseg.errors import VolumeError
from napari_effseg.volume import (
    LabelMap,
    Volume,
    box_shape,
    clip_box,
    crop,
    inner_box,
    pad,
    same_grid,
    transform_points,
    uncrop,
)

SHAPE = (7, 8, 9)


def _range(side):
    return st.tuples(st.integers(0, side - 1), st.integers(1, side)).filter(lambda ends: ends[0] < ends[1])


boxes = st.tuples(*(_range(side) for side in SHAPE)).map(lambda ends: tuple(zip(*ends, strict=True)))
widths = st.tuples(*[st.integers(0, 4)] * 3)


@given(boxes)
def test_uncrop_puts_the_voxels_back(box):
    data = np.arange(np.prod(SHAPE)).reshape(SHAPE) + 1
    inside = crop(LabelMap(data, np.eye(4)), box)
    full = uncrop(inside.data, box, SHAPE)
    np.testing.assert_array_equal(full[full > 0], inside.data.ravel())
    np.testing.assert_array_equal(full[full > 0], data[full > 0])


@given(widths, widths)
def test_cropping_undoes_padding(before, after):
    volume = Volume(np.random.default_rng(0).normal(size=(2, *SHAPE)), np.diag([2.0, -1, 0.5, 1]))
    padded = pad(volume, before, after, value=-1000)
    back = crop(padded, inner_box(before, volume.shape))
    np.testing.assert_array_equal(back.data, volume.data)
    assert same_grid(back.grid, volume.grid)


def test_a_crop_keeps_world_positions(volume):
    inside = crop(volume, ((1, 2, 3), (4, 5, 6)))
    np.testing.assert_allclose(inside.origin, transform_points(volume.affine, (1, 2, 3)))
    np.testing.assert_array_equal(inside.data, volume.data[1:4, 2:5, 3:6])


@pytest.mark.parametrize("box", [((0, 0, 0), (8, 9, 11)), ((-1, 0, 0), (3, 3, 3)), ((2, 2, 2), (2, 3, 3))])
def test_a_box_that_is_empty_or_leaves_the_image_is_refused(volume, box):
    with pytest.raises(VolumeError, match="axis"):
        crop(volume, box)


def test_clipping_cuts_a_box_to_the_image():
    assert clip_box(((-3, 2, 0), (4, 99, 9)), SHAPE) == ((0, 2, 0), (4, 8, 9))
    with pytest.raises(VolumeError, match="no voxel"):
        clip_box(((7, 0, 0), (9, 3, 3)), SHAPE)


def test_an_array_of_another_shape_than_its_box_is_refused():
    with pytest.raises(VolumeError, match="box of shape"):
        uncrop(np.zeros((2, 2, 2)), ((0, 0, 0), (2, 2, 3)), SHAPE)
    assert box_shape(((1, 2, 3), (2, 4, 6))) == (1, 2, 3)


def test_negative_padding_is_refused(volume):
    with pytest.raises(VolumeError, match="0 or more"):
        pad(volume, (0, -1, 0), (0, 0, 0))
