"""The engine on arrays that are read when they are needed: the same result, of bounded reads."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_effseg import zoo
from napari_effseg.engine import fits, intensity, plan_segmentation, preprocess, segment_with, zeros
from napari_effseg.engine.intensity import statistics_of
from napari_effseg.engine.percentiles import percentiles_of
from napari_effseg.volume import LazyView, Volume, reorient, stack_channels
from tests.recording import Recording

from .builders import OBLIQUE, Context, Levels, card_for, noise_volume

SHAPE = (40, 36, 30)
CHUNKS = (8, 12, 10)
ZSCORE = zoo.IntensityRule("zscore")
CLIPPED = zoo.IntensityRule("clip_zscore", percentiles=(0.5, 99.5))
REGION = zoo.FieldOfView((0.0, 0.0, 0.0), (40.0, 40.0, 60.0), "region")
BOX = ((22, 4, 12), (30, 12, 20))
BYTES = 2 * math.prod(SHAPE)


def lazy_volume(values=None, chunks=CHUNKS, most_bytes=BYTES // 2):
    values = noise_volume(SHAPE).data if values is None else values
    source = Recording(values, chunks, most_bytes)
    return source, Volume(source, OBLIQUE)


def in_memory(volume):
    return dataclasses.replace(volume, data=volume.data._values)


def same(result, other):
    return np.array_equal(result.labels.data, other.labels.data) and np.array_equal(result.doubt, other.doubt)


@pytest.fixture
def small_pieces(monkeypatch):
    """What is read at once is made small, so that these images are large."""
    monkeypatch.setattr(intensity, "CHUNK_VOXELS", 4000)
    monkeypatch.setattr(preprocess, "_AHEAD_BYTES", BYTES // 4)


# What is read


@pytest.mark.parametrize("spacing", [None, (1.5, 1.1, 2.5)], ids=["as stored", "resampled"])
@pytest.mark.parametrize("rule", ["none", "zscore", "clip_zscore"])
def test_with_a_region_no_more_is_read_than_the_region_and_half_a_window_around_it(spacing, rule):
    percentiles = CLIPPED.percentiles if rule == "clip_zscore" else None
    intensity = zoo.IntensityRule(rule, percentiles=percentiles)
    card = card_for(intensity=intensity, spacing=spacing, field_of_view=REGION)
    source, volume = lazy_volume()
    found = segment_with(Context(), volume, card, roi=BOX)
    assert same(found, segment_with(Context(), in_memory(volume), card, roi=BOX))
    margins = np.array([9, 8, 10])  # half a window of 12 x 8 x 16, of 1.5 x 1.1 x 2.5 mm
    low, high = np.asarray(source.touched).T
    assert (low >= np.maximum(np.array(BOX[0]) - margins, 0)).all()
    assert (high <= np.minimum(np.array(BOX[1]) + margins, SHAPE)).all()


def test_a_rule_of_fixed_numbers_reads_nothing_beyond_the_region_of_a_card_for_whole_images():
    rule = zoo.IntensityRule("fixed_zscore", lower=-1000.0, upper=1000.0, mean=0.0, std=400.0)
    source, volume = lazy_volume()
    segment_with(Context(), volume, card_for(intensity=rule), roi=BOX)
    assert np.count_nonzero(source.counts) < source.counts.size / 3


@pytest.mark.parametrize("axcodes", ["RAS", "ILP", "PSL"])
@pytest.mark.parametrize(
    ("rule", "times"), [(zoo.IntensityRule("none"), 2), (ZSCORE, 2), (CLIPPED, 4)], ids=lambda x: str(x)[:20]
)
def test_a_whole_image_is_read_a_few_times_and_never_at_once(rule, times, axcodes, small_pieces):
    source, volume = lazy_volume(most_bytes=BYTES // 2)
    stored = reorient(volume, axcodes)
    found = segment_with(Levels(), stored, card_for(intensity=rule))
    assert source.counts.min() >= 1
    assert source.counts.max() <= times
    assert same(found, segment_with(Levels(), reorient(in_memory(volume), axcodes), card_for(intensity=rule)))


def test_an_image_that_is_resampled_is_read_with_little_overlap(small_pieces):
    source, volume = lazy_volume(most_bytes=BYTES - 1)
    card = card_for(spacing=(1.4, 1.1, 2.6))
    found = segment_with(Context(), volume, card)
    assert same(found, segment_with(Context(), in_memory(volume), card))
    assert source.counts.max() <= 3


def test_slices_are_read_a_chunk_at_a_time(small_pieces):
    source, volume = lazy_volume()
    card = card_for(2, intensity=ZSCORE)
    found = segment_with(Context(2), volume, card)
    assert same(found, segment_with(Context(2), in_memory(volume), card))
    assert source.counts.max() <= 2
    assert len(source.reads) < 40


def test_nothing_is_read_to_plan_or_to_see_what_fits():
    source, volume = lazy_volume()
    colours = Volume(Recording(np.stack([noise_volume(SHAPE).data] * 3)), OBLIQUE)
    for given_volume in (volume, colours):
        plan_segmentation(given_volume, card_for(), device="cpu")
        assert fits(card_for(), given_volume)
    assert not source.reads
    assert not colours.data.reads


def test_a_colour_image_is_turned_to_grey_as_it_is_read():
    values = np.stack([noise_volume(SHAPE, seed).data for seed in range(3)])
    source = Recording(values, (1, *CHUNKS), most_bytes=BYTES // 2)
    found = segment_with(Levels(), Volume(source, OBLIQUE), card_for(), roi=BOX)
    assert same(found, segment_with(Levels(), Volume(values, OBLIQUE), card_for(), roi=BOX))
    assert source.counts.max() <= 2


def test_channels_may_be_lazy_or_not():
    first, second = noise_volume(SHAPE, 1).data, noise_volume(SHAPE, 2).data
    card = card_for(channels=("t1", "t2"), modality=("MR",), intensity=ZSCORE, constructor={"in_channels": 2})
    mixed = Volume(stack_channels([Recording(first, CHUNKS), second]), OBLIQUE)
    wanted = Volume(np.stack([first, second]), OBLIQUE)
    network = Context(channels=2)
    assert same(segment_with(network, mixed, card), segment_with(network, wanted, card))


# Statistics


@given(
    values=st.sampled_from([np.int16, np.uint8, np.float32, np.float64]).map(
        lambda kind: np.random.default_rng(1).normal(60, 20, (17, 13, 11)).astype(kind)
    ),
    chunks=st.tuples(*[st.integers(1, 20)] * 3),
    rule=st.sampled_from([ZSCORE, CLIPPED]),
)
def test_statistics_read_by_chunks_are_those_of_the_array_in_memory(values, chunks, rule):
    found, wanted = statistics_of(Recording(values, chunks), rule), statistics_of(values, rule)
    for field in ("minimum", "maximum", "low", "high", "not_finite"):
        assert getattr(found, field) == getattr(wanted, field)
    assert found.mean == pytest.approx(wanted.mean, abs=1e-10)
    assert found.std == pytest.approx(wanted.std, abs=1e-10)


@pytest.mark.parametrize(
    "dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"], ids=np.dtype
)
def test_percentiles_are_those_of_numpy(dtype):
    random, dtype = np.random.default_rng(3), np.dtype(dtype)
    scale = 30 if dtype.itemsize == 1 else 3000
    values = random.normal(2 * scale, scale / 2, 4001).astype(dtype)
    if dtype.kind != "u":
        values[::2] *= -1
    wanted = np.percentile(values, (0, 0.5, 37.3, 99.5, 100))
    found = percentiles_of(lambda: np.array_split(values, 7), dtype, values.size, (0, 0.5, 37.3, 99.5, 100))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_small_numbers_of_a_wide_type_are_not_mixed_up():
    values = np.array([3, 70_000, 5, 140_000, 1], np.int64)
    assert percentiles_of(lambda: [values], values.dtype, 5, (0, 50, 100)) == (1, 5, 140_000)


# Results that are larger than memory


@pytest.fixture
def little_memory(monkeypatch):
    class Free:
        available = 100

    monkeypatch.setattr(zeros.psutil, "virtual_memory", Free)


def test_a_result_that_memory_does_not_hold_lies_in_a_file(little_memory):
    volume = noise_volume(SHAPE)
    found = segment_with(Levels(), volume, card_for())
    assert isinstance(found.doubt.base, np.memmap)
    assert np.array_equal(found.labels.data == 1, volume.data > 200)


def test_what_the_disk_does_not_hold_is_a_memory_error(little_memory, monkeypatch):
    monkeypatch.setattr(zeros.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 10})())
    with pytest.raises(MemoryError, match="neither memory nor"):
        zeros.zeros((20, 20, 20), np.float32, 8000)


def test_address_space_that_is_refused_is_taken_from_a_file(monkeypatch):
    def refuse(*arguments):
        raise MemoryError

    monkeypatch.setattr(zeros.np, "zeros", refuse)
    array = zeros.zeros((20, 20, 20), np.float32, 8000)
    monkeypatch.undo()
    assert not array.any()
    array[3] = 7
    assert array.sum() == 7 * 400


@pytest.mark.parametrize("shape", [(10**6, 10**6, 10**6), (10**9, 10**9, 10**9)])
@pytest.mark.parametrize("written", [10, 10**18])
def test_what_no_machine_holds_is_a_memory_error(shape, written):
    with pytest.raises(MemoryError):
        zeros.zeros(shape, np.float32, written)


def test_a_region_of_a_large_result_is_written_in_place():
    array = zeros.zeros((300, 200, 100), np.float32, 1000)
    array[100:110, 50:60, 30:40] = 1
    assert array.flags.writeable
    assert array.sum() == 1000


def test_the_region_s_size_is_planned_not_the_image_s():
    class Huge:
        shape, ndim, dtype = (40_000, 40_000, 40_000), 3, np.dtype(np.uint16)

        def __getitem__(self, key):
            raise AssertionError("read")

    volume = Volume(LazyView(Huge()), np.diag([0.01, 0.01, 0.01, 1.0]))
    roi = ((5, 5, 5), (30, 30, 30))
    plan = plan_segmentation(volume, card_for(), device="cpu", roi=roi)
    assert plan.peak_memory_bytes - plan.device.process_bytes < 1e9
