import numpy as np
import pytest
import torch

from napari_effseg.engine.frame import sub_grid
from napari_effseg.engine.rows import AxisLine, AxisTaps, RowResampling, bring_to
from napari_effseg.engine.windows import Rows
from napari_effseg.volume import Grid, grid_with_spacing, resample_array

from .builders import OBLIQUE, SHAPE

INPUT = Grid(SHAPE, OBLIQUE)


def scores_on(grid, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(3, *grid.shape)).astype(np.float32))


def in_pieces(values, rows):
    return (Rows(at, values[:, at : at + rows]) for at in range(0, values.shape[1], rows))


def gathered(pieces):
    pieces = list(pieces)
    assert [piece.start for piece in pieces] == np.cumsum(
        [0, *(p.values.shape[1] for p in pieces[:-1])]
    ).tolist()
    return torch.cat([piece.values for piece in pieces], dim=1)


@pytest.mark.parametrize("rows", [1, 3, 100])
@pytest.mark.parametrize("spacing", [(0.5, 1.0, 2.0), (2.3, 0.7, 1.1), (4.0, 4.0, 4.0), (0.905, 1.3, 0.3)])
def test_rows_in_pieces_come_out_as_the_whole(spacing, rows):
    network = grid_with_spacing(INPUT, spacing)
    scores = scores_on(network)
    whole = resample_array(scores.numpy(), network, INPUT)
    found = gathered(bring_to(in_pieces(scores, rows), network, INPUT))
    np.testing.assert_allclose(found.numpy(), whole, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 4, 50])
def test_the_same_voxels_are_only_cut_out(rows):
    scores = scores_on(INPUT)
    part = sub_grid(INPUT, ((3, 1, 2), (17, 20, 9)))
    found = gathered(bring_to(in_pieces(scores, rows), INPUT, part))
    assert torch.equal(found, scores[:, 3:17, 1:20, 2:9])


def test_a_part_of_a_resampled_image_comes_out_as_in_the_whole():
    network = grid_with_spacing(INPUT, 1.7)
    scores = scores_on(network)
    whole = resample_array(scores.numpy(), network, INPUT)
    part = sub_grid(INPUT, ((3, 1, 2), (17, 20, 9)))
    found = gathered(bring_to(in_pieces(scores, 2), network, part))
    np.testing.assert_allclose(found.numpy(), whole[:, 3:17, 1:20, 2:9], atol=1e-5)


@pytest.mark.parametrize("taps", [AxisTaps.linear, AxisTaps.cubic], ids=["linear", "cubic"])
def test_rows_needed_lie_within_the_source_and_suffice(taps):
    source = grid_with_spacing(INPUT, 0.7)
    way = RowResampling(source, INPUT, (taps,) * 3)
    scores = scores_on(source)
    planes = way.in_plane(scores)
    for row in range(INPUT.shape[0]):
        low, high = way.needed(row, row + 1)
        assert 0 <= low < high <= source.shape[0]
        torch.testing.assert_close(
            way.across(planes[:, low:high], low, row, row + 1), way.across(planes, 0, row, row + 1)
        )


@pytest.mark.parametrize("kind", [AxisTaps.linear, AxisTaps.cubic], ids=["linear", "cubic"])
@pytest.mark.parametrize("scale", [0.3, 1.0, 1.6, 3.0])
def test_taps_of_an_axis_sum_to_one(scale, kind):
    taps = kind(AxisLine(scale, 0.1, 30, int(29 / scale)))
    torch.testing.assert_close(taps.weight.sum(dim=0), torch.ones(taps.side))
    assert (taps.index.diff(dim=0) > 0).all()


@pytest.mark.parametrize("kind", [AxisTaps.linear, AxisTaps.cubic], ids=["linear", "cubic"])
def test_an_axis_that_keeps_its_voxels_keeps_its_values(kind):
    values = torch.randn(2, 9, generator=torch.Generator().manual_seed(0))
    assert torch.equal(kind(AxisLine(1.0, 0.0, 9, 9)).apply(values, 1), values)


def test_cubic_taps_follow_a_parabola_and_linear_ones_cannot():
    line = AxisLine(0.4, 0.2, 40, 90)
    wanted = (line.scale * torch.arange(90) + line.offset) ** 2
    values = torch.arange(40.0) ** 2
    inner = slice(6, 84)
    torch.testing.assert_close(
        AxisTaps.cubic(line).apply(values, 0)[inner], wanted[inner], rtol=1e-5, atol=1e-3
    )
    assert (AxisTaps.linear(line).apply(values, 0) - wanted)[inner].max() > 0.2


def test_cubic_taps_do_not_let_fine_stripes_through_to_a_coarse_grid():
    stripes = torch.tensor([1.0, -1.0] * 30)
    assert AxisTaps.cubic(AxisLine(3.0, 1.0, 60, 20)).apply(stripes, 0)[2:-2].abs().max() < 0.05


def test_a_flat_axis_stays_as_it_is():
    assert AxisTaps.cubic(AxisLine(1.3, 0.0, 1, 1)).apply(torch.ones(1), 0).tolist() == [1.0]
