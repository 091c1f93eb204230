"""Between an image and a place that is turned against it, and back."""

import numpy as np
import torch

from napari_effseg.engine.locate.pose import rotation
from napari_effseg.engine.locate.sampling import bring_back, sample
from napari_effseg.engine.windows import Rows
from napari_effseg.volume import Grid, LazyView, transform_points
from tests.engine.builders import OBLIQUE

IMAGE = Grid((40, 34, 22), OBLIQUE)


def place_in(image=IMAGE, sides=(14, 16, 12), spacing=1.5):
    """A turned grid in the middle of an image."""
    affine = np.eye(4)
    affine[:3, :3] = spacing * rotation(0.3, -0.4, 0.2)
    middle = transform_points(image.affine, (np.asarray(image.shape) - 1) / 2)
    affine[:3, 3] = middle - affine[:3, :3] @ ((np.asarray(sides) - 1) / 2)
    return Grid(sides, affine)


def wave(grid):
    """A smooth function of the world."""
    world = transform_points(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))
    return (50 + 20 * np.sin(world / 25.0).sum(axis=-1)).astype(np.float32)


def test_a_place_sees_what_lies_there():
    place = place_in()
    np.testing.assert_allclose(sample(wave(IMAGE), IMAGE, place), wave(place), atol=0.6)


def test_a_place_on_the_image_s_own_voxels_sees_them():
    affine = IMAGE.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ (5, 6, 4)
    values = np.random.default_rng(0).normal(0, 1, IMAGE.shape).astype(np.float32)
    found = sample(values, IMAGE, Grid((7, 8, 9), affine))
    np.testing.assert_allclose(found, values[5:12, 6:14, 4:13], atol=1e-3)


def test_voxels_that_are_not_finite_count_as_the_lowest():
    values = wave(IMAGE)
    values[19, 16, 10] = np.nan
    assert np.isfinite(sample(values, IMAGE, place_in())).all()


def test_only_a_box_around_the_place_is_read():
    class Counted:
        def __init__(self, array):
            self.array, self.shape, self.ndim, self.dtype = array, array.shape, array.ndim, array.dtype
            self.read = 0

        def __getitem__(self, key):
            part = self.array[key]
            self.read += part.size
            return part

    large = Grid((120, 120, 90), OBLIQUE)
    source = Counted(np.zeros(large.shape, np.int16))
    sample(LazyView(source), large, place_in(large))
    assert 0 < source.read < 0.1 * source.array.size


def rows_of(scores, size=5):
    return (Rows(at, torch.from_numpy(scores[:, at : at + size])) for at in range(0, scores.shape[1], size))


def test_scores_come_back_to_the_image_s_voxels():
    place = place_in()
    scores = np.stack([wave(place), -wave(place)])
    covered = np.zeros(IMAGE.shape, bool)
    for rows, inside in bring_back(rows_of(scores), place, IMAGE):
        where = slice(rows.start, rows.start + len(inside))
        covered[where] = inside
        wanted = wave(IMAGE)[where][inside]
        np.testing.assert_allclose(rows.values[0].numpy()[inside], wanted, atol=1.5)
    to_place = np.linalg.inv(place.affine) @ IMAGE.affine
    index = transform_points(to_place, np.moveaxis(np.indices(IMAGE.shape), 0, -1))
    lies_in = ((index > -0.5) & (index < np.asarray(place.shape) - 0.5)).all(axis=-1)
    assert (covered == lies_in).mean() > 0.999


def test_large_targets_come_a_few_rows_at_a_time(monkeypatch):
    monkeypatch.setattr("napari_effseg.engine.locate.sampling.ROWS_BYTES", 50_000)
    place = place_in()
    parts = [rows for rows, _ in bring_back(rows_of(np.stack([wave(place)])), place, IMAGE)]
    assert len(parts) > 3
    assert [part.start for part in parts] == sorted({part.start for part in parts})
    assert sum(part.values.shape[1] for part in parts) == IMAGE.shape[0]
