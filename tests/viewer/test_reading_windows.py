"""Which windows are offered for which image, and the range of its values in bounded reading."""

from __future__ import annotations

import numpy as np
import pytest

from napari_effseg.errors import VolumeError
from napari_effseg.viewer.display_window import ImageFacts, WindowKind, window_choices
from napari_effseg.viewer.intensity_range import MOST_CHUNKS, intensity_range, quick_extremes
from napari_effseg.volume import WINDOWS, IntensityWindow

HEADER = IntensityWindow(40, 350)


def presets(facts):
    return [choice for choice in window_choices(facts) if choice.kind is WindowKind.PRESET]


def choice_of(facts, kind):
    return next(choice for choice in window_choices(facts) if choice.kind is kind)


def test_every_named_window_is_offered_with_its_limits():
    offered = {choice.name: choice.window for choice in presets(ImageFacts(modality="CT"))}
    assert offered == {f"CT {name}": window for name, window in WINDOWS.items()}


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (ImageFacts(modality="CT"), ""),
        (ImageFacts(extremes=(-1024, 1500)), ""),
        (ImageFacts(modality="MR", extremes=(-1024, 1500)), "this is MR"),
        (ImageFacts(extremes=(0, 255)), "values from 0 to 255 do not look like it"),
        (ImageFacts(), "does not say that this is CT"),
        (ImageFacts(kind="colour"), "colour picture"),
        (ImageFacts(kind="labels"), "Labels have colours"),
    ],
)
def test_ct_windows_are_for_ct_alone_and_say_why_else(facts, reason):
    for choice in presets(facts):
        assert reason in choice.reason
        assert bool(choice.reason) == bool(reason)


def test_the_window_of_the_file_is_offered_where_the_file_has_one():
    assert choice_of(ImageFacts(header=HEADER), WindowKind.HEADER).window == HEADER
    assert choice_of(ImageFacts(header=HEADER), WindowKind.HEADER).reason == ""
    assert "asks for no window" in choice_of(ImageFacts(), WindowKind.HEADER).reason


def test_full_range_and_auto_are_for_any_grey_image():
    for kind in (WindowKind.AUTO, WindowKind.FULL):
        assert choice_of(ImageFacts(modality="MR"), kind).reason == ""
        assert choice_of(ImageFacts(kind="colour"), kind).reason != ""


class Counting:
    """An array in chunks that counts what is read of it."""

    def __init__(self, data, chunks):
        self.data, self.chunks = data, chunks
        self.shape, self.ndim, self.dtype, self.voxels = data.shape, data.ndim, data.dtype, 0

    def __getitem__(self, key):
        part = self.data[key]
        self.voxels += part.size
        return part


def test_the_range_of_an_array_in_memory_is_exact_and_leaves_out_what_is_not_finite():
    data = np.random.default_rng(3).normal(size=(30, 20, 10)).astype(np.float32)
    data[4, 5, 6], data[7, 8, 9] = np.nan, np.inf
    finite = data[np.isfinite(data)]
    found = intensity_range(data[::-1].transpose(2, 0, 1))
    assert (found.low, found.high, found.share) == (finite.min(), finite.max(), 1)
    np.testing.assert_allclose((found.auto_low, found.auto_high), np.percentile(finite, (1, 99)))


def test_a_lazy_array_is_read_in_a_few_chunks():
    data = np.random.default_rng(3).integers(-50, 900, size=(64, 64, 32), dtype=np.int16)
    lazy = Counting(data, (8, 8, 8))
    found = intensity_range(lazy)
    assert lazy.voxels == MOST_CHUNKS * 8**3
    assert found.share == lazy.voxels / data.size
    assert -50 <= found.low <= found.auto_low < found.auto_high <= found.high < 900
    assert quick_extremes(lazy) is None


def test_a_dask_array_of_few_chunks_is_read_whole():
    dask = pytest.importorskip("dask.array", reason="needs the extra [dask]")
    data = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    found = intensity_range(dask.from_array(data, chunks=(2, 5, 6)))
    assert (found.low, found.high, found.share) == (0, 119, 1)


def test_looking_stops_when_asked():
    lazy = Counting(np.ones((32, 8, 8)), (4, 8, 8))
    assert intensity_range(lazy, cancel=lambda: True).share == 1 / 8


def test_an_image_without_any_finite_value_is_refused():
    with pytest.raises(VolumeError, match="no finite value"):
        intensity_range(np.full((3, 4, 5), np.nan))
    assert quick_extremes(np.full((3, 4, 5), np.nan)) is None


def test_the_quick_look_is_near_the_truth():
    data = np.linspace(-1000, 3000, 120**3).reshape(120, 120, 120)
    for array in (data, data.transpose(2, 0, 1), data[:, ::-1]):
        low, high = quick_extremes(array)
        assert -1000 <= low < -800
        assert 2800 < high <= 3000
