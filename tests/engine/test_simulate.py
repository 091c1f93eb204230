"""A simulated user clicks on what is wrong, and draws boxes around what is there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_effseg.engine.simulate import box_around, lasso_around, next_click, scribble_from

PAIRS = array_shapes(min_dims=2, max_dims=3, max_side=7).flatmap(
    lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape))
)


@given(PAIRS, st.none() | st.integers(0, 9))
@settings(deadline=None, max_examples=60)
def test_a_click_falls_on_an_error_of_its_sign(pair, seed):
    truth, mask = pair
    random = None if seed is None else np.random.default_rng(seed)
    click = next_click(truth, mask, random)
    if click is None:
        assert (truth == mask).all()
    else:
        assert truth[click.index] == click.positive
        assert mask[click.index] != click.positive


@given(arrays(bool, array_shapes(min_dims=2, max_dims=3, max_side=7)))
@settings(deadline=None, max_examples=40)
def test_the_first_click_is_on_the_object(truth):
    click = next_click(truth, None)
    assert (click is None) == (not truth.any())
    if click is not None:
        assert click.positive
        assert truth[click.index]


def test_the_click_is_deepest_in_the_larger_error():
    truth = np.zeros((20, 20), bool)
    truth[1:4, 1:4] = True  # missed: 3 x 3
    mask = np.zeros((20, 20), bool)
    mask[8:17, 8:17] = True  # too much: 9 x 9
    click = next_click(truth, mask)
    assert click is not None
    assert (click.index, click.positive) == ((12, 12), False)


def test_the_edge_of_the_image_is_an_edge_of_the_error():
    click = next_click(np.ones((9, 9), bool), None)
    assert click is not None
    assert click.index == (4, 4)


@given(arrays(bool, array_shapes(min_dims=2, max_dims=3, max_side=7)), st.integers(0, 9))
@settings(deadline=None, max_examples=40)
def test_a_box_lies_in_the_image_and_an_exact_one_holds_the_object_tightly(truth, seed):
    exact, drawn = box_around(truth), box_around(truth, np.random.default_rng(seed), 0.3)
    assert (exact is None) == (drawn is None) == (not truth.any())
    if exact is None or drawn is None:
        return
    for low, high in (exact, drawn):
        assert all(0 <= a < b <= side for a, b, side in zip(low, high, truth.shape, strict=True))
    inside = tuple(slice(a, b) for a, b in zip(*exact, strict=True))
    assert truth[inside].sum() == truth.sum()
    for axis in range(truth.ndim):
        assert truth[inside].take([0, -1], axis).reshape(2, -1).any() or truth[inside].shape[axis] == 1


def test_the_same_seed_clicks_at_the_same_place():
    truth = np.ones((12, 12), bool)
    one, other = (next_click(truth, None, np.random.default_rng(4)) for _ in range(2))
    assert one == other


@pytest.mark.parametrize("dims", [2, 3])
def test_clicks_on_the_errors_of_a_perfect_painter_end(dims):
    random = np.random.default_rng(0)
    truth = random.random((8,) * dims) > 0.6
    mask = np.zeros_like(truth)
    for _ in range(truth.size + 1):
        click = next_click(truth, mask, random)
        if click is None:
            break
        mask[click.index] = click.positive
    assert (mask == truth).all()


@pytest.mark.parametrize("seed", range(6))
def test_a_scribble_stays_in_its_region_and_holds_its_start(seed):
    random = np.random.default_rng(seed)
    region = random.random((20, 16)) > 0.3
    start = tuple(np.argwhere(region)[seed])
    places = scribble_from(start, region, random)
    assert region[tuple(places.T)].all()
    assert (places == start).all(axis=1).any()
    assert len(np.unique(places, axis=0)) == len(places)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_lasso_follows_the_object_roughly(dims):
    truth = np.zeros((40,) * dims, bool)
    truth[(slice(10, 30),) * dims] = True
    drawn = lasso_around(truth, np.random.default_rng(1))
    assert (drawn & truth).sum() > 0.9 * truth.sum()
    assert 1.0 < drawn.sum() / truth.sum() < 1.6
