from __future__ import annotations

import dataclasses
import importlib
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_effseg.errors import VolumeError
from napari_effseg.volume import (
    Grid,
    LazyView,
    RowReader,
    Volume,
    blocks_of,
    crop,
    grid_with_spacing,
    is_lazy,
    pad,
    reorient,
    resample,
    stack_channels,
    view_of,
)
from tests.recording import Recording

from .conftest import ALL_AXCODES

SHAPE = (7, 9, 8)
VALUES = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


@st.composite
def indices(draw, shape):
    """Whole numbers and slices of either direction, for some of the axes."""
    parts = []
    for side in shape[: draw(st.integers(0, len(shape)))]:
        ends = st.one_of(st.none(), st.integers(-side - 2, side + 2))
        step = draw(st.sampled_from([None, 1, -1, 2, -3]))
        part = st.builds(slice, ends, ends, st.just(step))
        parts.append(draw(st.one_of(st.integers(-side, side - 1), part) if side else part))
    return tuple(parts)


@given(data=st.data())
def test_a_view_is_indexed_like_numpy(data):
    array, view = VALUES, LazyView(VALUES)
    for _ in range(3):
        order = data.draw(st.permutations(range(array.ndim)))
        key = data.draw(indices(tuple(array.shape[axis] for axis in order)))
        if data.draw(st.booleans()):
            key = (*key, ...)
        array, view = np.asarray(array.transpose(order)[key]), view.transpose(*order)[key]
        assert view.shape == array.shape
        np.testing.assert_array_equal(np.asarray(view), array)


@given(data=st.data())
def test_an_array_is_only_asked_for_what_zarr_can_do(data):
    source = Recording(VALUES)
    view = LazyView(source).transpose(2, 0, 1)[::-1, 1:, ::-2]
    key = data.draw(indices(view.shape))
    expected = VALUES.transpose(2, 0, 1)[::-1, 1:, ::-2][key]
    np.testing.assert_array_equal(np.asarray(view[key]), expected)
    assert sum(source.reads) == expected.nbytes


def test_added_axes_have_one_voxel():
    view = LazyView(VALUES)[None, ..., None]
    assert view.shape == (1, *SHAPE, 1)
    np.testing.assert_array_equal(np.asarray(view[0, :, ::-1, :, -1]), VALUES[:, ::-1])
    with pytest.raises(IndexError, match="one voxel"):
        view[1:]


@pytest.mark.parametrize("key", [VALUES > 0, [1, 2], (0, 0, 0, 0), 7, 1.5], ids=lambda key: str(type(key)))
def test_what_would_read_too_much_or_nothing_is_refused(key):
    with pytest.raises(IndexError):
        LazyView(Recording(VALUES))[key]


def test_voxels_come_in_the_byte_order_of_the_machine():
    assert np.asarray(LazyView(VALUES.astype(">f4"))).dtype.isnative


def test_a_view_can_be_read_as_another_type():
    assert np.asarray(LazyView(VALUES), dtype=np.float64).dtype == np.float64
    assert not is_lazy(VALUES)
    assert is_lazy(LazyView(VALUES))


def test_an_array_that_gives_another_shape_is_noticed():
    class Wrong(Recording):
        def __getitem__(self, key):
            return super().__getitem__(key)[:1]

    with pytest.raises(VolumeError, match="was asked for"):
        np.asarray(LazyView(Wrong(VALUES))[1:3])


def test_an_array_that_gives_fractions_for_its_integers_is_noticed():
    source = Recording(VALUES)
    source.dtype = np.dtype(np.int16)  # as a file's reader says that scales what it reads
    with pytest.raises(VolumeError, match="says it holds int16 gave float32"):
        np.asarray(LazyView(source)[1:3])


@given(
    order=st.permutations(range(3)),
    flips=st.tuples(*[st.booleans()] * 3),
    low=st.tuples(*[st.integers(0, 3)] * 3),
    chunks=st.tuples(*[st.integers(1, 12)] * 3),
    voxels=st.sampled_from([1, 20, 150, 10**6]),
)
def test_blocks_cover_an_array_once_along_its_chunks(order, flips, low, chunks, voxels):
    view = LazyView(Recording(VALUES, chunks))[tuple(slice(start, None) for start in low)]
    view = view.transpose(*order)[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    numbers = np.arange(VALUES.size).reshape(SHAPE)[tuple(slice(start, None) for start in low)]
    numbers = numbers.transpose(order)[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    chunk_of = sum(
        (axis // side) * 1000**place
        for place, (axis, side) in enumerate(zip(np.indices(SHAPE), chunks, strict=True))
    ).ravel()
    found, owners = [], {}
    for index, block in enumerate(blocks_of(view, voxels)):
        part = numbers[block].ravel()
        found.extend(part.tolist())
        for chunk in np.unique(chunk_of[part]):
            owners.setdefault(chunk, set()).add(index)
    assert sorted(found) == sorted(numbers.ravel().tolist())
    assert all(len(blocks) == 1 for blocks in owners.values())


def test_blocks_of_an_array_without_chunks_are_rows():
    assert [block[0] for block in blocks_of(VALUES, 150)] == [
        slice(0, 2),
        slice(2, 4),
        slice(4, 6),
        slice(6, 7),
    ]


def test_rows_are_read_a_chunk_at_a_time():
    source = Recording(VALUES, chunks=(3, 9, 8))
    reader = RowReader(LazyView(source)[1:])
    rows = [reader.read(row, row + 1)[0] for row in range(6)]
    np.testing.assert_array_equal(rows, VALUES[1:])
    assert len(source.reads) == 3
    assert source.counts.max() == 1


def test_rows_that_overlap_are_read_once():
    source = Recording(VALUES, chunks=(2, 9, 8))
    reader = RowReader(LazyView(source))
    for start, stop in ((0, 3), (1, 4), (3, 6), (4, 7)):
        np.testing.assert_array_equal(reader.read(start, stop), VALUES[start:stop])
    assert source.counts.max() == 1


def test_rows_are_not_read_ahead_beyond_the_limit():
    source = Recording(VALUES, chunks=(6, 9, 8))
    RowReader(LazyView(source), most_bytes=2 * VALUES[0].nbytes).read(0, 1)
    assert source.reads == [2 * VALUES[0].nbytes]


# --- volumes ---


@pytest.fixture
def lazy(affine) -> tuple[Recording, Volume]:
    source = Recording(VALUES, chunks=(4, 4, 4))
    return source, Volume(source, affine)


@pytest.fixture
def in_memory(affine) -> Volume:
    return Volume(VALUES, affine)


def test_a_volume_keeps_a_lazy_array_as_it_is(lazy):
    source, volume = lazy
    assert volume.data is source
    assert volume.shape == SHAPE
    assert dataclasses.replace(volume, affine=np.eye(4)).data is source
    assert not source.reads


def test_a_volume_refuses_a_lazy_array_of_other_axes_or_types(affine):
    with pytest.raises(VolumeError, match="expected"):
        Volume(Recording(VALUES[0]), affine)
    with pytest.raises(VolumeError, match="real numbers"):
        Volume(Recording(VALUES.astype(complex)), affine)


def test_a_pyramid_is_refused_not_read_at_its_coarsest(affine):
    class Levels(list):
        shape, ndim, dtype = SHAPE, 3, VALUES.dtype

    with pytest.raises(VolumeError, match=r"data\[0\]"):
        Volume(Levels([VALUES, VALUES[::2]]), affine)


@pytest.mark.parametrize("axcodes", ALL_AXCODES)
def test_a_reoriented_lazy_volume_reads_what_numpy_shows(axcodes, lazy, in_memory):
    source, volume = lazy
    turned, expected = reorient(volume, axcodes), reorient(in_memory, axcodes)
    assert not source.reads
    np.testing.assert_array_equal(turned.affine, expected.affine)
    np.testing.assert_array_equal(np.asarray(turned.data[1:3]), expected.data[1:3])


def test_a_cropped_lazy_volume_reads_its_box(lazy, in_memory):
    source, volume = lazy
    box = ((2, 0, 3), (5, 4, 8))
    cut = crop(reorient(reorient(volume, "SAR"), volume.axcodes), box)
    assert not source.reads
    np.testing.assert_array_equal(np.asarray(cut.data), crop(in_memory, box).data)
    assert source.touched == ((2, 5), (0, 4), (3, 8))


def test_a_padded_lazy_volume_is_read_block_by_block(lazy, in_memory):
    source, volume = lazy
    wide = pad(volume, (1, 2, 0), (0, 3, 1), value=-7)
    np.testing.assert_array_equal(wide.data, pad(in_memory, (1, 2, 0), (0, 3, 1), value=-7).data)
    assert source.counts.max() == 1


def turned(grid: Grid) -> Grid:
    turn = np.array([[0.8, -0.6, 0, 0], [0.6, 0.8, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    centre = np.eye(4)
    centre[:3, 3] = grid.corners_ras.mean(axis=0)
    return Grid(grid.shape, centre @ turn @ np.linalg.inv(centre) @ grid.affine)


@pytest.fixture(params=itertools.product(["aligned", "turned"], [0.6, 2.5]), ids=lambda case: f"{case}")
def target(request, in_memory) -> Grid:
    kind, scale = request.param
    grid = grid_with_spacing(in_memory.grid, scale * np.asarray(in_memory.spacing))
    return grid if kind == "aligned" else turned(grid)


def test_a_resampled_lazy_volume_is_that_of_the_array_in_memory(lazy, in_memory, target, monkeypatch):
    for name, constant, voxels in (("_oblique", "_BLOCK_VOXELS", 2500), ("resample", "_SLAB_VOXELS", 100)):
        module = importlib.import_module(f"napari_effseg.volume.{name}")
        monkeypatch.setattr(module, constant, voxels)  # several blocks and slabs
    _, volume = lazy
    expected = resample(in_memory, target).data
    np.testing.assert_allclose(resample(volume, target).data, expected, atol=1e-6)


def test_resampling_onto_a_small_grid_reads_its_surroundings(affine):
    values = np.random.default_rng(1).normal(size=(40, 50, 30)).astype(np.float32)
    source = Recording(values, chunks=(8, 8, 8))
    volume = Volume(source, affine)
    region = crop(volume, ((12, 20, 8), (18, 26, 14))).grid
    for grid in (grid_with_spacing(region, 0.5 * np.asarray(region.spacing)), turned(region)):
        source.counts[...] = 0
        found = resample(volume, grid).data
        np.testing.assert_allclose(found, resample(Volume(values, affine), grid).data, atol=1e-6)
        low, high = np.asarray(source.touched).T
        assert (low >= np.array([12, 20, 8]) - 8).all()
        assert (high <= np.array([18, 26, 14]) + 8).all()


# --- channels ---


def test_channels_are_views_and_nothing_is_read(affine):
    source = Recording(np.stack([VALUES, -VALUES]))
    _, second = Volume(source, affine, channel_names=("t1", "t2")).each_channel()
    assert not source.reads
    np.testing.assert_array_equal(np.asarray(second), -VALUES)


def test_lazy_channels_are_stacked_without_reading_them():
    source = Recording(VALUES)
    both = stack_channels([source, VALUES.astype(np.float64), np.stack([VALUES, VALUES])])
    assert (both.shape, both.dtype) == ((4, *SHAPE), np.float64)
    assert not source.reads
    np.testing.assert_array_equal(np.asarray(view_of(both)[:2, ::-1, 3]), [VALUES[::-1, 3]] * 2)
    np.testing.assert_array_equal(np.asarray(view_of(both)[3, 2:5]), VALUES[2:5])


def test_channels_in_memory_are_stacked_in_memory():
    assert isinstance(stack_channels([VALUES, VALUES]), np.ndarray)


def test_channels_of_other_shapes_are_refused():
    with pytest.raises(VolumeError, match="one \\(I, J, K\\)"):
        stack_channels([VALUES, VALUES[1:]])
