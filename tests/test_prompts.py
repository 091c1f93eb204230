"""Prompts: what they accept, in which plane they lie, which voxels they cover."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_effseg.errors import PromptError
from napari_effseg.prompt_voxels import check_prompt, plane_of, voxels_of
from napari_effseg.prompts import Box, Lasso, Mask, Point, Scribble

SHAPE = (12, 10, 8)
indices = st.tuples(*(st.integers(0, side - 1) for side in SHAPE))


def _whole(prompt, shape=SHAPE):
    (low, high), inside = voxels_of(prompt, shape)
    array = np.zeros(shape, bool)
    array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = inside
    return array


def _all_kinds():
    mask = np.zeros(SHAPE, bool)
    mask[2:5, 3, 1:4] = True
    return [
        Point((3, 4, 5)),
        Box((1, 2, 3), (6, 7, 4)),
        Scribble([(1, 1, 2), (8, 6, 2)], radius=1.5),
        Lasso([(1, 1, 4), (8, 1, 4), (5, 7, 4)]),
        Mask(mask),
    ]


def test_two_numbers_are_a_place_on_a_picture():
    assert Point((3, 4)).index == (3, 4, 0)
    assert Box((1, 2), (5, 6)).high == (5, 6, 1)
    assert Scribble([(1, 2), (3, 4)]).points.shape == (2, 3)
    assert Mask(np.ones((3, 4), bool)).array.shape == (3, 4, 1)


def test_a_flat_prompt_knows_its_plane():
    assert Box((1, 2, 3), (6, 7, 4)).axis == 2
    assert Box((1, 2, 3), (2, 7, 5)).axis == 0
    assert Box((1, 2, 3), (6, 7, 8)).axis is None
    assert Scribble([(1, 4, 2), (8, 4, 3)]).axis == 1
    assert Lasso([(1, 4, 2), (8, 4, 3), (2, 4, 7)]).axis == 1
    assert Mask(_whole(Box((1, 2, 3), (2, 7, 5)))).axis == 0


@pytest.mark.parametrize(
    ("spacing", "shown", "axis"),
    [((1, 1, 1), None, 2), ((3, 1, 1), None, 0), ((1, 3, 3), None, 2), ((1, 1, 3), 0, 0)],
)
def test_a_point_takes_the_plane_shown_or_the_finest(spacing, shown, axis):
    assert plane_of(Point((0, 0, 0)), (9, 8, 7), spacing, shown) == axis
    assert plane_of(Point((0, 0, 0), axis=1), (9, 8, 7), spacing, shown) == 1


def test_a_point_in_a_picture_lies_in_its_plane_whatever_the_pixels_are():
    assert plane_of(Point((0, 0)), (40, 30, 1), (2.0, 1.0, 1.0)) == 2


@pytest.mark.parametrize("prompt", _all_kinds())
def test_a_prompt_covers_something_inside_the_image(prompt):
    assert _whole(prompt).any()


@given(indices)
def test_a_point_covers_its_voxel(index):
    assert np.argwhere(_whole(Point(index))).tolist() == [list(index)]


@given(st.lists(indices, min_size=1, max_size=5), st.sampled_from([0.0, 1.0, 2.5]))
def test_a_scribble_covers_what_it_passes_and_nothing_far_from_it(points, radius):
    covered = _whole(Scribble(points, radius))
    assert all(covered[point] for point in points)
    path = np.concatenate(
        [np.linspace(a, b, 40) for a, b in zip(points, [*points[1:], points[-1]], strict=True)]
    )
    far = np.linalg.norm(np.argwhere(covered)[:, None] - path[None], axis=2).min(axis=1)
    assert far.max() <= max(radius, 0.9) + 0.3


@given(st.lists(indices, min_size=2, max_size=4))
def test_a_scribble_leaves_no_gap(points):
    from scipy.ndimage import label

    assert label(_whole(Scribble(points)), np.ones((3, 3, 3)))[1] == 1


def test_a_scribble_in_a_plane_stays_in_it():
    covered = _whole(Scribble([(1, 1, 4), (8, 6, 4)], radius=2))
    assert np.unique(np.nonzero(covered)[2]).tolist() == [4]


def test_a_lasso_covers_what_it_encloses_and_its_outline():
    covered = _whole(Lasso([(2, 1, 5), (9, 1, 5), (9, 7, 5), (2, 7, 5)]))
    assert np.array_equal(covered, _whole(Box((2, 1, 5), (10, 8, 6))))


def test_a_lasso_may_be_hollow():
    bay = [(1, 1, 0), (10, 1, 0), (10, 8, 0), (7, 8, 0), (7, 4, 0), (4, 4, 0), (4, 8, 0), (1, 8, 0)]
    covered = _whole(Lasso(bay))
    assert covered[2, 7, 0]
    assert covered[9, 7, 0]
    assert not covered[5, 7, 0]


@given(
    st.permutations(range(3)),
    st.tuples(*[st.booleans()] * 3),
    st.lists(st.tuples(st.integers(0, 11), st.integers(0, 9)), min_size=3, max_size=5),
    st.sampled_from([0.0, 1.2]),
)
@settings(deadline=None)
def test_prompts_turn_with_the_array(order, flips, corners, radius):
    """The same prompt in another storage of the image covers the same places, to the voxel."""
    shape = tuple(SHAPE[axis] for axis in order)

    def turned(place):
        moved = [SHAPE[a] - 1 - place[a] if flips[a] else place[a] for a in range(3)]
        return tuple(moved[axis] for axis in order)

    def back(array):
        plain = array.transpose(np.argsort(order))
        return plain[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]

    line = [(i, j, 2) for i, j in corners]
    for kind, extra in ((Scribble, {"radius": radius}), (Lasso, {})):
        plain = _whole(kind(line, **extra))
        other = back(_whole(kind([turned(p) for p in line], **extra), shape))
        assert (plain == other).all()


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (Point((12, 0, 0)), r"Point reaches from 12 to 12 along axis I; the image has voxels 0 to 11"),
        (Box((0, 0, 0), (5, 5, 9)), "Box reaches from 0 to 8 along axis K"),
        (Scribble([(0, -1, 0)]), "Scribble reaches from -1"),
        (Mask(np.ones((2, 2, 2), bool)), r"the image has \(12, 10, 8\)"),
    ],
)
def test_what_reaches_out_of_the_image_is_named(prompt, message):
    with pytest.raises(PromptError, match=message):
        check_prompt(prompt, SHAPE)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Point((1, 2, 3, 4)), "expected"),
        (lambda: Point((1, np.nan, 3)), "expected"),
        (lambda: Point("here"), "expected"),
        (lambda: Point((1, 2, 3), axis=3), "axis 3"),
        (lambda: Box((1, 2, 3), (1, 5, 5)), "empty along axis I"),
        (lambda: Box((1, 2, 3), (4, 1, 5)), "empty along axis J"),
        (lambda: Scribble(np.zeros((0, 3))), "without any voxel"),
        (lambda: Scribble([(1, 2, 3)], radius=-1), "radius"),
        (lambda: Scribble([(1, 2, 3, 4)]), "shape"),
        (lambda: Lasso([(1, 2, 3), (2, 3, 3)]), "at least 3"),
        (lambda: Lasso([(1, 2, 3), (2, 3, 4), (5, 6, 7)]), "one plane"),
        (lambda: Mask(np.zeros((2, 2, 2), bool)), "no voxel"),
        (lambda: Mask(np.ones((2, 2, 2))), "booleans"),
    ],
)
def test_what_is_no_prompt_is_refused_in_words(make, message):
    with pytest.raises(PromptError, match=message):
        make()


def test_prompts_do_not_change_with_what_they_were_made_of():
    array, line = np.ones((2, 2, 2), bool), np.ones((2, 3))
    mask, scribble = Mask(array), Scribble(line)
    array[:], line[:] = False, 7
    assert mask.array.all()
    assert (scribble.points == 1).all()
    with pytest.raises(ValueError, match="read-only"):
        mask.array[0] = False
