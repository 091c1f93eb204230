import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_effseg.engine.tiling import Tiling, window_starts
from napari_effseg.engine.windows import blend, window_weights

SIDES = st.tuples(st.integers(1, 14), st.integers(1, 11), st.integers(1, 9))
WINDOWS = st.tuples(st.integers(1, 8), st.integers(1, 6), st.integers(1, 7))


def blended(image, tiling, predict=lambda windows: windows, **options):
    found = list(blend(lambda start, stop: image[:, start:stop], predict, tiling, **options))
    starts = [rows.start for rows in found]
    assert starts == sorted(set(starts))
    return torch.cat([rows.values for rows in found], dim=1)


def position_code(shape):
    """Channel c holds the index along axis c, so that a misplaced window shows."""
    return torch.from_numpy(np.stack(np.indices(shape)).astype(np.float32))


@given(length=st.integers(1, 300), size=st.integers(1, 300), overlap=st.floats(0, 0.95))
def test_windows_cover_an_axis_and_share_at_least_the_overlap(length, size, overlap):
    size = min(size, length)
    starts = window_starts(length, size, overlap)
    assert starts[0] == 0
    assert starts[-1] == length - size
    assert all(0 < b - a <= max(size * (1 - overlap) + 1, 1) for a, b in itertools.pairwise(starts))


def test_a_window_larger_than_its_axis_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        window_starts(5, 6, 0.5)


@pytest.mark.parametrize("overlap", [-0.1, 1.0])
def test_an_overlap_that_is_no_fraction_is_refused(overlap):
    with pytest.raises(ValueError, match="fraction"):
        window_starts(10, 5, overlap)


@pytest.mark.parametrize("size", [(1, 1, 1), (4, 7, 10), (1, 32, 16), (96, 2, 3)])
def test_weights_are_positive_symmetric_and_at_most_one(size):
    weights = window_weights(size)
    assert weights.shape == size
    assert weights.min() > 0
    assert weights.max() == 1
    assert torch.equal(weights, weights.flip(0, 1, 2))


@pytest.mark.parametrize(("size", "sigma"), [((0, 1, 1), 0.1), ((1, 1, 1), 0.0), ((1, 1, 1), 1.5)])
def test_impossible_weights_are_refused(size, sigma):
    with pytest.raises(ValueError, match=r"window|sigma"):
        window_weights(size, sigma)


@given(shape=SIDES, size=WINDOWS, overlap=st.floats(0, 0.8), batch=st.integers(1, 5))
def test_windows_of_a_position_code_give_it_back(shape, size, overlap, batch):
    image = position_code(shape)
    found = blended(image, Tiling.over(shape, size, overlap), batch=batch)
    torch.testing.assert_close(found, image, rtol=1e-5, atol=1e-4)


def test_windows_of_a_constant_give_the_constant():
    image = torch.full((2, 9, 13, 7), 3.25)
    found = blended(image, Tiling.over((9, 13, 7), (4, 6, 8), 0.5))
    torch.testing.assert_close(found, image)


def test_a_batch_equals_its_windows():
    image = torch.randn(1, 17, 9, 11, generator=torch.Generator().manual_seed(0))
    tiling = Tiling.over((17, 9, 11), (8, 4, 6), 0.5)
    assert torch.equal(blended(image, tiling), blended(image, tiling, batch=7))


def test_the_network_never_gets_more_windows_than_the_batch():
    sizes = []

    def predict(windows):
        sizes.append(len(windows))
        return windows

    blended(torch.zeros(1, 6, 9, 11), Tiling.over((6, 9, 11), (1, 4, 6), 0.5), predict, batch=5)
    assert max(sizes) <= 5


def test_each_row_is_read_once():
    image, read = torch.zeros(1, 30, 4, 4), []

    def rows(start, stop):
        read.extend(range(start, stop))
        return image[:, start:stop]

    list(blend(rows, lambda windows: windows, Tiling.over((30, 4, 4), (8, 4, 4), 0.6)))
    assert read == list(range(30))


def test_the_centre_of_a_window_outweighs_its_edge():
    image = torch.zeros(1, 12, 1, 1)
    numbers = iter(range(100))
    found = blended(image, Tiling.over((12, 1, 1), (8, 1, 1), 0.5), lambda w: w + next(numbers))
    assert found[0, :4].max() == 0
    assert 0 < found[0, 5, 0, 0] < 0.5 < found[0, 6, 0, 0] < 1


def test_padding_is_half_on_each_side_and_cut_off_again():
    seen = []

    def predict(windows):
        seen.append(windows.clone())
        return windows

    found = blended(torch.ones(1, 3, 5, 2), Tiling.over((3, 5, 2), (8, 5, 4), 0.5), predict)
    assert found.shape == (1, 3, 5, 2)
    assert seen[0][0, 0, :, 0, 1].tolist() == [0, 0, 1, 1, 1, 0, 0, 0]


def test_windows_are_counted_as_they_are_done():
    done = []
    tiling = Tiling.over((20, 9, 8), (8, 8, 8), 0.5)
    blended(torch.zeros(1, 20, 9, 8), tiling, after_windows=done.append)
    assert sum(done) == tiling.count == 8


def test_a_stop_between_windows_stops_at_once():
    seen = []

    def predict(windows):
        seen.append(windows)
        return windows

    def stop(count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        blended(
            torch.zeros(1, 20, 8, 8), Tiling.over((20, 8, 8), (8, 8, 8), 0.5), predict, after_windows=stop
        )
    assert len(seen) == 1


def test_only_a_band_of_rows_is_in_work():
    tiling = Tiling.over((512, 40, 30), (32, 32, 32), 0.5)
    assert tiling.band_rows(batch=4) == 32


def test_slices_are_grouped_to_fill_a_batch():
    tiling = Tiling.over((20, 16, 16), (1, 16, 16), 0.5)
    assert tiling.band_rows(batch=8) == 8
